"""Normal scores, which turn columns of any distribution into standard normal ones by rank."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

KNOTS = 500  # number of quantiles of a column
_INVERSE = NormalDist().inv_cdf
_GRID = np.array([_INVERSE((i + 0.5) / KNOTS) for i in range(KNOTS)])  # scores of the knots
# Score of a value, indexed by twice the number of knots below it plus the number equal to it.
_SCORES = np.array([_INVERSE(min(max(i / 2 / KNOTS, 0.001), 0.999)) for i in range(2 * KNOTS + 1)])


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The map from each column to normal scores, and back by interpolation.

    Attributes
    ----------
    knots : ndarray of shape (d, KNOTS), float64
        Quantiles of the known values of each column.
    """

    knots: NDArray[np.float64]

    @classmethod
    def learn(cls, values: NDArray[np.float64]) -> NormalScores:
        """Return the map for rows (n, d) with a known value in each column; NaN is missing."""
        shares = (np.arange(KNOTS) + 0.5) / KNOTS
        return cls(np.array([np.quantile(x[~np.isnan(x)], shares) for x in values.T]))

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of rows (n, d). Equal values have equal scores, and NaN stays NaN."""
        scores = np.full(values.shape, np.nan)
        for j, knots in enumerate(self.knots):
            known = ~np.isnan(values[:, j])
            x = values[known, j]
            rank = np.searchsorted(knots, x, "left") + np.searchsorted(knots, x, "right")
            scores[known, j] = _SCORES[rank]
        return scores

    def undo(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of scores (..., d), within the range of the knots."""
        columns = (np.interp(scores[..., j], _GRID, knots) for j, knots in enumerate(self.knots))
        return np.stack(list(columns), axis=-1)
