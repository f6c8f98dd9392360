"""A robust scaling of columns, whatever their units."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.feature_names import FeatureNames, check_names, names_of
from .._input.matrix import Matrix, to_float64, to_matrix
from .._input.validation import check_features

Values = NDArray[Any]  # (n, features): float64 where the user's numbers are, else float32 or uint8

NORMAL = 3.29  # range from the 5th to the 95th percentile of a normal distribution with sd 1
ONE = float(1 / np.sinh(1))  # the scale with which arcsinh maps 0 and 1 to themselves
NARROW = 1e-3  # a column whose range is below this share of the sd rarely changes


@dataclass(frozen=True)
class Scaling:
    """The layout of rows, and arcsinh((x - centre) / scale) of their columns.

    arcsinh is nearly linear up to 1 and logarithmic beyond, so an outlier neither vanishes nor
    dominates.

    Attributes
    ----------
    shape : tuple of int
        Shape of one row: (d,), or that of an image.
    names : tuple of str or None
        Names of the columns, if the rows of the fit had any.
    centre, scale : ndarray of shape (features,), float64
        Median of each column, and (95th - 5th percentile) / 3.29.
    """

    shape: tuple[int, ...]
    names: FeatureNames | None
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def learn(
        cls,
        values: Values,
        shape: tuple[int, ...],
        names: FeatureNames | None,
        one_hot: NDArray[np.bool_],
    ) -> Scaling:
        """Return the scaling of these values, which leaves one-hot columns as they are."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all values of a column are missing
            low, centre, high = np.nanpercentile(values.astype(np.float64), [5, 50, 95], axis=0)
            sd = np.nanstd(values, axis=0, dtype=np.float64)
        scale = (high - low) / NORMAL
        scale = np.nan_to_num(np.where(scale > NARROW * sd, scale, sd))
        centre, scale = np.nan_to_num(centre), np.where(scale > 0, scale, 1.0)
        centre[one_hot], scale[one_hot] = 0.0, ONE
        return cls(shape, names, centre, scale)

    @property
    def features(self) -> int:
        """Number of features of one row."""
        return math.prod(self.shape)

    def read(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the user's rows, checked and scaled.

        Raises
        ------
        TypeError, ValueError
            X does not have the columns of the fit, holds infinite numbers, or is empty.
        """
        values, _, shape = read_values(X)
        check_names(names_of(X), self.names)
        check_features(values, shape, self.shape, estimator="AnomalyDetector")
        return self.scaled(values)

    def scaled(self, values: Values) -> NDArray[np.float32]:
        """Return arcsinh((x - centre) / scale)."""
        return np.arcsinh((values - self.centre) / self.scale).astype(np.float32)


def read_values(X: ArrayLike) -> tuple[Values, Matrix, tuple[int, ...]]:
    """Return X in its own precision, X as the core reads it, and the shape of a row.

    Raises
    ------
    TypeError, ValueError
        X holds text or infinite numbers, or is empty.
    """
    matrix, shape = to_matrix(X)
    if matrix.dtype == np.uint8:
        return matrix, matrix, shape
    bad = np.isinf(matrix)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"X holds {matrix[row, column]} in row {row}, column {column} (counted from 0), the "
            "first value that is infinite or beyond 3.4e38. Drop it, or set it to NaN, which "
            "stands for a missing value."
        )
    precise = to_float64(X)
    if precise is None:
        return matrix, matrix, shape
    # Only `matrix` has NaN for the masked values of a masked array.
    return np.where(np.isnan(matrix), np.nan, precise.reshape(matrix.shape)), matrix, shape
