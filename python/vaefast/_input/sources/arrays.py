"""Arrays on a disk: memory maps, HDF5, zarr, and other objects with a shape, a type and slices."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np

from ..mapped import check_mapped
from .source import Array, Source


def is_array_on_disk(X: Any) -> bool:
    """Return whether X is an array that is read by slices and is not in memory."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap) and X.ndim > 1
    kind = type(X)
    if any(hasattr(kind, name) for name in ("__dlpack__", "__array_interface__", "iloc")):
        return False  # arrays in memory, and frames
    shape, dtype = getattr(X, "shape", None), getattr(X, "dtype", None)
    if not (isinstance(shape, tuple) and hasattr(kind, "__getitem__") and dtype is not None):
        return False
    try:
        numbers = np.dtype(dtype).kind in "buif"
    except TypeError:  # the type belongs to another library
        return False
    return numbers and len(shape) in (2, 3, 4) and not hasattr(X, "toarray")


class Slices(Source):
    """An array that is read by slices."""

    def __init__(self, array: Any, name: str) -> None:
        n, *row_shape = array.shape
        super().__init__(int(n), tuple(map(int, row_shape)), array.dtype, name)
        self.array = array

    def read(self, start: int, stop: int) -> Array:
        check_mapped(self.array)
        return np.asarray(self.array[start:stop])


class Chunks(Source):
    """An array whose chunks of rows are read as a whole: an HDF5 dataset, a zarr array."""

    def __init__(self, array: Any, name: str) -> None:
        n, *row_shape = array.shape
        super().__init__(int(n), tuple(map(int, row_shape)), array.dtype, name)
        self.array, self.unit = array, int(array.chunks[0])
        self._first, self._last = 0, np.empty((0, *self.row_shape), self.found)  # the last chunk
        self._stored = self._count_chunks()

    def read(self, start: int, stop: int) -> Array:
        first, kept = start // self.unit * self.unit, self._last[:0]
        if first == self._first and len(self._last):
            kept = self._last
        begin = first + len(kept)
        end = min(-(-stop // self.unit) * self.unit, self.n)
        found = kept
        if end > begin:
            more = np.asarray(self.array[begin:end])
            found = np.concatenate([kept, more]) if len(kept) else more
            self._first = (end - 1) // self.unit * self.unit
            self._last = more[self._first - begin :].copy()
        return found[start - first : stop - first]

    def check(self) -> None:
        # zarr reads a chunk whose file has been deleted as zeros.
        if self._count_chunks() < self._stored:
            raise OSError(f"{self.name} has lost some of its chunks since it was opened")

    def _count_chunks(self) -> int:
        return int(getattr(self.array, "nchunks_initialized", 0))


class NpyFile(Source):
    """The rows of a .npy file, read without a memory map, so a shrinking file raises an error."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            try:
                shape, fortran, dtype = _header(file)
            except Exception as error:  # NumPy raises many types for damaged bytes
                raise ValueError(f"{path}: not a .npy file, or truncated ({error})") from error
            self._first = file.tell()
        if dtype.hasobject or len(shape) < 2 or (fortran and len(shape) > 1):
            form = f"{dtype} of shape {shape}" + (" in Fortran order" if fortran else "")
            raise ValueError(
                f"{path} holds {form}, expected rows of numbers in C order, as numpy.save writes "
                "numpy.ascontiguousarray(X)"
            )
        super().__init__(shape[0], shape[1:], dtype, path)
        self.path = path
        self._stat = _stat(path)
        if self._stat[0] < self._first + self.n * self._row:
            raise ValueError(f"{path}: truncated: it has fewer bytes than {self.n:,} rows take")

    @property
    def _row(self) -> int:
        return int(self.shape[1] * self.found.itemsize)

    def read(self, start: int, stop: int) -> Array:
        found = np.empty((stop - start, *self.row_shape), self.found)
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self._first + start * self._row)
            view, done = found.reshape(-1).view(np.uint8).data, 0
            while done < len(view) and (count := file.readinto(view[done:])):
                done += count
        if done < len(view):
            raise ValueError("the file was cut short while it was read")
        return found

    def check(self) -> None:
        check_unchanged(self.path, self._stat)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


Stat = tuple[int, int]


def _stat(path: str) -> Stat:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def check_unchanged(path: str, before: Stat) -> None:
    """Raise OSError if a file was deleted or changed."""
    try:
        now = _stat(path)
    except FileNotFoundError as error:
        raise OSError(
            f"{path} was deleted or moved. Leave the file where it is until training has ended."
        ) from error
    if now != before:
        raise OSError(
            f"{path} was changed while it was read: it had {before[0]:,} bytes and has {now[0]:,}. "
            "Leave the file as it is until training has ended."
        )
