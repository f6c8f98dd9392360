"""Sparse rows, converted from SciPy's matrices to the form that the core reads.

SciPy is not imported here, because a sparse matrix can only exist if SciPy is loaded. An absent
value is 0.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .._core import Sparse
from .mapped import check_mapped

_CHUNK = 1 << 20  # stored values converted to float64 at a time


class SparseMatrix(Sparse):
    """Sparse rows in CSR form, with increasing columns and without duplicates.

    Parameters
    ----------
    starts : ndarray of shape (n + 1,), int64
        Row i has the values ``values[starts[i] : starts[i + 1]]``.
    indices : ndarray of shape (stored,), int32
        Column of each value.
    values : ndarray of shape (stored,), float32 or uint8
    features : int
        Number of columns.

    Raises
    ------
    ValueError
        The arrays contradict each other.
    """

    ndim = 2

    def __init__(
        self,
        starts: NDArray[np.int64],
        indices: NDArray[np.int32],
        values: NDArray[np.float32] | NDArray[np.uint8],
        features: int,
    ) -> None:
        super().__init__(starts, indices, values, features)
        self.starts, self.indices, self.values = starts, indices, values
        self.parts = starts, indices, values
        self.shape = (len(starts) - 1, features)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """Number of bytes of the three arrays."""
        return self.starts.nbytes + self.indices.nbytes + self.values.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> SparseMatrix:
        """Return the rows at a slice, at row numbers, or where a mask is True."""
        n, features = self.shape
        if isinstance(index, slice) and index.step in (None, 1):
            first, last, _ = index.indices(n)
            starts = self.starts[first : max(first, last) + 1]
            part = slice(starts[0], starts[-1])
            return SparseMatrix(starts - starts[0], self.indices[part], self.values[part], features)
        chosen = np.arange(n)[index]
        lengths = (self.starts[1:] - self.starts[:-1])[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(self.starts[chosen] - starts[:-1], lengths) + np.arange(starts[-1])
        return SparseMatrix(starts, self.indices[at], self.values[at], features)

    def toarray(self) -> NDArray[Any]:
        """Return the rows as a dense matrix."""
        dense = np.zeros(self.shape, self.dtype)
        dense[self.row_numbers(), self.indices] = self.values
        return dense

    def row_numbers(self) -> NDArray[np.int64]:
        """Return the row of each stored value."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def row_of(self, stored: int) -> int:
        """Return the row of one stored value."""
        return int(np.searchsorted(self.starts, stored, side="right")) - 1

    def chunks(self) -> Iterator[tuple[int, SparseMatrix]]:
        """Yield the number of the first row and a few rows, with few enough stored values."""
        first, n = 0, len(self)
        while first < n:
            limit = self.starts[first] + _CHUNK
            last = max(int(np.searchsorted(self.starts, limit, side="right")) - 1, first + 1)
            yield first, self[first:last]
            first = last


def is_sparse(X: object) -> bool:
    """Return whether X holds sparse rows in the form of this module."""
    return isinstance(X, SparseMatrix)


def is_scipy_sparse(X: object) -> TypeGuard[Any]:
    """Return whether X is a sparse matrix or array of SciPy."""
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and bool(scipy.issparse(X))


def is_sparse_frame(X: Any) -> bool:
    """Return whether X is a pandas frame whose columns are all sparse, with 0 for absent values."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(X, pandas.DataFrame) or not X.shape[1]:
        return False
    dtypes = X.dtypes.unique()
    return all(
        isinstance(dtype, pandas.SparseDtype) and dtype.fill_value == 0 and dtype.kind in "buif"
        for dtype in dtypes
    )


def level_of_caller() -> int:
    """Return the stacklevel of the first caller outside vaefast, at which a warning points."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("vaefast."):
        frame, level = frame.f_back, level + 1
    return level


