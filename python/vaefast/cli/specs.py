"""Parsing of schedules and optimizers, such as cosine:1e-3:warmup=5 or adamw:weight_decay=0.1."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from typing import Any

from .. import optimizers, schedules

MANY = ("milestones", "betas")  # fields that hold several numbers, separated by commas


def parse(text: str, kinds: Sequence[type]) -> Any:
    """Return the schedule, optimizer or number that a text describes.

    A text is a name and its fields, separated by colons: linear:10, cosine:1e-3:warmup=5,
    multi-step:1e-3:30,60, sgd:momentum=0.8. Fields are given in order or by name. An optimizer
    without fields is returned as its name. A number may stand in place of a schedule.

    Parameters
    ----------
    text : str
        Value of an option.
    kinds : sequence of type
        Allowed classes of `vaefast.schedules` or `vaefast.optimizers`.

    Returns
    -------
    object, str or float
        Instance of one of the kinds, the name of an optimizer, or a number.

    Raises
    ------
    TypeError, ValueError
        The text does not describe any of the kinds.
    """
    named = schedules.BY_NAME | optimizers.BY_NAME
    allowed = {name: kind for name, kind in named.items() if kind in kinds}
    numeric = kinds[0] in schedules.KINDS
    name, *parts = text.split(":")
    if name not in allowed:
        if parts:
            raise ValueError(f"{name!r} is unknown; expected one of {', '.join(allowed)}")
        if numeric:
            with suppress(ValueError):
                return float(text)
        kind_of_value = "a number, or a schedule" if numeric else "an optimizer"
        raise ValueError(f"expected {kind_of_value}: {', '.join(allowed)}, got {text!r}")
    if not parts and not numeric:
        return name
    kind = allowed[name]
    names = [field.name for field in fields(kind)]
    given: dict[str, Any] = {}
    for position, part in enumerate(parts):
        key, _, number = part.rpartition("=")
        key = key or (names[position] if position < len(names) else "")
        if key not in names or key in given:
            raise ValueError(f"expected {':'.join([name, *names])}, got {text!r}")
        given[key] = _numbers(number, text, many=key in MANY)
    if any(field.default is MISSING and field.name not in given for field in fields(kind)):
        raise ValueError(f"expected {':'.join([name, *names])}, got {text!r}")
    return kind(**given)


def _numbers(text: str, whole: str, many: bool) -> float | tuple[float, ...]:
    try:
        numbers = tuple(int(n) if n.strip().isdigit() else float(n) for n in text.split(","))
    except ValueError:
        raise ValueError(f"expected numbers, got {text!r} in {whole!r}") from None
    if many:
        return numbers
    if len(numbers) > 1:
        raise ValueError(f"expected one number, got {text!r} in {whole!r}")
    return numbers[0]
