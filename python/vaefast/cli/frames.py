"""Reading of CSV and Parquet files as frames, and writing of frames.

A frame is a pandas DataFrame. Without pandas, a CSV file of numbers is a dict of arrays.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from .._system.files import atomic_write
from ..datasets.tables import GAPS, check_widths, layout_of, load_csv, open_text
from ..datasets.tables import SUFFIXES as CSV
from ..errors import MissingExtraError
from .columns import as_text, typed

INSTALL = "pip install 'vaefast[tables]'"
MISSING = (*GAPS, "NULL", "n/a", "#N/A", "nan", "NaN", "NaT")  # cells without a value


def is_frame(data: str) -> bool:
    """Return whether DATA is a file that `read_frame` reads."""
    path = Path(data).expanduser()
    suffix = datasets.suffix_of(path)
    return data not in datasets.names() and suffix in (*CSV, ".parquet") and path.is_file()


def has_header(path: Path) -> bool:
    """Return whether a file names its columns."""
    return path.suffix.lower() == ".parquet" or layout_of(path).header is not None


def read_frame(
    path: Path, is_text: Callable[[Any], bool], day_first: Mapping[Any, bool | None]
) -> tuple[Any, dict[Any, bool | None]]:
    """Return a CSV or Parquet file as a frame, and the order of the dates in each of its columns.

    Parameters
    ----------
    path : Path
        The file.
    is_text : callable
        Function that takes the name of a column of a CSV file, and returns whether the column is
        text, whatever its cells look like.
    day_first : mapping of str to bool or None
        Columns of a CSV file for which it is known whether 01/02/2024 is the first of February.

    Returns
    -------
    frame : pandas.DataFrame or dict of arrays
    day_first : dict of str to bool or None
        `day_first`, completed by what the cells show.

    Raises
    ------
    ValueError
        The file is damaged, or a column has no name or the name of another one.
    MissingExtraError
        The file needs a package that is not installed.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path), {}
    layout = layout_of(path)
    check_widths(path, layout)
    for name in layout.header or ():
        if (layout.header or ()).count(name) > 1:
            raise ValueError(f"{path}: two columns are named {name!r}: rename one of them")
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return _read_numbers(path), {}
    try:
        with open_text(path) as file:
            cells = pandas.read_csv(
                file,
                sep=layout.delimiter,
                header=None if layout.header is None else 0,
                names=layout.header and ("",) * layout.index + layout.header,
                dtype=str,
                na_filter=False,
                skipinitialspace=True,
            )
        cells = cells.iloc[:, layout.index :]
        if layout.header is None:
            cells.columns = [f"x{i}" for i in range(cells.shape[1])]
        comma = layout.delimiter != ","  # such files may use decimal commas
        columns, orders = {}, {}
        for name in cells:
            column = cells[name].str.strip()
            column = column.mask(column.isin(MISSING))
            orders[name] = day_first.get(name)
            if is_text(name):
                columns[name] = as_text(column)
            else:
                columns[name], orders[name] = typed(pandas, column, comma, orders[name])
    except ValueError as error:  # a quote that is never closed, for example
        raise ValueError(f"{path}: {error}") from error
    return pandas.DataFrame(columns), orders


def write_frame(path: Path, frame: Any) -> None:
    """Write a frame to a .csv or .parquet file; a missing value becomes an empty cell."""
    if path.suffix.lower() == ".parquet":
        pandas = _for_parquet(path)
        with atomic_write(path) as temporary:
            pandas.DataFrame(frame).to_parquet(temporary, index=False)
    elif isinstance(frame, Mapping):
        with atomic_write(path) as temp, temp.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(frame)
            for row in zip(*frame.values(), strict=True):
                writer.writerow(
                    "" if value is None or value != value else str(value) for value in row
                )
    else:
        with atomic_write(path) as temporary:
            frame.to_csv(temporary, index=False, encoding="utf-8")


def _read_parquet(path: Path) -> Any:
    pandas = _for_parquet(path)
    with path.open("rb") as file:
        try:
            frame = pandas.read_parquet(file, engine="pyarrow", dtype_backend="numpy_nullable")
            frame = frame.reset_index(drop=frame.index.name is None)
            for name in frame.select_dtypes(object):
                first = next((value for value in frame[name] if value is not None), None)
                if isinstance(first, datetime.date):
                    frame[name] = pandas.to_datetime(frame[name])
                elif isinstance(first, decimal.Decimal):
                    frame[name] = frame[name].astype("Float64")
        except MemoryError:
            raise
        except Exception as error:  # pandas and pyarrow raise many types for damaged files
            raise ValueError(f"{path}: not a Parquet file that can be read ({error})") from error
    return frame


def _read_numbers(path: Path) -> dict[str, Any]:
    """Return the columns of a CSV file of numbers, for which pandas is not needed."""
    try:
        data = load_csv(path)
    except ValueError as error:
        raise MissingExtraError(f"{error} Text and dates need pandas: {INSTALL}") from error
    names = data.columns or tuple(f"x{i}" for i in range(data.X.shape[1]))
    return {name: _whole(column) for name, column in zip(names, data.X.T, strict=True)}


def _whole(column: Any) -> Any:
    """Return a column as whole numbers, with None for missing ones, if all of them are whole."""
    missing = np.isnan(column)
    there = column[~missing]
    if not (len(there) and (np.abs(there) < 2**24).all() and (there % 1 == 0).all()):
        return column
    values = np.full(len(column), None, dtype=object)
    values[~missing] = there.astype(np.int64).tolist()
    return values


def _for_parquet(path: Path) -> Any:
    try:
        importlib.import_module("pyarrow")
        return importlib.import_module("pandas")
    except ImportError as error:
        raise MissingExtraError(f"{path} needs pandas and pyarrow: {INSTALL}") from error
