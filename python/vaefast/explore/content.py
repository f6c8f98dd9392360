"""The content of the page: a model and its data as one JSON object.

Arrays of numbers are little-endian base64: {"type": "float32" or "float16", "base64": ...}.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.fitted import FittedModel
from .._engine.sampling import draw_codes
from .._input.pixels import decoded_range, is_image_shape
from ..vae import VAE
from .labels import page_labels
from .plane import page_map

Array = NDArray[Any]

# Names of the functions in decoder.js that turn the decoder's output into E[x|z]. The page can
# draw only likelihoods that are listed here.
MEANS = {
    "bernoulli": "sigmoid",
    "continuous_bernoulli": "continuous_bernoulli",
    **dict.fromkeys(("gaussian", "laplace", "student_t"), "identity"),
    **dict.fromkeys(("poisson", "negative_binomial"), "exp"),
}

POINTS = 2_000  # points on the map, at most
DRAWS = 512  # codes that the page takes at random
PROBES = 128  # codes at which ranges, strengths and rounding errors are measured
TOLERANCE = (
    0.5 / 255
)  # largest error of float16 weights, as a share of black to white: half a level


def page_content(
    vae: VAE,
    X: ArrayLike | None,
    labels: ArrayLike | None,
    *,
    columns: Sequence[str] | None,
    directions: Mapping[str, ArrayLike] | None,
    source: str,
) -> dict[str, Any]:
    """Return the content of the page, ready for json.dumps."""
    model = vae.model_
    mean = _mean_function(model)
    latent_dim, shape = model.latent_dim, model.feature_shape
    rng = np.random.default_rng(0)
    prior = rng.standard_normal((PROBES, latent_dim), dtype=np.float32)
    names = _columns(columns or model.names, shape)
    vectors = _directions(directions or {}, latent_dim)
    codes = points = None
    points_text = ""
    start = prior[0] if latent_dim > 2 else np.zeros(latent_dim, np.float32)
    if X is not None:
        codes, points = _points(model, X, labels, rng)
        start = codes[0]
        some = f"{points['n']:,} of " if points["n"] < points["of"] else ""
        points_text = f"The points are the codes of {some}the {points['of']:,} {source}. "
    probes = prior if codes is None else codes[:PROBES]
    model = _as_drawn(model)
    decoded = model.decode(probes)
    low_high = _range(model, X, decoded)
    strength = _strength(model, probes)
    order = np.argsort(-strength, kind="stable")
    return {
        "kind": "image" if is_image_shape(shape) else "bars",
        "shape": list(shape),
        "columns": names,
        "range": list(low_high),
        "latent_dim": latent_dim,
        "decoder": _decoder(model, mean, np.concatenate([prior, probes]), low_high),
        "strength": strength.tolist(),
        "order": order.tolist(),
        "limit": 3.0 if codes is None else max(3.0, math.ceil(np.abs(codes).max())),
        "map": page_map(codes, order.tolist(), points_text),
        "points": points,
        "centre": _floats(np.zeros(latent_dim) if codes is None else codes.mean(0)),
        "start": _floats(start),
        "directions": vectors,
        "draws": _floats(draw_codes(vae.model_, DRAWS, rng, 1.0, None)),
    }


def describe_model(vae: VAE) -> str:
    """Return a short description of the model."""
    model = vae.model_
    shape, net = model.feature_shape, "-".join(map(str, _sizes(model)))
    if is_image_shape(shape):
        colour = {1: "grey", 3: "colour", 4: "colour"}[shape[2] if len(shape) == 3 else 1]
        rows, row = f"{colour} images of {shape[0]} x {shape[1]} pixels", "an image"
    else:
        unit = "" if model.reader.standardization is None else " in standard deviations"
        rows = f"rows of {math.prod(shape):,} numbers, which the page draws as bars{unit}"
        row = "a row"
    numbers = f"{model.latent_dim:,} number{'s' if model.latent_dim > 1 else ''}"
    return (
        f"The model was trained on {rows}. Its decoder turns a code of {numbers} into {row}, "
        f"through layers of widths {net}. The likelihood is {model.params['likelihood']}."
    )


def _sizes(model: FittedModel) -> list[int]:
    """Return the widths of the decoder's layers, from the latent space to the features."""
    tensors = model.weights()
    hidden = [tensors[f"decoder.{i}.bias"].size for i in range(_depth(tensors))]
    return [model.latent_dim, *hidden, model.features]


def _depth(tensors: Mapping[str, Array]) -> int:
    return sum(name.startswith("decoder.") and name.endswith(".bias") for name in tensors)


def _mean_function(model: FittedModel) -> str:
    if model.conditions is not None:
        raise ValueError("the page cannot draw a conditional model, because its decoder needs y")
    likelihood = " and ".join(name for name, _ in model.columns)
    if likelihood not in MEANS:
        raise ValueError(
            f"the page can draw models whose likelihood is {' or '.join(MEANS)}, "
            f"but the likelihood of this model is {likelihood}"
        )
    return MEANS[likelihood]


