"""The common form of a column of a frame, whatever its library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = np.ndarray[Any, np.dtype[Any]]
Name = str | int
Scalar = str | int | float | bool

# Kinds of columns, with the words that error messages use for their values.
KINDS = {
    "number": "numbers",
    "integer": "whole numbers",
    "boolean": "booleans",
    "category": "text or categories",
    "date": "dates",
    "instant": "dates with a time zone",
    "duration": "durations",
    "nothing": "missing values only",
}
PER_SECOND = {
    "W": 1 / 604800,
    "D": 1 / 86400,
    "h": 1 / 3600,
    "m": 1 / 60,
    "s": 1,
    "ms": 10**3,
    "us": 10**6,
    "ns": 10**9,
}
_EXPECTED = "expected numbers, booleans, text, categories, dates or durations"


@dataclass(frozen=True)
class Dtype:
    """Type of a column, as plain data from which a column of the same type can be made.

    Attributes
    ----------
    kind : str
        One of the `KINDS`.
    name : str
        Name of the type in NumPy (for a dict), pandas or polars.
    unit : str or None, default=None
        Time unit of a polars date or duration.
    zone : str or None, default=None
        Time zone of a polars date.
    ordered : bool, default=False
        Whether a pandas category is ordered.
    categories : str or None, default=None
        Dtype of the categories of a pandas category.
    """

    kind: str
    name: str
    unit: str | None = None
    zone: str | None = None
    ordered: bool = False
    categories: str | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one column, and their type in the frame.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Values, float64 with NaN for missing values; if the kind is "category", objects with None
        for missing values. Booleans are 0 and 1, durations are seconds, and dates are seconds since
        1970-01-01, in UTC if they have a time zone.
    dtype : Dtype
        Type of the column.
    categories : tuple or None, default=None
        Categories that the type declares, in the declared order.
    """

    values: Array
    dtype: Dtype
    categories: tuple[Any, ...] | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each value is missing, bool of shape (n,)."""
        if self.dtype.kind == "category":
            return np.fromiter((value is None for value in self.values), bool, len(self.values))
        return np.isnan(self.values)

    def with_gaps(self, gaps: NDArray[np.bool_]) -> Series:
        """Return the series with missing values where `gaps`, bool of shape (n,), is True."""
        values = self.values.copy()
        values[gaps] = None if values.dtype == object else np.nan
        return Series(values, self.dtype, self.categories)


def unsupported(name: Name, what: object, hint: str = "") -> TypeError:
    """Return the error for a column that holds something other than the `KINDS`."""
    return TypeError(f"column {name!r} holds {what}, {_EXPECTED}{hint}")


def to_seconds(ticks: NDArray[np.int64], unit: str) -> NDArray[np.float64]:
    """Return ticks of a time unit as seconds."""
    per = PER_SECOND[unit]
    if per < 1:
        return ticks.astype(np.float64) * round(1 / per)
    whole, rest = np.divmod(ticks, np.int64(per))  # in int64, because float64 rounds beyond 2**53
    return whole.astype(np.float64) + rest / per


def to_ticks(seconds: Array, unit: str, bits: int = 64) -> NDArray[np.float64]:
    """Return seconds as whole ticks of a time unit within the range of an integer; NaN stays."""
    high = np.nextafter(2.0 ** (bits - 1), 0)  # the range is symmetric, because -2**63 means NaT
    limited: NDArray[np.float64] = np.clip(np.rint(seconds * PER_SECOND[unit]), -high, high)
    return limited


def fit(values: Array, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Return the nearest numbers that a NumPy dtype can hold; NaN stays."""
    if dtype.kind == "f":
        high = float(np.finfo(dtype).max)
        low = -high
    else:
        values = np.rint(values)
        low = float(np.iinfo(dtype).min)
        high = float(np.nextafter(np.iinfo(dtype).max + 1.0, 0))  # astype truncates it to max
    return np.clip(values, low, high).astype(np.float64, copy=False)
