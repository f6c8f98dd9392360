"""The order of the rows in an epoch: whole, or a window of blocks at a time.

Blocks of consecutive rows are permuted, and as many blocks as fit in a window are read in the order
of the file. The rows of the window are then permuted. Both permutations depend on the seed, the
epoch and the number of the window alone. A window that holds all rows gives the same order as an
array.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from threading import Event

import numpy as np
from numpy.typing import NDArray

from .._core import permutation
from .read_ahead import ReadAhead
from .rows import AnyRows, Rows, Selection
from .stream import BLOCKS, Stream

PIECES = 16  # pieces of a window, between which training checks for errors of the reader
_NEXT = 0x9E3779B97F4A7C15  # step from the seed of one permutation of an epoch to the next

Span = tuple[int, int]  # the first of some consecutive rows, and the row after the last
Segment = tuple[Rows, NDArray[np.int64]]


def windows(n: int, window: int | None, seed: int, epoch: int) -> Iterator[list[Span]]:
    """Yield the blocks of rows that each window of an epoch reads, in the order of the file."""
    if window is None or window >= n:
        yield [(0, n)]
        return
    block = max(1, window // BLOCKS)
    order = permutation(-(-n // block), _seed(seed, -1), epoch)
    for first in range(0, len(order), window // block):
        chosen = np.sort(order[first : first + window // block]).tolist()
        yield [(i * block, min((i + 1) * block, n)) for i in chosen]


def order_within(count: int, seed: int, epoch: int, window: int) -> NDArray[np.int64]:
    """Return the order of the rows of the window with this number."""
    return permutation(count, _seed(seed, window), epoch)


def epoch_order(n: int, window: int | None, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of all rows of an epoch."""
    parts = [
        _numbers(spans)[order_within(_count(spans), seed, epoch, number)]
        for number, spans in enumerate(windows(n, window, seed, epoch))
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def segments(
    rows: AnyRows,
    chosen: NDArray[np.int64] | None,
    window: int | None,
    seed: int,
    epoch: int,
    *,
    size: int,
    first: int,
) -> Generator[Segment, None, None]:
    """Yield rows in memory and the order in which to train on them, for one epoch.

    Each segment but the last has whole batches. Rows that are not a stream are one segment. A
    stream is read a window at a time, while a thread reads the next one. Rows that do not fill the
    last batch of a window carry over to the next window.

    Parameters
    ----------
    rows : AnyRows
    chosen : ndarray of int64 or None
        The rows to train on, in ascending order. None means all rows.
    window : int or None
        Number of rows of a window. None means all rows. A stream has its own window.
    seed, epoch : int
        Seed and number of the epoch, which determine the order.
    size : int
        Number of rows of a batch.
    first : int
        Number of batches to skip.
    """
    if isinstance(rows, Stream):
        stream = rows if chosen is None else rows.select(chosen)
        with ReadAhead(
            lambda stopped: read_windows(stream, seed, epoch, size, first, stopped)
        ) as found:
            for part, order in found:
                step = max(1, len(order) // size // PIECES) * size
                for at in range(0, len(order), step):
                    found.check()  # an error ends training now, not after the window
                    yield part, order[at : at + step]
        return
    order = epoch_order(len(rows) if chosen is None else len(chosen), window, seed, epoch)
    order = order[first * size :]
    if chosen is not None:
        order = chosen[order]
    if isinstance(rows, Selection):
        yield rows.base, rows.numbers[order]
    else:
        yield rows, order  # type: ignore[misc]


def read_windows(
    stream: Stream, seed: int, epoch: int, size: int, first: int, stopped: Event
) -> Iterator[Segment]:
    """Yield the windows of a stream, until `stopped` is set.

    The windows share two buffers. A window keeps its values until the window after the next is
    read.
    """
    (n, features), window = stream.shape, stream.window
    buffers = [np.empty((min(n, window + size), features), stream.dtype) for _ in range(2)]
    rest = buffers[0][:0]  # rows left over from the segment before
    numbers_of_rest = np.empty(0, np.int64)
    skipped, left, given = first * size, n, 0
    for number, spans in enumerate(windows(n, window, seed, epoch)):
        count, kept = _count(spans), len(rest)
        left -= count
        if skipped >= count:
            skipped -= count
            continue
        matrix = buffers[given % 2][: kept + count]
        matrix[:kept] = rest
        at = kept
        stream.source.check()
        for start, stop in spans:
            if stopped.is_set():
                return
            matrix[at : at + stop - start] = stream.read(start, stop)
            at += stop - start
        order = kept + order_within(count, seed, epoch, number)[skipped:]
        order, skipped = np.concatenate([np.arange(kept), order]), 0
        numbers = np.concatenate([numbers_of_rest, _numbers(spans)])
        whole = len(order) if left == 0 else len(order) // size * size
        rest, numbers_of_rest = matrix[order[whole:]], numbers[order[whole:]]
        if whole:
            given += 1  # the caller reads this buffer while the other one is filled
            yield stream.with_parts(matrix, numbers), order[:whole]


def _seed(seed: int, number: int) -> int:
    return (seed + number * _NEXT) % 2**64


def _count(spans: list[Span]) -> int:
    return sum(stop - start for start, stop in spans)


def _numbers(spans: list[Span]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(start, stop) for start, stop in spans])
