"""The models of an imputer as the content of a file."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._bundle import Bundle
from .._engine.container import Tensors
from .._input.normal_scores import KNOTS, NormalScores
from .blend import Blend
from .gaussian import Gaussian


def to_bundle(blend: Blend, fields: dict[str, Any], ranges: NDArray[np.float64] | None) -> Bundle:
    """Return the content of the file of an imputer with these models, fields and ranges."""
    tensors: Tensors = {"weights": blend.weights}
    if ranges is not None:
        tensors["ranges"] = ranges
    if blend.scores is not None:
        tensors |= vars(blend.scores)
    for k, gaussian in enumerate(blend.gaussians):
        tensors |= {f"gaussian_{k}.{name}": each for name, each in vars(gaussian).items()}
    return Bundle(blend.vaes, {**fields, "sees_scores": blend.sees_scores}, tensors)


def ranges_from(found: Bundle) -> NDArray[np.float64] | None:
    """Return the ranges of the columns of numbers in a file, or None if it is of mixed columns."""
    first = found.models[0]
    if first.table_ is not None:
        return None
    ranges: NDArray[np.float64] = found.tensors["ranges"].reshape(2, first.n_features_in_)
    if not np.isfinite(ranges).all():
        raise ValueError("the ranges of the columns must be finite")
    return ranges


def blend_from(found: Bundle) -> Blend:
    """Return the models of a file. A file without weights holds VAEs only."""
    tensors = found.tensors
    scores = NormalScores(tensors["knots"]) if "knots" in tensors else None
    weights = tensors.get("weights", np.ones(1))
    names = [field.name for field in dataclasses.fields(Gaussian)]
    gaussians = tuple(
        Gaussian(**{name: tensors[f"gaussian_{k}.{name}"] for name in names})
        for k in range(len(weights) - 1)
    )
    sees_scores = found.fields.get("sees_scores", scores is not None)
    d = found.models[0].n_features_in_
    shapes = {"centre": (d,), "scale": (d,), "mean": (d,), "precision": (d, d)}
    for array, shape in [
        *((getattr(gaussian, name), shapes[name]) for gaussian in gaussians for name in names),
        *([] if scores is None else [(scores.knots, (d, KNOTS))]),
        (weights, weights.shape[:1]),
    ]:
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"an array has shape {array.shape}, expected {shape}, all finite")
    if any(vae.n_features_in_ != d for vae in found.models):
        raise ValueError("the models have different numbers of columns")
    if weights.min() < 0 or not np.isclose(weights.sum(), 1):
        raise ValueError("the weights of the answers must be at least 0 and add up to 1")
    return Blend(found.models, sees_scores, scores, gaussians, weights)
