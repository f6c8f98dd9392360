"""Reading of frames of pandas, polars and pyarrow by column, without Python objects.

None of these libraries is imported here, because a frame can only exist if its library is loaded.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENCODES = "vaefast.tables.Table encodes text, categories and dates."

# Rows copied at a time. Copying whole columns would fetch every cache line of the matrix again for
# each column. A block of 30 columns takes 1 MB and stays in the second-level cache.
BLOCK = 8_192


@dataclass(frozen=True)
class Column:
    """One column of a frame.

    Attributes
    ----------
    label : object
        Name of the column.
    values : object
        Values in the form of the library, which can be sliced at little cost.
    to_numpy : callable
        Function that returns a slice of the values as an array, with NaN for missing values.
    is_bytes : bool, default=False
        Whether the values are uint8 without missing values.
    """

    label: object
    values: Any
    to_numpy: Callable[[Any], NDArray[Any]] = np.asarray
    is_bytes: bool = False


def columns_of(X: Any, name: str = "X") -> list[Column] | None:
    """Return the columns of a frame, or None if X is not a frame or needs no conversion.

    Parameters
    ----------
    X : object
        A frame is a pandas or polars DataFrame, or a pyarrow Table or RecordBatch.
    name : str, default="X"
        Name of the frame in error messages.

    Raises
    ------
    TypeError
        A column holds text, categories, dates or anything else but numbers, or X is lazy.
    """
    pandas, polars, arrow = (sys.modules.get(name) for name in ("pandas", "polars", "pyarrow"))
    found: Iterator[tuple[Column | None, Any, object]]
    if pandas and isinstance(X, pandas.DataFrame):
        if _is_matrix(X):
            return None
        found = ((_of_pandas(label, s, pandas), s.dtype, label) for label, s in X.items())
    elif polars and isinstance(X, polars.DataFrame):
        found = ((_of_polars(s, polars), s.dtype, s.name) for s in X)
    elif arrow and isinstance(X, arrow.Table | arrow.RecordBatch):
        pairs = zip(X.schema.names, X.columns, strict=True)
        found = ((_of_arrow(label, s, arrow), s.type, label) for label, s in pairs)
    elif polars and isinstance(X, polars.LazyFrame):
        raise TypeError(f"{name} is a LazyFrame, expected a DataFrame: pass {name}.collect()")
    else:
        return None
    columns = []
    for column, dtype, label in found:
        if column is None:
            raise TypeError(
                f"column {label!r} of {name} holds {dtype}, expected numbers. {ENCODES}"
            )
        columns.append(column)
    return columns


def _is_matrix(frame: Any) -> bool:
    """Return whether a pandas frame wraps a matrix of float32 or uint8 that is stored by rows."""
    dtypes = set(frame.dtypes)
    if len(dtypes) != 1 or not dtypes <= {np.dtype(np.float32), np.dtype(np.uint8)}:
        return False
    column = frame.iloc[:, 0].to_numpy()
    return bool(column.strides == (frame.shape[1] * column.itemsize,))


def _of_pandas(label: object, series: Any, pandas: Any) -> Column | None:
    dtype, array = series.dtype, series.array
    if isinstance(dtype, np.dtype):
        readable = dtype.kind in "buifO"
        return Column(label, series.to_numpy(), is_bytes=dtype == np.uint8) if readable else None
    if isinstance(dtype, pandas.ArrowDtype):
        return _of_arrow(label, array.__arrow_array__(), sys.modules["pyarrow"])
    if isinstance(dtype, pandas.SparseDtype):
        return Column(label, array)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)  # of nullable columns
    if not isinstance(numpy_dtype, np.dtype) or numpy_dtype.kind not in "buif":
        return None
    whole = numpy_dtype == np.uint8 and not series.hasnans
    target, gap = (numpy_dtype, None) if whole else (np.dtype(np.float64), math.nan)
    return Column(label, array, lambda part: part.to_numpy(target, na_value=gap), whole)


def _of_polars(series: Any, polars: Any) -> Column | None:
    dtype = series.dtype
    if dtype.is_integer() or dtype.is_float():  # NaN where a value is missing
        whole = dtype == polars.UInt8 and not series.null_count()
        return Column(series.name, series, lambda part: part.to_numpy(), whole)
    if dtype.is_numeric() or dtype in (polars.Boolean, polars.Null):
        return Column(series.name, series, lambda part: part.cast(polars.Float64).to_numpy())
    return None


def _of_arrow(label: object, array: Any, arrow: Any) -> Column | None:
    of, types = array.type, arrow.types
    if types.is_integer(of) or types.is_floating(of):  # NaN where a value is missing
        whole = of == arrow.uint8() and not array.null_count
        return Column(label, array, _arrow_to_numpy, whole)
    if types.is_boolean(of) or types.is_decimal(of) or types.is_null(of):
        return Column(label, array, lambda part: _arrow_to_numpy(part.cast(arrow.float64())))
    return None


def _arrow_to_numpy(part: Any) -> NDArray[Any]:
    return np.asarray(part.to_numpy(zero_copy_only=False))


def to_rows(
    columns: Sequence[Column], n: int, name: str = "X", dtype: type[np.generic] | None = None
) -> NDArray[Any]:
    """Return columns of n rows as a C-contiguous matrix.

    Parameters
    ----------
    columns : sequence of Column
        At least one column.
    n : int
        Number of rows.
    name : str, default="X"
        Name of the frame in error messages.
    dtype : type or None, default=None
        Type of the matrix. None is uint8 if all columns are bytes, and float32 otherwise.

    Raises
    ------
    TypeError
        A column holds objects that are not numbers.
    """
    if dtype is None:
        dtype = np.uint8 if all(column.is_bytes for column in columns) else np.float32
    matrix = np.empty((n, len(columns)), dtype)
    with np.errstate(over="ignore"):  # check_values reports numbers that become infinite
        for start in range(0, n, BLOCK):
            for i, column in enumerate(columns):
                values = column.to_numpy(column.values[start : start + BLOCK])
                if values.dtype == object:
                    values = from_objects(values, f"column {column.label!r} of {name}")
                matrix[start : start + BLOCK, i] = values
    return matrix


def from_objects(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return numbers, None and pandas.NA as float64, with NaN where a value is missing.

    Raises
    ------
    TypeError
        The array holds text or anything else but numbers.
    """
    if any(isinstance(value, str) for value in array.flat):
        raise TypeError(f"{name} holds strings, expected numbers. {ENCODES}")
    try:
        known = [math.nan if type(v).__name__ == "NAType" else v for v in array.flat]  # pandas.NA
        return np.array(known, np.float64).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} holds objects, expected numbers: {error}. {ENCODES}") from error
