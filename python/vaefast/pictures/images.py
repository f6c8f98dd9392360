"""Pictures of images and of what a model makes of them, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from ..vae import VAE

GUTTER = 2  # pixels between two images
BREAK = 10  # pixels more between columns set apart
EDGE = 8  # pixels around a picture with words, and between its words and images
CAPTION = 18  # pixels that a line of words needs
BACKGROUND = (52, 52, 56)
TEXT = (225, 225, 230)
FRAME = (255, 176, 46)
LARGEST_TILE = 96  # pixels: small images are enlarged up to this side...
LARGEST_SHEET = 1200  # ... as long as the sheet is no wider than this


def is_image_shape(shape: Sequence[int]) -> bool:
    """Whether rows of this shape can be shown: (h, w), or (h, w, c) with 1, 3 or 4 channels."""
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))


def value_range(images: npt.ArrayLike) -> tuple[float, float]:
    """The values to show as black and as white: (0, 1), or where it is wider the data's range.

    Missing values, NaN, are passed over.
    """
    images = np.asarray(images)
    known = images if images.dtype == np.uint8 else images[~np.isnan(images)]
    if images.dtype == np.uint8 or not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def pixels_of(images: npt.ArrayLike, black_white: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """(n, h, w[, c]) of float or uint8 as (n, h, w, c) of uint8."""
    images = np.asarray(images)
    if images.ndim not in (3, 4) or not is_image_shape(images.shape[1:]) or not images.size:
        raise ValueError(
            "images must have the shape (n, h, w) or (n, h, w, c) with c = 1, 3 or 4 "
            f"and none of them 0, got {images.shape}."
        )
    if images.dtype != np.uint8:
        if images.dtype.kind != "f":
            raise ValueError(f"images must be float or uint8, got {images.dtype}.")
        low, high = black_white
        unit = np.clip((images - low) / (high - low), 0, 1)
        images = np.rint(np.nan_to_num(unit, nan=0.5) * 255).astype(np.uint8)  # a gap: mid-grey
    return images[..., np.newaxis] if images.ndim == 3 else images


def sheet(
    images: npt.ArrayLike,
    columns: int | None = None,
    *,
    black_white: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Draw images side by side, row after row.

    Parameters
    ----------
    images : (n, h, w) or (n, h, w, c) array of float or uint8
        c is 1 (grey), 3 (RGB) or 4 (RGBA). Small images are enlarged by a whole factor.
    columns : int, optional
        Images in a row; by default the sheet is about square.
    black_white : (float, float)
        The float values that become black and white. Values beyond them are clipped;
        uint8 is shown as it is.

    Returns
    -------
    PIL.Image.Image
        In mode RGB.
    """
    pixels = pixels_of(images, black_white)
    count, height, width = pixels.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    columns = min(columns, count)
    return _grid(pixels, columns, _enlargement(height, width, columns), GUTTER)


def comparison(
    originals: npt.ArrayLike,
    results: npt.ArrayLike,
    *,
    black_white: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Draw originals in rows of up to ten, and below each row what the model made of them.

    Parameters
    ----------
    originals, results : (n, h, w) or (n, h, w, c) array of float or uint8
        As for `sheet`, of one shape.
    black_white : (float, float)
        As for `sheet`.

    Returns
    -------
    PIL.Image.Image
        In mode RGB.
    """
    above, below = pixels_of(originals, black_white), pixels_of(results, black_white)
    if above.shape != below.shape:
        raise ValueError(
            "originals and results must have one shape, "
            f"got {np.shape(originals)} and {np.shape(results)}."
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
    """Draw rows of images below each other, with words.

    Parameters
    ----------
    rows : sequence of sequences of (h, w) or (h, w, c) arrays of float or uint8
        The images of each row, all of one shape; a row can be an array (n, h, w[, c]) and can be
        shorter than others.
    names : sequence of str, optional
        What to write at the left of each row; may have several lines.
    heads : sequence of str, optional
        What to write above each column.
    captions : sequence of sequences of str, optional
        What to write below each image.
    breaks : sequence of int
        The columns that a wider gap sets apart from the column before.
    framed : collection of (row, column)
        The images to draw a frame around.
    black_white : (float, float)
        As for `sheet`.

    Returns
    -------
    PIL.Image.Image
        In mode RGB.
    """
    tiles = [[pixels_of(np.asarray(image)[None], black_white)[0] for image in row] for row in rows]
    shapes = {tile.shape[:2] for row in tiles for tile in row}
    if len(shapes) != 1:
        raise ValueError(f"the images of all rows must have one size, got {sorted(shapes)}.")
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
    """Decode an n by n grid of a latent space of two dimensions into one seamless sheet.

    The grid lies at the quantiles (i + 1/2) / n of the standard normal, so every image stands for
    the same share of the prior. The first coordinate grows to the right, the second to the top.
    """
    if vae.latent_dim != 2:
        raise ValueError(f"a manifold needs 2 latent dimensions, this model has {vae.latent_dim}.")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    z = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)], dtype=np.float32)
    grid = np.stack(np.meshgrid(z, z[::-1]), axis=-1).reshape(n * n, 2)
    pixels = pixels_of(vae.inverse_transform(grid), black_white)
    factor = _enlargement(pixels.shape[1], pixels.shape[2], n)
    return _grid(pixels, n, factor, gutter=0)


def _enlargement(height: int, width: int, columns: int) -> int:
    """The whole factor that makes small images comfortable to look at on a sheet of columns."""
    return max(1, min(LARGEST_TILE // max(height, width), LARGEST_SHEET // (columns * width)))


def _grid(pixels: npt.NDArray[np.uint8], columns: int, factor: int, gutter: int) -> Image.Image:
    """(n, h, w, c) images side by side, each larger by a whole factor."""
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
    """One image (h, w, c), larger by a whole factor."""
    tile = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.BICUBIC)


def _labelled(strips: list[Image.Image]) -> Image.Image:
    """Set strips of two rows below each other, their rows named at the left."""
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
