"""Schedules and optimizers as plain data, for model files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .. import optimizers, schedules

NAMES: dict[str, Mapping[str, type[Any]]] = {  # by the key under which a file gives the name
    "schedule": schedules.BY_NAME,
    "optimizer": optimizers.BY_NAME,
}


def as_data(value: Any) -> dict[str, Any] | None:
    """Return a schedule or an optimizer as its name and its fields; None for anything else."""
    for key, names in NAMES.items():
        for name, kind in names.items():
            if type(value) is kind:
                return {key: name, **asdict(value)}
    return None


def from_data(data: Mapping[str, Any]) -> Any:
    """Return the object that `as_data` described.

    Raises
    ------
    TypeError, ValueError
        The data describe no schedule and no optimizer.
    """
    for key, names in NAMES.items():
        if key in data:
            name = data[key]
            if not isinstance(name, str) or name not in names:
                raise ValueError(f"{key} {name!r} is unknown; expected one of {', '.join(names)}")
            return names[name](**{field: value for field, value in data.items() if field != key})
    raise ValueError(f"{dict(data)!r} is neither a schedule nor an optimizer")
