"""Sheets and strips of images, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .._input.pixels import pixels_of

if TYPE_CHECKING:
    from ..vae import VAE

GUTTER = 2  # pixels between two images
BREAK = 10  # extra pixels between columns that are set apart
EDGE = 8  # pixels around a picture with text, and between text and images
CAPTION = 18  # height of a line of text, pixels
BACKGROUND = (52, 52, 56)
TEXT = (225, 225, 230)
FRAME = (255, 176, 46)
LARGEST_TILE = 96  # pixels; longest side of an enlarged image
LARGEST_SHEET = 1200  # pixels; largest width of a sheet of enlarged images


def sheet(
    images: npt.ArrayLike,
    columns: int | None = None,
    *,
    scale: int | None = None,
    black_white: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Draw images side by side, row after row.

    Parameters
    ----------
    images : array-like of shape (n, h, w) or (n, h, w, c), float or uint8
        Images with c = 1 (grey), 3 (RGB) or 4 (RGBA) channels.
    columns : int or None, default=None
        Number of images in a row. None makes the sheet about square.
    scale : int or None, default=None
        Whole factor that each image is enlarged by, with smooth edges (bicubic interpolation). By
        default, small images are enlarged.
    black_white : (float, float), default=(0.0, 1.0)
        Values of float images that become black and white. Values outside are clipped. uint8 is
        shown unchanged.

    Returns
    -------
    PIL.Image.Image
        The sheet, in mode RGB.

    Raises
    ------
    ValueError
        The images have a wrong shape or dtype, `columns` is negative, or `scale` is below 1.
    """
    pixels = pixels_of(images, black_white)
    count, height, width = pixels.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if scale is not None and scale < 1:
        raise ValueError(f"scale must be at least 1, got {scale}")
    columns = min(columns, count)
    return _grid(pixels, columns, scale or _enlargement(height, width, columns), GUTTER)


