"""CSV files of numbers, with or without a header."""

from __future__ import annotations

import csv
import gzip
import io
import math
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .dataset import Dataset

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
GAPS = ("", "NA", "N/A", "null")  # cells without a value
_ENCODING = "utf-8-sig"  # UTF-8, with or without the byte order mark that spreadsheets write


@dataclass(frozen=True)
class Layout:
    """Separator of a CSV file, and its header.

    Attributes
    ----------
    delimiter : str
        Semicolon, tab or comma.
    header : tuple of str or None
        Names of the columns, or None if the first row is data.
    line : int
        Number of the line in which the first row ends.
    index : int
        Number of columns before those of `header`: 1 if the first column has no name, like the
        index that pandas and R write, else 0.
    """

    delimiter: str
    header: tuple[str, ...] | None
    line: int
    index: int


def layout_of(path: Path) -> Layout:
    """Return the separator and the header of a CSV file.

    The first row is a header if none of its cells is a number. A first column without a name is an
    index, which is left out. The separator is a semicolon if the first row has one, otherwise a tab
    if it has one, and otherwise a comma.

    Raises
    ------
    ValueError
        The file is empty or not UTF-8 text, has no row below its header, or the header lacks a
        name.
    """
    delimiter = _delimiter(path)
    with _rows(path, delimiter) as rows:
        line, first = next(rows, (0, None))
        if first is None:
            raise ValueError(f"{path}: the file is empty")
        header = None if any(map(_is_number, first)) else tuple(cell.strip() for cell in first)
        if header and next(rows, None) is None:
            raise ValueError(f"{path}: there are no rows below the header {first} on line {line}")
        index = 1 if header and len(header) > 1 and header[0] == "" else 0
        header = header and header[index:]
        if header and "" in header:
            nameless = index + header.index("") + 1
            hint = f" (If all lines end in {delimiter!r}, remove it.)"
            raise ValueError(
                f"{path}, line {line}: column {nameless} has no name in the header."
                f"{hint if nameless == len(first) else ''}"
            )
    return Layout(delimiter, header, line, index)


def load_csv(path: Path) -> Dataset:
    """Return the rows of a CSV file of numbers, in the layout that `layout_of` describes.

    An empty cell is a missing value and becomes NaN, and so does a cell with NA, N/A, null or nan.

    Raises
    ------
    ValueError
        The file is empty or not UTF-8 text, a cell is not a number, or rows differ in length. The
        message gives the line and the column.
    """
    layout = layout_of(path)
    header = layout.header
    skipped = layout.line if header else 0
    if layout.index:
        check_widths(path, layout)  # NumPy does not check this if it leaves out a column
    try:
        X = _load(path, layout, skipped)
    except (ValueError, EOFError, zlib.error) as error:  # the last two for damaged gzip data
        wrong = explain(path, layout)
        if wrong is not None:
            raise ValueError(wrong) from error
        X = _load(path, layout, skipped, _number_or_nan)  # slower: cell by cell
    if header and len(header) != X.shape[1]:
        raise ValueError(
            f"{path}, line {layout.line}: the header has {len(header)} columns, but the rows have "
            f"{X.shape[1]}"
        )
    return Dataset(str(path), X, columns=header)


def read_cells(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a file that `load_csv` has read, as text, without header and index."""
    layout = layout_of(path)
    with _rows(path, layout.delimiter) as rows:
        for number, (_, cells) in enumerate(rows):
            if number or layout.header is None:
                yield cells[layout.index :]


def parse_numbers(text: str, layout: Layout) -> NDArray[np.float32]:
    """Return the numbers of some lines of a CSV file; ValueError if a cell is not a number."""
    try:
        return _load(io.StringIO(text), layout, 0)
    except ValueError:
        return _load(io.StringIO(text), layout, 0, _number_or_nan)


def explain(path: Path, layout: Layout) -> str | None:
    """Return a message about the first cell of a CSV file that can't be read, or None."""
    return _wrong_width(path, layout) or _wrong_cell(path, layout)


def _load(
    source: Path | IO[str],
    layout: Layout,
    skipped: int,
    convert: Callable[[str], float] | None = None,
) -> NDArray[np.float32]:
    """Return the numbers of a file after some lines. `convert` turns a cell into a number."""
    columns = range(1, 1 + len(layout.header or ())) if layout.index else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numbers beyond float32 become infinite
        return np.loadtxt(
            source,
            dtype=np.float32,
            delimiter=layout.delimiter,
            converters=convert,
            skiprows=skipped,
            usecols=columns,
            comments=None,
            quotechar='"',
            encoding=_ENCODING,
            ndmin=2,
        )


def _number_or_nan(cell: str) -> float:
    return math.nan if _is_gap(cell) else float(cell)


def _is_gap(cell: str) -> bool:
    return cell.strip() in GAPS


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a CSV file, gzipped or not, as text; raise ValueError if it is not text."""
    zipped = path.suffix.lower() == ".gz"
    try:
        opened: Any = gzip.open if zipped else open
        with opened(path, "rt", encoding=_ENCODING, newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}): save it as UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: truncated or corrupt gzip data ({error})") from error


@contextmanager
def _rows(path: Path, delimiter: str) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Open a CSV file; yield an iterator over pairs of a line number and a non-blank row."""
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            yield ((reader.line_num, row) for row in reader if row)
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error


def _delimiter(path: Path) -> str:
    """Return the separator, which the first row shows."""
    with open_text(path) as file:
        first = next((line for line in file if line.strip()), "")
    return next((mark for mark in ";\t," if mark in first), ",")


def _is_number(cell: str) -> bool:
    """Return whether NumPy reads a cell as a number.

    float() alone does not suffice, because it also accepts 1_000 and digits that are not ASCII.
    """
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def check_widths(path: Path, layout: Layout) -> None:
    """Raise ValueError unless all rows of a CSV file have the same number of cells."""
    if wrong := _wrong_width(path, layout):
        raise ValueError(wrong)


def _wrong_width(path: Path, layout: Layout) -> str | None:
    """Return a message about the first row whose length differs from that of row 1, or None."""
    with _rows(path, layout.delimiter) as rows:
        _, first = next(rows)
        for line, row in rows:
            if len(row) != len(first):
                return f"{path}, line {line}: expected {len(first)} values, got {len(row)}"
    return None


def _wrong_cell(path: Path, layout: Layout) -> str | None:
    """Return a message about the first cell that is not a number, or None."""
    header = layout.header
    with _rows(path, layout.delimiter) as rows:
        if header:
            next(rows)
        for line, row in rows:
            for number, cell in enumerate(row[layout.index :], start=1):
                if not _is_gap(cell) and not _is_number(cell):
                    name = f" ({header[number - 1]})" if header else ""
                    column = f"column {layout.index + number}{name}"
                    return (
                        f"{path}, line {line}, {column}: expected a number, got {cell!r}. "
                        "(A missing value is an empty cell or NA. Text and dates are for "
                        "vaefast train without --likelihood, and for vaefast.tables.)"
                    )
    return None
