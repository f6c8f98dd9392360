"""Encoding of the values of a column as numbers for a model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .column import IDENTIFIER, ORDINAL, SUM, Column
from .facts import check_finite
from .modes import Modes
from .series import Array, Series

Unseen = Literal["error", "missing"]

_MOST = 8  # most categories that an error message lists
_NEAR = 0.1  # share of the range beyond which a new number has no nearest category


def encode(column: Column, series: Series, unseen: Unseen) -> NDArray[np.float32]:
    """Return values as numbers, (n, width), with NaN for missing values.

    Parameters
    ----------
    series : Series
        Values to encode.
    unseen : {"error", "missing"}
        Whether an unknown category raises an error or is encoded as missing.

    Raises
    ------
    ValueError
        The values are not of the learned kind, or one of them cannot be encoded.
    """
    missing = series.missing
    if missing.all() or column.likelihood in (IDENTIFIER, SUM):
        return np.full((len(missing), column.width), np.nan, dtype=np.float32)
    column.check_kind(series)
    check_finite(column.name, series)
    if column.categories:
        return _encode_categories(column, series, unseen)
    values = series.values
    if column.modes is not None:
        return _encode_modes(column, column.modes, values)
    column.check_domain(values)
    with np.errstate(over="ignore"):
        X = ((values - column.mean) / column.scale).astype(np.float32)
    what = f"is too far from the mean {column.shown(column.mean)} to be encoded as float32"
    column.refuse(np.isinf(X), values, what)
    return X[:, None]


def _encode_categories(column: Column, series: Series, unseen: Unseen) -> NDArray[np.float32]:
    codes, missing = column.codes(series), series.missing
    if column.others:
        codes[(codes < 0) & ~missing] = len(column.categories)
    elif column.likelihood == ORDINAL:
        codes = _nearest(column, series.values)
    if unseen == "error":
        words = list(map(column.shown, column.categories[:_MOST]))
        if len(column.categories) > _MOST:
            words.append(f"and {len(column.categories) - _MOST} more")
        what = (
            f"is a new value; the table learned {', '.join(words)} (unseen='missing' encodes "
            "new values as missing)"
        )
        column.refuse((codes < 0) & ~missing, series.values, what)
    X = np.zeros((len(codes), column.width), dtype=np.float32)
    if column.one_hot:
        X[np.arange(len(codes)), codes] = 1
        X[codes < 0] = np.nan
    return X


def _nearest(column: Column, values: Array) -> NDArray[np.intp]:
    """Return the index of the nearest number, (n,), or -1 if the value is missing or far away."""
    known = np.array(column.categories, dtype=np.float64)
    middles = (known[1:] + known[:-1]) / 2
    codes: NDArray[np.intp] = np.searchsorted(middles, values)
    margin = _NEAR * (known[-1] - known[0])
    codes[~((values >= known[0] - margin) & (values <= known[-1] + margin))] = -1
    return codes


def _encode_modes(column: Column, modes: Modes, values: Array) -> NDArray[np.float32]:
    mode, score = modes.encode(values)
    X = np.zeros((len(values), column.width), dtype=np.float32)
    if modes.spikes:
        X[np.arange(len(values)), mode] = 1
    X[:, -1] = score
    X[np.isnan(values)] = np.nan
    return X
