"""Rows in the form of the core: a matrix, and the conditions, exposure and weight of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Data
from .matrix import Matrix
from .sources import Source
from .sparse import SparseMatrix

BLOCK = 1 << 22  # numbers in a block of rows that are not a single array


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
        """Return the rows at an index, with their conditions, exposure and weights."""
        parts = (self.conditions, self.log_exposure, self.weights)
        return RowData(
            rows_at(self.x, index),
            self.divisor,
            self.missing,
            *(None if part is None else np.ascontiguousarray(part[index]) for part in parts),
        )


def row_data(matrix: Matrix, divisor: float, missing: bool, *parts: Any) -> Rows:
    """Return `RowData`, or a plain matrix if the core needs nothing else."""
    plain = not missing and (divisor == 255 or matrix.dtype != np.uint8)
    if plain and all(part is None for part in parts):
        return matrix
    return RowData(matrix, divisor, missing, *parts)


def rows_at(matrix: Any, index: Any) -> Matrix:
    """Return the rows at an index, in the form of the core."""
    if isinstance(matrix, SparseMatrix):
        return matrix[index]
    rows: Matrix = np.ascontiguousarray(matrix[index])
    return rows


Rows = Matrix | RowData  # a plain matrix if nothing else belongs to the rows
Parts = tuple[NDArray[np.float32] | None, ...]


class LazyRows(ABC):
    """Dense rows that are not a single array: an index reads or copies the rows at that index."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Any) -> Any:
        """Return the rows at a slice or at row numbers as a matrix or `RowData`."""

    @abstractmethod
    def select(self, numbers: NDArray[np.int64]) -> LazyRows:
        """Return the rows with these ascending numbers, without reading them."""

    @property
    @abstractmethod
    def matrix(self) -> Any:
        """The rows without conditions, exposure and weights."""

    @property
    @abstractmethod
    def parts(self) -> Parts:
        """The conditions, the exposure and the weights of the rows, each an array or None."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and of features."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, float32 or uint8."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Number of bytes that the rows take in memory."""

    def blocks(self) -> Iterator[Rows]:
        """Yield all rows in order, a few at a time."""
        step = max(1, BLOCK // self.shape[1])
        for first in range(0, len(self), step):
            yield self[first : first + step]


@dataclass(frozen=True, eq=False)
class Selection(LazyRows):
    """Some rows of a matrix, which are not copied.

    Attributes
    ----------
    base : ndarray or RowData
        All rows.
    numbers : ndarray of shape (n,), int64
        Numbers of the selected rows, in order.
    """

    base: Any
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        numbers = self.numbers[index]
        return self.base[numbers] if isinstance(self.base, RowData) else rows_at(self.base, numbers)

    def select(self, numbers: NDArray[np.int64]) -> Selection:
        return Selection(self.base, self.numbers[numbers])

    @property
    def matrix(self) -> Selection:
        return Selection(matrix_of(self.base), self.numbers)

    @property
    def parts(self) -> Parts:
        parts = parts_of(self.base)
        return tuple(None if part is None else part[self.numbers] for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *matrix_of(self.base).shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = matrix_of(self.base).dtype
        return dtype

    @property
    def nbytes(self) -> int:
        return int(matrix_of(self.base).nbytes)


AnyRows = Rows | LazyRows


def select(rows: AnyRows, numbers: NDArray[np.int64]) -> AnyRows:
    """Return the rows at ascending numbers without a copy. Sparse rows are copied."""
    if isinstance(rows, LazyRows):
        return rows.select(numbers)
    if isinstance(matrix_of(rows), SparseMatrix):
        return rows[numbers]
    return Selection(rows, numbers)


def blocks_of(rows: AnyRows) -> Iterator[Rows]:
    """Yield rows in memory as a whole, and other rows a few at a time."""
    if isinstance(rows, LazyRows):
        yield from rows.blocks()
    else:
        yield rows


def matrix_of(rows: AnyRows) -> Any:
    """Return the rows without conditions, exposure and weights, as a matrix or `LazyRows`."""
    if isinstance(rows, LazyRows):
        return rows.matrix
    return rows.x if isinstance(rows, RowData) else rows


def parts_of(rows: AnyRows) -> Parts:
    """Return the conditions, the exposure and the weights of the rows, each an array or None."""
    if isinstance(rows, LazyRows):
        return rows.parts
    if isinstance(rows, RowData):
        return rows.conditions, rows.log_exposure, rows.weights
    return None, None, None


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
            f"exposure holds {array[bad[0]]:g} in row {bad[0]}, expected positive numbers, such "
            "as hours or the size of a library"
        )
    logs: NDArray[np.float32] = np.log(array).astype(np.float32)
    return logs


def total_weight(rows: AnyRows, chosen: NDArray[np.int64] | None = None) -> float:
    """Return the sum of the weights of all or of the chosen rows. Rows without weights weigh 1."""
    *_, weights = parts_of(rows)
    if weights is not None:
        weights = weights if chosen is None else weights[chosen]
        return float(weights.sum(dtype=np.float64))
    return float(len(rows) if chosen is None else len(chosen))


def weighted(
    matrix: Any,
    y: Any,
    exposure: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> tuple[Any, Any, ArrayLike | None, NDArray[np.float32] | None]:
    """Return X, y, exposure and weights without the rows of weight 0.

    Raises
    ------
    ValueError
        `sample_weight` does not hold one finite number of at least 0 for each row, or is 0 for all
        rows. Or rows are left out, but y or exposure does not have as many rows as X.
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
        weights = weights[kept]
        if not isinstance(matrix, Source):
            return rows_at(matrix, kept), y, exposure, weights
        return matrix.select(np.flatnonzero(kept)), y, exposure, weights
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
