"""Conversion of users' arrays and frames to the matrix that the core reads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotated import is_anndata
from .frames import ENCODES, columns_of, from_objects, to_rows
from .mapped import check_mapped
from .sparse import (
    SparseMatrix,
    is_scipy_sparse,
    is_sparse_frame,
    sparse_frame_rows,
    to_sparse,
)

Dense = NDArray[np.float32] | NDArray[np.uint8]  # (n, features), C-contiguous
Matrix = Dense | SparseMatrix


def to_rows_of_numbers(
    X: Any, name: str = "X", doubles: bool = False
) -> tuple[Matrix, tuple[int, ...]]:
    """Return X as a matrix, sparse if X is sparse, and the shape of one row.

    Parameters
    ----------
    X : array-like, frame, AnnData or sparse
        Anything that `to_matrix` accepts, a sparse matrix or array of SciPy, or a pandas frame of
        sparse columns whose absent values are 0.
    name : str, default="X"
        Name of the argument in error messages.
    doubles : bool, default=False
        Whether a dense matrix of float64 stays float64.

    Raises
    ------
    TypeError, ValueError
        X does not hold rows of numbers.
    """
    if is_anndata(X):
        return to_rows_of_numbers(X.X, f"{name}.X", doubles)
    if isinstance(X, SparseMatrix):
        return X, X.shape[1:]
    if is_scipy_sparse(X):
        rows = to_sparse(X, name)
        return rows, rows.shape[1:]
    if is_sparse_frame(X):
        rows = sparse_frame_rows(X, name)
        return rows, rows.shape[1:]
    return to_matrix(X, name, doubles)


def to_matrix(
    X: ArrayLike, name: str = "X", doubles: bool = False
) -> tuple[Dense, tuple[int, ...]]:
    """Return X as a C-contiguous, aligned matrix of float32 or uint8, and the shape of one row.

    Parameters
    ----------
    X : array-like, frame or AnnData
        (n, d), or images (n, h, w) or (n, h, w, c). uint8 stays uint8; other numbers become
        float32. An array that already is float32 or uint8, C-contiguous and aligned is not copied.
    name : str, default="X"
        Name of the argument in error messages.
    doubles : bool, default=False
        Whether float64 stays float64, for a core that rounds it while it reads.

    Raises
    ------
    TypeError
        X is sparse, or holds strings, objects or complex numbers.
    ValueError
        X has no rows, no columns, or another number of axes.
    OSError
        X is a memory map, and its file has become shorter.
    """
    if is_anndata(X):
        return to_matrix(X.X, f"{name}.X", doubles)
    if X is None:
        raise TypeError(f"{name} is None, expected an array of numbers")
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array: {name}.toarray()")
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        X = np.ma.filled(X.astype(np.float64), math.nan)  # the mask marks missing values
    columns = columns_of(X, name)
    try:
        array = np.asarray(X) if columns is None else to_rows(columns, len(X), name)  # type: ignore[arg-type]
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is not a rectangular array: {error}") from error
    if array.dtype == object:
        array = from_objects(array, name)
    if array.dtype.kind == "c":
        raise ValueError(f"{name} holds {array.dtype}. Complex data not supported: pass real data")
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} holds {array.dtype}, expected numbers. {ENCODES}")
    if array.ndim not in (2, 3, 4):
        hint = ""
        if array.ndim == 1:
            hint = f". Reshape your data: {name}[None] is one row, {name}[:, None] one column"
        raise ValueError(
            f"{name} has shape {array.shape}, expected (n, features) or images (n, h, w[, c]){hint}"
        )
    if 0 in array.shape:
        empty = "sample" if array.shape[0] == 0 else "feature"
        raise ValueError(
            f"{name} has 0 {empty}(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    check_mapped(array)
    kept = (np.float32, np.uint8, np.float64) if doubles else (np.float32, np.uint8)
    if array.dtype not in kept:
        with np.errstate(over="ignore"):  # check_values reports numbers that become infinite
            array = array.astype(np.float32, order="C")
    rows: NDArray[Any] = np.require(array, requirements=["C", "A"])  # the core needs aligned floats
    return rows.reshape(len(rows), -1), array.shape[1:]


def to_float64(X: ArrayLike) -> NDArray[np.float64] | None:
    """Return X as float64 if float32 would round numbers of its type, else None.

    Parameters
    ----------
    X : array-like, frame or AnnData
        Anything that `to_matrix` accepted. float32 represents float16, float32, booleans and
        integers of 8 and 16 bits exactly. A frame with a column of another type becomes float64.
    """
    if is_anndata(X):
        return to_float64(X.X)
    columns = columns_of(X)
    array = np.asarray(X) if columns is None else np.empty(0)
    dtypes = [array.dtype]
    if columns is not None:
        dtypes = [column.to_numpy(column.values[:0]).dtype for column in columns]
    if all(np.can_cast(dtype, np.float32) for dtype in dtypes):
        return None
    if columns is not None:
        return to_rows(columns, len(X), dtype=np.float64)  # type: ignore[arg-type]
    return from_objects(array, "X") if array.dtype == object else array.astype(np.float64)
