"""Conversion of columns of polars frames to series, and back.

This module does not import polars, so only callers with polars frames need the package.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .series import Dtype, Name, Series, fit, to_seconds, to_ticks, unsupported

_NUMBERS = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
_NUMBERS += ["Float16", "Float32", "Float64"]
_TEXT = ("String", "Categorical", "Enum")


def from_polars(name: Name, column: Any) -> Series:
    """Return a column of a polars frame as a series.

    Raises
    ------
    TypeError
        The dtype is not supported.
    """
    polars = sys.modules["polars"]
    dtype, label = column.dtype, type(column.dtype).__name__
    if label == "Null":
        return Series(np.full(len(column), np.nan), Dtype("nothing", label))
    if label in _TEXT:
        values = np.fromiter(column.cast(polars.String).to_list(), object, len(column))
        declared = tuple(dtype.categories.to_list()) if label == "Enum" else None
        return Series(values, Dtype("category", label), declared)
    if label in ("Date", "Datetime", "Duration"):
        unit = "D" if label == "Date" else dtype.time_unit
        zone = getattr(dtype, "time_zone", None)
        kind = "duration" if label == "Duration" else "instant" if zone else "date"
        ticks = column.to_physical().cast(polars.Int64)
        seconds = to_seconds(ticks.fill_null(0).to_numpy(), unit)
        seconds[column.is_null().to_numpy()] = np.nan
        return Series(seconds, Dtype(kind, label, unit, zone))
    if label == "Boolean":
        kind = "boolean"
    elif label in _NUMBERS:
        kind = "integer" if "Int" in label else "number"
    else:
        raise unsupported(name, dtype, "; convert it with cast")
    numbers = column.cast(polars.Float64).fill_null(np.nan).to_numpy(writable=True)
    return Series(numbers, Dtype(kind, label))


def to_polars(polars: Any, name: str, column: Series) -> Any:
    """Return a series as a column of a polars frame.

    Raises
    ------
    ValueError
        The type of the column is not a polars type.
    """
    values, described = column.values, column.dtype
    label, unit = described.name, described.unit or ""
    if label in _TEXT:
        dtype = polars.Enum(column.categories) if label == "Enum" else getattr(polars, label)
        return polars.Series(name, values.tolist(), dtype=dtype)
    if label == "Date":
        whole, dtype = polars.Int32, polars.Date
        values = to_ticks(values, "D", bits=32)
    elif label in ("Datetime", "Duration"):
        whole = polars.Int64
        zoned = () if label == "Duration" else (described.zone,)
        dtype = getattr(polars, label)(unit, *zoned)
        values = to_ticks(values, unit)
    elif label in _NUMBERS:
        whole = dtype = getattr(polars, label)
        values = fit(values, np.dtype(label.lower()))
    elif label == "Boolean":
        whole = dtype = polars.Boolean
        values = np.where(np.isnan(values), np.nan, values >= 0.5)
    else:
        raise ValueError(f"column {name!r} has type {label!r}, which polars does not know")
    numbers = polars.Series(name, values, dtype=polars.Float64).fill_nan(None)
    return numbers.cast(whole).cast(dtype)
