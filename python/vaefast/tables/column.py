"""One column of a frame: the learned encoding as numbers, and the decoding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .series import KINDS, Array, Dtype, Name, Scalar, Series

MAX_CATEGORIES = 1000
Unseen = Literal["error", "missing"]

_CONSTANT = "constant"  # takes the place of a likelihood: there is nothing to model
_DENSITIES = ("gaussian", "laplace", "student_t")  # likelihoods of standardized values
_COUNTS = ("poisson", "negative_binomial")
_UNIT = ("bernoulli", "continuous_bernoulli")  # likelihoods of values in [0, 1]
_NUMBERS = (*_DENSITIES, *_COUNTS, *_UNIT, "categorical")

# The likelihoods that each kind of column may have. The first one is the default.
_LIKELIHOODS = {
    "number": _NUMBERS,
    "integer": _NUMBERS,
    "boolean": ("bernoulli", "categorical"),
    "category": ("categorical",),
    "date": _DENSITIES,
    "instant": _DENSITIES,
    "duration": _DENSITIES,
}
_NUMERIC = (*_DENSITIES, *_COUNTS, "continuous_bernoulli")  # decoded within the learned range
_DECIMALS = 6  # most decimals that a column is found to have
_HUGE = 1e100  # largest absolute value that is standardized; 1e-100 is the smallest range
_MOST = 8  # categories that an error message lists, at most


@dataclass(frozen=True)
class Column:
    """One column of a frame, and the encoding of this column as `width` columns of numbers.

    Attributes
    ----------
    name : str or int
        Name of the column in the frame.
    dtype : Dtype
        Type of the column in the frame.
    likelihood : str
        Likelihood of the encoded values, or "constant" for a column with a single value, which X
        leaves out.
    mean : float, default=0.0
        Mean in x = (value - mean) / scale. Dates and durations are in seconds.
    scale : float, default=1.0
        Standard deviation in x = (value - mean) / scale. Mean 0 and scale 1 leave values unchanged.
    categories : tuple, default=()
        Values of a categorical column, in the order of the one-hot columns, or the single value of
        a constant column.
    step : float, default=0.0
        Decoded dates and durations are rounded to whole multiples of this number of seconds. 0
        turns rounding off.
    decimals : int or None, default=None
        Decoded numbers are rounded to this number of decimals. None turns rounding off.
    low : float or None, default=None
        Decoded values are at least this one, the smallest that was learned.
    high : float or None, default=None
        Decoded values are at most this one, the largest that was learned.
    day_first : bool or None, default=None
        Whether 01/02/2024 in a text file is the first of February. None if the learned dates do
        not show it.
    """

    name: Name
    dtype: Dtype
    likelihood: str
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[Scalar, ...] = ()
    step: float = 0.0
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    day_first: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, (str, int)):
            raise TypeError(f"{self._called}: the name must be a string or a whole number")
        known = self.dtype.kind in _LIKELIHOODS
        if not known or self.likelihood not in (*_LIKELIHOODS[self.dtype.kind], _CONSTANT):
            raise ValueError(
                f"{self._called}: likelihood {self.likelihood!r} does not fit a column of the kind "
                f"{self.dtype.kind!r}"
            )
        if not (math.isfinite(self.step) and self.step >= 0):
            raise ValueError(f"{self._called}: step={self.step!r} must be finite and at least 0")
        if not (math.isfinite(self.mean) and math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(
                f"{self._called}: mean={self.mean!r} and scale={self.scale!r} must be finite, and "
                "scale must be greater than 0"
            )
        if self.decimals is not None and (type(self.decimals) is not int or self.decimals < 0):
            raise ValueError(
                f"{self._called}: decimals={self.decimals!r} must be None or from 0 on"
            )
        if not all(end is None or math.isfinite(end) for end in (self.low, self.high)):
            raise ValueError(f"{self._called}: low={self.low!r}, high={self.high!r} must be finite")
        if self.day_first not in (None, False, True):
            raise ValueError(f"{self._called}: day_first={self.day_first!r} must be a boolean")
        for category in self.categories:
            if not _is_plain(category):
                raise ValueError(
                    f"{self._called}: the category {category!r} has type "
                    f"{type(category).__name__}, expected text, a finite number or a boolean; "
                    "convert the column to text first"
                )
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"{self._called}: two categories are equal")
        n = len(self.categories)
        if not {_CONSTANT: n == 1, "categorical": n > 1}.get(self.likelihood, n == 0):
            raise ValueError(f"{self._called}: {n} categories do not go with {self.likelihood!r}")

    @classmethod
    def learn(cls, name: Name, series: Series, likelihood: str | None) -> Column:
        """Learn how to encode a column: standardized, one-hot, or unchanged.

        Parameters
        ----------
        name : str or int
            Name of the column.
        series : Series
            Values of the column.
        likelihood : str or None
            Likelihood of the column. None is the default of this kind of column.

        Raises
        ------
        ValueError
            The values cannot be encoded, or the likelihood does not fit them.
        """
        called, kind = f"column {name!r}", series.dtype.kind
        there = series.values[~series.missing]
        if len(there) == 0:
            raise ValueError(f"{called} holds missing values only: drop the column")
        _check_finite(name, series)
        choices = _LIKELIHOODS[kind]
        likelihood = likelihood or choices[0]
        if likelihood not in choices:
            raise ValueError(
                f"{called}: likelihood {likelihood!r} does not fit {KINDS[kind]}; allowed: "
                f"{', '.join(choices)}"
            )
        if likelihood == "categorical":
            categories = _categories(called, series, there)
            likelihood = likelihood if len(categories) > 1 else _CONSTANT
            return cls(name, series.dtype, likelihood, categories=categories)
        low, high = float(there.min()), float(there.max())
        if likelihood not in _DENSITIES:
            column = cls(name, series.dtype, likelihood)
            column._check_domain(series.values)
            if likelihood not in _NUMERIC:
                return column
            return replace(column, decimals=_decimals(series.dtype, there), low=low, high=high)
        if low == high:
            return cls(name, series.dtype, _CONSTANT, categories=(low,))
        spread = high - low
        if spread < 1 / _HUGE or max(-low, high) > _HUGE:
            raise ValueError(
                f"{called} ranges from {low:g} to {high:g} and cannot be standardized: rescale it"
            )
        within = (there - low) / spread  # in [0, 1], so that no square overflows or underflows
        mean, scale = low + spread * within.mean(), spread * within.std()
        return cls(
            name,
            series.dtype,
            likelihood,
            float(mean),
            float(scale),
            step=_step(kind, there),
            decimals=_decimals(series.dtype, there),
            low=low,
            high=high,
        )

    @property
    def width(self) -> int:
        """Number of columns of numbers that encode this column."""
        if self.likelihood == _CONSTANT:
            return 0
        return len(self.categories) if self._one_hot else 1

    @property
    def names(self) -> list[str]:
        """A readable name for each of the `width` columns of numbers."""
        if not self._one_hot:
            return [str(self.name)] * self.width
        return [f"{self.name}={category}" for category in self.categories]

    def encode(self, series: Series, unseen: Unseen) -> NDArray[np.float32]:
        """Return values as numbers, (n, width), with NaN for missing values.

        Parameters
        ----------
        series : Series
            Values to encode.
        unseen : {"error", "missing"}
            Whether a category that was not learned raises an error or is encoded as missing.

        Raises
        ------
        ValueError
            The values are not of the kind that was learned, or one of them cannot be encoded.
        """
        kind, missing = series.dtype.kind, series.missing
        numbers = {"number", "integer"}
        if missing.all():
            return np.full((len(missing), self.width), np.nan, dtype=np.float32)
        if kind != self.dtype.kind and not {kind, self.dtype.kind} <= numbers:
            raise ValueError(
                f"{self._called} held {KINDS[self.dtype.kind]} when the table was learned, "
                f"but now holds {KINDS[kind]}"
            )
        _check_finite(self.name, series)
        if self.categories:
            return self._encode_categories(series, unseen)
        values = series.values
        self._check_domain(values)
        with np.errstate(over="ignore"):
            X = ((values - self.mean) / self.scale).astype(np.float32)
        what = f"is too far from the mean {self._shown(self.mean)} to be encoded as float32"
        self._refuse(np.isinf(X), values, what)
        return X[:, None]

    def decode(self, X: NDArray[np.float64], rng: np.random.Generator | None) -> Series:
        """Return the values that encoded numbers, (n, width), represent.

        Parameters
        ----------
        X : ndarray of shape (n, width), float64
            Encoded values, or probabilities of categories and booleans.
        rng : Generator or None
            Source of randomness for drawing categories and booleans. None takes the most probable
            value.

        Raises
        ------
        ValueError
            X holds numbers that the likelihood cannot have.
        """
        if self.categories:
            values = self._decode_categories(X, rng)
        else:
            values = X[:, 0] * self.scale + self.mean
            self._check_domain(values, whole=False)
            if self.low is not None or self.high is not None:
                values = np.clip(values, self.low, self.high)
            if self.step:
                values = np.rint(values / self.step) * self.step
            if self.decimals is not None:
                values = np.round(values, self.decimals)
            if self.likelihood in _COUNTS:
                values = np.rint(values)
            elif self.likelihood == "bernoulli" and self.dtype.kind != "number":
                ones = rng.random(len(values)) < values if rng else values >= 0.5
                values = np.where(np.isnan(values), np.nan, ones)
        return Series(values, self.dtype, self.categories)

    def to_dict(self) -> dict[str, Any]:
        """Return the column as plain data, for JSON."""
        return asdict(self) | {"categories": list(self.categories)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Column:
        """Return the column that `to_dict` described."""
        fields = {**data, "dtype": Dtype(**data["dtype"])}
        return cls(**fields | {"categories": tuple(data["categories"])})

    @property
    def _called(self) -> str:
        return f"column {self.name!r}"

    @property
    def _one_hot(self) -> bool:
        return self.likelihood == "categorical"

    def _encode_categories(self, series: Series, unseen: Unseen) -> NDArray[np.float32]:
        places = {category: i for i, category in enumerate(self.categories)}
        codes = np.array([places.get(value, -1) for value in series.values.tolist()])
        missing = series.missing
        if unseen == "error":
            words = list(map(self._shown, self.categories[:_MOST]))
            if len(self.categories) > _MOST:
                words.append(f"and {len(self.categories) - _MOST} more")
            what = (
                f"is a new value; the table learned {', '.join(words)} (unseen='missing' encodes "
                "new values as missing)"
            )
            self._refuse((codes < 0) & ~missing, series.values, what)
        X = np.zeros((len(codes), self.width), dtype=np.float32)
        if self._one_hot:
            X[np.arange(len(codes)), codes] = 1
            X[codes < 0] = np.nan
        return X

    def _decode_categories(self, X: NDArray[np.float64], rng: np.random.Generator | None) -> Array:
        codes = self._codes(X, rng) if self._one_hot else np.zeros(len(X), dtype=np.intp)
        kind = object if self.dtype.kind == "category" else np.float64
        values: Array = np.array(self.categories, dtype=kind)[codes]
        values[codes < 0] = None if kind is object else np.nan
        return values

    def _codes(self, X: NDArray[np.float64], rng: np.random.Generator | None) -> NDArray[np.intp]:
        """Return the most probable or a drawn category of each row, (n,); -1 if it is missing."""
        missing = np.asarray(np.isnan(X).all(axis=1))
        known = np.where(missing[:, None], 1.0, X)
        fine = (known >= 0).all(axis=1) & (known.sum(axis=1) > 0)  # False for NaN
        if not fine.all():
            row = int(fine.argmin())
            raise ValueError(
                f"{self._called}, row {row}: expected {self.width} probabilities in X with a sum "
                f"above 0, or only NaN for a missing value, got {known[row].tolist()}"
            )
        codes: NDArray[np.intp] = known.argmax(axis=1)
        if rng:
            reached = np.cumsum(known, axis=1)
            codes = (reached / reached[:, -1:] > rng.random((len(X), 1))).argmax(axis=1)
        codes[missing] = -1
        return codes

    def _check_domain(self, values: Array, whole: bool = True) -> None:
        """Raise ValueError if the likelihood cannot have one of the values. NaN passes."""
        if self.likelihood in _COUNTS:
            self._refuse(values < 0, values, f"is below 0, but {self.likelihood} needs counts")
            if whole:
                odd = values % 1 > 0  # False for NaN
                what = f"is not a whole number, but {self.likelihood} needs counts"
                self._refuse(odd, values, what)
        elif self.likelihood in _UNIT:
            outside = (values < 0) | (values > 1)
            self._refuse(outside, values, f"is outside [0, 1], the range of {self.likelihood}")

    def _refuse(self, wrong: Any, values: Array, what: str) -> None:
        """Raise ValueError about the first row where `wrong` is True, if there is one."""
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"{self._called}, row {row}: {self._shown(values[row])} {what}")

    def _shown(self, value: Any) -> str:
        """Return a value as text: a date as a date, a whole number without a decimal point."""
        kind = self.dtype.kind
        if kind in ("date", "instant"):
            return str(np.datetime64(round(value * 1000), "ms"))
        if kind == "duration":
            return f"{value:g} s"
        if kind == "boolean":
            return str(bool(value))
        return repr(value) if isinstance(value, str) else f"{value:.9g}"


def _step(kind: str, seconds: Array) -> float:
    """Return the longest of day, hour, minute and second that divides all values, else 0."""
    if kind not in ("date", "instant", "duration"):
        return 0.0
    return next((s for s in (86400.0, 3600.0, 60.0, 1.0) if not (seconds % s).any()), 0.0)


def _decimals(dtype: Dtype, values: Array) -> int | None:
    """Return the smallest number of decimals that writes all floats, or None if there is none."""
    if dtype.kind != "number":
        return None
    bits = next((bits for bits in (16, 32) if dtype.name.endswith(str(bits))), 64)
    close = 2 * np.finfo(f"float{bits}").eps * np.abs(values)
    return next(
        (d for d in range(_DECIMALS + 1) if (np.abs(np.round(values, d) - values) <= close).all()),
        None,
    )


def _check_finite(name: Name, series: Series) -> None:
    if series.dtype.kind != "category" and np.isinf(series.values).any():
        row = int(np.isinf(series.values).argmax())
        raise ValueError(
            f"column {name!r}, row {row}: expected a finite number, got {series.values[row]} "
            "(infinite, or beyond 1.8e308); mark missing values with NaN"
        )


def _categories(called: str, series: Series, there: Array) -> tuple[Scalar, ...]:
    """Return the categories that the dtype declares, else the values that occur, sorted."""
    convert = {"integer": int, "boolean": bool}.get(series.dtype.kind)
    found = series.categories or sorted(set(there.tolist()))
    if len(found) > MAX_CATEGORIES:
        raise ValueError(
            f"{called} has {len(found):,} categories, expected at most {MAX_CATEGORIES:,}: drop "
            "the column, merge rare categories, or convert the values to numbers"
        )
    return tuple(map(convert, found)) if convert else tuple(found)


def _is_plain(value: object) -> bool:
    """Return whether JSON can hold a category."""
    return type(value) in (str, int, bool) or (type(value) is float and math.isfinite(value))
