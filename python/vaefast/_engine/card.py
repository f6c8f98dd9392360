"""The card of a fitted model in a notebook: network, latest figures, their course, samples.

The HTML is self-contained: it loads no files, runs no scripts, and takes its colours from the page.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._input.pixels import decoded_range, is_image_shape, pixels_of
from .building import count_weights, describe_net
from .display import duration
from .fitted import FittedModel, reading
from .priors import gaussian
from .sampling import sample

N_SAMPLES = 10
TILE = 64  # pixels; larger images are reduced to this side
TILE_SHOWN, STRIP_SHOWN = 48, 560  # CSS pixels; height of a sample, largest width of all
SMALLEST_SIDE = 8  # side from which flat rows of pixels may be square images
GAP = 2  # pixels between two samples
WIDTH, HEIGHT = 260, 56  # size of a chart, in CSS pixels
MAX_POINTS = 200  # most points of a curve
MAX_BARS = 64
ACCENT = "#e0603f"  # readable on white and on black

STYLE = f"""
.vaefast-card {{ display: inline-block; box-sizing: border-box; max-width: 100%; padding: 10px 14px;
  border: 1px solid rgba(128, 128, 128, .4); border-radius: 6px; color: inherit;
  font: 13px/1.45 system-ui, sans-serif; text-align: left; }}
