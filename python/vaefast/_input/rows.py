"""Rows as the core takes them: a matrix, and what belongs to each of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Data
from .matrix import Matrix


class RowData(Data):
    """A matrix with the conditions and the exposure of each row.

    Parameters
    ----------
    x : ndarray of shape (n, features), float32 or uint8
    divisor : float
        Divisor of bytes.
    missing : bool
        Whether NaN stands for a missing value.
    conditions : ndarray of shape (n, width), float32, or None
    log_exposure : ndarray of shape (n,), float32, or None
    """

    def __init__(
        self,
        x: Matrix,
        divisor: float,
        missing: bool,
        conditions: NDArray[np.float32] | None,
        log_exposure: NDArray[np.float32] | None,
    ) -> None:
        super().__init__(x, divisor, missing, conditions, log_exposure)
        self.x, self.conditions, self.log_exposure = x, conditions, log_exposure
        self.divisor, self.missing = divisor, missing

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> RowData:
        """Return the rows at an index, with what belongs to them."""
        parts = (self.conditions, self.log_exposure)
        return RowData(
            np.ascontiguousarray(self.x[index]),
            self.divisor,
            self.missing,
            *(None if part is None else np.ascontiguousarray(part[index]) for part in parts),
        )


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
