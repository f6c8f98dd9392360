"""Objects that yield the same chunks of rows each time they are iterated over."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..feature_names import names_of
from ..matrix import to_matrix
from .source import Array, Sequential

CHECKED = 1_024  # rows that share a checksum
PARTS = ("y", "exposure", "sample_weight")
AGAIN = (
    "Training reads the rows several times: pass an object whose __iter__ starts anew, such as a "
    "class with a method `def __iter__(self): yield ...`, or a list of tuples (X, y); or call "
    "partial_fit on each chunk"
)


def is_chunks(X: Any) -> bool:
    """Return whether X yields chunks of rows: an iterable that is neither an array nor a frame."""
    if isinstance(X, list | tuple):
        return bool(X) and all(isinstance(chunk, tuple) and _is_rows(chunk) for chunk in X)
    kind = type(X)
    other = ("__getitem__", "__array__", "__dlpack__", "__array_interface__", "toarray", "columns")
    return (
        isinstance(X, Iterable)
        and not isinstance(X, set | frozenset)
        and not any(hasattr(kind, name) for name in other)
    )


def _is_rows(chunk: tuple[Any, ...]) -> bool:
    return 1 < len(chunk) <= 4 and len(getattr(chunk[0], "shape", ())) > 1


class IterableOfChunks(Sequential):
    """The rows of an object that yields `X` or `(X, y, exposure, sample_weight)`.

    The first pass counts the rows and keeps their conditions, exposure and weights. Each later pass
    must yield the same rows, in chunks of any size.

    Raises
    ------
    TypeError
        The object is an iterator, which can be read only once.
    ValueError
        The chunks differ in the shape or the type of their rows, or in what comes with them.
    """

    def __init__(self, chunks: Iterable[Any], name: str) -> None:
        self.chunks, self.name = chunks, name
        if iter(chunks) is chunks:
            raise TypeError(f"{name} is a {type(chunks).__name__}, which can be read once. {AGAIN}")
        self.sums = _Sums(None, name)
        companions: tuple[list[Array], ...] = ([], [], [])
        form: tuple[Any, ...] | None = None
        held: list[str] | None = None
        for i, chunk in enumerate(chunks):
            about = f"{name}, chunk {i}"
            X, *given = chunk if isinstance(chunk, tuple) else (chunk,)
            if len(given) > len(PARTS):
                raise ValueError(
                    f"{about} is a tuple of {len(given) + 1}, expected (X, y, exposure, "
                    "sample_weight) or the first of them"
                )
            rows, now = _rows_of(X, about)
            form = form or now
            _check_form(about, now, form)
            parts = dict(zip(PARTS, given, strict=False))
            holds = [what for what in PARTS if parts.get(what) is not None]
            held = holds if held is None else held
            if holds != held:
                raise ValueError(
                    f"{about} has {', '.join(holds) or 'rows alone'}, but the first chunk has "
                    f"{', '.join(held) or 'rows alone'}"
                )
            for kept, what in zip(companions, PARTS, strict=True):
                if what in holds:
                    kept.append(_companion(parts[what], len(rows), f"{what} of {about}"))
            self.sums.add(rows)
        if form is None:
            raise ValueError(f"{name} yields no chunks")
        self.form = form
        self.sums.finish()
        super().__init__(self.sums.rows, form[0], form[1], name, form[2])
        self.y, self.exposure, self.sample_weight = (
            np.concatenate(kept) if kept else None for kept in companions
        )

    def origin(self, row: int) -> int:
        return 0

    def parts_from(self, row: int) -> Iterator[Array]:
        sums = _Sums(self.sums, self.name)
        for i, chunk in enumerate(self.chunks):
            X = chunk[0] if isinstance(chunk, tuple) else chunk
            rows, form = _rows_of(X, f"{self.name}, chunk {i}")
            _check_form(f"{self.name}, chunk {i}", form, self.form)
            sums.add(rows)
            if sums.rows >= self.n:
                sums.finish()
            yield rows.reshape(-1, *self.row_shape)


class _Sums:
    """Checksums of rows in chunks of any size, compared with those of an earlier pass."""

    def __init__(self, expected: _Sums | None, name: str) -> None:
        self.found: list[int] = []
        self.rows, self.running = 0, 0
        self.expected, self.name = expected, name

    def add(self, rows: Array) -> None:
        """Add a chunk; raise ValueError if its rows differ from those of the first pass."""
        done = 0
        while done < len(rows):
            part = rows[done : done + CHECKED - self.rows % CHECKED]
            self.running = zlib.crc32(part.data, self.running)
            done, self.rows = done + len(part), self.rows + len(part)
            if self.rows % CHECKED == 0:
                self._close()

    def finish(self) -> None:
        """End the pass; raise ValueError if its number of rows is not that of the first."""
        if self.rows % CHECKED:
            self._close()
        if self.expected is not None and self.rows != self.expected.rows:
            more = " or more" if self.rows > self.expected.rows else ""
            raise ValueError(
                f"{self.name} yields {self.rows:,} rows{more}, but the first pass had "
                f"{self.expected.rows:,}: each pass must yield the same rows"
            )

    def _close(self) -> None:
        self.found.append(self.running)
        self.running, i = 0, len(self.found) - 1
        if self.expected is not None and self.found[i : i + 1] != self.expected.found[i : i + 1]:
            raise ValueError(
                f"{self.name} yields other values than in the first pass in rows "
                f"{i * CHECKED:,} to {self.rows - 1:,}: each pass must yield the same rows"
            )


def _rows_of(X: Any, about: str) -> tuple[Array, tuple[Any, ...]]:
    """Return a chunk as a matrix, and the shape, the type and the names of its rows."""
    rows, shape = to_matrix(X, about)
    return rows, (shape, rows.dtype, names_of(X))


def _check_form(about: str, form: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    what = ("rows of shape", "values of type", "columns")
    for of, ours, theirs in zip(what, form, expected, strict=True):
        if ours != theirs:
            raise ValueError(f"{about} has {of} {ours}, but the first chunk has {theirs}")


def _companion(values: Any, n: int, about: str) -> Array:
    array = np.asarray(values)
    if array.shape[:1] != (n,):
        raise ValueError(
            f"{about} has shape {array.shape}, expected one entry for each of {n} rows"
        )
    return array
