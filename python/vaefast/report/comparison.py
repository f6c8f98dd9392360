"""The comparison of a synthetic table with the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tables.frames import read
from ..tables.series import Name, Series
from .columns import (
    ColumnComparison,
    associations,
    compare_column,
    is_discrete,
    levels,
    modelled,
    read_like,
)
from .distances import Distances, distances
from .prediction import Prediction, predict


@dataclass(frozen=True, eq=False)
class Comparison:
    """A synthetic table beside the real one.

    Attributes
    ----------
    rows : tuple of (int, int)
        Numbers of rows of the real and of the synthetic table.
    columns : tuple of ColumnComparison
        The compared columns, without those that name or number the rows.
    left_out : tuple of str or int
        Columns that are not compared, because they name or number the rows or have no values.
    real, synthetic : ndarray of shape (columns, columns)
        Association of each pair of columns, Cramér's V of up to ten levels. 0 means independent,
        and 1 means that each is a function of the other.
    impossible : dict of column name to float
        Share of the synthetic rows whose value the real table rules out: an unknown category, a
        number outside the range, or a missing value in a column without any.
    distances : Distances or None
        Distances to the rows of the fit and to held-out rows, if there are any.
    prediction : Prediction or None
        Performance on real rows of a classifier or a regression that is trained on synthetic ones.
    """

    rows: tuple[int, int]
    columns: tuple[ColumnComparison, ...]
    left_out: tuple[Name, ...]
    real: NDArray[np.float64]
    synthetic: NDArray[np.float64]
    impossible: dict[Name, float]
    distances: Distances | None
    prediction: Prediction | None

    @property
    def difference(self) -> float:
        """Mean difference of the columns, from 0 to 1."""
        return float(np.mean([column.difference for column in self.columns]))

    @property
    def association_difference(self) -> float:
        """Mean absolute difference of the associations of pairs of columns; 0 without pairs."""
        above = np.triu_indices(len(self.columns), 1)
        return float(np.abs(self.real - self.synthetic)[above].mean()) if len(above[0]) else 0.0

    def __str__(self) -> str:
        worst = max(self.columns, key=lambda column: column.difference)
        lines = [
            f"{self.rows[0]:,} real and {self.rows[1]:,} synthetic rows of {len(self.columns)} "
            "columns",
            f"Columns differ by {self.difference:.3f} on average, and by up to "
            f"{worst.difference:.3f} ({worst.name})",
            f"Associations of pairs differ by {self.association_difference:.3f} on average",
            f"Impossible values in 100 rows: {100 * sum(self.impossible.values()):.2f}",
        ]
        if self.prediction is not None:
            lines.append(str(self.prediction))
        if self.distances is not None:
            lines.append(f"Distances: {self.distances}")
        return "\n".join(lines)


def compare(
    real: Any, synthetic: Any, *, held_out: Any = None, target: Name | None = None
) -> Comparison:
    """Return the comparison of a synthetic table with the real one.

    Parameters
    ----------
    real : frame
        Rows that the synthesizer was fitted on: a pandas or polars DataFrame, or a dict of columns.
    synthetic : frame
        Synthetic rows with the same columns, or without the names and numbers of the rows.
    held_out : frame or None, default=None
        Rows from the same source that the synthesizer never saw. With them, the comparison includes
        distances, and `target` is predicted for them.
    target : str, int or None, default=None
        Column that a model of scikit-learn learns to predict, once from real and once from
        synthetic rows. Both are tested on held-out rows, or else on a quarter of the real rows.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        A frame lacks a column of the real one, a column holds another kind of values, or `target`
        is not a column that can be predicted.
    MissingExtraError
        `target` is given, and scikit-learn is not installed.
    """
    columns = read(real)[1]
    names = modelled(columns)
    if not names:
        raise ValueError("the real table has no column to compare: all are names of rows or empty")
    known = {name: columns[name] for name in names}
    made = read_like(known, synthetic, "the synthetic table")
    others = None if held_out is None else read_like(known, held_out, "the held-out table")
    both = [levels(known[name], [known[name], made[name]]) for name in names]
    return Comparison(
        rows=(len(both[0][0]), len(both[0][1])),
        columns=tuple(compare_column(name, known[name], made[name]) for name in names),
        left_out=tuple(name for name in columns if name not in known),
        real=associations([codes for codes, _ in both]),
        synthetic=associations([codes for _, codes in both]),
        impossible=_impossible(known, made),
        distances=None if held_out is None else distances(synthetic, real, held_out),
        prediction=None if target is None else predict(known, made, others, target, names),
    )


def _impossible(real: Mapping[Name, Series], made: Mapping[Name, Series]) -> dict[Name, float]:
    """Return the share of impossible values of each column that has some."""
    found = {}
    for name, series in real.items():
        known, drawn = series.values[~series.missing], made[name]
        if is_discrete(series):
            possible = set(known.tolist())
            wrong = np.array([value not in possible for value in drawn.values.tolist()])
        else:
            wrong = (drawn.values < known.min()) | (drawn.values > known.max())
        wrong = np.where(drawn.missing, not series.missing.any(), wrong)
        if wrong.any():
            found[name] = float(wrong.mean())
    return found
