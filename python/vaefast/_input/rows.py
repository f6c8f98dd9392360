"""Rows as the core takes them: a matrix, and what belongs to each of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Data
from .matrix import Matrix
from .sparse import SparseMatrix


class RowData(Data):
    """A matrix with the conditions, the exposure and the weight of each row.

    Parameters
    ----------
    x : Matrix
        (n, features), float32 or uint8.
    divisor : float
        Divisor of bytes.
    missing : bool
        Whether NaN stands for a missing value.
    conditions : ndarray of shape (n, width), float32, or None
    log_exposure : ndarray of shape (n,), float32, or None
    weights : ndarray of shape (n,), float32, or None, default=None
        Finite, positive weights of the rows in the training loss; None weighs all rows equally.
    """

    def __init__(
        self,
        x: Matrix,
        divisor: float,
        missing: bool,
        conditions: NDArray[np.float32] | None,
        log_exposure: NDArray[np.float32] | None,
        weights: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(x, divisor, missing, conditions, log_exposure, weights)
        self.x, self.conditions, self.log_exposure = x, conditions, log_exposure
        self.divisor, self.missing, self.weights = divisor, missing, weights

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> RowData:
        """Return the rows at an index, with what belongs to them."""
        parts = (self.conditions, self.log_exposure, self.weights)
        return RowData(
            rows_at(self.x, index),
            self.divisor,
            self.missing,
            *(None if part is None else np.ascontiguousarray(part[index]) for part in parts),
        )


def rows_at(matrix: Matrix, index: Any) -> Matrix:
    """Return the rows at an index, as the core takes them."""
    if isinstance(matrix, SparseMatrix):
        return matrix[index]
    rows: Matrix = np.ascontiguousarray(matrix[index])
    return rows


Rows = Matrix | RowData  # a plain matrix where nothing else belongs to the rows


def matrix_of(rows: Rows) -> Matrix:
    """Return the matrix of the rows."""
    return rows.x if isinstance(rows, RowData) else rows


def log_exposures(exposure: ArrayLike | None, n: int) -> NDArray[np.float32] | None:
    """Return the logarithm of the exposure of each of n rows.

    Raises
    ------
    ValueError
        `exposure` does not hold one positive number for each row.
    """
    if exposure is None:
        return None
    array = np.asarray(exposure)
    if array.shape != (n,) or array.dtype.kind not in "iuf":
        raise ValueError(
            f"exposure has shape {array.shape}, expected a number for each of {n} rows"
        )
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(bad):
        raise ValueError(
            f"exposure holds {array[bad[0]]:g} in row {bad[0]}, expected positive numbers: hours, "
            "or the size of a library"
        )
    logs: NDArray[np.float32] = np.log(array).astype(np.float32)
    return logs


def total_weight(rows: Rows, chosen: NDArray[np.int64] | None = None) -> float:
    """Return the sum of the weights of the rows, or of the chosen ones. Without any, each is 1."""
    if isinstance(rows, RowData) and rows.weights is not None:
        weights = rows.weights if chosen is None else rows.weights[chosen]
        return float(weights.sum(dtype=np.float64))
    return float(len(rows) if chosen is None else len(chosen))


def weighted(
    matrix: Matrix,
    y: Any,
    exposure: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> tuple[Matrix, Any, ArrayLike | None, NDArray[np.float32] | None]:
    """Return X, y, exposure and weights without the rows of weight 0.

    Raises
    ------
    ValueError
        `sample_weight` does not hold one finite number of at least 0 for each row, or no number
        above 0. Rows are left out, but y or exposure does not have as many rows as X.
    """
    if sample_weight is None:
        return matrix, y, exposure, None
    weights = np.asarray(sample_weight)
    n = len(matrix)
    if weights.shape == () and weights.dtype.kind in "iuf":
        weights = np.full(n, weights)
    if weights.shape != (n,) or weights.dtype.kind not in "biuf":
        raise ValueError(
            f"sample_weight has shape {weights.shape}, expected a number for each of {n} rows"
        )
    with np.errstate(over="ignore"):
        weights = weights.astype(np.float32)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(
            f"sample_weight holds {weights[bad[0]]:g} in row {bad[0]}, expected finite numbers of "
            "at least 0"
        )
    kept = weights > 0
    if not kept.any():
        raise ValueError(
            "sample_weight is 0 for every row. Sample weights must contain at least one non-zero "
            "number."
        )
    if not kept.all():
        y, exposure = _kept(y, "y", kept), _kept(exposure, "exposure", kept)
        return rows_at(matrix, kept), y, exposure, weights[kept]
    return matrix, y, exposure, weights


def _kept(values: Any, name: str, kept: NDArray[np.bool_]) -> Any:
    """Return the values of the rows that are kept."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape[:1] != kept.shape:
        raise ValueError(
            f"{name} has shape {array.shape}, expected one entry for each of {len(kept)} rows"
        )
    return array[kept]
