"""Reading of photographs of any size and mode as arrays of colours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..datasets.image_files import open_image

LARGEST = 12_000_000  # pixels

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

# The rows give the luminance, and the differences of blue and red from it (ITU-R BT.601).
LUMINANCE = np.array(
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32
)
_COLOURS = np.linalg.inv(LUMINANCE).astype(np.float32)


def read(path: str | os.PathLike[str]) -> Pixels:
    """Return an image file as uint8 of shape (h, w, 3).

    Any mode that Pillow reads is converted to RGB. Transparent pixels are blended with white, and
    the EXIF orientation is applied. An image of more than 12 megapixels is made smaller.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is not an image, is truncated or corrupt, or has more pixels than Pillow opens.
    """
    image = open_image(Path(path)).convert("RGB")
    share = (LARGEST / (image.width * image.height)) ** 0.5
    if share < 1:
        size = max(1, int(image.width * share)), max(1, int(image.height * share))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return np.asarray(image)


def check(photo: ArrayLike, name: str) -> Pixels:
    """Return an image as uint8 of shape (h, w, 3); raise ValueError if it is not an image."""
    image: NDArray[Any] = np.asarray(photo)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"{name} must have shape (h, w) or (h, w, 3), got {np.shape(photo)}")
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind != "f" or not (image.min() >= 0 and image.max() <= 1):
        found = f" from {image.min():g} to {image.max():g}" if image.dtype.kind == "f" else ""
        raise ValueError(f"{name} must be uint8, or floats from 0 to 1, got {image.dtype}{found}")
    return to_pixels(image)


def to_pixels(image: NDArray[Any]) -> Pixels:
    """Return floats from 0 to 1, clipped, as uint8."""
    pixels: Pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return pixels


def to_luminance(pixels: Pixels) -> Floats:
    """Return uint8 RGB (..., 3) as luminance in [0, 1] and two colour differences."""
    image: Floats = np.divide(pixels, 255, dtype=np.float32).dot(LUMINANCE.T)
    return image


def to_colours(image: Floats) -> Pixels:
    """Return luminance and two colour differences (..., 3) as uint8 RGB."""
    return to_pixels(image @ _COLOURS.T)


def resize(image: Floats, shape: tuple[int, ...]) -> Floats:
    """Return an image of shape (h, w, c) at another height and width."""
    way = Image.Resampling.LANCZOS if shape[0] < image.shape[0] else Image.Resampling.BICUBIC
    channels = [
        np.asarray(Image.fromarray(channel).resize((shape[1], shape[0]), way))
        for channel in np.ascontiguousarray(np.moveaxis(image, 2, 0))
    ]
    return np.stack(channels, axis=-1, dtype=np.float32)


def blur(image: Floats, radius: int) -> Floats:
    """Return an image of shape (h, w, c), averaged twice over squares of 2 radius + 1 pixels."""
    for axis in (0, 1, 0, 1):
        n, width = image.shape[axis], 2 * radius + 1
        pad = [(0, 0)] * 3
        pad[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(image, pad, "edge"), axis=axis, dtype=np.float64)
        first = np.take(sums, range(n), axis=axis)
        image = ((np.take(sums, range(width, width + n), axis=axis) - first) / width).astype(
            np.float32
        )
    return image
