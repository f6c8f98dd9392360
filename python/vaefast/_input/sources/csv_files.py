"""CSV files of numbers, with an index of the places of every 1,024th row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...datasets.tables import check_widths, explain, layout_of, parse_numbers
from .arrays import check_unchanged
from .source import Array, Sequential

ROWS = 1_024  # rows parsed at a time


class CsvFile(Sequential):
    """The rows of a CSV file of numbers, float32."""

    def __init__(self, path: str) -> None:
        if path.lower().endswith(".gz"):
            raise ValueError(f"{path}: rows can't be found in a compressed file: unpack it first")
        layout = layout_of(Path(path))
        if layout.index:
            check_widths(Path(path), layout)  # NumPy does not check this if it leaves out a column
        self.path, self.layout = path, layout
        found = os.stat(path)
        self._stat = found.st_size, found.st_mtime_ns
        lines = _line_starts(path)
        if layout.header:
            next(lines)
        self.places, n = [], 0  # places of every `ROWS`-th row in the file
        for place in lines:
            if n % ROWS == 0:
                self.places.append(place)
            n += 1
        width = len(layout.header) if layout.header else len(self._first_row())
        super().__init__(n, (width,), np.float32, path, layout.header)

    def _first_row(self) -> Array:
        with open(self.path, "rb") as file:
            file.seek(self.places[0])
            row: Array = self._parse(file.readline())[0]
            return row

    def _parse(self, text: bytes) -> Array:
        try:
            return parse_numbers(text.decode(), self.layout)
        except ValueError as error:
            raise ValueError(explain(Path(self.path), self.layout) or str(error)) from error

    def origin(self, row: int) -> int:
        return row // ROWS * ROWS

    def parts_from(self, row: int) -> Iterator[Array]:
        ends = [*self.places[1:], self._stat[0]]
        with open(self.path, "rb") as file:
            for start, end in zip(self.places[row // ROWS :], ends[row // ROWS :], strict=True):
                file.seek(start)
                yield self._parse(file.read(end - start))

    def check(self) -> None:
        check_unchanged(self.path, self._stat)


def _line_starts(path: str) -> Iterator[int]:
    """Yield the place of each line that is not blank."""
    with open(path, "rb") as file:
        at, bom = 0, file.read(3) == b"\xef\xbb\xbf"
        file.seek(0)
        for line in file:
            if line.strip():
                yield at + 3 * (bom and at == 0)
            at += len(line)
