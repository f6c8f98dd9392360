"""Which objects are frames, and conversion of frames to series and back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._input.sparse import is_scipy_sparse
from .arrays import from_values, to_array
from .pandas_columns import from_pandas, to_pandas
from .polars_columns import from_polars, to_polars
from .series import Name, Series

LIBRARIES = ("pandas", "polars", "dict")
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "empty")  # names in pandas


def library_of(X: Any) -> str:
    """Return the library of a frame, "dict" for a dict of columns, or "" for anything else."""
    for name in ("pandas", "polars"):
        module = sys.modules.get(name)
        if module and isinstance(X, module.DataFrame):
            return name
    return "dict" if isinstance(X, Mapping) and not is_scipy_sparse(X) else ""  # some are dicts


def is_mixed(X: Any) -> bool:
    """Return whether X is a dict of columns, or a frame with a column that holds no numbers.

    Booleans of NumPy, which are never missing, count as numbers. All other booleans do not.
    """
    library = library_of(X)
    if library == "pandas":
        return not all(_is_number(column) for _, column in X.items())
    if library == "polars":
        null = sys.modules["polars"].Null
        return not all(dtype.is_numeric() or dtype == null for dtype in X.dtypes)
    return library == "dict"


def _is_number(column: Any) -> bool:
    """Return whether a column of pandas holds numbers."""
    types, dtype = sys.modules["pandas"].api.types, column.dtype
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return types.infer_dtype(column, skipna=True) in NUMBERS
    nullable = types.is_bool_dtype(dtype) and not isinstance(dtype, np.dtype)
    return types.is_numeric_dtype(dtype) and not nullable


def read(frame: Any) -> tuple[str, dict[Name, Series]]:
    """Return the library of a frame, and its columns by name.

    Raises
    ------
    TypeError
        `frame` is not a frame, or a column holds values of none of the `KINDS`.
    ValueError
        The frame has no columns or no rows, or columns share a name or differ in length.
    """
    library, columns = library_of(frame), {}
    if library == "pandas":
        if frame.columns.nlevels > 1:
            raise ValueError("the column index has several levels: join them into one level first")
        twice = frame.columns[frame.columns.duplicated()].tolist()
        if twice:
            raise ValueError(f"two columns are named {twice[0]!r}: rename one of them")
        columns = dict(frame.items())
    elif library == "polars":
        columns = {column.name: column for column in frame}
    elif library == "dict":
        columns = dict(frame)
    else:
        hint = "; collect it first" if type(frame).__name__ == "LazyFrame" else ""
        raise TypeError(
            "expected a pandas or polars DataFrame, or a dict of columns, "
            f"got {type(frame).__name__}{hint}"
        )
    if not columns:
        raise ValueError("the frame has no columns")
    convert = {"pandas": from_pandas, "polars": from_polars, "dict": from_values}[library]
    series = {name: convert(name, column) for name, column in columns.items()}
    lengths = {name: len(column.values) for name, column in series.items()}
    first, n = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != n:
            raise ValueError(f"column {first!r} has {n} rows, but column {name!r} has {length}")
    if n == 0:
        raise ValueError("the frame has no rows")
    return library, series


def write(library: str, columns: Mapping[Name, Series]) -> Any:
    """Return a frame of a library with these columns.

    Whole numbers are rounded. A number beyond the range of the type becomes the nearest number
    within the range.

    Raises
    ------
    ImportError
        The library is not installed.
    ValueError
        A value is missing in a column whose type can't represent missing values, or the library
        does not know the type.
    """
    try:
        return _write(library, columns)
    except TypeError as error:  # the type comes from a later version or an edited file
        raise ValueError(f"the table's columns can't become a {library}: {error}") from error


def _write(library: str, columns: Mapping[Name, Series]) -> Any:
    if library == "dict":
        return {name: to_array(name, column) for name, column in columns.items()}
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"the table was learned from a {library} frame, so decoding needs {library}: "
            f"pip install {library}"
        ) from error
    if library == "polars":
        return module.DataFrame([to_polars(module, str(n), c) for n, c in columns.items()])
    frame = module.concat(
        [to_pandas(module, name, column) for name, column in columns.items()], axis=1
    )
    frame.columns = list(columns)
    return frame
