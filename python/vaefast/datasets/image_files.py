"""Reading of image files of any kind as pixels of one size: grey or RGB, a byte per channel."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .dataset import Array

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # EXIF tag; values from 5 on mean that width and height are swapped


class UnreadableImageError(ValueError):
    """The file is not an image, is broken or too large, or its values are not pixels."""


def size_of(path: Path) -> tuple[int, int]:
    """Return (height, width) with the EXIF orientation applied. Only the header is read.

    Raises
    ------
    UnreadableImageError
        The file does not start like an image, or announces more pixels than Pillow opens.
    """
    try:
        with _open(path) as image:
            swapped = image.getexif().get(_ORIENTATION, 1) >= 5
            width, height = image.size
    except Exception as error:
        raise _unreadable(path, error) from error
    return (width, height) if swapped else (height, width)


def read_image(path: Path, size: tuple[int, int]) -> Array:
    """Return the pixels of an image, uint8, (height, width) if all are grey, else with RGB.

    The image is cropped around the centre and resized. The EXIF orientation is applied, transparent
    pixels are blended with white, and only the first frame of an animation is read.

    Raises
    ------
    UnreadableImageError
        The file can't be read as an image, or announces more pixels than Pillow opens.
    """
    from PIL import Image, ImageOps

    try:
        with _open(path) as file:
            side = 2 * max(size)
            file.draft(None, (side, side))  # a large JPEG is decoded at a fraction of its size
            image = _opaque(ImageOps.exif_transpose(file))
            if (image.height, image.width) != size:
                image = ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS)
    except Exception as error:
        raise _unreadable(path, error) from error
    pixels = np.asarray(image)
    is_grey = pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all())
    return pixels[..., 0] if is_grey else pixels


def open_image(path: Path) -> Image.Image:
    """Return an image in its own size, in the mode L or RGB, otherwise read as by `read_image`."""
    from PIL import ImageOps

    try:
        with _open(path) as file:
            return _opaque(ImageOps.exif_transpose(file))
    except Exception as error:
        raise _unreadable(path, error) from error


def _open(path: Path) -> Image.Image:
    """Return an image of which only the header is read; raise an error for too many pixels.

    A small file can announce gigabytes. Pillow warns beyond `Image.MAX_IMAGE_PIXELS`, which is 89
    million pixels, and this function raises the warning as an error.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(path)


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image in the mode L or RGB, on white where it is transparent."""
    from PIL import Image

    if image.mode in ("1", "L") and not image.has_transparency_data:
        return image.convert("L")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("the values need more than 16 bits")
        return Image.fromarray(np.rint(values / np.float32(257)).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("the values are floating-point; save them in a .npy file instead")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _unreadable(path: Path, error: Exception) -> Exception:
    """Return the error for an image that Pillow cannot read, whatever error Pillow raised."""
    from PIL import Image

    if isinstance(error, FileNotFoundError | PermissionError):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        limit = round((Image.MAX_IMAGE_PIXELS or 0) / 1e6)
        return UnreadableImageError(
            f"{path}: the image has more than {limit} million pixels: make it smaller or remove it"
        )
    why = str(error).replace(f" '{path}'", "")
    return UnreadableImageError(
        f"{path}: not an image, or truncated or corrupt ({why}): repair or remove it"
    )
