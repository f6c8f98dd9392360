"""Means and standard deviations of the columns of a fit, with which the core standardizes rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .likelihoods import Columns
from .matrix import Dense
from .rows import AnyRows, matrix_of, parts_of
from .sparse import SparseMatrix
from .validation import FAR, REAL_VALUED, SCALE_ROWS, moments_of_known

RESOLUTION = 2.0**-24  # relative error of a float32
COARSE = 0.01  # error of float32, in standard deviations, that gives no warning
_CHUNK = 1 << 20  # numbers converted to float64 at a time


@dataclass(frozen=True, eq=False)
class Standardization:
    """The map x = (value - mean) / scale of each feature.

    Attributes
    ----------
    means : ndarray of shape (features,), float32
        Means; 0 for features of other likelihoods, which keep their values. The mean of a constant
        is its value, so the network sees 0.
    scales : ndarray of shape (features,), float32
        Standard deviations; 1 for constants and for features of other likelihoods.
    """

    means: NDArray[np.float32]
    scales: NDArray[np.float32]

    @classmethod
    def learn(cls, rows: AnyRows, columns: Columns, divisor: float) -> Standardization:
        """Return the map that gives the real-valued features mean 0 and standard deviation 1.

        Constants become 0. Missing values are ignored, and rows are weighted.

        Parameters
        ----------
        rows : AnyRows
            Rows of the fit.
        columns : Columns
            Likelihoods of the features.
        divisor : float
            Divisor of the values.
        """
        return cls.of(_moments(rows), columns, divisor)

    @classmethod
    def of(cls, moments: Moments, columns: Columns, divisor: float) -> Standardization:
        """Return the map for columns with these moments, whose values are divided by `divisor`."""
        means, deviations = moments.result(divisor)
        likelihoods = np.repeat([name for name, _ in columns], [count for _, count in columns])
        scales = deviations.astype(np.float32)
        centred = np.isin(likelihoods, REAL_VALUED) & np.isfinite(means) & np.isfinite(scales)
        scaled = centred & (scales > np.finfo(np.float32).tiny)
        return cls(
            np.where(centred, means, 0).astype(np.float32),
            np.where(scaled, scales, 1).astype(np.float32),
        )

    @property
    def log_scales(self) -> NDArray[np.float32]:
        """Logarithms of the scales, (features,)."""
        logs: NDArray[np.float32] = np.log(self.scales)
        return logs

    def warn_of_offsets(self, names: Sequence[str] | None) -> None:
        """Warn about columns whose mean is so large that float32 loses their variation."""
        lost = np.abs(self.means.astype(np.float64)) * RESOLUTION / self.scales
        lost[self.scales == 1] = 0  # constants lose nothing
        worst = int(np.argmax(lost))
        if lost[worst] > COARSE:
            name = names[worst] if names else f"column {worst}"
            warnings.warn(
                f"{name} of X has mean {self.means[worst]:.6g} and standard deviation "
                f"{self.scales[worst]:.3g}. float32, in which vaefast computes, holds such values "
                f"to {lost[worst]:.2g} standard deviations only: subtract an offset first, such as "
                "the mean.",
                UserWarning,
                stacklevel=4,
            )

    def warn_of_shift(self, rows: Dense, names: Sequence[str] | None, name: str) -> None:
        """Warn about columns of other rows that are far from the rows of the fit.

        Parameters
        ----------
        rows : ndarray of shape (n, features), float32 or uint8
            Rows that `to_matrix` returned, of which about 1,000 are checked. uint8 never causes a
            warning.
        names : sequence of str or None
            Names of the columns.
        name : str
            Name of the rows in the message.
        """
        if rows.dtype == np.uint8:
            return
        some = rows[:: max(1, len(rows) // SCALE_ROWS)].astype(np.float64)
        means, deviations = moments_of_known(some)
        size = np.maximum(np.abs(means - self.means), deviations) / self.scales
        worst = int(np.argmax(np.where((self.means != 0) & np.isfinite(size), size, 0)))
        if self.means[worst] != 0 and size[worst] > FAR:
            column = names[worst] if names else f"column {worst}"
            warnings.warn(
                f"{name} has columns far from the rows of the training, such as {column}: mean "
                f"{means[worst]:.3g} and standard deviation {deviations[worst]:.3g}, in training "
                f"{self.means[worst]:.3g} and {self.scales[worst]:.3g}. Are the units the same?",
                UserWarning,
                stacklevel=3,
            )


class Moments:
    """Mean and standard deviation of each column, from rows in blocks of `step` rows.

    Parameters
    ----------
    features : int
        Number of columns.
    """

    def __init__(self, features: int) -> None:
        self.step = max(1, _CHUNK // features)
        self.near: NDArray[np.float64] | None = None  # values near the means: no digits cancel
        self.total, self.sums, self.squares = np.zeros((3, features))
        self.low, self.high = np.full((2, features), np.nan)

    def add(self, matrix: Dense, weights: NDArray[np.float32] | None) -> None:
        """Add a block of rows, each with its weight."""
        part = matrix.astype(np.float64)
        self.low = np.fmin(self.low, np.fmin.reduce(part))
        self.high = np.fmax(self.high, np.fmax.reduce(part))
        known = ~np.isnan(part)
        if self.near is None:
            self.near = np.where(known, part, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        part -= self.near
        part[~known] = 0
        w = np.ones(len(part)) if weights is None else weights.astype(np.float64)
        self.total += w @ known
        self.sums += w @ part
        self.squares += w @ np.square(part, out=part)

    def result(self, divisor: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the means and standard deviations of values / divisor; 0 for a constant."""
        assert self.near is not None
        total = np.where(self.total == 0, math.nan, self.total)  # columns without any value
        shift = self.sums / total
        deviations = np.sqrt(np.maximum(self.squares / total - shift**2, 0))
        constant = self.low == self.high
        means = np.where(constant, self.low, self.near + shift)
        return means / divisor, np.where(constant, 0, deviations) / divisor


def _moments(rows: AnyRows) -> Moments:
    matrix = matrix_of(rows)
    assert not isinstance(matrix, SparseMatrix)  # the reader refuses to standardize sparse rows
    *_, weights = parts_of(rows)
    moments = Moments(matrix.shape[1])
    for first in range(0, len(matrix), moments.step):
        now = slice(first, first + moments.step)
        moments.add(matrix[now], None if weights is None else weights[now])
    return moments
