"""Folders of images: each file is a row, and each sub-folder is a class."""

from __future__ import annotations

import statistics
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from .dataset import Array, Dataset
from .image_files import UnreadableImageError, read_image, size_of

T = TypeVar("T")

SUFFIXES = frozenset(  # files with other suffixes are skipped
    [".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)
KEPT_SIDE = 96  # pixels; images of one size up to this one stay as they are
CHOSEN_SIDE = 64  # pixels; longest side to which other images are resized
NAMED = 10  # most broken files that a warning names


def load_folder(
    folder: Path, image_size: tuple[int, int] | None, skip_broken: bool = False
) -> Dataset:
    """Return the images of a folder, in the order of their names.

    `X` is uint8 (n, h, w) if every pixel of every image is grey. If any image has colour, `X` is
    (n, h, w, 3), RGB. Transparent pixels are blended with white, the EXIF orientation is applied,
    16 bits per channel become 8, and only the first frame of an animation is read.

    Images may also lie in sub-folders, one level deep, whose names become the labels. Two
    sub-folders named train and test hold the training rows and the test rows instead, and may have
    sub-folders of classes.

    Parameters
    ----------
    folder : Path
        Folder to read.
    image_size : (int, int) or None
        Height and width in pixels. Each image is cropped around the centre to these proportions and
        resized. None requires all images to have the same size, so that no image is cropped or
        scaled unasked.
    skip_broken : bool, default=False
        Whether files that can't be read are left out, with a warning that names them.

    Raises
    ------
    ValueError
        There are no images, they differ in size, or a file cannot be read.
    """
    training, test = _parts(folder)
    broken = _Broken(folder, skip_broken)
    files = training.files + (test.files if test is not None else [])
    size = image_size or _common_size(folder, broken.sizes_of(files))
    X, kept = _read(files, size, broken)  # together: all are grey, or all have colour
    broken.warn(len(files))
    n = len(training.files)
    count = int(kept[:n].sum())
    if not count or (test is not None and count == len(X)):
        raise ValueError(f"{folder}: none of the files can be read as an image")
    y = None if training.y is None else training.y[kept[:n]]
    names = np.array([file.relative_to(folder).as_posix() for file in files])[kept]
    if test is None:
        return Dataset(str(folder), X, y=y, files=names)
    y_test = None if test.y is None else test.y[kept[n:]]
    return Dataset(
        str(folder),
        X[:count],
        y=y,
        X_test=X[count:],
        y_test=y_test,
        files=names[:count],
        files_test=names[count:],
    )


def suggested_size(folder: Path, skip_broken: bool = False) -> tuple[tuple[int, int], str]:
    """Return a (height, width) to train on, and a text on how the images are changed.

    Images of one size of at most 96 pixels a side stay as they are, and the text is empty. Other
    images get the median proportions and at most 64 pixels on the longest side.

    Parameters
    ----------
    folder : Path
        Folder of images, as `load_folder` reads it. Only the headers of the files are read.
    skip_broken : bool, default=False
        Whether files that can't be read are ignored.

    Raises
    ------
    ValueError
        There are no images, or one of them can't be read.
    """
    training, test = _parts(folder)
    files = training.files + (test.files if test is not None else [])
    sizes = _Broken(folder, skip_broken).sizes_of(files)
    differing = len(set(sizes))
    if differing == 1 and max(sizes[0]) <= KEPT_SIDE:
        return sizes[0], ""
    longest = min(CHOSEN_SIDE, round(statistics.median(max(size) for size in sizes)))
    proportion = statistics.median(height / width for height, width in sizes)
    height = round(longest * min(1, proportion))
    width = round(longest / max(1, proportion))
    height, width = max(1, height), max(1, width)
    if differing == 1:
        return (height, width), f"resized from {sizes[0][0]}x{sizes[0][1]} to {height}x{width}"
    return (height, width), (
        f"cropped around the centre and resized to {height}x{width}, from {differing:,} sizes"
    )


@dataclass(frozen=True)
class _Part:
    """The files of a folder and their labels."""

    files: list[Path]
    y: Array | None


def _parts(folder: Path) -> tuple[_Part, _Part | None]:
    """Return the training images, and the test images if the folder holds only train and test."""
    found = {path.name.lower(): path for path in folder.iterdir() if _is_class(path)}
    if set(found) != {"train", "test"}:
        return _find(folder), None
    training, test = _find(found["train"]), _find(found["test"])
    if (training.y is None) != (test.y is None):
        train_name, test_name = found["train"].name, found["test"].name
        raise ValueError(f"{folder}: only one of {train_name} and {test_name} has classes")
    return training, test


def _find(folder: Path) -> _Part:
    """Return the images of a folder, and their labels if they lie in sub-folders."""
    files = _images_in(folder)
    by_class = {d.name: _images_in(d) for d in sorted(folder.iterdir()) if _is_class(d)}
    labelled = [(path, name) for name, paths in by_class.items() for path in paths]
    if files and labelled:
        raise ValueError(
            f"{folder}: the folder holds both images ({files[0].name}) and sub-folders of images "
            f"({labelled[0][1]}), expected only one of the two"
        )
    if not files and not labelled:
        raise ValueError(
            f"{folder}: the folder holds no images; expected files ending in "
            f"{', '.join(sorted(SUFFIXES))}, in this folder or one level below"
        )
    if files:
        return _Part(files, None)
    return _Part([path for path, _ in labelled], np.array([name for _, name in labelled]))


class _Broken:
    """Handling of unreadable files: the first raises an error, or all are left out and named."""

    def __init__(self, folder: Path, skip: bool) -> None:
        self.folder, self.skip = folder, skip
        self.reasons: dict[Path, str] = {}

    def attempt(self, function: Callable[[Path], T], path: Path) -> T | None:
        """Return the result of a function of a file, or None if the file is left out."""
        if path in self.reasons:
            return None
        try:
            return function(path)
        except (UnreadableImageError, OSError) as error:
            if not self.skip:
                raise
            self.reasons[path] = str(error)
            return None

    def sizes_of(self, files: Sequence[Path]) -> list[tuple[int, int]]:
        """Return the (height, width) of the files that can be read; ValueError if none can."""
        sizes = [self.attempt(size_of, path) for path in files]
        readable = [size for size in sizes if size is not None]
        if not readable:
            raise ValueError(f"{self.folder}: none of the files can be read as an image")
        return readable

    def warn(self, n: int) -> None:
        """Warn about the files that are left out, by name."""
        if self.reasons:
            names = [str(path.relative_to(self.folder)) for path in self.reasons]
            more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
            warnings.warn(
                f"{self.folder}: left out {len(names):,} of {n:,} files that can't be read: "
                f"{', '.join(names[:NAMED])}{more}",
                UserWarning,
                stacklevel=5,  # the caller of datasets.load
            )


def _read(files: Sequence[Path], size: tuple[int, int], broken: _Broken) -> tuple[Array, Array]:
    """Return images of one size, uint8 (n, h, w), or (n, h, w, 3) if any of them has colour.

    The second result tells whether each file could be read.
    """
    X: Array = np.empty((len(files), *size), np.uint8)
    kept = np.zeros(len(files), bool)
    for i, path in enumerate(files):
        pixels = broken.attempt(lambda file: read_image(file, size), path)
        if pixels is None:
            continue
        if pixels.ndim == 3 and X.ndim == 3:  # this is the first image with colour
            grey, X = X, np.empty((*X.shape, 3), np.uint8)
            X[:i] = grey[:i, ..., None]
        X[i] = pixels if pixels.ndim == X.ndim - 1 else pixels[..., None]
        kept[i] = True
    return (X if kept.all() else X[kept]), kept


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _common_size(folder: Path, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the (height, width) that all images share; ValueError if they differ."""
    counts = Counter(sizes)
    if len(counts) > 1:
        most = [f"{h} x {w} ({count} of {len(sizes)})" for (h, w), count in counts.most_common(3)]
        (height, width), _ = counts.most_common(1)[0]
        raise ValueError(
            f"{folder}: the images have {len(counts)} sizes, height x width: {', '.join(most)}"
            f"{', ...' if len(counts) > 3 else ''}. Choose one size for all images, such as "
            f"image_size=({height}, {width})"
        )
    return next(iter(counts))
