"""Pictures of images and of what a model makes of them.

Contact sheets need only Pillow; curves and scatter plots need matplotlib, the extra `plot`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaefast import VAE

GUTTER = 2  # pixels between two images
BACKGROUND = (52, 52, 56)
TEXT = (225, 225, 230)
BLUE, ORANGE = "#2a6fbb", "#d1662b"
LARGEST_TILE = 96  # pixels: small images are enlarged up to this side...
LARGEST_SHEET = 1200  # ... as long as the sheet is no wider than this


class MissingExtraError(ImportError):
    """A package that only some pictures need is not installed."""


def is_image_shape(shape: Sequence[int]) -> bool:
    """Whether rows of this shape can be shown: (h, w), or (h, w, c) with 1, 3 or 4 channels."""
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))


def value_range(images: npt.ArrayLike) -> tuple[float, float]:
    """The values to show as black and as white: (0, 1), or where it is wider the data's range."""
    images = np.asarray(images)
    if images.dtype == np.uint8 or not images.size:
        return 0.0, 1.0
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


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
    pixels = _pixels(images, black_white)
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
    above, below = _pixels(originals, black_white), _pixels(results, black_white)
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
    pixels = _pixels(vae.inverse_transform(grid), black_white)
    factor = _enlargement(pixels.shape[1], pixels.shape[2], n)
    return _grid(pixels, n, factor, gutter=0)


def loss_curve(history: Mapping[str, Sequence[float | None]]) -> Figure:
    """Plot a training history, `VAE.history_`: ELBO, reconstruction and KL in nats per row.

    Each has its own panel and scale, for they differ by an order of magnitude.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    columns = {key: np.array(values, dtype=float) for key, values in history.items()}
    epochs, validation = columns["epoch"], columns["validation"]  # None became NaN
    if not len(epochs):
        raise ValueError("there is nothing to plot: the history has no full epoch.")
    figure = _figure(11, 3.6)
    panels = {
        "elbo": "ELBO (higher is better)",
        "reconstruction": "Reconstruction (lower is better)",
        "kl": "KL from the prior",
    }
    for number, (key, title) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        marker = "." if len(epochs) <= 30 else None
        axes.plot(epochs, columns[key], marker=marker, color=BLUE, label="training")
        if key == "elbo" and not np.isnan(validation).all():
            axes.plot(epochs, validation, marker=marker, color=ORANGE, label="validation")
            axes.legend(frameon=False, loc="lower right")
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        if number == 1:
            axes.set_ylabel("nats per row")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def latent_map(mu: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> Figure:
    """Plot where rows lie in a latent space of two dimensions.

    Parameters
    ----------
    mu : (n, 2) array of float
        The rows' means, the first that `VAE.encode` returns.
    labels : (n,) array, optional
        Colours the points: up to 20 different labels as classes with a legend, more of them as a
        scale of numbers.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    mu = np.asarray(mu)
    if mu.ndim != 2 or mu.shape[1] != 2:
        raise ValueError(f"mu must have the shape (n, 2), got {mu.shape}.")
    figure = _figure(7.2, 6)
    axes = figure.add_subplot()
    # Points of one class often come in a row: in random order none of them covers the others.
    order = np.random.default_rng(0).permutation(len(mu))
    x, y = mu[order].T
    style: dict[str, Any] = {"s": float(np.clip(30_000 / max(len(mu), 1), 4, 25)), "linewidths": 0}
    if labels is None:
        axes.scatter(x, y, color=BLUE, alpha=0.6, **style)
    else:
        _scatter_labelled(axes, x, y, np.asarray(labels), order, style)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("first latent dimension")
    axes.set_ylabel("second latent dimension")
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _scatter_labelled(
    axes: Any, x: np.ndarray, y: np.ndarray, labels: np.ndarray, order: np.ndarray, style: Any
) -> None:
    if labels.shape != x.shape:
        raise ValueError(
            f"labels must have the shape {x.shape}, one for each row of mu, got {labels.shape}."
        )
    from matplotlib import colormaps

    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) > 20:
        scale, name = (labels, "label") if labels.dtype.kind in "iuf" else (codes, "class")
        points = axes.scatter(x, y, c=scale[order], cmap="viridis", alpha=0.8, **style)
        axes.figure.colorbar(points, label=name)
        return
    palette = colormaps["tab10" if len(classes) <= 10 else "tab20"]
    axes.scatter(x, y, color=palette(codes[order]), alpha=0.8, **style)
    for code, label in enumerate(classes):
        axes.scatter([], [], color=palette(code), s=40, label=str(label))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _figure(width: float, height: float) -> Figure:
    """A figure of this size in inches, apart from pyplot and its state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "this picture needs matplotlib: pip install 'vaefast[plot]'"
        ) from error
    return Figure(figsize=(width, height), dpi=130, layout="constrained")


def _pixels(images: npt.ArrayLike, black_white: tuple[float, float]) -> npt.NDArray[np.uint8]:
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
        if np.isnan(unit).any():
            raise ValueError("images must not hold NaN.")
        images = np.rint(unit * 255).astype(np.uint8)
    return images[..., np.newaxis] if images.ndim == 3 else images


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
        tile = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert("RGB")
        tile = tile.resize((width * factor, height * factor), Image.Resampling.BICUBIC)
        row, column = divmod(index, columns)
        picture.paste(tile, (gutter + column * step_x, gutter + row * step_y))
    return picture


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
