"""Conversion of NumPy arrays and lists to series, and back."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .series import (
    KINDS,
    PER_SECOND,
    Array,
    Dtype,
    Name,
    Series,
    fit,
    to_seconds,
    to_ticks,
    unsupported,
)


def from_values(name: Name, column: Any) -> Series:
    """Return a column of a dict as a series. In a list, None marks a missing value.

    Raises
    ------
    TypeError
        The column is neither a list nor an array, is a masked array, or holds unsupported values.
    ValueError
        The column is not one-dimensional.
    """
    if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
        raise TypeError(f"column {name!r} is {column!r}, expected a list or an array of values")
    if isinstance(column, np.ma.MaskedArray):
        raise TypeError(f"column {name!r} is a masked array: mark missing values with NaN or None")
    if hasattr(column, "__array__"):
        return from_array(name, np.asarray(column))
    series = from_objects(name, np.fromiter(column, dtype=object, count=len(column)))
    if series.dtype.kind == "number":
        return Series(series.values, Dtype("number", "float64"))
    if series.dtype.kind == "category" or series.missing.any():
        # The dtype stays object: NumPy text drops trailing NUL characters, and NumPy integers and
        # booleans have no missing values.
        return series
    return from_array(name, np.asarray(column))


def from_array(name: Name, array: Array) -> Series:
    """Return a NumPy array as a series.

    Raises
    ------
    TypeError
        The dtype is not supported, or an object array holds unsupported values.
    ValueError
        The array is not one-dimensional.
    """
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}, expected one value per row")
    letter = array.dtype.kind
    if letter == "O":
        return from_objects(name, array)
    if letter == "U":
        return Series(array.astype(object), Dtype("category", str(array.dtype)))
    if letter in "mM":
        unit, count = np.datetime_data(array.dtype)
        if unit not in PER_SECOND or count != 1:
            raise unsupported(
                name, array.dtype, f"; convert it to one of the units {', '.join(PER_SECOND)}"
            )
        values = to_seconds(array.astype(np.int64), unit)
        values[np.isnat(array)] = np.nan
        return Series(values, Dtype("date" if letter == "M" else "duration", str(array.dtype)))
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
    if letter not in kinds:
        raise unsupported(name, array.dtype, "; convert it with astype")
    return Series(array.astype(np.float64), Dtype(kinds[letter], str(array.dtype)))


def from_objects(name: Name, array: Array) -> Series:
    """Return an array of Python objects as a series.

    Raises
    ------
    TypeError
        The values that are not missing are neither all text, all booleans nor all numbers.
    """
    pandas = sys.modules.get("pandas")  # pandas.isna also knows pandas.NA and NaT
    missing = (
        pandas.isna(array)
        if pandas
        else np.array([_is_missing(value) for value in array], dtype=bool)
    )
    kinds = {_kind(of) for of in set(map(type, array[~missing]))}
    if "" in kinds:
        row, odd = next(
            (row, value)
            for row, value in enumerate(array)
            if not missing[row] and not _kind(type(value))
        )
        hint = "; convert dates to datetime64" if hasattr(odd, "year") else ""
        raise unsupported(name, f"a {type(odd).__name__} in row {row}", hint)
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) > 1:
        mixed = " and ".join(sorted(KINDS[kind] for kind in kinds))
        raise unsupported(name, f"a mixture of {mixed}", ", all of one kind")
    kind = kinds.pop() if kinds else "nothing"
    if kind == "category":
        values = np.full(len(array), None, dtype=object)
        values[~missing] = [str(value) for value in array[~missing]]
    else:
        values = np.full(len(array), np.nan)
        values[~missing] = [_float(value) for value in array[~missing]]
    return Series(values, Dtype(kind, "object"))


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def _kind(of: type) -> str:
    """Return the kind of the values of a type, or "" if the type is not supported."""
    # "boolean" comes before "integer", because bool is a subclass of int.
    types: dict[str, type | tuple[type, ...]] = {
        "category": str,
        "boolean": (bool, np.bool_),
        "integer": (int, np.integer),
        "number": (float, np.floating),
    }
    return next((kind for kind, known in types.items() if issubclass(of, known)), "")


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond 1.8e308, the largest float64
        return np.inf


def to_array(name: Name, column: Series) -> Array:
    """Return a series as an array of the column's original NumPy dtype.

    Raises
    ------
    ValueError
        A value is missing, and the dtype can't represent missing values.
    """
    values, dtype, missing = column.values, np.dtype(column.dtype.name), column.missing
    if dtype.kind == "O":
        return to_objects(values, missing, column.dtype.kind)
    if dtype.kind in "biuU" and missing.any():
        raise ValueError(
            f"column {name!r} has dtype {dtype}, which cannot hold missing values, but row "
            f"{missing.argmax()} is NaN: fill it first, for example with VAE.impute"
        )
    if dtype.kind == "b":
        booleans: Array = values >= 0.5
        return booleans
    if dtype.kind in "mM":
        array = to_ticks(np.nan_to_num(values), np.datetime_data(dtype)[0]).astype(np.int64)
        array = array.astype(dtype)
        array[missing] = np.array("NaT", dtype)
        return array
    return values.astype(dtype) if dtype.kind == "U" else fit(values, dtype).astype(dtype)


def to_objects(values: Array, missing: Array, kind: str) -> Array:
    """Return values as an array of Python objects, with None for missing values."""
    objects = np.full(len(values), None, dtype=object)
    there = values[~missing]
    if kind == "boolean":
        there = there >= 0.5
    listed = there.tolist()
    objects[~missing] = [round(value) for value in listed] if kind == "integer" else listed
    return objects
