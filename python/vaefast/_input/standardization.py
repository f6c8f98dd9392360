"""Means and standard deviations of the columns of a fit, which the core standardizes rows with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .likelihoods import Columns
from .matrix import Matrix
from .rows import RowData, Rows, matrix_of
from .validation import FAR, REAL_VALUED, SCALE_ROWS

RESOLUTION = 2.0**-24  # relative error of a float32
COARSE = 0.01  # standard deviations that rounding to float32 may cost without a warning
_CHUNK = 1 << 20  # numbers that become float64 at a time


@dataclass(frozen=True, eq=False)
class Standardization:
    """The map x = (value - mean) / scale of each feature.

    Attributes
    ----------
    means : ndarray of shape (features,), float32
        0 for features that keep their values: those of other likelihoods, and constants.
    scales : ndarray of shape (features,), float32
        Standard deviations, or 1 for features that keep their values.
    """

    means: NDArray[np.float32]
    scales: NDArray[np.float32]

    @classmethod
    def learn(cls, rows: Rows, columns: Columns) -> Standardization:
        """Return the map that gives the real-valued features mean 0 and standard deviation 1.

        Missing values are ignored, and rows count by their weights.

        Parameters
        ----------
        rows : Rows
            Rows of the fit.
        columns : Columns
            Likelihoods of the features.
        """
        means, deviations = _moments(rows)
        likelihoods = np.repeat([name for name, _ in columns], [count for _, count in columns])
        scales = deviations.astype(np.float32)
        usable = np.isin(likelihoods, REAL_VALUED) & np.isfinite(means) & np.isfinite(scales)
        usable &= scales > np.finfo(np.float32).tiny
        return cls(
            np.where(usable, means, 0).astype(np.float32),
            np.where(usable, scales, 1).astype(np.float32),
        )

    @property
    def log_scales(self) -> NDArray[np.float32]:
        """Logarithms of the scales, (features,)."""
        logs: NDArray[np.float32] = np.log(self.scales)
        return logs

    def warn_of_offsets(self, names: Sequence[str] | None) -> None:
        """Warn about columns whose mean is so large that float32 loses what varies."""
        lost = np.abs(self.means.astype(np.float64)) * RESOLUTION / self.scales
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

    def warn_of_shift(self, rows: Matrix, names: Sequence[str] | None, name: str) -> None:
        """Warn about columns of other rows that are far from the rows of the fit.

        Parameters
        ----------
        rows : ndarray of shape (n, features), float32 or uint8
            Rows that `to_matrix` returned. uint8 never causes a warning. About 1,000 of them count.
        names : sequence of str or None
            Names of the columns.
        name : str
            Name of the rows in the message.
        """
        if rows.dtype == np.uint8:
            return
        some = rows[:: max(1, len(rows) // SCALE_ROWS)].astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns without values
            means, deviations = np.nanmean(some, axis=0), np.nanstd(some, axis=0)
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


def _moments(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column; 0 as the deviation of a constant."""
    matrix = matrix_of(rows)
    weights = rows.weights if isinstance(rows, RowData) else None
    divisor = 1.0
    if matrix.dtype == np.uint8:
        divisor = rows.divisor if isinstance(rows, RowData) else 255.0
    step = max(1, _CHUNK // matrix.shape[1])
    near = np.zeros(matrix.shape[1])  # a value near the mean, so that no digits cancel
    total, sums, squares = np.zeros((3, matrix.shape[1]))
    low, high = np.full((2, matrix.shape[1]), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without values
        for first in range(0, len(matrix), step):
            part = matrix[first : first + step].astype(np.float64)
            if first == 0:
                near = np.nan_to_num(np.nanmean(part, axis=0))
            low, high = np.fmin(low, np.nanmin(part, 0)), np.fmax(high, np.nanmax(part, 0))
            part -= near
            known = ~np.isnan(part)
            part[~known] = 0
            w = np.ones(len(part)) if weights is None else weights[first : first + step]
            w = w.astype(np.float64)
            total += w @ known
            sums += w @ part
            squares += w @ np.square(part, out=part)
        shift = sums / total
        variance = np.maximum(squares / total - shift**2, 0)
    deviations = np.where(low == high, 0, np.sqrt(variance))
    return (near + shift) / divisor, deviations / divisor
