"""The base of sources, whose rows lie elsewhere and are read in order."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..feature_names import FeatureNames

Array = NDArray[Any]

NEAR = 1 << 16  # bytes between two rows that are read rather than skipped
PART = 1 << 22  # bytes read at a time


class Source(ABC):
    """Rows of one shape and type that are read by their numbers.

    Parameters
    ----------
    n : int
        Number of rows.
    row_shape : tuple of int
        Shape of one row.
    dtype : dtype
        Type of the stored values. Bytes stay bytes, and other numbers become float32.
    name : str
        Name of the source in error messages, such as a path.
    names : tuple of str or None, default=None
        Names of the features.
    """

    y: Array | None = None  # values that the source has for each row, if any
    exposure: Array | None = None
    sample_weight: Array | None = None
    unit = 1  # rows that are decoded together, as a chunk or a row group

    def __init__(
        self,
        n: int,
        row_shape: tuple[int, ...],
        dtype: Any,
        name: str,
        names: FeatureNames | None = None,
    ) -> None:
        if len(row_shape) not in (1, 2, 3):
            raise ValueError(
                f"{name} has shape {(n, *row_shape)}, expected (n, features) or images "
                "(n, h, w[, c])"
            )
        if n == 0 or 0 in row_shape:
            empty = "sample" if n == 0 else "feature"
            raise ValueError(
                f"{name} has 0 {empty}(s) (shape={(n, *row_shape)}) while a minimum of 1 is "
                "required."
            )
        self.found = np.dtype(dtype)
        if self.found.kind not in "buif":
            raise TypeError(f"{name} holds {self.found}, expected numbers")
        self.n, self.row_shape, self.name, self.names = n, row_shape, name, names
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if self.found == np.uint8 else np.float32)

    def __len__(self) -> int:
        return self.n

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and of features."""
        return self.n, math.prod(self.row_shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory."""
        return self.shape[1] * self.dtype.itemsize

    @abstractmethod
    def read(self, start: int, stop: int) -> Array:
        """Return consecutive rows, (stop - start, *row_shape), in any type."""

    def check(self) -> None:  # noqa: B027  # most sources can't tell
        """Raise OSError if the source has changed since it was opened."""

    def rows(self, start: int, stop: int) -> Array:
        """Return consecutive rows as a matrix of float32 or uint8, (stop - start, features).

        Raises
        ------
        OSError
            The rows can't be read. The message names them.
        """
        try:
            found = self.read(start, stop)
        except (OSError, ValueError, RuntimeError, KeyError, IndexError) as error:
            if isinstance(error, Unreadable):
                raise
            raise self.unreadable(start, stop, str(error)) from error
        if found.shape != (stop - start, *self.row_shape):
            raise self.unreadable(start, stop, f"they have shape {found.shape}")
        with np.errstate(over="ignore"):  # checks report numbers that become infinite
            found = np.ascontiguousarray(found, self.dtype)
        return found.reshape(stop - start, -1)

    def unreadable(self, start: int, stop: int, why: str) -> Unreadable:
        """Return the error for rows that can't be read."""
        return Unreadable(
            f"{self.name}: rows {start:,} to {stop - 1:,} can't be read: {why}. Leave the data as "
            "they are until training has ended."
        )

    def gather(self, numbers: NDArray[np.int64]) -> Array:
        """Return the rows with these ascending numbers as a matrix."""
        found = np.empty((len(numbers), self.shape[1]), self.dtype)
        near, most = max(1, NEAR // self.row_bytes), self.step
        first = 0
        while first < len(numbers):
            start = int(numbers[first])
            last = first + int(np.searchsorted(numbers[first:], start + most))
            gaps = np.flatnonzero(np.diff(numbers[first:last]) > near)
            last = first + int(gaps[0]) + 1 if len(gaps) else last
            part = numbers[first:last]
            found[first:last] = self.rows(start, int(part[-1]) + 1)[part - start]
            first = last
        return found

    def __getitem__(self, index: slice | Sequence[int]) -> Array:
        """Return rows in memory, (k, *row_shape), as float32 or uint8."""
        numbers = np.arange(self.n)[index]
        chosen, places = np.unique(numbers, return_inverse=True)
        found = self.gather(chosen)
        if len(chosen) < len(numbers) or (chosen != numbers).any():
            found = found[places]
        return found.reshape(-1, *self.row_shape)

    @property
    def step(self) -> int:
        """Number of rows that are read at a time."""
        return max(1, PART // self.row_bytes)

    def select(self, numbers: NDArray[np.int64]) -> Selected:
        """Return the rows with these ascending numbers as a source."""
        return Selected(self, numbers)


class Unreadable(OSError):
    """The rows of a source can't be read."""


class Selected(Source):
    """Some rows of a source, in ascending order."""

    def __init__(self, base: Source, numbers: NDArray[np.int64]) -> None:
        super().__init__(len(numbers), base.row_shape, base.dtype, base.name, base.names)
        self.base, self.numbers, self.unit = base, numbers, base.unit

    def read(self, start: int, stop: int) -> Array:
        return self.base.gather(self.numbers[start:stop]).reshape(-1, *self.row_shape)

    def check(self) -> None:
        self.base.check()

    def select(self, numbers: NDArray[np.int64]) -> Selected:
        return Selected(self.base, self.numbers[numbers])


class Sequential(Source):
    """A source that chooses the parts in which it is read, in order, and keeps the last part."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parts: Iterator[Array] = iter(())
        self._part = np.empty((0, *self.row_shape), self.found)  # the last one
        self._at = self.n  # number of the row after it

    @abstractmethod
    def origin(self, row: int) -> int:
        """Return the number of the row at which reading must start to reach a row."""

    @abstractmethod
    def parts_from(self, row: int) -> Iterator[Array]:
        """Yield consecutive parts, the first of which begins with the row `origin(row)`."""

    def read(self, start: int, stop: int) -> Array:
        found = np.empty((stop - start, *self.row_shape), self.found)
        done = start
        while done < stop:
            self._move_to(done)
            part = self._part[done - self._at + len(self._part) :][: stop - done]
            found[done - start : done - start + len(part)] = part
            done += len(part)
        return found

    def _move_to(self, row: int) -> None:
        """Read on until the last part holds a row."""
        first = self._at - len(self._part)
        if not first <= row or self.origin(row) > self._at:
            self._parts, self._at = self.parts_from(row), self.origin(row)
            self._part = self._part[:0]
        try:
            while row >= self._at:
                part = next(self._parts, None)
                if part is None:
                    raise ValueError(f"the data end after {self._at:,} rows, expected {self.n:,}")
                self._part, self._at = part, self._at + len(part)
        except BaseException:
            self._parts, self._part, self._at = iter(()), self._part[:0], self.n
            raise
