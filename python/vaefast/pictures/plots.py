"""Learning curves and maps, drawn with matplotlib: ``pip install 'vaefast[plot]'``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._input.pixels import pixels_of
from ..errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE = "#2a6fbb", "#d1662b"
GREY = (0.7, 0.7, 0.7, 1.0)
CLASSES = 20  # most classes in a legend
NAMED = 40  # most classes whose names fit on a map
LONGEST = 18  # most characters of a name
DECODED = 18  # number of images along the longer side of the decoded region of a map


def loss_curve(history: Mapping[str, Sequence[float | None]]) -> Figure:
    """Plot the ELBO, the reconstruction term and the KL during training, in nats per row.

    Each of the three has a panel with a separate scale, because they differ by orders of magnitude.

    Parameters
    ----------
    history : mapping of str to sequence of float
        History of the training, in the form of `VAE.history_`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, with three panels.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ValueError
        The history has no epochs.
    """
    columns = {key: np.array(values, dtype=float) for key, values in history.items()}
    epochs, validation = columns["epoch"], columns["validation"]  # dtype=float turns None into NaN
    if not len(epochs):
        raise ValueError("there is nothing to plot: the history has no full epoch")
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


def latent_map(
    mu: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
    *,
    decode: Callable[[npt.NDArray[np.float32]], npt.ArrayLike] | None = None,
    axis_names: tuple[str, str] = ("first latent dimension", "second latent dimension"),
    black_white: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Plot rows as points in a latent space of two dimensions, with decoded images beside them.

    Parameters
    ----------
    mu : array-like of shape (n, 2)
        Posterior means of the rows, the first array that `VAE.encode` returns. For more than two
        latent dimensions, pass coordinates in a plane: ``vaefast.latent.plane(mu).project(mu)``.
    labels : array-like of shape (n,) or None, default=None
        Labels that colour the points. Up to 20 different labels are classes with a legend. More
        numbers are drawn on a continuous scale. Up to 40 texts are written at the median of their
        points; with more, the 19 most frequent ones have a legend and the others are grey.
    decode : callable or None, default=None
        Function from points, (m, 2), to images, such as `VAE.inverse_transform`. The images are
        drawn beside the points, over the same region. None draws no images.
    axis_names : (str, str), default=("first latent dimension", "second latent dimension")
        Labels of the two axes.
    black_white : (float, float), default=(0.0, 1.0)
        Values of decoded images that become black and white. Values outside are clipped.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, with one panel, or two if `decode` is given.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ValueError
        `mu` or `labels` has a wrong shape, or `decode` does not return images.
    """
    mu = np.asarray(mu)
    if mu.ndim != 2 or mu.shape[1] != 2:
        raise ValueError(f"mu must have shape (n, 2), got {mu.shape}")
    figure = _figure(7.2 if decode is None else 13.5, 6)
    axes = figure.add_subplot(1, 1 if decode is None else 2, 1)
    panels = [axes]
    # The points are drawn in random order. Points of a class often follow each other, and the last
    # class would cover the others.
    order = np.random.default_rng(0).permutation(len(mu))
    x, y = mu[order].T
    style: dict[str, Any] = {"s": float(np.clip(30_000 / max(len(mu), 1), 4, 25)), "linewidths": 0}
    if labels is None:
        axes.scatter(x, y, color=BLUE, alpha=0.6, **style)
    else:
        _scatter_labelled(axes, x, y, np.asarray(labels), order, style)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if decode is not None:
        region = _square_around(mu)
        axes.set_aspect("equal", adjustable="box")
        axes.set(xlim=region[0], ylim=region[1])
        panels.append(figure.add_subplot(1, 2, 2))
        _draw_decoded(panels[1], decode, region, black_white)
    for panel in panels:
        panel.set(xlabel=axis_names[0], ylabel=axis_names[1])
    return figure


