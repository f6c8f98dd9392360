"""Columns that are NumPy arrays or lists."""

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
    """A column of a dict: an array, or what becomes one, or a list, where None is missing."""
    if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
        raise TypeError(f"column {name!r} is {column!r}, expected a list or an array of values")
    if isinstance(column, np.ma.MaskedArray):
        raise TypeError(f"column {name!r} is a masked array: mark missing values by NaN or None")
    if hasattr(column, "__array__"):
        return from_array(name, np.asarray(column))
    series = from_objects(name, np.fromiter(column, dtype=object, count=len(column)))
    if series.dtype.kind == "number":
        return Series(series.values, Dtype("number", "float64"))
    if series.dtype.kind == "category" or series.missing.any():
        return series  # as objects: NumPy's text ends at a zero, its integers have no gaps
    return from_array(name, np.asarray(column))


def from_array(name: Name, array: Array) -> Series:
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}, expected one value for a row")
    letter = array.dtype.kind
    if letter == "O":
        return from_objects(name, array)
    if letter == "U":
        return Series(array.astype(object), Dtype("category", str(array.dtype)))
    if letter in "mM":
        unit, count = np.datetime_data(array.dtype)
        if unit not in PER_SECOND or count != 1:
            raise unsupported(
                name, array.dtype, f"; turn it into one of these units: {', '.join(PER_SECOND)}"
            )
        values = to_seconds(array.astype(np.int64), unit)
        values[np.isnat(array)] = np.nan
        return Series(values, Dtype("date" if letter == "M" else "duration", str(array.dtype)))
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
    if letter not in kinds:
        raise unsupported(name, array.dtype, "; change it with astype")
    return Series(array.astype(np.float64), Dtype(kinds[letter], str(array.dtype)))


def from_objects(name: Name, array: Array) -> Series:
    """A column of Python objects: all text, all booleans or all numbers, where not missing."""
    pandas = sys.modules.get("pandas")  # it has missing values of its own
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
        hint = "; turn dates into datetime64" if hasattr(odd, "year") else ""
        raise unsupported(name, f"a {type(odd).__name__} in row {row}", hint)
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) > 1:
        mixed = " and ".join(sorted(KINDS[kind] for kind in kinds))
        raise unsupported(name, f"{mixed} side by side", ", all of one kind")
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
    """What values of a type are, "" if none of `KINDS`. To Python a bool is an int as well."""
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
    except OverflowError:  # a whole number beyond 1.8e308
        return np.inf


def to_array(name: Name, column: Series) -> Array:
    values, dtype, missing = column.values, np.dtype(column.dtype.name), column.missing
    if dtype.kind == "O":
        return to_objects(values, missing, column.dtype.kind)
    if dtype.kind in "biuU" and missing.any():
        raise ValueError(
            f"column {name!r} is {dtype}, which has no missing values, but row {missing.argmax()} "
            "is NaN: fill it first, with the model's impute for example"
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
    """Python's own values, None where missing."""
    objects = np.full(len(values), None, dtype=object)
    there = values[~missing]
    if kind == "boolean":
        there = there >= 0.5
    listed = there.tolist()
    objects[~missing] = [round(value) for value in listed] if kind == "integer" else listed
    return objects
