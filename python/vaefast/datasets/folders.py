"""Folders of images: each file is a row, and each sub-folder is a class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .dataset import Array, Dataset

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset(  # files with another suffix are skipped
    [".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)
_ORIENTATION = 0x0112  # EXIF tag; values from 5 on mean that width and height are swapped


def load_folder(folder: Path, image_size: tuple[int, int] | None) -> Dataset:
    """Return the images of a folder, in the order of their names.

    `X` is uint8 (n, h, w) if every pixel of every image is grey. A single image with colour makes
    it (n, h, w, 3), RGB. Transparent pixels are blended with white, the EXIF orientation is
    applied, 16 bits per channel become 8, and only the first frame of an animation is read.

    Images may also lie in sub-folders, one level deep, whose names become the labels. Two
    sub-folders train and test are the training rows and the test rows instead; each may have
    sub-folders of classes.

    Parameters
    ----------
    folder : Path
        Folder to read.
    image_size : (int, int) or None
        Height and width in pixels. Each image is cropped around the centre to these proportions and
        resized. None requires all images to have the same size, so that no image is cropped or
        scaled without being asked for.

    Raises
    ------
    ValueError
        There are no images, they differ in size, or a file cannot be read.
    """
    if (splits := _splits(folder)) is not None:
        return _load_splits(folder, *splits, image_size)
    files, y = _find(folder)
    X = _read(files, image_size or _common_size(folder, files))
    return Dataset(str(folder), X, y=y, files=_names(folder, files))


def _splits(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of training and test images, if these two are all that there is."""
    found = {path.name.lower(): path for path in folder.iterdir() if _is_class(path)}
    return (found["train"], found["test"]) if set(found) == {"train", "test"} else None


def _load_splits(
    folder: Path, train: Path, test: Path, image_size: tuple[int, int] | None
) -> Dataset:
    (files, y), (test_files, y_test) = _find(train), _find(test)
    size = image_size or _common_size(folder, [*files, *test_files])
    X = _read([*files, *test_files], size)  # at once: all are grey, or all have colour
    if (y is None) != (y_test is None):
        raise ValueError(f"{folder}: only one of {train.name} and {test.name} has classes")
    n = len(files)
    names = _names(folder, [*files, *test_files])
    return Dataset(
        str(folder),
        X[:n],
        y=y,
        X_test=X[n:],
        y_test=y_test,
        files=names[:n],
        files_test=names[n:],
    )


def _names(folder: Path, files: list[Path]) -> Array:
    """Return the paths of files within the folder."""
    return np.array([file.relative_to(folder).as_posix() for file in files])


def _find(folder: Path) -> tuple[list[Path], Array | None]:
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
        return files, None
    return [path for path, _ in labelled], np.array([name for _, name in labelled])


def _read(files: list[Path], size: tuple[int, int]) -> Array:
    """Return images of one size, uint8 (n, h, w), or (n, h, w, 3) if any of them has colour."""
    height, width = size
    X: Array = np.empty((len(files), height, width), np.uint8)
    for i, path in enumerate(files):
        pixels = read_image(path, (height, width))
        if pixels.ndim == 3 and X.ndim == 3:  # the first image with colour
            X = np.repeat(X[..., None], 3, axis=-1)
        X[i] = pixels if pixels.ndim == X.ndim - 1 else pixels[..., None]
    return X


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _common_size(folder: Path, files: list[Path]) -> tuple[int, int]:
    """Return the (height, width) that all files share; ValueError if they differ."""
    sizes = Counter(_size(path) for path in files)
    if len(sizes) > 1:
        most = [f"{h} x {w} ({count} of {len(files)})" for (h, w), count in sizes.most_common(3)]
        (height, width), _ = sizes.most_common(1)[0]
        raise ValueError(
            f"{folder}: the images have {len(sizes)} sizes, height x width: {', '.join(most)}"
            f"{', ...' if len(sizes) > 3 else ''}. Choose one size for all images, such as "
            f"image_size=({height}, {width})"
        )
    return next(iter(sizes))


def _size(path: Path) -> tuple[int, int]:
    """Return (height, width) with the EXIF orientation applied. Only the header is read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            swapped = image.getexif().get(_ORIENTATION, 1) >= 5
            width, height = image.size
    except Exception as error:
        raise _unreadable(path, error) from error
    return (width, height) if swapped else (height, width)


def read_image(path: Path, size: tuple[int, int]) -> Array:
    """Return the pixels of an image file, uint8, (height, width) or (height, width, 3)."""
    from PIL import Image, ImageOps

    image = open_image(path)
    if (image.height, image.width) != size:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(image)


def open_image(path: Path) -> Image.Image:
    """Return an image file in the mode L if every pixel is grey, else in the mode RGB."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            return _grey_or_rgb(ImageOps.exif_transpose(file))
    except Exception as error:
        raise _unreadable(path, error) from error


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    """Return an image in the mode L if every pixel is grey, else in the mode RGB."""
    from PIL import Image

    if image.mode in ("1", "L") and not image.has_transparency_data:
        return image.convert("L")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("the values need more than 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("the values are floating-point; save them in a .npy file instead")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    pixels = np.asarray(image)
    return image.getchannel(0) if (pixels == pixels[..., :1]).all() else image


def _unreadable(path: Path, error: Exception) -> Exception:
    """Return the error for an image that Pillow cannot read, whatever error Pillow raised."""
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return error
    why = str(error).replace(f" '{path}'", "")
    return ValueError(f"{path}: not an image, or truncated or corrupt ({why}): repair or remove it")