def _square_around(points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return (low, high) of both coordinates: a square around all points but outliers, (2, 2)."""
    low, high = np.quantile(points, [0.001, 0.999], axis=0)
    half = 1.05 * max((high - low).max() / 2, 1e-6)
    middle = (low + high) / 2
    return np.stack([middle - half, middle + half], axis=1)


def _draw_decoded(
    axes: Any,
    decode: Callable[[npt.NDArray[np.float32]], npt.ArrayLike],
    region: npt.NDArray[np.float64],
    black_white: tuple[float, float],
) -> None:
    """Fill a region with undistorted images, decoded at the centres of a grid of cells."""
    middle = region.mean(axis=1, dtype=np.float32)
    height, width = pixels_of(decode(middle[None]), black_white).shape[1:3]
    columns = max(1, round(DECODED * min(1, height / width)))
    rows = max(1, round(DECODED * min(1, width / height)))
    (left, right), (bottom, top) = region
    x = left + (np.arange(columns) + 0.5) / columns * (right - left)
    y = top - (np.arange(rows) + 0.5) / rows * (top - bottom)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    pixels = pixels_of(decode(places), black_white)
    mosaic = pixels.reshape(rows, columns, height, width, -1).swapaxes(1, 2)
    mosaic = mosaic.reshape(rows * height, columns * width, -1)
    if mosaic.shape[2] == 1:
        mosaic = np.repeat(mosaic, 3, axis=2)
    axes.imshow(mosaic, extent=region.ravel(), aspect="equal", interpolation="antialiased")


def _scatter_labelled(
    axes: Any, x: np.ndarray, y: np.ndarray, labels: np.ndarray, order: np.ndarray, style: Any
) -> None:
    """Draw points in the colours of their labels. `order` is the order of the points x and y."""
    if labels.shape != x.shape:
        raise ValueError(
            f"labels must have shape {x.shape}, one for each row of mu, got {labels.shape}"
        )
    from matplotlib import colormaps

    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) > CLASSES and labels.dtype.kind in "iuf":
        points = axes.scatter(x, y, c=labels[order], cmap="viridis", alpha=0.8, **style)
        axes.figure.colorbar(points, label="label")
        return
    if CLASSES < len(classes) <= NAMED:
        _scatter_named(axes, x, y, classes, codes[order], style)
        return
    kept = np.arange(len(classes))
    if len(classes) > NAMED:
        kept = np.sort(np.argsort(-np.bincount(codes), kind="stable")[: CLASSES - 1])
    palette = colormaps["tab10" if len(kept) <= 10 else "tab20"]
    colours = np.full((len(classes), 4), GREY)
    colours[kept] = palette(np.arange(len(kept)))
    axes.scatter(x, y, color=colours[codes[order]], alpha=0.8, **style)
    for code in kept:
        axes.scatter([], [], color=colours[code], s=40, label=_short(classes[code]))
    if len(kept) < len(classes):
        axes.scatter([], [], color=GREY, s=40, label=f"{len(classes) - len(kept):,} others")
    _legend(axes)


def _scatter_named(
    axes: Any, x: np.ndarray, y: np.ndarray, classes: np.ndarray, codes: np.ndarray, style: Any
) -> None:
    """Draw points of more classes than a legend tells apart, with each name at their median."""
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    shades = np.random.default_rng(0).permutation(len(classes)) / len(classes)  # neighbours differ
    colours = colormaps["turbo"](0.05 + 0.9 * shades)
    axes.scatter(x, y, color=colours[codes], alpha=0.6, **style)
    for code, label in enumerate(classes):
        inside = codes == code
        axes.annotate(
            _short(label),
            (np.median(x[inside]), np.median(y[inside])),
            ha="center",
            va="center",
            fontsize=8,
            color=tuple(0.6 * colours[code, :3]),
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )


def _legend(axes: Any) -> None:
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        handletextpad=0.1,
        scatteryoffsets=[0.5],
    )


def _short(label: Any) -> str:
    text = str(label)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches, independent of the state of pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "this picture needs matplotlib: pip install 'vaefast[plot]'"
        ) from error
    return Figure(figsize=(width, height), dpi=130, layout="constrained")
