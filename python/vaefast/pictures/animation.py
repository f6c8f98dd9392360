"""Animations: GIF and WebP files of images that follow each other."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from .._system.files import atomic_write
from .images import pixels_of

SUFFIXES = (".gif", ".webp")
LARGEST_FRAME = 224  # pixels: small images are enlarged up to this side


def save_animation(
    images: npt.ArrayLike,
    path: str | os.PathLike[str],
    *,
    seconds: float = 0.06,
    hold: Collection[int] = (),
    back: bool = True,
    black_white: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Write images as an animation that plays again and again.

    Parameters
    ----------
    images : (n, h, w) or (n, h, w, c) array of float or uint8
        The frames. Small ones are enlarged by a whole factor.
    path : path
        The file to write, .gif or .webp.
    seconds : float
        How long a frame is shown.
    hold : collection of int
        The frames that are shown ten times as long.
    back : bool
        Play the frames backwards after, so that the end joins the beginning.
    black_white : (float, float)
        As for `images.sheet`.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: an animation is a {' or '.join(SUFFIXES)} file.")
    if path.suffix.lower() == ".webp" and not features.check("webp"):
        raise ValueError(f"{path}: this Pillow cannot write WebP; write a .gif file.")
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
            loop=0,  # forever
            quality=90,  # of WebP
        )


def _frame(pixels: npt.NDArray[np.uint8], factor: int) -> Image.Image:
    """One image (h, w, c), larger by a whole factor; grey stays grey, which a GIF keeps exactly."""
    frame = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    size = frame.width * factor, frame.height * factor
    return frame.resize(size, Image.Resampling.BICUBIC)
