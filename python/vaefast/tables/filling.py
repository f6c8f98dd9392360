"""Writing of values into the missing cells of a frame."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import to_array
from .frames import read
from .pandas_columns import to_pandas
from .polars_columns import to_polars
from .series import KINDS, Dtype, Name, Series


def fill(frame: Any, learned: str, columns: Mapping[Name, Series]) -> Any:
    """Return a copy of a frame with values in its missing cells. Known cells are the same.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or dict of columns
        The frame.
    learned : {"pandas", "polars", "dict"}
        Library of the dtypes in `columns`.
    columns : mapping of name to Series
        Some columns without missing values.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or dict of columns
        Frame with the columns, the order, the index and the types of `frame`. A category type gains
        the categories that it lacks. A column without known cells has the type in `columns` if its
        own type can't hold the values.

    Raises
    ------
    ValueError
        A column without known cells has a type that can't hold the values, and the type in
        `columns` is of another library.
    """
    library, before = read(frame)
    filled = {}
    for name, series in columns.items():
        own = before[name]
        if own.missing.all() and not _holds(own.dtype, series.dtype):
            if library != learned:
                raise ValueError(
                    f"column {name!r} holds missing values only, of the type {own.dtype.name}: "
                    f"convert it to a type for {KINDS[series.dtype.kind]}"
                )
            filled[name] = series
        elif own.missing.any():
            filled[name] = replace(series, dtype=own.dtype, categories=_categories(own, series))
    if library == "polars":
        return _fill_polars(frame, filled, before)
    out = frame.copy() if library == "pandas" else dict(frame)
    for name, series in filled.items():
        put = _in_pandas if library == "pandas" else _in_values
        out[name] = put(name, frame[name], series, before[name].missing)
    return out


def _holds(own: Dtype, other: Dtype) -> bool:
    """Return whether a type holds values of another one."""
    return own.kind == other.kind or {own.kind, other.kind} <= {"number", "integer"}


def _categories(own: Series, series: Series) -> tuple[Any, ...] | None:
    """Return the categories that a type declares, and those of the values that it lacks."""
    if own.categories is None:
        return None
    return tuple(dict.fromkeys((*own.categories, *series.values[own.missing])))


def _in_pandas(name: Name, column: Any, series: Series, gaps: NDArray[np.bool_]) -> Any:
    some = to_pandas(sys.modules["pandas"], name, replace(series, values=series.values[gaps]))
    if gaps.all():
        return some.set_axis(column.index)
    if series.categories is not None:
        column = column.cat.set_categories(some.cat.categories)
    column = column.copy()
    column.iloc[np.flatnonzero(gaps)] = some.array
    return column


def _in_values(name: Name, column: Any, series: Series, gaps: NDArray[np.bool_]) -> Any:
    """Return a copy of a list or an array of a dict, with values where `gaps` is True."""
    some = to_array(name, replace(series, values=series.values[gaps]))
    if hasattr(column, "__array__"):
        array = np.array(column, dtype=some.dtype)
        array[gaps] = some
        return array
    cells = list(column)
    for row, value in zip(np.flatnonzero(gaps), some.tolist(), strict=True):
        cells[row] = value
    return cells


def _fill_polars(frame: Any, filled: Mapping[Name, Series], before: Mapping[Name, Series]) -> Any:
    polars = sys.modules["polars"]
    columns = []
    for name, series in filled.items():
        column, new = frame[name], to_polars(polars, str(name), series)
        known = polars.Series(~before[name].missing)
        columns.append(column.cast(new.dtype).zip_with(known, new))
    return frame.with_columns(columns)