def comparison(
    originals: npt.ArrayLike,
    results: npt.ArrayLike,
    *,
    black_white: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Draw originals in rows of up to ten, and the results of a model below each row.

    Parameters
    ----------
    originals : array-like of shape (n, h, w) or (n, h, w, c), float or uint8
        Images with c = 1 (grey), 3 (RGB) or 4 (RGBA) channels. Small images are enlarged by a
        whole factor.
    results : array-like of the shape of `originals`, float or uint8
        Images that belong to the originals, such as reconstructions.
    black_white : (float, float), default=(0.0, 1.0)
        Values of float images that become black and white. Values outside are clipped. uint8 is
        shown unchanged.

    Returns
    -------
    PIL.Image.Image
        The picture, in mode RGB.

    Raises
    ------
    ValueError
        The images have a wrong or different shape, or a wrong dtype.
    """
    above, below = pixels_of(originals, black_white), pixels_of(results, black_white)
    if above.shape != below.shape:
        raise ValueError(
            "originals and results must have the same shape, "
            f"got {np.shape(originals)} and {np.shape(results)}"
        )
    count, height, width = above.shape[:3]
    columns = max(1, min(count, 10, LARGEST_SHEET // width))
    factor = _enlargement(height, width, columns)
    parts = [slice(start, start + columns) for start in range(0, count, columns)]
    return _labelled(
        [
            _grid(np.concatenate([above[part], below[part]]), len(above[part]), factor, GUTTER)
            for part in parts
        ]
    )


def strips(
    rows: Iterable[Iterable[npt.ArrayLike]],
    *,
    names: Sequence[str] = (),
    heads: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    breaks: Sequence[int] = (),
    framed: Collection[tuple[int, int]] = (),
    black_white: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Draw rows of images below each other, with text.

    Parameters
    ----------
    rows : iterable of iterables of arrays of shape (h, w) or (h, w, c), float or uint8
        Images of each row, all of the same height and width. A row may be an array of shape
        (n, h, w) or (n, h, w, c), and may be shorter than others. Small images are enlarged by a
        whole factor.
    names : sequence of str, default=()
        Text at the left of each row. It may have several lines.
    heads : sequence of str, default=()
        Text above each column.
    captions : sequence of sequences of str, default=()
        Text below each image, row by row.
    breaks : sequence of int, default=()
        Indices of columns that a wider gap separates from the column before.
    framed : collection of (int, int), default=()
        Row and column of each image that gets a frame.
    black_white : (float, float), default=(0.0, 1.0)
        Values of float images that become black and white. Values outside are clipped. uint8 is
        shown unchanged.

    Returns
    -------
    PIL.Image.Image
        The picture, in mode RGB.

    Raises
    ------
    ValueError
        The images have a wrong shape or dtype, or differ in size.
    """
    tiles = [[pixels_of(np.asarray(image)[None], black_white)[0] for image in row] for row in rows]
    shapes = {tile.shape[:2] for row in tiles for tile in row}
    if len(shapes) != 1:
        raise ValueError(f"the images of all rows must have one size, got {sorted(shapes)}")
    ((height, width),) = shapes
    columns = max(len(row) for row in tiles)
    factor = _enlargement(height, width, columns)
    height, width = height * factor, width * factor

    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    margin = max((pen.textbbox((0, 0), name, font=font)[2] for name in names), default=-2 * EDGE)
    left = [
        EDGE + margin + 2 * EDGE + i * (width + GUTTER) + BREAK * sum(b <= i for b in breaks)
        for i in range(columns)
    ]
    step = height + (CAPTION + GUTTER if captions else GUTTER)
    top = [EDGE + (CAPTION + EDGE if any(heads) else 0) + i * step for i in range(len(tiles))]

    ends = [left[i] + pen.textlength(head, font=font) for i, head in enumerate(heads)]
    size = max([left[-1] + width, *map(math.ceil, ends)]) + EDGE, top[-1] + step + EDGE - GUTTER
    picture = Image.new("RGB", size, BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for head, x in zip(heads, left, strict=False):
        wide = pen.textlength(head, font=font) > width
        place = (x, EDGE) if wide else (x + width / 2, EDGE)
        pen.text(place, head, fill=TEXT, font=font, anchor="la" if wide else "ma")
    for name, y in zip(names, top, strict=False):
        place = (EDGE + margin, y + height / 2)
        pen.text(place, name, fill=TEXT, font=font, anchor="rm", align="right")
    for row, (images, y) in enumerate(zip(tiles, top, strict=True)):
        for column, (image, x) in enumerate(zip(images, left, strict=False)):
            picture.paste(_tile(image, factor), (x, y))
            if (row, column) in framed:
                pen.rectangle((x - 2, y - 2, x + width + 1, y + height + 1), outline=FRAME, width=3)
            if captions:
                place = (x + width / 2, y + height + 3)
                pen.text(place, captions[row][column], fill=TEXT, font=small, anchor="ma")
    return picture


def manifold(
    vae: VAE, n: int = 20, *, black_white: tuple[float, float] = (0.0, 1.0)
) -> Image.Image:
    """Draw the images that a model decodes from a grid of codes, without gaps between them.

    The coordinates of the grid are quantiles of the standard normal, at (i + 1/2) / n. Each image
    therefore stands for the same share of the prior (Kingma & Welling 2014, figure 4). The first
    coordinate increases to the right, and the second to the top.

    Parameters
    ----------
    vae : VAE
        A fitted model of images with two latent dimensions.
    n : int, default=20
        Number of images in each row and in each column.
    black_white : (float, float), default=(0.0, 1.0)
        Values of the images that become black and white. Values outside are clipped.

    Returns
    -------
    PIL.Image.Image
        The picture, in mode RGB.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError
        The model does not have two latent dimensions or is not a model of images, or n is below 1.
    """
    if vae.model_.latent_dim != 2:
        raise ValueError(
            f"a manifold needs 2 latent dimensions, but this model has {vae.model_.latent_dim}"
        )
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    z = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)], dtype=np.float32)
    grid = np.stack(np.meshgrid(z, z[::-1]), axis=-1).reshape(n * n, 2)
    pixels = pixels_of(vae.inverse_transform(grid), black_white)
    factor = _enlargement(pixels.shape[1], pixels.shape[2], n)
    return _grid(pixels, n, factor, gutter=0)


def _enlargement(height: int, width: int, columns: int) -> int:
    """Return the whole factor that enlarges small images on a sheet with this many columns."""
    return max(1, min(LARGEST_TILE // max(height, width), LARGEST_SHEET // (columns * width)))


def _grid(pixels: npt.NDArray[np.uint8], columns: int, factor: int, gutter: int) -> Image.Image:
    """Return a picture of images, (n, h, w, c), side by side, each enlarged by a whole factor."""
    count, height, width = pixels.shape[:3]
    step_x, step_y = width * factor + gutter, height * factor + gutter
    rows = math.ceil(count / columns)
    picture = Image.new("RGB", (columns * step_x + gutter, rows * step_y + gutter), BACKGROUND)
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        place = gutter + column * step_x, gutter + row * step_y
        picture.paste(_tile(image, factor), place)
    return picture


def _tile(pixels: npt.NDArray[np.uint8], factor: int) -> Image.Image:
    """Return an image, (h, w, c), enlarged by a whole factor."""
    tile = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.BICUBIC)


def _labelled(strips: list[Image.Image]) -> Image.Image:
    """Return a picture of strips below each other, with the two rows of each named at the left."""
    names = "original", "model"
    font = ImageFont.load_default(13)
    margin = math.ceil(max(font.getlength(name) for name in names)) + 16
    gap = 10
    width = margin + max(strip.width for strip in strips) + gap
    height = sum(strip.height + gap for strip in strips) + gap
    picture = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    top = gap
    for strip in strips:
        picture.paste(strip, (margin, top))
        for name, share in zip(names, (0.25, 0.75), strict=True):
            place = (margin - 6, top + strip.height * share)
            pen.text(place, name, fill=TEXT, font=font, anchor="rm")
        top += strip.height + gap
    return picture
