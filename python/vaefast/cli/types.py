"""Values of options as people write them: 400,200; mask,0.3; cosine:1e-3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .specs import parse

Number = TypeVar("Number", int, float)


def integers(text: str) -> tuple[int, ...]:
    """400,200 or 400 on the command line, as (400, 200) or (400,)."""
    return _numbers(text, int, "whole numbers such as 400,200 or 400")


def floats(text: str) -> tuple[float, ...]:
    return _numbers(text, float, "numbers such as 0.9,0.999")


def height_and_width(text: str) -> tuple[int, int]:
    sides = integers(text)
    if len(sides) > 2 or not sides or min(sides) < 1:
        raise click.BadParameter(f"expected a size in pixels such as 64 or 48,64, got {text!r}.")
    return sides[0], sides[-1]


def value_or_spec(kinds: Sequence[type]) -> Callable[[str], Any]:
    """Return what turns 4, linear:10 or adamw:weight_decay=0.1 into a value of these kinds."""

    def convert(text: str) -> Any:
        try:
            return parse(text, kinds)
        except (TypeError, ValueError) as error:
            raise click.BadParameter(f"{error}.") from None

    return convert


def name_and_number(text: str) -> tuple[str, float]:
    """mask,0.3 on the command line, as ("mask", 0.3)."""
    name, _, number = text.partition(",")
    try:
        return name, float(number)
    except ValueError:
        raise click.BadParameter(
            f"expected a name and a number such as mask,0.3, got {text!r}."
        ) from None


def name_or_columns(text: str) -> str | list[tuple[str, int]]:
    """gaussian:3,categorical:5 on the command line, as [("gaussian", 3), ("categorical", 5)]."""
    if ":" not in text:
        return text
    try:
        return [(name, int(count)) for name, count in (part.split(":") for part in text.split(","))]
    except ValueError:
        raise click.BadParameter(
            f"expected names and numbers of columns such as gaussian:3,categorical:5, got {text!r}."
        ) from None


def name_or_number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str, kind: Callable[[str], Number], expected: str) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"expected {expected}, got {text!r}.") from None
