"""Parsing of the values of options, such as 400,200 or mask,0.3 or cosine:1e-3."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .specs import parse

Number = TypeVar("Number", int, float)


def auto_or(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser of "auto", and of what `kind` parses."""
    other = click.types.convert_type(kind)
    return lambda text: text if text == "auto" else other.convert(text, None, None)


def integers(text: str) -> tuple[int, ...]:
    """Return 400,200 as (400, 200), and 400 as (400,)."""
    return _numbers(text, int, "whole numbers such as 400,200 or 400")


def floats(text: str) -> tuple[float, ...]:
    """Return 0.9,0.999 as (0.9, 0.999)."""
    return _numbers(text, float, "numbers such as 0.9,0.999")


def height_and_width(text: str) -> tuple[int, int]:
    """Return 64 as (64, 64), and 48,64 as (48, 64)."""
    sides = integers(text)
    if len(sides) > 2 or not sides or min(sides) < 1:
        raise click.BadParameter(f"expected a size in pixels such as 64 or 48,64, got {text!r}.")
    return sides[0], sides[-1]


def value_or_spec(kinds: Sequence[type]) -> Callable[[str], Any]:
    """Return a parser of texts such as 4, linear:10 or adamw:weight_decay=0.1 for these kinds."""

    def convert(text: str) -> Any:
        try:
            return parse(text, kinds)
        except (TypeError, ValueError) as error:
            raise click.BadParameter(f"{error}.") from None

    return convert


def interval(text: str) -> tuple[float, str]:
    """Return 5, 1000steps or 10min as a number and a unit of `Checkpoint`."""
    units = {"": "epochs", "steps": "steps", "min": "minutes"}
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) *([a-z]*)", text)
    if match is None or match[2] not in units:
        raise click.BadParameter(f"expected 5, 1000steps or 10min, got {text!r}.")
    return float(match[1]), units[match[2]]


def name_and_number(text: str) -> tuple[str, float]:
    """Return mask,0.3 as ("mask", 0.3)."""
    name, _, number = text.partition(",")
    try:
        return name, float(number)
    except ValueError:
        raise click.BadParameter(
            f"expected a name and a number such as mask,0.3, got {text!r}."
        ) from None


def name_or_columns(text: str) -> str | list[tuple[str, int]]:
    """Return gaussian:3,categorical:5 as [("gaussian", 3), ("categorical", 5)], or a name alone."""
    if ":" not in text:
        return text
    try:
        return [(name, int(count)) for name, count in (part.split(":") for part in text.split(","))]
    except ValueError:
        raise click.BadParameter(
            f"expected names and numbers of columns such as gaussian:3,categorical:5, got {text!r}."
        ) from None


def name_or_number(text: str) -> str | float:
    """Return 0.1 as a number, and any other text unchanged."""
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str, kind: Callable[[str], Number], expected: str) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"expected {expected}, got {text!r}.") from None
