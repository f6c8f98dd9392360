"""Conditions: values that every row of a synthetic table has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .column import IDENTIFIER, SUM
from .frames import read, write
from .series import Name, Series
from .table import Table


@dataclass(frozen=True, eq=False)
class Conditions:
    """Given values of some columns.

    Attributes
    ----------
    columns : dict of column name to Series
        The given values, one for each column.
    features : ndarray of shape (width,), float32, or None
        The encoded values, with NaN elsewhere. None if there are no conditions.
    """

    columns: dict[Name, Series]
    features: NDArray[np.float32] | None

    @classmethod
    def of(cls, table: Table, given: Mapping[Name, Any]) -> Conditions:
        """Return the conditions that a user gave for rows of a table.

        Raises
        ------
        ValueError
            A column is unknown, numbered anew, a sum of others, or encoded as the difference from
            one that is not given; or a value is missing or was not learned.
        """
        if not given:
            return cls({}, None)
        sources = {source.name: source for source in table.sources}
        for name in given:
            if name not in sources:
                raise ValueError(
                    f"conditions name {name!r}, but the frame has no such column, only "
                    f"{', '.join(map(repr, sources))}"
                )
            if sources[name].likelihood == IDENTIFIER:
                raise ValueError(f"conditions name {name!r}, which is numbered anew in each sample")
            if sources[name].likelihood == SUM:
                raise ValueError(
                    f"conditions name {name!r}, which is {sources[name].formula}: give these "
                    f"columns, or fit with likelihoods={{{name!r}: 'gaussian'}}"
                )
            above = sources[name].above
            if above is not None and above not in given:
                raise ValueError(
                    f"conditions name {name!r}, which is encoded as the difference from {above!r}: "
                    f"give both, or fit with likelihoods={{{name!r}: 'gaussian'}}"
                )
        columns = read({name: [value] for name, value in given.items()})[1]
        for name, series in columns.items():
            if series.missing.any():
                raise ValueError(f"conditions: {name!r} is a missing value, expected a value")
        row = {**dict.fromkeys(sources, [None]), **write("dict", columns)}
        return cls(columns, table.encode(row)[0])

    def in_features(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return rows of features with the given values."""
        if self.features is None:
            return X
        return np.where(np.isnan(self.features), X, self.features)

    def in_columns(self, table: Table, columns: dict[Name, Series]) -> None:
        """Write the given values into columns, exactly as they are.

        A column that follows from a column that is not given keeps its values; `hold` tells which
        rows have the given one.
        """
        for source in table.sources:
            if source.name in self.columns and not (
                source.partners and source.tied_to not in self.columns
            ):
                values = columns[source.name].values
                filled = np.full(len(values), self.columns[source.name].values[0], values.dtype)
                columns[source.name] = Series(filled, source.dtype, columns[source.name].categories)

    def hold(self, columns: Mapping[Name, Series]) -> NDArray[np.bool_]:
        """Return whether each row has the given values, bool of shape (n,)."""
        n = len(next(iter(columns.values())).values)
        found = np.ones(n, dtype=bool)
        for name, series in self.columns.items():
            found &= columns[name].values == series.values[0]
        return found
