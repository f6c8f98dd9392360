"""One column of a frame: the learned encoding as numbers, and the decoding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .choices import choose
from .facts import categories_of, check_finite, decimals_of, step_of
from .modes import Modes
from .series import KINDS, Array, Dtype, Name, Scalar, Series

Unseen = Literal["error", "missing"]

# These take the place of a likelihood. The first three have nothing to model.
CONSTANT, IDENTIFIER, TIED = "constant", "identifier", "tied"
ORDINAL, MODES = "ordinal", "modes"
_DENSITIES = ("gaussian", "laplace", "student_t")  # likelihoods of standardized values
_COUNTS = ("poisson", "negative_binomial")
_UNIT = ("bernoulli", "continuous_bernoulli")  # likelihoods of values in [0, 1]
_NUMBERS = (*_DENSITIES, MODES, ORDINAL, *_COUNTS, *_UNIT, "categorical")
_SECONDS = (*_DENSITIES, MODES)

# The likelihoods that each kind of column may have.
_LIKELIHOODS = {
    "number": _NUMBERS,
    "integer": (*_NUMBERS, IDENTIFIER),
    "boolean": ("bernoulli", "categorical"),
    "category": ("categorical", IDENTIFIER),
    "date": _SECONDS,
    "instant": _SECONDS,
    "duration": _SECONDS,
}
_NUMERIC = (*_DENSITIES, *_COUNTS, "continuous_bernoulli")  # decoded within the learned range
_HUGE = 1e100  # largest absolute value that is standardized; 1e-100 is the smallest range
_MOST = 8  # categories that an error message lists, at most
_NEAR = 0.1  # parts of the range beyond which a new number has no nearest category


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
        Likelihood of the encoded values, or one of

        - modes: which spike a number is, or none, and the normal score of its rank;
        - ordinal: numbers as categories, in their order;
        - constant: a single value, which X leaves out;
        - identifier: names or numbers of the rows, which X leaves out and `decode` numbers anew;
        - tied: values that follow from another column, which X leaves out.
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
    others : tuple, default=()
        Rare values that share the last one-hot column of a categorical column.
    counts : tuple of int, default=()
        Rows of the fit with each of `others`.
    modes : Modes or None, default=None
        Spikes and quantiles of a column whose likelihood is modes.
    tied_to : str, int or None, default=None
        Column that a tied column follows from. `categories` then lists the value that goes with
        each category of that column.
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
    others: tuple[Scalar, ...] = ()
    counts: tuple[int, ...] = ()
    modes: Modes | None = None
    tied_to: Name | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, (str, int)):
            raise TypeError(f"{self._called}: the name must be a string or a whole number")
        known = self.dtype.kind in _LIKELIHOODS
        if not known or self.likelihood not in (*_LIKELIHOODS[self.dtype.kind], CONSTANT, TIED):
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
        for category in (*self.categories, *self.others):
            if not _is_plain(category):
                raise ValueError(
                    f"{self._called}: the category {category!r} has type "
                    f"{type(category).__name__}, expected text, a finite number or a boolean; "
                    "convert the column to text first"
                )
        n = len(self.categories) + len(self.others)
        if len({*self.categories, *self.others}) != n:
            raise ValueError(f"{self._called}: two categories are equal")
        if len(self.counts) != len(self.others) or any(
            type(count) is not int or count < 1 for count in self.counts
        ):
            raise ValueError(f"{self._called}: each rare category needs a number of rows")
        if (self.modes is None) != (self.likelihood != MODES):
            raise ValueError(f"{self._called}: modes do not go with {self.likelihood!r}")
        if (self.tied_to is None) != (self.likelihood != TIED):
            raise ValueError(f"{self._called}: tied_to does not go with {self.likelihood!r}")
        several = n > 1 and (not self.others or self.likelihood == "categorical")
        fits = {CONSTANT: n == 1, TIED: several, ORDINAL: several, "categorical": several}
        if not fits.get(self.likelihood, n == 0):
            raise ValueError(f"{self._called}: {n} categories do not go with {self.likelihood!r}")

    @classmethod
    def learn(cls, name: Name, series: Series, likelihood: str | None) -> Column:
        """Learn how to encode a column.

        Parameters
        ----------
        name : str or int
            Name of the column.
        series : Series
            Values of the column.
        likelihood : str or None
            Likelihood of the column. None chooses one by the values; see `choose`.

        Raises
        ------
        ValueError
            The values cannot be encoded, or the likelihood does not fit them.
        """
        called, kind = f"column {name!r}", series.dtype.kind
        there = series.values[~series.missing]
        if len(there) == 0:
            raise ValueError(f"{called} holds missing values only: drop the column")
        check_finite(name, series)
        choices = _LIKELIHOODS[kind]
        likelihood = likelihood or choose(series)
        if likelihood not in choices:
            raise ValueError(
                f"{called}: likelihood {likelihood!r} does not fit {KINDS[kind]}; allowed: "
                f"{', '.join(choices)}"
            )
        if likelihood in ("categorical", ORDINAL):
            categories, others, counts = categories_of(series, there, likelihood == "categorical")
            likelihood = likelihood if len(categories) + len(others) > 1 else CONSTANT
            return cls(
                name, series.dtype, likelihood, categories=categories, others=others, counts=counts
            )
        if likelihood == IDENTIFIER:
            first = None if kind == "category" else float(there.min())
            return cls(name, series.dtype, likelihood, low=first)
        low, high = float(there.min()), float(there.max())
        if likelihood not in (*_DENSITIES, MODES):
            column = cls(name, series.dtype, likelihood)
            column._check_domain(series.values)
            if likelihood not in _NUMERIC:
                return column
            return replace(column, decimals=decimals_of(series.dtype, there), low=low, high=high)
        if low == high:
            return cls(name, series.dtype, CONSTANT, categories=(low,))
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
            float(mean) if likelihood != MODES else 0.0,
            float(scale) if likelihood != MODES else 1.0,
            modes=Modes.learn(there) if likelihood == MODES else None,
            step=step_of(kind, there),
            decimals=decimals_of(series.dtype, there),
            low=low,
            high=high,
        )

    @property
    def width(self) -> int:
        """Number of columns of numbers that encode this column."""
        return sum(width for _, width in self.blocks)

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """Likelihoods of the columns of numbers, each with a number of columns."""
        if self.likelihood in (CONSTANT, IDENTIFIER, TIED):
            return []
        if self._one_hot:
            return [("categorical", len(self.categories) + bool(self.others))]
        if self.modes is None:
            return [(self.likelihood, 1)]
        return [("categorical", self.modes.width)] * (self.modes.width > 1) + [("gaussian", 1)]

    @property
    def names(self) -> list[str]:
        """A readable name for each of the `width` columns of numbers."""
        if self.modes is not None and self.modes.spikes:
            spikes = [f"{self.name}={self.shown(spike)}" for spike in self.modes.spikes]
            return [*spikes, f"{self.name}=other", str(self.name)]
        if not self._one_hot:
            return [str(self.name)] * self.width
        names = [f"{self.name}={category}" for category in self.categories]
        return [*names, f"{self.name}=other"] if self.others else names

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
        missing = series.missing
        if missing.all() or self.likelihood == IDENTIFIER:
            return np.full((len(missing), self.width), np.nan, dtype=np.float32)
        self.check_kind(series)
        check_finite(self.name, series)
        if self.categories:
            return self._encode_categories(series, unseen)
        values = series.values
        if self.modes is not None:
            return self._encode_modes(self.modes, values)
        self._check_domain(values)
        with np.errstate(over="ignore"):
            X = ((values - self.mean) / self.scale).astype(np.float32)
        what = f"is too far from the mean {self.shown(self.mean)} to be encoded as float32"
        self._refuse(np.isinf(X), values, what)
        return X[:, None]

    def check_kind(self, series: Series) -> None:
        """Raise ValueError if values are not of the kind that was learned."""
        kind = series.dtype.kind
        if kind != self.dtype.kind and not {kind, self.dtype.kind} <= {"number", "integer"}:
            raise ValueError(
                f"{self._called} held {KINDS[self.dtype.kind]} when the table was learned, "
                f"but now holds {KINDS[kind]}"
            )

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
        if self.likelihood == IDENTIFIER:
            values = self._numbered(len(X))
        elif self.categories or self.others:
            values = self._decode_categories(X, rng)
        else:
            if self.modes is None:
                values = X[:, 0] * self.scale + self.mean
            else:
                values = self._decode_modes(self.modes, X, rng)
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
        return Series(values, self.dtype, (*self.categories, *self.others))

    def codes(self, series: Series) -> NDArray[np.intp]:
        """Return the place of each value in `categories`, (n,); -1 if it has none."""
        places = {category: i for i, category in enumerate(self.categories)}
        return np.array([places.get(value, -1) for value in series.values.tolist()], dtype=np.intp)

    def to_dict(self) -> dict[str, Any]:
        """Return the column as plain data, for JSON."""
        data = asdict(self)
        lists = {name: list(v) if isinstance(v, tuple) else v for name, v in data.items()}
        added = ("others", "counts", "modes", "tied_to")  # an earlier version does not know them
        return {name: v for name, v in lists.items() if v or name not in added}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Column:
        """Return the column that `to_dict` described."""
        fields = {**data, "dtype": Dtype(**data["dtype"])}
        if data.get("modes") is not None:
            fields["modes"] = Modes.from_dict(data["modes"])
        tuples = {name: tuple(data.get(name, ())) for name in ("categories", "others", "counts")}
        return cls(**fields | tuples)

    @property
    def _called(self) -> str:
        return f"column {self.name!r}"

    @property
    def _one_hot(self) -> bool:
        return self.likelihood in ("categorical", ORDINAL)

    def _encode_categories(self, series: Series, unseen: Unseen) -> NDArray[np.float32]:
        codes, missing = self.codes(series), series.missing
        if self.others:
            codes[(codes < 0) & ~missing] = len(self.categories)
        elif self.likelihood == ORDINAL:
            codes = self._nearest(series.values)
        if unseen == "error":
            words = list(map(self.shown, self.categories[:_MOST]))
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

    def _nearest(self, values: Array) -> NDArray[np.intp]:
        """Return the place of the nearest number, (n,); -1 if it is missing or far away."""
        known = np.array(self.categories, dtype=np.float64)
        middles = (known[1:] + known[:-1]) / 2
        codes: NDArray[np.intp] = np.searchsorted(middles, values)
        margin = _NEAR * (known[-1] - known[0])
        codes[~((values >= known[0] - margin) & (values <= known[-1] + margin))] = -1
        return codes

    def _encode_modes(self, modes: Modes, values: Array) -> NDArray[np.float32]:
        mode, score = modes.encode(values)
        X = np.zeros((len(values), self.width), dtype=np.float32)
        if modes.spikes:
            X[np.arange(len(values)), mode] = 1
        X[:, -1] = score
        X[np.isnan(values)] = np.nan
        return X

    def _decode_modes(self, modes: Modes, X: Array, rng: np.random.Generator | None) -> Array:
        mode = np.zeros(len(X), dtype=np.intp)
        if modes.spikes:
            mode = self._codes(X[:, :-1], rng)
        values = modes.decode(mode, X[:, -1])
        return np.where(np.isnan(X[:, -1]) | (mode < 0), np.nan, values)

    def _numbered(self, n: int) -> Array:
        """Return new names of n rows, or new numbers that begin as the learned ones."""
        if self.dtype.kind == "category":
            return np.array([f"{self.name}-{i}" for i in range(1, n + 1)], dtype=object)
        return (self.low or 0.0) + np.arange(n, dtype=np.float64)

    def _decode_categories(self, X: NDArray[np.float64], rng: np.random.Generator | None) -> Array:
        if self._one_hot:
            codes = self._middles(X) if self.likelihood == ORDINAL and not rng else None
            codes = self._codes(X, rng) if codes is None else codes
        else:
            codes = np.zeros(len(X), dtype=np.intp)
        if self.others:
            rare = codes == len(self.categories)
            codes[rare] += self._rare(int(rare.sum()), rng)
        kind = object if self.dtype.kind == "category" else np.float64
        values: Array = np.array([*self.categories, *self.others], dtype=kind)[codes]
        values[codes < 0] = None if kind is object else np.nan
        return values

    def _rare(self, n: int, rng: np.random.Generator | None) -> NDArray[np.intp]:
        """Return the places of n rare values: drawn by their frequency, or the most frequent."""
        counts = np.array(self.counts, dtype=np.float64)
        if rng is None:
            return np.full(n, counts.argmax())
        return rng.choice(len(counts), n, p=counts / counts.sum())

    def _middles(self, X: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the median category of each row, (n,); -1 if it is missing."""
        codes = self._codes(X, None)  # checks the probabilities
        reached = np.cumsum(X, axis=1)
        middles: NDArray[np.intp] = (reached >= reached[:, -1:] / 2).argmax(axis=1)
        return np.where(codes < 0, -1, middles)

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
            raise ValueError(f"{self._called}, row {row}: {self.shown(values[row])} {what}")

    def shown(self, value: Any) -> str:
        """Return a value as text: a date as a date, a whole number without a decimal point."""
        kind = self.dtype.kind
        if kind in ("date", "instant"):
            return str(np.datetime64(round(value * 1000), "ms"))
        if kind == "duration":
            return f"{value:g} s"
        if kind == "boolean":
            return str(bool(value))
        return repr(value) if isinstance(value, str) else f"{value:.9g}"


def _is_plain(value: object) -> bool:
    """Return whether JSON can hold a category."""
    return type(value) in (str, int, bool) or (type(value) is float and math.isfinite(value))
