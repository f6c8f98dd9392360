"""The closest rows of a data set, found exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.matrix import Matrix, to_matrix
from .._input.validation import check_integer, check_values

_BLOCK = 1 << 22  # numbers of float64 that a block of rows or of distances may have: 32 MiB
_QUERIES = 1024  # rows whose neighbours are looked for at a time


def nearest(
    X: ArrayLike, rows: ArrayLike, n: int = 5
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the rows of X that are closest to each of `rows`, by Euclidean distance.

    Whether a sample is new or a copy shows beside the closest training rows. Nothing is
    approximated: every pair is compared, in blocks that need some 100 MiB. Rows are compared
    number by number, images pixel by pixel; to compare what a model makes of them, pass codes:
    ``nearest(vae.transform(X), vae.transform(rows))``.

    Parameters
    ----------
    X : array-like of shape (k, d), or k images
        The rows to look among, at least n. uint8 is read as X / 255.
    rows : array-like of shape (m, d), or m images
        The rows to find neighbours of.
    n : int
        How many neighbours of each.

    Returns
    -------
    distances : ndarray of float64, (m, n)
        Of the neighbours, the closest first.
    indices : ndarray of int64, (m, n)
        Their numbers in X.
    """
    data, shape = to_matrix(X, "X")
    queries, other = to_matrix(rows, "rows")
    if data.shape[1] != queries.shape[1] or (len(shape) > 1 and len(other) > 1 and shape != other):
        raise ValueError(f"rows has rows of shape {other}, but X of shape {shape}")
    for values, name in ((data, "X"), (queries, "rows")):
        check_values(values, name=name)
    n = check_integer(n, "n")
    if n > len(data):
        raise ValueError(f"n={n} neighbours were asked for, but X has only {len(data)} rows")
    parts = [
        _nearest(data, _floats(queries[start : start + _QUERIES]), n)
        for start in range(0, len(queries), _QUERIES)
    ]
    distances, indices = (np.concatenate(part) for part in zip(*parts, strict=True))
    return distances, indices


def _nearest(
    data: Matrix, queries: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances and numbers of the n rows of data nearest to each query."""
    step = max(1, _BLOCK // max(data.shape[1], len(queries)))
    lengths = np.sum(queries**2, axis=1)[:, None]
    best = np.empty((len(queries), 0))  # squared distances, so far
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
    # The squares above lost digits where two rows are almost equal.
    distances = np.stack(
        [
            np.linalg.norm(_floats(data[numbers]) - query, axis=1)
            for query, numbers in zip(queries, found, strict=True)
        ]
    )
    order = np.lexsort((found, distances), axis=1)
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(found, order, axis=1)


def _floats(rows: Matrix) -> NDArray[np.float64]:
    floats = rows.astype(np.float64)
    return floats / 255 if rows.dtype == np.uint8 else floats
