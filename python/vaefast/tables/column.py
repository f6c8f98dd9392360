"""One column of a frame and its learned encoding as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .modes import Modes
from .series import KINDS, Array, Dtype, Name, Scalar, Series

# These take the place of a likelihood. The first four leave nothing to model.
CONSTANT, IDENTIFIER, TIED, SUM = "constant", "identifier", "tied", "sum"
ORDINAL, MODES = "ordinal", "modes"
DENSITIES = ("gaussian", "laplace", "student_t")  # likelihoods of standardized values
COUNTS = ("poisson", "negative_binomial")
UNIT = ("bernoulli", "continuous_bernoulli")  # likelihoods of values in [0, 1]
_NUMBERS = (*DENSITIES, MODES, ORDINAL, *COUNTS, *UNIT, "categorical")
_SECONDS = (*DENSITIES, MODES)

# The likelihoods that each kind of column may have.
LIKELIHOODS = {
    "number": _NUMBERS,
    "integer": (*_NUMBERS, IDENTIFIER),
    "boolean": ("bernoulli", "categorical"),
    "category": ("categorical", IDENTIFIER),
    "date": _SECONDS,
    "instant": _SECONDS,
    "duration": _SECONDS,
}


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

        - modes: the spike that a number belongs to, or none, and the normal score of its rank;
        - ordinal: numbers as categories, in their order;
        - constant: a single value, left out of X;
        - identifier: names or numbers of the rows, left out of X; `decode` makes new ones;
        - tied: values that follow from another column, left out of X;
        - sum: a weighted sum of other columns, left out of X.
    mean : float, default=0.0
        Mean in x = (value - mean) / scale, in seconds for dates and durations. For a sum, the
        constant term.
    scale : float, default=1.0
        Standard deviation in x = (value - mean) / scale. Mean 0 and scale 1 leave values unchanged.
        For a sum, the largest difference between a value and the sum in a learned row.
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
        Column from which this one follows. The value that goes with each category of that column is
        listed in `categories` if the likelihood is tied, and in `partners` otherwise.
    partners : tuple, default=()
        Value of this column for each category of `tied_to`, if the model sees both columns; None if
        no row had both.
    above : str, int or None, default=None
        Column below whose value this one never falls. The encoding is then that of the difference
        between the two, in seconds for dates.
    ends : tuple of (float, float) or None, default=None
        Smallest and largest learned value of a column with `above`; `low` and `high` are then those
        of the difference.
    terms : tuple of (str or int, float), default=()
        Columns that add up to a sum, each with its weight.
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
    partners: tuple[Scalar | None, ...] = ()
    above: Name | None = None
    ends: tuple[float, float] | None = None
    terms: tuple[tuple[Name, float], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, (str, int)):
            raise TypeError(f"{self.called}: the name must be a string or a whole number")
        known = self.dtype.kind in LIKELIHOODS
        others = (CONSTANT, TIED, SUM)
        if not known or self.likelihood not in (*LIKELIHOODS[self.dtype.kind], *others):
            raise ValueError(
                f"{self.called}: likelihood {self.likelihood!r} does not fit a column of the kind "
                f"{self.dtype.kind!r}"
            )
        if not (math.isfinite(self.step) and self.step >= 0):
            raise ValueError(f"{self.called}: step={self.step!r} must be finite and at least 0")
        if not (math.isfinite(self.mean) and math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(
                f"{self.called}: mean={self.mean!r} and scale={self.scale!r} must be finite, and "
                "scale must be greater than 0"
            )
        if self.decimals is not None and (type(self.decimals) is not int or self.decimals < 0):
            raise ValueError(f"{self.called}: decimals={self.decimals!r} must be None or from 0 on")
        if not all(end is None or math.isfinite(end) for end in (self.low, self.high)):
            raise ValueError(f"{self.called}: low={self.low!r}, high={self.high!r} must be finite")
        if self.day_first not in (None, False, True):
            raise ValueError(f"{self.called}: day_first={self.day_first!r} must be a boolean")
        partners = (partner for partner in self.partners if partner is not None)
        for category in (*self.categories, *self.others, *partners):
            if not _is_plain(category):
                raise ValueError(
                    f"{self.called}: the category {category!r} has type "
                    f"{type(category).__name__}, expected text, a finite number or a boolean; "
                    "convert the column to text first"
                )
        n = len(self.categories) + len(self.others)
        if len({*self.categories, *self.others}) != n:
            raise ValueError(f"{self.called}: two categories are equal")
        if len(self.counts) != len(self.others) or any(
            type(count) is not int or count < 1 for count in self.counts
        ):
            raise ValueError(f"{self.called}: each rare category needs a number of rows")
        if (self.modes is None) != (self.likelihood != MODES):
            raise ValueError(f"{self.called}: modes do not go with {self.likelihood!r}")
        ties = (self.likelihood == TIED) + bool(self.partners)
        if ties != (self.tied_to is not None):
            raise ValueError(f"{self.called}: tied_to does not go with {self.likelihood!r}")
        if (self.above is None) != (self.ends is None) or (self.above is not None and ties):
            raise ValueError(f"{self.called}: above does not go with its ends or with tied_to")
        if (self.likelihood == SUM) != bool(self.terms) or (
            self.terms and self.dtype.kind not in ("number", "integer")
        ):
            raise ValueError(f"{self.called}: terms do not go with {self.likelihood!r}")
        several = n > 1 and (not self.others or self.likelihood == "categorical")
        fits = {CONSTANT: n == 1, TIED: several, ORDINAL: several, "categorical": several}
        if not fits.get(self.likelihood, n == 0):
            raise ValueError(f"{self.called}: {n} categories do not go with {self.likelihood!r}")

    @property
    def width(self) -> int:
        """Number of columns of numbers that encode this column."""
        return sum(width for _, width in self.blocks)

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """Likelihoods of the columns of numbers, each with its number of columns."""
        if self.likelihood in (CONSTANT, IDENTIFIER, TIED, SUM):
            return []
        if self.one_hot:
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
        if not self.one_hot:
            return [str(self.name)] * self.width
        names = [f"{self.name}={category}" for category in self.categories]
        return [*names, f"{self.name}=other"] if self.others else names

    def check_kind(self, series: Series) -> None:
        """Raise ValueError if the values are not of the learned kind."""
        kind = series.dtype.kind
        if kind != self.dtype.kind and not {kind, self.dtype.kind} <= {"number", "integer"}:
            raise ValueError(
                f"{self.called} held {KINDS[self.dtype.kind]} when the table was learned, "
                f"but now holds {KINDS[kind]}"
            )

    def codes(self, series: Series) -> NDArray[np.intp]:
        """Return the index of each value in `categories`, (n,), or -1 if it is not among them."""
        places = {category: i for i, category in enumerate(self.categories)}
        return np.array([places.get(value, -1) for value in series.values.tolist()], dtype=np.intp)

    def to_dict(self) -> dict[str, Any]:
        """Return the column as plain data, for JSON."""
        data = asdict(self)
        lists = {name: list(v) if isinstance(v, tuple) else v for name, v in data.items()}
        # Earlier versions do not know these fields.
        added = ("others", "counts", "modes", "tied_to", "partners", "above", "ends", "terms")
        return {name: v for name, v in lists.items() if name not in added or v not in (None, [])}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Column:
        """Return the column that `to_dict` described."""
        fields = {**data, "dtype": Dtype(**data["dtype"])}
        if data.get("modes") is not None:
            fields["modes"] = Modes.from_dict(data["modes"])
        if data.get("ends") is not None:
            low, high = data["ends"]
            fields["ends"] = (low, high)
        fields["terms"] = tuple((name, weight) for name, weight in data.get("terms", ()))
        lists = ("categories", "others", "counts", "partners")
        return cls(**fields | {name: tuple(data.get(name, ())) for name in lists})

    @property
    def called(self) -> str:
        return f"column {self.name!r}"

    @property
    def formula(self) -> str:
        """The weighted sum as text, such as ``'a' + 0.5 'b' - 6``."""
        terms = [(weight, repr(name)) for name, weight in self.terms]
        text = ""
        for weight, name in [*terms, (self.mean, "")] if self.mean else terms:
            size = "" if name and abs(weight) == 1 else f"{abs(weight):.9g}{' ' * bool(name)}"
            sign = "-" if weight < 0 else "+"
            text += f" {sign} {size}{name}" if text else f"{'-' * (weight < 0)}{size}{name}"
        return text

    @property
    def one_hot(self) -> bool:
        """Whether the column is encoded as one of several categories."""
        return self.likelihood in ("categorical", ORDINAL)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest learned value of a column of numbers or dates."""
        if self.ends is not None:
            return self.ends
        if self.categories:
            return float(min(self.categories)), float(max(self.categories))
        return (
            -np.inf if self.low is None else self.low,
            np.inf if self.high is None else self.high,
        )

    def rounded(self, values: Array) -> Array:
        """Return values of the column, whole or with its decimals if it holds numbers."""
        if self.dtype.kind == "integer":
            return np.rint(values)
        return values if self.decimals is None else np.round(values, self.decimals)

    def check_domain(self, values: Array, whole: bool = True) -> None:
        """Raise ValueError if a value is outside the domain of the likelihood. NaN passes."""
        if self.likelihood in COUNTS:
            self.refuse(values < 0, values, f"is below 0, but {self.likelihood} needs counts")
            if whole:
                odd = values % 1 > 0  # False for NaN
                what = f"is not a whole number, but {self.likelihood} needs counts"
                self.refuse(odd, values, what)
        elif self.likelihood in UNIT:
            outside = (values < 0) | (values > 1)
            self.refuse(outside, values, f"is outside [0, 1], the range of {self.likelihood}")

    def refuse(self, wrong: Any, values: Array, what: str) -> None:
        """Raise ValueError about the first row where `wrong` is True, if there is any."""
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"{self.called}, row {row}: {self.shown(values[row])} {what}")

    def shown(self, value: Any) -> str:
        """Return a value as text: a date as a date, a whole number without a decimal point."""
        kind = self.dtype.kind
        if self.above is not None and kind in ("date", "instant"):
            kind = "duration"
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
