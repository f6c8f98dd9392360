"""Exact search for the nearest rows of a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.matrix import Dense, to_matrix
from .._input.validation import check_integer, check_values

_BLOCK = 1 << 22  # float64 numbers in a block of rows or of distances, at most: 32 MiB
_QUERIES = 1024  # rows whose neighbours are searched for at once


def nearest(
    X: ArrayLike, rows: ArrayLike, n: int = 5
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the rows of X that are nearest to each of `rows`, by Euclidean distance.

    The nearest training rows show whether a sample is new or a copy. The search is exact: it
    compares every pair, in blocks that need about 100 MiB. Rows are compared number by number, and
    images pixel by pixel. To compare rows as a model sees them, pass codes:
    ``nearest(vae.transform(X), vae.transform(rows))``.

    Parameters
    ----------
    X : array-like of shape (k, d), or k images
        Rows to search, at least n. uint8 is read as X / 255, so pass counts and bytes of 0 and 1 as
        floats.
    rows : array-like of shape (m, d), or m images
        Rows whose neighbours are wanted. uint8 is read as rows / 255.
    n : int, default=5
        Number of neighbours of each row.

    Returns
    -------
    distances : ndarray of shape (m, n), float64
        Distances of the neighbours, in ascending order.
    indices : ndarray of shape (m, n), int64
        Row numbers of the neighbours in X.

    Raises
    ------
    ValueError, TypeError
        The rows are not finite numbers, differ in shape from those of X, or X has fewer than n.
    """
    data, shape = to_matrix(X, "X")
    queries, other = to_matrix(rows, "rows")
    if data.shape[1] != queries.shape[1] or (len(shape) > 1 and len(other) > 1 and shape != other):
        raise ValueError(f"rows has rows of shape {other}, but X has rows of shape {shape}")
    for values, name in ((data, "X"), (queries, "rows")):
        check_values(values, name=name)
    n = check_integer(n, "n")
    if n > len(data):
        raise ValueError(f"n={n} neighbours were requested, but X has only {len(data)} rows")
    parts = [
        _nearest(data, _floats(queries[start : start + _QUERIES]), n)
        for start in range(0, len(queries), _QUERIES)
    ]
    distances, indices = (np.concatenate(part) for part in zip(*parts, strict=True))
    return distances, indices


def _nearest(
    data: Dense, queries: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distances and the numbers of the n rows of data nearest to each query."""
    step = max(1, _BLOCK // max(data.shape[1], len(queries)))
    lengths = np.sum(queries**2, axis=1)[:, None]
    best = np.empty((len(queries), 0))  # squared distances of the nearest rows so far
    found = np.empty((len(queries), 0), dtype=np.int64)
    for start in range(0, len(data), step):
        block = _floats(data[start : start + step])
        squared = lengths - 2 * queries @ block.T + np.sum(block**2, axis=1)
        best = np.concatenate([best, squared], axis=1)
        numbers = np.arange(start, start + len(block))
        found = np.concatenate([found, np.broadcast_to(numbers, squared.shape)], axis=1)
        if n < best.shape[1]:
            keep = np.argpartition(best, n - 1, axis=1)[:, :n]
            best = np.take_along_axis(best, keep, axis=1)
            found = np.take_along_axis(found, keep, axis=1)
    # The distances are computed again, because the expanded squares lose digits for close rows.
    distances = np.stack(
        [
            np.linalg.norm(_floats(data[numbers]) - query, axis=1)
            for query, numbers in zip(queries, found, strict=True)
        ]
    )
    order = np.lexsort((found, distances), axis=1)
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(found, order, axis=1)


def _floats(rows: Dense) -> NDArray[np.float64]:
    """Return rows as float64, with uint8 divided by 255."""
    floats = rows.astype(np.float64)
    return floats / 255 if rows.dtype == np.uint8 else floats
