"""Animations: GIF and WebP files of a sequence of images."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from .._input.pixels import pixels_of
from .._system.files import atomic_write

SUFFIXES = (".gif", ".webp")
LARGEST_FRAME = 224  # pixels; longest side of an enlarged image


def save_animation(
    images: npt.ArrayLike,
    path: str | os.PathLike[str],
    *,
    seconds: float = 0.06,
    hold: Collection[int] = (),
    back: bool = True,
    black_white: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Write images as an animation that repeats forever.

    Parameters
    ----------
    images : array-like of shape (n, h, w) or (n, h, w, c), float or uint8
        Frames, with c = 1 (grey), 3 (RGB) or 4 (RGBA) channels. Small images are enlarged by a
        whole factor.
    path : path
        The file, with the suffix .gif or .webp. It is replaced as a whole or not at all.
    seconds : float, default=0.06
        Duration of a frame in seconds.
    hold : collection of int, default=()
        Indices of frames that are shown ten times as long.
    back : bool, default=True
        Whether to play the frames backwards after the last one, so that the end joins the start.
    black_white : (float, float), default=(0.0, 1.0)
        Values of float images that become black and white. Values outside are clipped. uint8 is
        shown unchanged.

    Raises
    ------
    ValueError
        The images have a wrong shape or dtype, or the suffix cannot be written.
    OSError
        The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: an animation must be a {' or '.join(SUFFIXES)} file")
    if path.suffix.lower() == ".webp" and not features.check("webp"):
        raise ValueError(f"{path}: the installed Pillow cannot write WebP; write a .gif file")
    pixels = pixels_of(images, black_white)
    order = list(range(len(pixels)))
    if back:
        order += order[-2:0:-1]
    factor = max(1, LARGEST_FRAME // max(pixels.shape[1:3]))
    frames = [_frame(image, factor) for image in pixels]
    first, *rest = (frames[i] for i in order)
    milliseconds = [round(1000 * seconds) * (10 if i in hold else 1) for i in order]
    with atomic_write(path) as temporary:
        first.save(
            temporary,
            save_all=True,
            append_images=rest,
            duration=milliseconds,
            loop=0,  # repeats forever
            quality=90,  # for WebP
        )


def _frame(pixels: npt.NDArray[np.uint8], factor: int) -> Image.Image:
    """Return an image (h, w, c), enlarged. Grey stays grey, because a GIF stores grey exactly."""
    frame = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    size = frame.width * factor, frame.height * factor
    return frame.resize(size, Image.Resampling.BICUBIC)
