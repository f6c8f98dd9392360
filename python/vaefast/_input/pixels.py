"""Rows of numbers as pixels of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def is_image_shape(shape: Sequence[int]) -> bool:
    """Return whether rows of a shape can be drawn as images.

    Parameters
    ----------
    shape : sequence of int
        Shape of one row. An image is (h, w), or (h, w, c) with 1, 3 or 4 channels.
    """
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))


def value_range(images: npt.ArrayLike) -> tuple[float, float]:
    """Return the values to draw as black and as white.

    Parameters
    ----------
    images : array-like, float or uint8
        Images of any shape. NaN stands for a missing value and is ignored.

    Returns
    -------
    (float, float)
        (0.0, 1.0) for uint8 and for values within [0, 1], else the smallest and the largest value.
    """
    images = np.asarray(images)
    known = images if images.dtype == np.uint8 else images[~np.isnan(images)]
    if images.dtype == np.uint8 or not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def decoded_range(images: npt.ArrayLike, divisor: float) -> tuple[float, float]:
    """Return the values of decoded images to draw as black and as white.

    Parameters
    ----------
    images : array-like, float
        Images that a model decoded. With a gaussian likelihood, values may lie beyond those of the
        data.
    divisor : float
        Divisor of the bytes that the model was fitted on, or 1.

    Returns
    -------
    (float, float)
        (0.0, 1.0) if the model was fitted on bytes scaled to [0, 1], else the result of
        `value_range`.
    """
    return (0.0, 1.0) if divisor == 255 else value_range(images)


def pixels_of(images: npt.ArrayLike, black_white: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Return images, (n, h, w[, c]) of float or uint8, as uint8 pixels, (n, h, w, c).

    Raises
    ------
    ValueError
        The images have another shape or dtype, or there are no images.
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4) or not is_image_shape(images.shape[1:]) or not images.size:
        raise ValueError(
            "images must have shape (n, h, w), or (n, h, w, c) with c = 1, 3 or 4, and must not be "
            f"empty, got {images.shape}"
        )
    if images.dtype != np.uint8:
        if images.dtype.kind != "f":
            raise ValueError(f"images must be float or uint8, got {images.dtype}")
        low, high = black_white
        unit = np.clip((images - low) / (high - low), 0, 1)
        images = np.rint(np.nan_to_num(unit, nan=0.5) * 255).astype(np.uint8)  # NaN is mid-grey
    return images[..., np.newaxis] if images.ndim == 3 else images
