"""Sources by path: a file, a list of files, or a folder of files of one type."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError
from .arrays import Chunks, NpyFile, Slices
from .csv_files import CsvFile
from .joined import Joined
from .parquet import parquet_at
from .source import Source

SUFFIXES: dict[str, Callable[[str], Source]] = {
    ".npy": NpyFile,
    ".parquet": parquet_at,
    ".pq": parquet_at,
    ".csv": CsvFile,
    ".tsv": CsvFile,
}
HDF5 = (".h5", ".hdf5", ".he5")
ZARR = ".zarr"
KINDS = (*SUFFIXES, *HDF5, ZARR)
SHOWN = 12  # most names in an error message


def open_path(path: str | os.PathLike[str]) -> Source:
    """Return the rows of a file, of a folder of files, or of a zarr array.

    The files of a folder have one type and are read in the order of their names. Names that begin
    with "." or "_" are left out. An HDF5 file or a zarr group with several arrays needs the name of
    one: file.h5:name.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    MissingExtraError
        The package that reads such files is not installed.
    ValueError
        The file is damaged, of an unknown type, or holds no rows of numbers.
    """
    text = os.path.expanduser(os.fspath(path))
    place, name = _split(text)
    if not os.path.exists(place):
        raise FileNotFoundError(f"{place}: there is no such file or folder")
    suffix = Path(place).suffix.lower()
    if suffix in HDF5 and os.path.isfile(place):
        return _array_of(_open_hdf5(place), place, name)
    if suffix == ZARR or (os.path.isdir(place) and _is_zarr(place)):
        return _array_of(_open_zarr(place), place, name)
    if os.path.isdir(place):
        return open_files(_files_of(place), place)
    if suffix not in SUFFIXES:
        raise ValueError(f"{place}: unknown type of file, expected {', '.join(KINDS)}")
    return SUFFIXES[suffix](place)


def open_files(paths: Sequence[str | os.PathLike[str]], name: str) -> Source:
    """Return the rows of several files, one file after the other."""
    parts = [open_path(path) for path in paths]
    return parts[0] if len(parts) == 1 else Joined(parts, name)


def is_folder_of_parts(path: str) -> bool:
    """Return whether a folder is a zarr array, or holds files of rows and nothing else."""
    place = os.path.expanduser(path)
    if not os.path.isdir(place) or _is_zarr(place):
        return os.path.isdir(place)
    names = [name for name in os.listdir(place) if name[0] not in "._"]
    return bool(names) and len(names) == len(_parts_of(place))


def is_array_file(path: str) -> bool:
    """Return whether a path names an HDF5 file or a zarr array, with or without an array's name."""
    place, _ = _split(os.path.expanduser(path))
    return Path(place).suffix.lower() in (*HDF5, ZARR) and os.path.exists(place)


def _split(path: str) -> tuple[str, str | None]:
    """Return the path of a file, and the name of an array after a colon."""
    place, colon, name = path.rpartition(":")
    if colon and not os.path.exists(path) and Path(place).suffix.lower() in (*HDF5, ZARR):
        return place, name
    return path, None


def _parts_of(folder: str) -> list[str]:
    names = sorted(name for name in os.listdir(folder) if name[0] not in "._")
    paths = [os.path.join(folder, name) for name in names]
    return [path for path in paths if Path(path).suffix.lower() in SUFFIXES]


def _files_of(folder: str) -> list[str]:
    paths = _parts_of(folder)
    kinds = sorted({Path(path).suffix.lower() for path in paths})
    if len(kinds) != 1:
        found = f"files of the types {', '.join(kinds)}" if kinds else "no such file"
        raise ValueError(
            f"{folder} holds {found}, expected files of one type: {', '.join(SUFFIXES)}"
        )
    return paths


def _is_zarr(folder: str) -> bool:
    marks = ("zarr.json", ".zarray", ".zgroup")
    return any(os.path.exists(os.path.join(folder, mark)) for mark in marks)


def _open_hdf5(path: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(f"{path} needs h5py: pip install 'vaefast[hdf5]'") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file that can be read ({error})") from error


def _open_zarr(path: str) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError(f"{path} needs zarr: pip install 'vaefast[zarr]'") from error
    try:
        return zarr.open(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: not a zarr array that can be read ({error})") from error


def _array_of(found: Any, path: str, name: str | None) -> Source:
    """Return an array, or the array of a group with this name."""
    if name is None and hasattr(found, "shape"):
        return array_source(found, path)
    arrays = _arrays(found) if not hasattr(found, "shape") else {}
    if name is None and len(arrays) == 1:
        name = next(iter(arrays))
    if name not in arrays:
        what = f"no array {name!r}" if name is not None else f"{len(arrays)} arrays"
        listed = ", ".join(f"{key} {array.shape}" for key, array in list(arrays.items())[:SHOWN])
        raise ValueError(f"{path} holds {what}: choose one by {path}:NAME, from {listed or 'none'}")
    return array_source(arrays[name], f"{path}:{name}")


def _arrays(group: Any, prefix: str = "") -> dict[str, Any]:
    """Return the arrays in a group and in the groups within it, by name."""
    found: dict[str, Any] = {}
    for key in sorted(group.keys()):
        member = group[key]
        if hasattr(member, "shape"):
            found[prefix + key] = member
        elif hasattr(member, "keys"):
            found |= _arrays(member, f"{prefix}{key}/")
    return found


def array_source(array: Any, name: str) -> Source:
    """Return an array on a disk as a source, which reads whole chunks if it has any."""
    chunks = getattr(array, "chunks", None)
    whole = isinstance(chunks, tuple) and bool(chunks) and isinstance(chunks[0], int)
    return Chunks(array, name) if whole else Slices(array, name)
