"""Sources: data that may hold more rows than fit in memory, as rows that are read in order.

h5py, zarr and pyarrow are imported only for the path of a file that needs them. An object of one of
these packages can only exist if the package is loaded.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .arrays import is_array_on_disk
from .chunks import IterableOfChunks, is_chunks
from .files import array_source, is_array_file, is_folder_of_parts, open_files, open_path
from .joined import Joined
from .parquet import ParquetRows, fragments_of, is_parquet
from .source import Source

__all__ = [
    "Source",
    "is_array_file",
    "is_chunks",
    "is_folder_of_parts",
    "is_in_place",
    "source_of",
]


def source_of(X: Any, name: str = "X") -> Source | None:
    """Return X as a source, or None for arrays and frames in memory.

    Parameters
    ----------
    X : object
        An array on a disk, a ParquetFile or a Dataset of pyarrow, the path of a file or a folder, a
        list of those, or an iterable of chunks.
    name : str, default="X"
        Name of the rows in error messages.

    Raises
    ------
    TypeError, ValueError, OSError
        X is a source that can't be used.
    """
    if isinstance(X, Source):
        return X
    if isinstance(X, str | os.PathLike):
        return open_path(X)
    if is_array_on_disk(X):
        return array_source(X, name)
    if is_parquet(X):
        return _parquet(X, name)
    if isinstance(X, list | tuple) and X:
        if all(isinstance(part, str | os.PathLike) for part in X):
            return open_files(X, name)
        if all(is_array_on_disk(part) or is_parquet(part) for part in X):
            parts = [source_of(part, f"{name}[{i}]") for i, part in enumerate(X)]
            return Joined([part for part in parts if part is not None], name)
    return IterableOfChunks(X, name) if is_chunks(X) else None


def _parquet(X: Any, name: str) -> Source:
    if hasattr(X, "row_group") or hasattr(X, "iter_batches"):
        return ParquetRows(X, name)
    parts = fragments_of(X, name)
    return parts[0] if len(parts) == 1 else Joined(parts, name)


def is_in_place(X: Any) -> bool:
    """Return whether X is a memory map of float32 or uint8, which a core can read as it is."""
    return (
        isinstance(X, np.ndarray)
        and X.dtype in (np.float32, np.uint8)
        and X.dtype.isnative
        and X.flags.c_contiguous
        and X.flags.aligned
    )
