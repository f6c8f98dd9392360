"""Users' arrays and frames as the matrix that the core reads."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float32] | NDArray[np.uint8]  # (n, features), C-contiguous

_ENCODES = "vaefast.tables.Table encodes text, categories and dates."


def to_matrix(X: ArrayLike, name: str = "X") -> tuple[Matrix, tuple[int, ...]]:
    """Return X as a C-contiguous matrix of float32 or uint8, and the shape of one row.

    Parameters
    ----------
    X : array-like or frame
        (n, d), or images (n, h, w) or (n, h, w, c). uint8 stays uint8; other numbers become
        float32. An array that already is C-contiguous float32 or uint8 is not copied.
    name : str, default="X"
        Name of the argument in error messages.

    Raises
    ------
    TypeError
        X is sparse, or holds strings, objects or complex numbers.
    ValueError
        X has no rows, no columns, or another number of axes.
    """
    if X is None:
        raise TypeError(f"{name} is None, expected an array of numbers")
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array: {name}.toarray()")
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        X = np.ma.filled(X.astype(np.float64), math.nan)  # the mask marks missing values
    columns = _columns_of_mixed_frame(X)
    if columns is not None:
        matrix = _from_columns(columns, len(X), name)  # type: ignore[arg-type]
        return matrix, matrix.shape[1:]
    try:
        array = np.asarray(X)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is not a rectangular array: {error}") from error
    if array.dtype == object:
        array = _from_objects(array, name)
    if array.dtype.kind == "c":
        raise ValueError(f"{name} holds {array.dtype}. Complex data not supported: pass real data")
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} holds {array.dtype}, expected numbers. {_ENCODES}")
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
    if array.dtype != np.float32 and array.dtype != np.uint8:
        with np.errstate(over="ignore"):  # check_values reports what becomes infinite
            array = array.astype(np.float32)
    rows: NDArray[Any] = np.ascontiguousarray(array)
    return rows.reshape(len(rows), -1), array.shape[1:]


Column = tuple[object, Callable[[], NDArray[Any]]]  # the label, and what reads the values


def _columns_of_mixed_frame(X: Any) -> list[Column] | None:
    """Return the columns of a frame that NumPy would turn into Python objects, else None.

    A frame of several dtypes becomes an object array in `numpy.asarray`, which looks at every
    value in Python: 40 times as slow as one conversion a column (200,000 x 30, one boolean).
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas and isinstance(X, pandas.DataFrame):
        dtypes = set(X.dtypes)
        plain = len(dtypes) == 1 and isinstance(next(iter(dtypes)), np.dtype)
        if plain or X.empty:
            return None
        return [(label, partial(_read_pandas, column)) for label, column in X.items()]
    if polars and isinstance(X, polars.DataFrame):
        if X.is_empty() or (len(set(X.dtypes)) == 1 and not any(X.null_count().row(0))):
            return None
        return [(column.name, partial(_read_polars, column, polars)) for column in X]
    return None


def _read_pandas(column: Any) -> NDArray[Any]:
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy())
    numpy_dtype = getattr(column.dtype, "numpy_dtype", None)  # of nullable and Arrow columns
    if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "buif":
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column.to_numpy(dtype=object, na_value=None))


def _read_polars(column: Any, polars: Any) -> NDArray[Any]:
    if column.dtype.is_numeric() or column.dtype == polars.Boolean:
        return np.asarray(column.cast(polars.Float64).fill_null(math.nan).to_numpy())
    return np.asarray(column.to_numpy())


def _from_columns(columns: list[Column], n: int, name: str) -> NDArray[np.float32]:
    matrix = np.empty((n, len(columns)), np.float32)
    for i, (label, read) in enumerate(columns):
        values = read()
        if values.dtype == object:
            values = _from_objects(values, f"column {label!r} of {name}")
        if values.dtype.kind not in "buif":
            raise TypeError(
                f"column {label!r} of {name} holds {values.dtype}, expected numbers. {_ENCODES}"
            )
        with np.errstate(over="ignore"):
            matrix[:, i] = values
    return matrix


def _from_objects(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    if any(isinstance(value, str) for value in array.flat):
        raise TypeError(f"{name} holds strings, expected numbers. {_ENCODES}")
    try:
        known = [math.nan if type(v).__name__ == "NAType" else v for v in array.flat]  # pandas.NA
        return np.array(known, np.float64).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} holds objects, expected numbers: {error}. {_ENCODES}") from error
