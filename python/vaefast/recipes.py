"""Parameters of `VAE` that suit a kind of data, chosen by looking at the data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._input.pixels import is_image_shape
from .schedules import Cosine

__all__ = ["images"]

INK = 0.1  # distance of a pixel from black or white that counts as black or white
INK_SHARE = 0.5  # share of such pixels from which grey images count as ink rather than photographs
LOOKED_AT = 1_000  # largest number of images that are examined
WIDTH, COMPONENTS = 512, 300
TOLERANCE = 0.05  # error of a value in [0, 1] that the latent dimensions need not explain
LEAST_SIGMA = 0.02


def images(X: ArrayLike) -> dict[str, Any]:
    """Return parameters of `VAE` for images: photographs, drawings or digits.

    Photographs get a gaussian likelihood and a network that is trained on principal components. The
    sigma is the error that as many principal components as latent dimensions leave (Tipping &
    Bishop 1999). Grey images in which at least half of the pixels are nearly black or white, such
    as digits, get a bernoulli likelihood and automatic sizes.

    Parameters
    ----------
    X : array-like of shape (n, h, w) or (n, h, w, c), uint8, or float from 0 to 1
        Images to train on.

    Returns
    -------
    dict of str to object
        Parameters by name, for ``VAE(**recipes.images(X))``.

    Raises
    ------
    ValueError
        X does not hold images, or all of them are equal.

    Examples
    --------
    >>> from vaefast import VAE, datasets, recipes
    >>> digits = datasets.strokes(2000)
    >>> recipes.images(digits.X)["likelihood"]
    'bernoulli'
    """
    pixels = np.asarray(X)
    if pixels.ndim < 3 or not is_image_shape(pixels.shape[1:]) or pixels.dtype.kind not in "uf":
        raise ValueError(
            f"X has shape {pixels.shape} and holds {pixels.dtype}, expected images of shape "
            "(n, h, w) or (n, h, w, c), of uint8 or of floats from 0 to 1"
        )
    n, features = len(pixels), math.prod(pixels.shape[1:])
    some = pixels[:: -(-n // LOOKED_AT)].reshape(-1, features)
    rows = some.astype(np.float32) / np.float32(255 if pixels.dtype == np.uint8 else 1)
    if (some == some[0]).all():
        raise ValueError(
            f"X holds only one distinct image (n={n:,}): a model needs images that differ"
        )
    is_grey = pixels.ndim == 3 or pixels.shape[3] == 1
    if is_grey and np.mean(np.abs(rows - 0.5) > 0.5 - INK) >= INK_SHARE:
        automatic = ("latent_dim", "hidden_layer_sizes", "batch_size", "learning_rate", "epochs")
        return {"likelihood": "bernoulli", **dict.fromkeys(automatic, "auto")}
    errors = _errors(rows)
    most = min(32 if n < 200 else 64 if n < 1_000 else 128, max(1, n // 3))
    latent_dim = min(most, max(1, int((errors > TOLERANCE).sum())))
    batch_size = min(n, 32 if n < 1_000 else 64 if n < 4_000 else 128)
    steps = 2_000 if n < 1_000 else 4_000 if n < 4_000 else 6_000
    return {
        "latent_dim": latent_dim,
        "hidden_layer_sizes": (WIDTH,),
        "activation": "silu",
        "likelihood": "gaussian",
        "sigma": max(LEAST_SIGMA, float(f"{errors[latent_dim]:.2g}")),
        "components": max(1, min(COMPONENTS, n // 2)),
        "learning_rate": Cosine(2e-3),
        "batch_size": batch_size,
        "epochs": max(1, round(steps / math.ceil(n / batch_size))),
    }


def _errors(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean squared error of a value, by the number of principal components."""
    rows = rows - rows.mean(axis=0)
    gram = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    variances = np.maximum(np.linalg.eigvalsh(gram.astype(np.float64)), 0)
    left = np.concatenate([[0.0], np.cumsum(variances)])[::-1]  # by 0, 1, ... components
    return np.sqrt(left / rows.size)
