"""Parquet files and datasets of pyarrow, which is imported only for the path of a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import MissingExtraError
from ..feature_names import FeatureNames
from ..frames import columns_of, to_rows
from .arrays import check_unchanged
from .source import Array, Sequential, Source

WHOLE = 1 << 26  # bytes up to which a row group is read at once
PIECE = 1 << 24  # bytes of a larger row group that are read at a time
INSTALL = "pip install 'vaefast[parquet]'"


def is_parquet(X: Any) -> bool:
    """Return whether X is a ParquetFile or a Dataset of pyarrow."""
    parquet, dataset = (sys.modules.get(f"pyarrow.{name}") for name in ("parquet", "dataset"))
    return (parquet is not None and isinstance(X, parquet.ParquetFile)) or (
        dataset is not None and isinstance(X, dataset.Dataset)
    )


def parquet_at(path: str) -> ParquetRows:
    """Return the rows of a Parquet file.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    ValueError
        The file is not a Parquet file.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(f"{path} needs pyarrow: {INSTALL}") from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except ValueError as error:  # the errors of pyarrow are ValueErrors
        raise ValueError(f"{path}: not a Parquet file that can be read ({error})") from error
    found = os.stat(path)
    return ParquetRows(file, path, (found.st_size, found.st_mtime_ns))


class ParquetRows(Sequential):
    """The rows of a Parquet file, a few at a time from the row groups that hold them."""

    def __init__(self, file: Any, name: str, stat: tuple[int, int] | None = None) -> None:
        self.file, self._stat = file, stat
        names, dtype = _form(file.schema_arrow, name)
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self.starts, self.unit = np.cumsum([0, *groups]), max(groups, default=1)
        super().__init__(int(self.starts[-1]), (len(names),), dtype, name, _as_names(names))

    def origin(self, row: int) -> int:
        return int(self.starts[self._group(row)])

    def _group(self, row: int) -> int:
        return int(np.searchsorted(self.starts, row, "right")) - 1

    def parts_from(self, row: int) -> Iterator[Array]:
        # Parts are few and large, because each column of a part takes 50 microseconds, however
        # short it is.
        for group in range(self._group(row), len(self.starts) - 1):
            if (self.starts[group + 1] - self.starts[group]) * self.row_bytes <= WHOLE:
                whole = self.file.read_row_group(group, use_threads=False)
                yield rows_of(whole, self.name, self.found)
                continue
            size = max(1, PIECE // self.row_bytes)
            for piece in self.file.iter_batches(size, row_groups=[group], use_threads=False):
                yield rows_of(piece, self.name, self.found)

    def check(self) -> None:
        if self._stat is not None:
            check_unchanged(self.name, self._stat)


def fragments_of(dataset: Any, name: str) -> list[Source]:
    """Return the files of a Dataset as sources.

    Raises
    ------
    ValueError
        The dataset has a filter, or a format other than Parquet.
    """
    parts: list[Source] = []
    for fragment in dataset.get_fragments():
        path = getattr(fragment, "path", None)
        if path is None or getattr(fragment.format, "default_extname", "") != "parquet":
            raise ValueError(
                f"{name} is a Dataset of {type(fragment).__name__}, expected Parquet files"
            )
        parts.append(ParquetRows(_file_of(fragment), path))
    if not parts:
        raise ValueError(f"{name} is a Dataset without files")
    return parts


def _file_of(fragment: Any) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(fragment.path, filesystem=fragment.filesystem)


def _form(schema: Any, name: str) -> tuple[list[str], type[np.generic]]:
    """Return the names of the columns, and the type of the matrix that they make."""
    columns = columns_of(schema.empty_table(), name) or []
    dtype = np.uint8 if columns and all(column.is_bytes for column in columns) else np.float32
    return [str(column.label) for column in columns], dtype


def rows_of(batch: Any, name: str, dtype: Any) -> Array:
    """Return a record batch or a table as a matrix."""
    columns = columns_of(batch, name)
    if dtype == np.uint8 and not all(column.is_bytes for column in columns or ()):
        raise ValueError("a column of bytes has missing values: store it as another type")
    return to_rows(columns or [], len(batch), name, dtype=dtype)


def _as_names(names: list[str]) -> FeatureNames:
    return tuple(names)