def to_sparse(X: Any, name: str = "X") -> SparseMatrix:
    """Return a sparse matrix or array of SciPy as sparse rows.

    Arrays of float32 or uint8 with sorted int32 columns are not copied. Otherwise, columns are
    sorted and duplicates are added up.

    Parameters
    ----------
    X : sparse matrix or array
        (n, d). CSR is read as it is; other formats are converted.
    name : str, default="X"
        Name of the matrix in error messages.

    Raises
    ------
    TypeError
        X does not hold numbers.
    ValueError
        X holds complex numbers, has no rows or columns, or its arrays contradict each other.

    Warns
    -----
    UserWarning
        X has another format than CSR.
    """
    if X.ndim != 2:
        raise ValueError(f"{name} has shape {X.shape}, expected (n, features)")
    for part in vars(X).values():
        for array in part if isinstance(part, tuple) else (part,):
            check_mapped(array)
    if X.format != "csr":
        warnings.warn(
            f"{name} is sparse in the format {X.format} and is converted: pass {name}.tocsr()",
            UserWarning,
            stacklevel=level_of_caller(),
        )
        X = X.tocsr()
    n, features = X.shape
    if 0 in X.shape:
        empty = "sample" if n == 0 else "feature"
        raise ValueError(
            f"{name} has 0 {empty}(s) (shape={X.shape}) while a minimum of 1 is required."
        )
    kind = X.data.dtype.kind
    if kind == "c":
        raise ValueError(f"{name} holds {X.dtype}. Complex data not supported: pass real data")
    if kind not in "buif":
        raise TypeError(f"{name} holds {X.dtype}, expected numbers")
    starts, columns, values = (np.asarray(part) for part in (X.indptr, X.indices, X.data))
    if starts.shape != (n + 1,):
        raise ValueError(
            f"{name} is a broken CSR matrix: indptr has shape {starts.shape}, expected ({n + 1},)"
        )
    _check_integers(starts, f"indptr of {name}", name)
    _check_integers(columns, f"indices of {name}", name)
    stored = int(starts[-1])
    if stored < 0 or stored > min(len(columns), len(values)):
        raise ValueError(
            f"{name} is a broken CSR matrix: indptr ends with {stored}, but there are "
            f"{len(columns)} indices and {len(values)} values"
        )
    columns, values = columns[:stored], values[:stored]  # values beyond the last row are spare
    if starts[0] != 0 or (bad := np.flatnonzero(np.diff(starts) < 0)).size:
        where = "does not start with 0" if starts[0] != 0 else f"decreases after row {bad[0]}"
        raise ValueError(f"{name} is a broken CSR matrix: indptr {where}")
    if stored and not (columns.min() >= 0 and columns.max() < features):
        at = int(np.flatnonzero((columns < 0) | (columns >= features))[0])
        row = int(np.searchsorted(starts, at, side="right")) - 1
        raise ValueError(
            f"{name} is a broken CSR matrix: row {row} has a value in column {columns[at]}, but "
            f"the {features} columns are numbered from 0 to {features - 1}"
        )
    starts = starts.astype(np.int64, copy=False)
    columns = np.ascontiguousarray(columns, np.int32)
    if not _increase(starts, columns):
        starts, columns, values = _in_order(starts, columns, values, features)
    if values.dtype not in (np.float32, np.uint8):
        with np.errstate(over="ignore"):  # check_data reports numbers that become infinite
            values = values.astype(np.float32)
    return SparseMatrix(starts, columns, np.ascontiguousarray(values), features)


def sparse_frame_rows(X: Any, name: str = "X") -> SparseMatrix:
    """Return a pandas frame, for which `is_sparse_frame` must be True, as sparse rows."""
    return to_sparse(X.sparse.to_coo().tocsr(), name)


def _check_integers(array: NDArray[Any], what: str, name: str) -> None:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} is a broken CSR matrix: {what} holds {array.dtype} of shape {array.shape}, "
            "expected whole numbers in one dimension"
        )


def _increase(starts: NDArray[np.int64], columns: NDArray[np.int32]) -> bool:
    """Return whether the columns of each row increase."""
    for first in range(0, len(columns), _CHUNK):
        part = columns[first : first + _CHUNK + 1]  # includes the first value of the next chunk
        falls = np.flatnonzero(part[1:] <= part[:-1]) + first + 1
        if len(falls) and not (starts[np.searchsorted(starts, falls)] == falls).all():
            return False
    return True


def _in_order(
    starts: NDArray[np.int64], columns: NDArray[np.int32], values: NDArray[Any], features: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    """Return the rows with increasing columns. Duplicates are added up in their stored order."""
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    places = rows * features + columns
    order = np.argsort(places, kind="stable")
    places = places[order]
    firsts = np.flatnonzero(np.diff(places, prepend=-1))
    sums = np.add.reduceat(values[order], firsts, dtype=values.dtype)
    lengths = np.bincount(places[firsts] // features, minlength=len(starts) - 1)
    columns = (places[firsts] % features).astype(np.int32)
    return np.concatenate([[0], np.cumsum(lengths)]), columns, sums
