"""Codes of synthetic rows, which are drawn from a mixture and led to where the model has rows.

A mixture of Gaussians that is fitted to the codes of rows also draws codes between them. Where the
decoder and the encoder disagree, a step of the chain z -> x ~ p(x|z) -> z ~ q(z|x) leads towards
codes of rows (pseudo-Gibbs sampling, which Rezende et al. 2014 use for missing data). No step
depends on a single row of the fit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .fitted import FittedModel
from .sampling import draw_rows

Floats = NDArray[np.float32]

STEPS = 2  # steps of the chain
CANDIDATES = 2_048  # most known codes that are compared with each code


def settle(
    model: FittedModel, z: Floats, fix: Callable[[Floats], Floats], rng: np.random.Generator
) -> Floats:
    """Return the codes to which the chain leads, (n, latent_dim).

    Parameters
    ----------
    model : FittedModel
    z : ndarray of shape (n, latent_dim)
        Codes at which the chain starts.
    fix : callable
        Function that takes drawn rows, (n, features), and returns them with given and missing
        values.
    rng : Generator
    """
    for _ in range(STEPS):
        X = fix(draw_rows(model, model.decode(z), rng).reshape(len(z), -1))
        mu, logvar = model.encode(X)
        z = mu if model.params["objective"] == "autoencoder" else draw_posteriors(mu, logvar, rng)
    return z


def draw_posteriors(mu: Floats, logvar: Floats, rng: np.random.Generator) -> Floats:
    """Return a code drawn from each posterior q(z|x), (n, latent_dim)."""
    noise = rng.standard_normal(mu.shape, dtype=np.float32)
    return (mu + np.exp(logvar / 2) * noise).astype(np.float32, copy=False)


def nearest(codes: Floats, known: Floats) -> NDArray[np.int64]:
    """Return the index of the nearest of up to `CANDIDATES` known codes for each code."""
    some = np.unique(np.linspace(0, len(known) - 1, CANDIDATES).astype(np.int64))
    near = known[some].astype(np.float64)
    squares = np.square(near).sum(axis=1) - 2 * codes.astype(np.float64) @ near.T
    found: NDArray[np.int64] = some[squares.argmin(axis=1)]
    return found
