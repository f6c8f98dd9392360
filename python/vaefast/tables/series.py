"""One column of a frame, whatever library it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = np.ndarray[Any, np.dtype[Any]]
Name = str | int
Scalar = str | int | float | bool

# What a column holds, in the words of error messages.
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
    """What a frame's library needs, plain data, to make a column of the same type again.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    name : str
        The type's name: NumPy's for a dict, pandas', or polars'.
    unit, zone : str or None
        Of a polars date or duration.
    ordered : bool
        Whether a pandas category is.
    categories : str or None
        The dtype of the categories of a pandas category.
    """

    kind: str
    name: str
    unit: str | None = None
    zone: str | None = None
    ordered: bool = False
    categories: str | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """One column: float64 (n,), NaN where missing; of a category objects, None where missing.

    Booleans are 0 and 1; dates are seconds since 1970 (with a time zone: UTC), durations seconds.
    `categories` are those that the dtype itself declares, in its order.
    """

    values: Array
    dtype: Dtype
    categories: tuple[Any, ...] | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Bool (n,)."""
        if self.dtype.kind == "category":
            return np.fromiter((value is None for value in self.values), bool, len(self.values))
        return np.isnan(self.values)


def unsupported(name: Name, what: object, hint: str = "") -> TypeError:
    return TypeError(f"column {name!r} holds {what}: {_EXPECTED}{hint}")


def to_seconds(ticks: NDArray[np.int64], unit: str) -> NDArray[np.float64]:
    per = PER_SECOND[unit]
    if per < 1:
        return ticks.astype(np.float64) * round(1 / per)
    whole, rest = np.divmod(ticks, np.int64(per))  # exact: ticks may not fit into a float64
    return whole.astype(np.float64) + rest / per


def to_ticks(seconds: Array, unit: str, bits: int = 64) -> NDArray[np.float64]:
    """Whole numbers, NaN where missing, that an integer of so many bits can hold."""
    high = np.nextafter(2.0 ** (bits - 1), 0)  # -2 ** 63 is NaT
    limited: NDArray[np.float64] = np.clip(np.rint(seconds * PER_SECOND[unit]), -high, high)
    return limited


def fit(values: Array, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """The numbers nearest to values that a type can hold; NaN stays."""
    if dtype.kind == "f":
        high = float(np.finfo(dtype).max)
        low = -high
    else:
        values = np.rint(values)
        low = float(np.iinfo(dtype).min)
        high = float(np.nextafter(np.iinfo(dtype).max + 1.0, 0))  # cut to max when converted
    return np.clip(values, low, high).astype(np.float64, copy=False)
