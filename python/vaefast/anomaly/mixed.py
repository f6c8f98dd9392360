"""Conversion of frames of mixed columns to numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._input.feature_names import FeatureNames, check_names, strings_only
from .._input.validation import warn_of_empty_columns
from ..tables.choices import counts_rows, is_name
from ..tables.frames import read
from ..tables.series import KINDS, Array, Name, Series

PLACES = 100  # most categories of a column with a place of their own
NUMBERS = ("number", "integer", "boolean")
LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class Column:
    """A column of the frame, and how it becomes numbers.

    Attributes
    ----------
    name : str or int
        Name of the column.
    kind : str
        Kind of its values: one of the `KINDS`.
    categories : tuple of str or None
        Values that have a one-hot column each, as text. The last one-hot column is that of all
        other values, new ones included. None for numbers, dates and durations, which are one
        column.
    left_out : bool
        Whether the column is ignored, because its values name or number the rows, or are missing.
    """

    name: Name
    kind: str
    categories: tuple[str, ...] | None = None
    left_out: bool = False

    @classmethod
    def learn(cls, name: Name, series: Series) -> Column:
        """Return the conversion of a column with these values."""
        if not isinstance(name, str | int):
            raise TypeError(f"column {name!r} of X: the name must be a string or a whole number")
        kind, known = series.dtype.kind, series.values[~series.missing]
        if not len(known):
            return cls(name, kind, left_out=True)
        if _names_rows(series, known):
            return cls(name, kind, left_out=True)
        if not _is_categorical(series, known):
            return cls(name, kind)
        counts = Counter(sorted(map(str, known)))  # sorted, so ties do not depend on the row order
        return cls(name, kind, tuple(value for value, _ in counts.most_common(PLACES)))

    @property
    def width(self) -> int:
        """Number of columns of numbers."""
        if self.left_out:
            return 0
        return 1 if self.categories is None else len(self.categories) + 1

    def encode(self, series: Series) -> NDArray[np.float64]:
        """Return the values as numbers, (n, width), with NaN for missing values."""
        missing = series.missing
        X = np.full((len(missing), self.width), np.nan)
        if self.left_out or missing.all():
            return X
        self._check(series)
        if self.categories is None:
            return series.values[:, None]
        places = {category: i for i, category in enumerate(self.categories)}
        codes = [places.get(str(value), len(places)) for value in series.values[~missing]]
        X[~missing] = np.eye(self.width)[codes]
        return X

    def _check(self, series: Series) -> None:
        kind = series.dtype.kind
        if kind != self.kind and not {kind, self.kind} <= set(NUMBERS):
            raise ValueError(
                f"column {self.name!r} of X held {KINDS[self.kind]} when the detector was fitted, "
                f"but now holds {KINDS[kind]}: convert it to the type of the fit"
            )
        if kind == "category":
            return
        large = np.abs(series.values) > LARGEST
        if large.any():
            row = int(large.argmax())
            raise ValueError(
                f"column {self.name!r} of X holds {series.values[row]} in row {row}, which is "
                "infinite or beyond 3.4e38. Drop it, or set it to NaN, which stands for a missing "
                "value."
            )


def _names_rows(series: Series, known: Array) -> bool:
    """Return whether the values name or number the rows."""
    if series.dtype.kind == "integer":
        return counts_rows(series)
    return series.dtype.kind == "category" and series.categories is None and is_name(known)


def _is_categorical(series: Series, known: Array) -> bool:
    """Return whether the values are text, categories, booleans, or at most two whole numbers."""
    kind = series.dtype.kind
    return kind in ("category", "boolean") or (kind == "integer" and len(np.unique(known)) <= 2)


@dataclass(frozen=True)
class Encoding:
    """The conversion of a frame to a matrix, column by column.

    Attributes
    ----------
    columns : tuple of Column
        The columns of the frame.
    """

    columns: tuple[Column, ...]

    @classmethod
    def learn(cls, frame: Any) -> Encoding:
        """Return the conversion of this frame.

        Raises
        ------
        TypeError, ValueError
            The frame can't be read, or no column is left to learn from.
        """
        series = read(frame)[1]
        columns = tuple(Column.learn(name, values) for name, values in series.items())
        empty = [i for i, values in enumerate(series.values()) if values.missing.all()]
        warn_of_empty_columns(empty, [str(name) for name in series])
        if all(column.left_out for column in columns):
            raise ValueError(
                "X has nothing to learn from: every column names or numbers the rows, or holds "
                "missing values only"
            )
        return cls(columns)

    @classmethod
    def from_list(cls, data: Iterable[Mapping[str, Any]]) -> Encoding:
        """Return the encoding that `to_list` described."""
        columns = []
        for fields in data:
            categories = fields["categories"]
            kept = None if categories is None else tuple(categories)
            columns.append(Column(**{**fields, "categories": kept}))
        return cls(tuple(columns))

    def to_list(self) -> list[dict[str, Any]]:
        """Return the encoding as plain data, for JSON."""
        return [asdict(column) for column in self.columns]

    @property
    def names(self) -> FeatureNames | None:
        """Names of the columns of the frame, or None unless all are strings."""
        return strings_only(column.name for column in self.columns)

    @property
    def widths(self) -> NDArray[np.int64]:
        """Number of columns of the matrix for each column of the frame that is not left out."""
        return np.array([c.width for c in self.columns if not c.left_out], np.int64)

    def encode(self, frame: Any) -> NDArray[np.float64]:
        """Return a frame as a matrix.

        Raises
        ------
        TypeError, ValueError
            The frame can't be read, or its columns are not those of the fit.
        """
        series = read(frame)[1]
        check_names(_texts(series), _texts(column.name for column in self.columns))
        return np.hstack([column.encode(series[column.name]) for column in self.columns])

    def by_column(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the columns of the matrix for each column of the frame, (n, d)."""
        ends = np.cumsum([column.width for column in self.columns])
        sums = [part.sum(axis=1) for part in np.split(parts, ends[:-1], axis=1)]
        return np.stack(sums, axis=1)


def _texts(names: Iterable[Name]) -> FeatureNames:
    return tuple(map(str, names))