.vaefast-card p {{ margin: 0; max-width: 46em; overflow-wrap: break-word; }}
.vaefast-card small {{ font-size: 11px; opacity: .7; }}
.vaefast-card section {{ display: flex; flex-wrap: wrap; gap: 6px 22px; margin-top: 8px; }}
.vaefast-card figure {{ margin: 0; }}
.vaefast-card figcaption, .vaefast-card span > small {{ display: block; }}
.vaefast-card svg, .vaefast-card img {{ display: block; max-width: 100%; height: auto; }}
.vaefast-card polyline {{ fill: none; stroke: {ACCENT}; stroke-width: 1.5; }}
.vaefast-card polyline + polyline {{ stroke: currentColor; stroke-dasharray: 3 2; }}
.vaefast-card rect {{ fill: {ACCENT}; }}
"""


@reading
def card(model: FittedModel) -> str:
    """Return a fitted model as HTML for a notebook."""
    weights = count_weights(model.params, model.features, model.reader.width)
    net, facts = describe_net(model.params, model.features), [f"{weights:,} weights"]
    if shape := model.provenance.data_shape:
        of = (
            f" of {'x'.join(map(str, model.feature_shape))}" if len(model.feature_shape) > 1 else ""
        )
        facts.append(f"{shape[0]:,} rows{of}")
    parts = [f"<p><b>VAE</b> {escape(net)}</p>"]
    if model.n_iter:
        seconds = sum(model.history["seconds"])
        time = f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
        facts.append(f"{model.n_iter:,} epoch{'s' * (model.n_iter > 1)} in {time}")
        parts += [_section(_figures(model)), _section(_charts(model))]
        parts += [_section([strip])] if (strip := _samples(model)) else []
    else:
        facts.append("no whole epoch yet")
    parts.insert(1, f"<p><small>{', '.join(facts)}</small></p>")
    return f'<div class="vaefast-card"><style>{STYLE}</style>{"".join(parts)}</div>'


def _section(items: Iterator[str] | Sequence[str]) -> str:
    return f"<section>{''.join(items)}</section>"


def _figures(model: FittedModel) -> Iterator[str]:
    """Yield the figures of the last epoch, each with its name."""
    last = {key: values[-1] for key, values in model.history.items()}

    def item(name: str, text: str) -> str:
        return f"<span><small>{name}</small>{text}</span>"

    yield item("ELBO, nats per row", _number(last["elbo"]))
    yield item("reconstruction", _number(last["reconstruction"]))
    if not model.deterministic:
        yield item("KL", _number(last["kl"]))
    if last["validation"] is not None:
        known = [-math.inf if v is None else v for v in model.history["validation"]]
        best, text = int(np.argmax(known)), _number(last["validation"])
        if best + 1 < model.n_iter:
            text += f" <small>(best {_number(known[best])} in epoch {best + 1})</small>"
        yield item("validation ELBO", text)
    yield item("active units", f"{last['active_units']} of {model.latent_dim}")


def _charts(model: FittedModel) -> Iterator[str]:
    """Yield the course of the ELBO, and the KL of each latent dimension."""
    elbo, validation = model.history["elbo"], model.history["validation"]
    if model.n_iter > 1:
        series, caption = [elbo], f"ELBO by epoch, {_number(elbo[0])} to {_number(elbo[-1])}"
        if None not in validation:
            series, caption = [elbo, validation], f"{caption} (dashed: validation)"
        yield _chart(caption, _curves(series))
    if not model.deterministic:
        kl = model.history["kl_per_dimension"][-1]
        names = "KL by latent dimension"
        if len(kl) > MAX_BARS:
            kl = sorted(kl, reverse=True)[:MAX_BARS]
            names = f"KL of the {MAX_BARS} most used latent dimensions"
        yield _chart(f"{names}, up to {_number(max(kl))} nats", _bars(kl))


def _chart(caption: str, shapes: str) -> str:
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(caption)}">{shapes}</svg>'
        f"<figcaption><small>{escape(caption)}</small></figcaption></figure>"
    )


def _curves(series: Sequence[Sequence[float]]) -> str:
    """Return curves over the same epochs, on one scale."""
    values = np.array(series)
    low, high = values.min(), values.max()
    epochs = np.unique(np.linspace(0, values.shape[1] - 1, MAX_POINTS).round().astype(int))
    x = 1 + (WIDTH - 2) * epochs / (values.shape[1] - 1)
    y = 1 + (HEIGHT - 2) * (high - values[:, epochs]) / (high - low or 1)
    return "".join(
        f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, line, strict=True))}"/>'
        for line in y
    )


def _bars(values: Sequence[float]) -> str:
    """Return bars from 0 to the largest of some values."""
    top, step = max(*values, 1e-9), min(WIDTH / len(values), 40)
    return "".join(
        f'<rect x="{i * step:.1f}" y="{HEIGHT - height:.1f}" width="{0.8 * step:.1f}" '
        f'height="{height:.1f}"/>'
        for i, height in enumerate(max(1.0, HEIGHT * value / top) for value in values)
    )


def _samples(model: FittedModel) -> str | None:
    """Return samples of a model of images as a picture, or None if it can't be drawn."""
    shape = _image_shape(model)
    if shape is None or model.deterministic:  # a plain autoencoder has no prior to sample
        return None
    y: Any = None
    n, caption = N_SAMPLES, "samples"
    if (conditions := model.conditions) is not None and conditions.classes is not None:
        y = conditions.classes[:N_SAMPLES]
        n, caption = len(y), f"a sample of each of {', '.join(map(str, y))}"
    elif conditions is not None:
        y = np.tile(conditions.means or np.zeros(conditions.width), (n, 1))
        caption = "samples at the means of y"
    rng = np.random.default_rng(0)
    if model.posteriors is None:
        images = sample(model, n, rng, y)
    else:  # a Gaussian, not kept in the model; a mixture may take a second or two to fit
        codes = gaussian(model.posteriors).draw(n, rng, temperature=1.0)
        images = model.decode(codes, y)
    images = images.reshape(n, *shape)
    if not np.isfinite(images).all():
        return None
    picture = _strip(pixels_of(images, decoded_range(images, model.reader.divisor)))
    width, height = picture.size
    scale = min(TILE_SHOWN / height, STRIP_SHOWN / width)
    file = io.BytesIO()
    picture.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img width="{scale * width:.0f}" height="{scale * height:.0f}" '
        f'alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption><small>{escape(caption)}</small></figcaption></figure>"
    )


def _image_shape(model: FittedModel) -> tuple[int, ...] | None:
    """Return the shape of rows that are images, even if they were passed as flat rows of pixels."""
    shape = model.feature_shape
    if is_image_shape(shape):
        return shape
    side = math.isqrt(model.features)
    square = len(shape) == 1 and side * side == model.features and side >= SMALLEST_SIDE
    pixels = model.params["likelihood"] in ("bernoulli", "continuous_bernoulli")
    return (side, side) if square and pixels and model.names is None else None


def _strip(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return images, (n, h, w, c), side by side on a transparent ground."""
    tiles = [Image.fromarray(p[..., 0] if p.shape[-1] == 1 else p) for p in pixels]
    for tile in tiles:
        tile.thumbnail((TILE, TILE))
    step = tiles[0].width + GAP
    mode = "LA" if tiles[0].mode == "L" else "RGBA"
    strip = Image.new(mode, (step * len(tiles) - GAP, tiles[0].height))
    for i, tile in enumerate(tiles):
        strip.paste(tile, (i * step, 0))
    return strip


def _number(value: float) -> str:
    return f"{value:,.2f}".replace("-", "−")
