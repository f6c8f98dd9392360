"""Data to train on: built in, downloaded, or read from a file or a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from . import folders, tables
from .arrays import load_npy, load_npz
from .dataset import Dataset
from .downloads import fashion_mnist, mnist
from .idx import FILES, find_idx_files, load_idx, load_idx_files
from .strokes import strokes
from .tables import load_csv

__all__ = ["Dataset", "fashion_mnist", "load", "mnist", "names", "strokes"]

# Data sets by name. Add a new one here.
_NAMED: dict[str, Callable[[], Dataset]] = {
    "strokes": strokes,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
}

# IDX files are not listed here, because they have no usual suffix.
_BY_SUFFIX: dict[str, Callable[[Path], Dataset]] = {
    ".npy": load_npy,
    ".npz": load_npz,
    **dict.fromkeys(tables.SUFFIXES, load_csv),
}


def names() -> list[str]:
    """Return the names of the data sets that `load` knows."""
    return list(_NAMED)


def load(
    source: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] | None = None,
    skip_broken: bool = False,
) -> Dataset:
    """Load data by name or from a path.

    Parameters
    ----------
    source : str or path
        A name that `names` returns, or a path to one of:

        - `.npy` file: the rows. Arrays of uint8 and float32 are memory-mapped.
        - `.npz` file: the rows are `X`, `images`, `data` or `x_train`, or the only array. The
          labels `y`, `labels` or `y_train`, the test rows `x_test` and the test labels `y_test` are
          optional. A file of `scipy.sparse.save_npz` holds sparse rows.
        - `.csv` or `.tsv` file: numbers separated by commas, semicolons or tabs, with or without a
          header.
        - any other file: an IDX file, gzipped or not.
        - folder with four IDX files, named as those of MNIST.
        - folder of images, or of sub-folders of images whose names become the labels. `X` has the
          shape (n, h, w) if all images are grey, else (n, h, w, 3).

        A name takes precedence over a file in the current folder. Write `./mnist` to read a file
        called mnist.
    image_size : (int, int), default=None
        Height and width in pixels to which each image of a folder is cropped and resized. None
        requires all images to have the same size.
    skip_broken : bool, default=False
        Whether files of a folder of images that can't be read are left out, with a warning that
        names them. By default, the first such file raises an error.

    Returns
    -------
    Dataset
        `X` is uint8 or float32. Numbers of other types become float32.

    Raises
    ------
    FileNotFoundError
        `source` is neither the name of a data set nor an existing path.
    ValueError
        A file is truncated, corrupt or of an unknown type, or does not hold rows of numbers; the
        message names the file and the problem. Or `image_size` cannot be used.
    TypeError
        `source` is neither a string nor a path.
    OSError
        A file cannot be opened or downloaded.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source: expected a name ({', '.join(_NAMED)}) or a path, got {type(source).__name__}"
        )
    path = Path(source).expanduser()
    named = isinstance(source, str) and source in _NAMED
    image_size = _checked_size(image_size)
    if image_size and (named or path.is_file()):
        raise ValueError(f"image_size is for folders of images, but {source} is not a folder")
    if skip_broken and not path.is_dir():
        raise ValueError(f"skip_broken is for folders of images, but {source} is not a folder")
    if named:
        return _NAMED[str(source)]()
    if path.is_dir():
        return _load_folder(path, image_size, skip_broken)
    if path.is_file():
        return _load_file(path)
    raise FileNotFoundError(
        f"{source}: there is no such file or folder, and no data set of that name. "
        f"The data sets are {', '.join(_NAMED)}."
    )


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case, such as .csv or .csv.gz."""
    suffix = path.suffix.lower()
    return "".join(path.suffixes[-2:]).lower() if suffix == ".gz" else suffix


def _load_folder(folder: Path, image_size: tuple[int, int] | None, skip_broken: bool) -> Dataset:
    idx_files = find_idx_files(folder)
    if not idx_files:
        return folders.load_folder(folder, image_size, skip_broken)
    missing = [name for role, name in FILES.items() if role not in idx_files]
    if missing:
        raise ValueError(f"{folder}: the folder holds IDX files, but not {', '.join(missing)}")
    if image_size:
        raise ValueError(f"image_size is for folders of images, but {folder} holds IDX files")
    return load_idx_files(idx_files, str(folder))


def _load_file(path: Path) -> Dataset:
    suffix = suffix_of(path)
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix](path)
    if suffix in folders.SUFFIXES:
        raise ValueError(f"{path}: the file is a single image, expected a folder of images")
    with path.open("rb") as file:
        start = file.read(2)
    if suffix.endswith(".gz") or "idx" in path.name or start == b"\0\0":
        return load_idx(path)
    raise ValueError(
        f"{path}: unknown type of file, expected {', '.join(_BY_SUFFIX)}, IDX (gzipped or not), "
        "or a folder of images"
    )


def _checked_size(image_size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the size as two positive ints, or None if none was given."""
    if image_size is None:
        return None
    try:
        height, width = (int(side) for side in image_size)
        valid = (height, width) == tuple(image_size) and min(height, width) > 0
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"image_size: expected two whole numbers above 0, (height, width), got {image_size!r}"
        )
    return height, width