def _decoder(
    model: FittedModel, mean: str, probes: Array, low_high: tuple[float, float]
) -> dict[str, Any]:
    """Return the decoder, with float16 weights if the difference is too small to see."""
    tensors = model.weights()
    layers = [*(f"decoder.{i}" for i in range(_depth(tensors))), "output"]
    names = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    flat = np.concatenate([tensors[name].ravel() for name in names])
    with np.errstate(over="ignore"):  # infinite weights fail the comparison below
        rounded = {
            name: tensor.astype(np.float16).astype(np.float32) if name in names else tensor
            for name, tensor in tensors.items()
        }
    error = np.abs(model.with_weights(rounded).decode(probes) - model.decode(probes)).max()
    is_close = error <= TOLERANCE * (low_high[1] - low_high[0])  # False for NaN
    return {
        "sizes": _sizes(model),
        "activation": model.params["activation"],
        "mean": mean,
        "n_weights": flat.size,
        "weights": _floats(flat, "float16" if is_close else "float32"),
    }


def _as_drawn(model: FittedModel) -> FittedModel:
    """Return a model whose decoder gives what the page draws, without standardization.

    Images are drawn in the units of the rows. Bars are drawn in standard deviations from the mean,
    because the columns of a table have units of their own.
    """
    units = model.reader.standardization
    if units is None:
        return model
    tensors = model.weights()
    if is_image_shape(model.feature_shape):  # real-valued: the output of the last layer is the mean
        tensors["output.weight"] *= units.scales
        tensors["output.bias"] = tensors["output.bias"] * units.scales + units.means
    reader = replace(model.reader, standardization=None)
    return replace(model, reader=reader).with_weights(tensors)


def _points(
    model: FittedModel, X: ArrayLike, labels: ArrayLike | None, rng: np.random.Generator
) -> tuple[Array, dict[str, Any]]:
    rows = model.reader.read(X)
    chosen = np.arange(len(rows))
    if len(rows) > POINTS:
        chosen = rng.permutation(len(rows))[:POINTS]
    codes = model.core.encode(rows[chosen])[0]
    points: dict[str, Any] = {"n": len(chosen), "of": len(rows), "codes": _floats(codes)}
    points["labels"] = None if labels is None else page_labels(labels, len(rows), chosen)
    return codes, points


def _range(model: FittedModel, X: ArrayLike | None, decoded: Array) -> tuple[float, float]:
    """Return the values at black and white, or at the bottom and the top of the bars."""
    if model.params["likelihood"] == "bernoulli":
        return 0.0, 1.0
    if is_image_shape(model.feature_shape):
        return decoded_range(decoded if X is None else np.asarray(X), model.reader.divisor)
    low, high = min(float(decoded.min()), 0.0), max(float(decoded.max()), 0.0)
    margin = 0.1 * (high - low) or 1.0
    return low - margin if low else 0.0, high + margin


def _strength(model: FittedModel, probes: Array) -> NDArray[np.float64]:
    """Return how much each latent dimension changes the picture, (latent_dim,).

    The change is half the difference between the pictures one standard deviation of the prior
    forward and one back, as the root mean square over codes and features.
    """
    codes = probes[: max(1, min(32, 4096 // probes.shape[1]))]
    strength = np.empty(probes.shape[1])
    for dimension in range(probes.shape[1]):
        step = np.zeros(probes.shape[1], np.float32)
        step[dimension] = 1
        change = model.decode(codes + step) - model.decode(codes - step)
        strength[dimension] = np.sqrt(np.mean(np.square(change / 2, dtype=np.float64)))
    return strength


def _columns(columns: Sequence[str] | None, shape: tuple[int, ...]) -> list[str] | None:
    if columns is None or len(shape) > 1:
        return None
    if len(columns) != shape[0]:
        raise ValueError(
            f"columns must be {shape[0]} names, one for each feature, got {len(columns)}"
        )
    return [str(column) for column in columns]


def _directions(directions: Mapping[str, ArrayLike], latent_dim: int) -> list[dict[str, Any]]:
    found = []
    for name, vector in directions.items():
        array = np.asarray(vector)
        if array.dtype.kind not in "iuf" or array.shape != (latent_dim,):
            raise ValueError(
                f"the direction {name!r} must be {latent_dim} numbers, one for each latent "
                f"dimension, got {array.dtype} of shape {array.shape}"
            )
        if not np.isfinite(array).all() or not array.any():
            raise ValueError(f"the direction {name!r} must be finite and not all zeros")
        found.append({"name": name, "vector": array.astype(float).tolist()})
    return found


def _floats(values: ArrayLike, kind: str = "float32") -> dict[str, str]:
    array = np.asarray(values).astype(np.dtype(kind).newbyteorder("<"))
    return {"type": kind, "base64": base64.b64encode(array.tobytes()).decode()}
