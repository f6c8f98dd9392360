"""Decoding of a model's numbers as values of a column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .column import COUNTS, IDENTIFIER, ORDINAL, SUM, Column
from .modes import Modes
from .series import Array, Series


def decode(column: Column, X: NDArray[np.float64], rng: np.random.Generator | None) -> Series:
    """Return the values that encoded numbers represent.

    Parameters
    ----------
    X : ndarray of shape (n, width), float64
        Encoded values, or probabilities of categories and booleans.
    rng : Generator or None
        Generator with which categories and booleans are drawn. None takes the most probable value.

    Raises
    ------
    ValueError
        X holds numbers outside the domain of the likelihood.
    """
    if column.likelihood == IDENTIFIER:
        values = _numbered(column, len(X))
    elif column.likelihood == SUM:  # `add_up` fills it in later
        values = np.zeros(len(X))
    elif column.categories or column.others:
        values = _decode_categories(column, X, rng)
    else:
        if column.modes is None:
            values = X[:, 0] * column.scale + column.mean
        else:
            values = _decode_modes(column, column.modes, X, rng)
        column.check_domain(values, whole=False)
        if column.low is not None or column.high is not None:
            values = np.clip(values, column.low, column.high)
        if column.step and column.above is None:
            values = np.rint(values / column.step) * column.step
        if column.decimals is not None and column.above is None:
            values = np.round(values, column.decimals)
        if column.likelihood in COUNTS:
            values = np.rint(values)
        elif column.likelihood == "bernoulli" and column.dtype.kind != "number":
            ones = rng.random(len(values)) < values if rng else values >= 0.5
            values = np.where(np.isnan(values), np.nan, ones)
    return Series(values, column.dtype, (*column.categories, *column.others))


def _decode_modes(column: Column, modes: Modes, X: Array, rng: np.random.Generator | None) -> Array:
    mode = np.zeros(len(X), dtype=np.intp)
    if modes.spikes:
        mode = _codes(column, X[:, :-1], rng)
    values = modes.decode(mode, X[:, -1])
    return np.where(np.isnan(X[:, -1]) | (mode < 0), np.nan, values)


def _numbered(column: Column, n: int) -> Array:
    """Return new names for n rows, or new numbers that start like the learned ones."""
    if column.dtype.kind == "category":
        return np.array([f"{column.name}-{i}" for i in range(1, n + 1)], dtype=object)
    return (column.low or 0.0) + np.arange(n, dtype=np.float64)


def _decode_categories(
    column: Column, X: NDArray[np.float64], rng: np.random.Generator | None
) -> Array:
    if column.one_hot:
        codes = _middles(column, X) if column.likelihood == ORDINAL and not rng else None
        codes = _codes(column, X, rng) if codes is None else codes
    else:
        codes = np.zeros(len(X), dtype=np.intp)
    if column.others:
        rare = codes == len(column.categories)
        codes[rare] += _rare(column, int(rare.sum()), rng)
    kind = object if column.dtype.kind == "category" else np.float64
    values: Array = np.array([*column.categories, *column.others], dtype=kind)[codes]
    values[codes < 0] = None if kind is object else np.nan
    return values


def _rare(column: Column, n: int, rng: np.random.Generator | None) -> NDArray[np.intp]:
    """Return the indices of n rare values, drawn by frequency, or of the most frequent one."""
    counts = np.array(column.counts, dtype=np.float64)
    if rng is None:
        return np.full(n, counts.argmax())
    return rng.choice(len(counts), n, p=counts / counts.sum())


def _middles(column: Column, X: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the median category of each row, (n,); -1 if it is missing."""
    codes = _codes(column, X, None)  # checks the probabilities
    reached = np.cumsum(X, axis=1)
    middles: NDArray[np.intp] = (reached >= reached[:, -1:] / 2).argmax(axis=1)
    return np.where(codes < 0, -1, middles)


def _codes(
    column: Column, X: NDArray[np.float64], rng: np.random.Generator | None
) -> NDArray[np.intp]:
    """Return the most probable or a drawn category of each row, (n,); -1 if it is missing."""
    missing = np.asarray(np.isnan(X).all(axis=1))
    known = np.where(missing[:, None], 1.0, X)
    fine = (known >= 0).all(axis=1) & (known.sum(axis=1) > 0)  # False for NaN
    if not fine.all():
        row = int(fine.argmin())
        raise ValueError(
            f"{column.called}, row {row}: expected {column.width} probabilities in X with a sum "
            f"above 0, or only NaN for a missing value, got {known[row].tolist()}"
        )
    codes: NDArray[np.intp] = known.argmax(axis=1)
    if rng:
        reached = np.cumsum(known, axis=1)
        codes = (reached / reached[:, -1:] > rng.random((len(X), 1))).argmax(axis=1)
    codes[missing] = -1
    return codes
