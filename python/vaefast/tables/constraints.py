"""Constraints that every row of a synthetic table satisfies."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frames import write
from .series import Name, Series

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_TEXT = re.compile(r"\s*(.+?)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")


@dataclass(frozen=True)
class Constraint:
    """A constraint on rows: a comparison, a set of allowed combinations, or a function.

    Attributes
    ----------
    given : str, tuple of names, or callable
        The constraint as the user wrote it.
    sides : tuple of (str, int or float), default=()
        The columns or numbers to compare.
    allowed : frozenset of tuple, default=frozenset()
        Combinations of values in the frame of the fit, with None for missing values.
    """

    given: Any
    sides: tuple[Name | float, ...] = ()
    allowed: frozenset[tuple[Any, ...]] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, given: Any, columns: Mapping[Name, Series]) -> Constraint:
        """Return the constraint that a user gave for a frame with these columns.

        Raises
        ------
        ValueError
            A text is not a comparison, or the frame lacks a column.
        TypeError
            `given` is neither text, a tuple of names nor a function.
        """
        if isinstance(given, str):
            match = _TEXT.fullmatch(given)
            if not match:
                raise ValueError(f"constraint {given!r} is not a comparison such as 'start <= end'")
            sides = tuple(_side(given, text, columns) for text in (match[1], match[3]))
            kinds = {_kind_of(side, columns) for side in sides}
            if len(kinds) > 1 or kinds == {"category"} and match[2] not in ("==", "!="):
                raise ValueError(f"constraint {given!r} compares values that can't be ordered")
            return cls(given, sides)
        if isinstance(given, tuple) and given:
            for name in given:
                _check_column(given, name, columns)
            return cls(given, allowed=frozenset(_combinations(given, columns)))
        if callable(given):
            return cls(given)
        raise TypeError(
            f"constraint {given!r} must be text such as 'start <= end', a tuple of column names "
            "or a function"
        )

    def holds(self, library: str, columns: Mapping[Name, Series]) -> NDArray[np.bool_]:
        """Return whether each row satisfies the constraint, bool of shape (n,).

        Raises
        ------
        ValueError
            A function does not return a boolean for each row.
        """
        if self.sides:
            return self._compared(columns)
        if self.allowed:
            rows = _combinations(self.given, columns)
            return np.fromiter((row in self.allowed for row in rows), bool, len(rows))
        n = len(next(iter(columns.values())).values)
        found = np.asarray(self.given(write(library, columns)))
        if found.shape != (n,) or found.dtype != bool:
            raise ValueError(
                f"constraint {self.given!r} returned {found.dtype} of shape {found.shape}, "
                f"expected a boolean for each of {n} rows"
            )
        return found

    def _compared(self, columns: Mapping[Name, Series]) -> NDArray[np.bool_]:
        comparison = _TEXT.fullmatch(self.given)
        assert comparison
        compare = _COMPARISONS[comparison[2]]
        values, missing = [], np.zeros((), dtype=bool)
        for side in self.sides:
            if isinstance(side, float):
                values.append(np.asarray(side))
            else:
                values.append(columns[side].values)
                missing = missing | columns[side].missing
        return np.asarray(compare(*values) | missing, dtype=bool)

    def as_data(self) -> dict[str, Any]:
        """Return the constraint as plain data, for JSON.

        Raises
        ------
        ValueError
            The constraint is a function.
        """
        if callable(self.given):
            raise ValueError(
                f"constraint {self.given!r} is a function, which a file can't hold: write it as a "
                "comparison such as 'start <= end', or set constraints again after loading"
            )
        given = self.given if isinstance(self.given, str) else list(self.given)
        allowed = sorted(map(list, self.allowed), key=repr)
        return {"given": given, "sides": list(self.sides), "allowed": allowed}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Constraint:
        """Return the constraint that `as_data` described."""
        given = data["given"] if isinstance(data["given"], str) else tuple(data["given"])
        return cls(given, tuple(data["sides"]), frozenset(map(tuple, data["allowed"])))


def _check_column(given: Any, name: Any, columns: Mapping[Name, Series]) -> None:
    if name not in columns:
        raise ValueError(f"constraint {given!r} names {name!r}, but the frame has no such column")


def _side(given: str, text: str, columns: Mapping[Name, Series]) -> Name | float:
    if text in columns:
        return text
    try:
        return float(text)
    except ValueError:
        _check_column(given, text, columns)
        raise


def _kind_of(side: Name | float, columns: Mapping[Name, Series]) -> str:
    kind = "number" if isinstance(side, float) else columns[side].dtype.kind
    return "number" if kind in ("integer", "boolean") else kind


def _combinations(names: tuple[Name, ...], columns: Mapping[Name, Series]) -> list[tuple[Any, ...]]:
    """Return the values of some columns of each row, with None for missing values."""
    sides = []
    for name in names:
        values = columns[name].values.tolist()
        sides.append([None if v is None or v != v else v for v in values])
    return list(zip(*sides, strict=True))
