"""The dimensions of a latent space: how much each says, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.validation import check_integer
from ..metrics.diagnosis import kl_per_dimension
from .checks import Floats, check_numbers, check_unconditional, code_of, decode

if TYPE_CHECKING:
    from ..vae import VAE


def dimension_kl(vae: VAE, X: ArrayLike) -> NDArray[np.float64]:
    """Return how much each dimension says about the rows, (latent_dim,), in nats per row.

    It is the mean over rows of KL(q(z_j|x) || p(z_j)) for each dimension j; the sum is the KL of
    `VAE.evaluate`. A dimension near 0 is one that the model does not use. The strongest first:
    ``dimension_kl(vae, X).argsort()[::-1]``.
    """
    check_unconditional(vae)
    return kl_per_dimension(*vae.encode(X))


def traverse(
    vae: VAE,
    dimensions: Sequence[int] | None = None,
    *,
    start: ArrayLike | None = None,
    values: ArrayLike = (-3, -2, -1, 0, 1, 2, 3),
) -> Floats:
    """Decode codes that differ in one dimension at a time.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    dimensions : sequence of int, optional
        The k dimensions, counted from 0; by default all.
    start : array-like of shape (d,) or one image, optional
        The row whose code the other dimensions keep; by default the origin, the prior's mean.
    values : array-like of shape (m,)
        What the dimension becomes; under the prior its standard deviation is 1.

    Returns
    -------
    ndarray of float32, (k, m, d) or (k, m) images
    """
    latent_dim = vae.model_.latent_dim
    origin = np.zeros(latent_dim, np.float32) if start is None else code_of(vae, start, "start")
    chosen = [
        check_integer(value, f"dimensions[{i}]", low=0, high=latent_dim - 1)
        for i, value in enumerate(range(latent_dim) if dimensions is None else dimensions)
    ]
    steps = check_numbers(values, "values")
    codes = np.tile(origin, (len(chosen), len(steps), 1))
    for row, dimension in zip(codes, chosen, strict=True):
        row[:, dimension] = steps
    return decode(vae, codes)
