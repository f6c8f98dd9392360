"""Conversion of columns of pandas frames to series, and back.

This module does not import pandas, so only callers with pandas frames need the package.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .arrays import from_array, to_array, to_objects
from .series import Array, Dtype, Name, Series, fit, unsupported


def from_pandas(name: Name, column: Any) -> Series:
    """Return a column of a pandas frame as a series.

    Raises
    ------
    TypeError
        The dtype is not supported.
    """
    pandas = sys.modules["pandas"]
    types, dtype = pandas.api.types, column.dtype
    if isinstance(dtype, np.dtype):
        return from_array(name, column.to_numpy())
    if isinstance(dtype, pandas.CategoricalDtype):
        of, ordered = str(dtype.categories.dtype), bool(dtype.ordered)
        described = Dtype("category", "category", ordered=ordered, categories=of)
        return Series(_objects(column), described, tuple(dtype.categories.tolist()))
    if isinstance(dtype, pandas.StringDtype):
        text = f"string[{dtype.storage}]" if dtype.na_value is pandas.NA else "str"
        return Series(_objects(column), Dtype("category", text))
    if isinstance(dtype, pandas.DatetimeTZDtype):
        naive = from_array(name, column.dt.tz_convert(None).to_numpy())
        return Series(naive.values, Dtype("instant", str(dtype)))
    for kind, test in (
        ("boolean", types.is_bool_dtype),
        ("integer", types.is_integer_dtype),
        ("number", types.is_float_dtype),
    ):
        if test(dtype) and isinstance(getattr(dtype, "numpy_dtype", None), np.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            return Series(values, Dtype(kind, str(dtype)))
    raise unsupported(name, dtype, "; convert it, for example with astype('str')")


def _objects(column: Any) -> Array:
    """Return the values of a column as objects, with None for missing values."""
    objects: Array = column.astype(object).to_numpy(copy=True)
    objects[column.isna().to_numpy()] = None
    return objects


def to_pandas(pandas: Any, name: Name, column: Series) -> Any:
    """Return a series as a column of a pandas frame.

    Raises
    ------
    ValueError
        A value is missing, and the dtype can't represent missing values.
    """
    values, described = column.values, column.dtype
    if described.name == "category":
        index = pandas.Index(column.categories, dtype=described.categories)
        dtype = pandas.CategoricalDtype(index, ordered=described.ordered)
        return pandas.Series(pandas.Categorical(values, dtype=dtype))
    dtype = pandas.api.types.pandas_dtype(described.name)
    if isinstance(dtype, np.dtype):
        array = to_array(name, column)
        return pandas.Series(array, dtype=array.dtype)
    if described.kind == "instant":
        naive = Series(values, Dtype("date", f"datetime64[{dtype.unit}]"))
        return pandas.Series(to_array(name, naive)).dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
    if described.kind in ("integer", "number"):
        values = fit(values, dtype.numpy_dtype)
    objects = to_objects(values, column.missing, described.kind)
    return pandas.Series(pandas.array(objects, dtype=dtype))
