"""Recognition of DATA that is read a window at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from .._input.sources import Source, is_array_file, is_folder_of_parts, is_in_place, source_of
from ..datasets import Dataset


def open_source(data: str, *, numbers: bool, window: int | None = None) -> Dataset | None:
    """Return DATA as a data set whose rows are a source, or None if they are read into memory.

    Sources are HDF5 files, zarr arrays, folders of .npy, Parquet or CSV files, Parquet files if
    they hold `numbers`, and .npy files that can't be mapped in place or that are read with a
    `window`.

    Raises
    ------
    UsageError
        A column does not hold numbers.
    ValueError, OSError, MissingExtraError
        The file is damaged, or needs a package that is not installed.
    """
    path = Path(data).expanduser()
    if data in datasets.names():
        return None
    suffix = path.suffix.lower()
    if suffix == ".npy" and path.is_file():
        streamed = window is not None or not _is_mapped_in_place(path)
    elif suffix in (".parquet", ".pq") and path.is_file():
        streamed = numbers
    else:
        streamed = is_array_file(data) or is_folder_of_parts(data)
    if not streamed:
        return None
    try:
        source: Any = source_of(data)
    except TypeError as error:  # columns of text or dates
        hint = " For a table of mixed columns, leave --likelihood out." if numbers else ""
        raise click.UsageError(f"{error}{hint}") from error
    return Dataset(data, source, columns=source.names)


def is_source(dataset: Dataset) -> bool:
    """Return whether the rows of a data set are a source."""
    return isinstance(dataset.X, Source)


def _is_mapped_in_place(path: Path) -> bool:
    try:
        return is_in_place(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception:  # damaged bytes, which `datasets.load` explains
        return True
