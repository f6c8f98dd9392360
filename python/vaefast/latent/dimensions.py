"""The dimensions of a latent space: how much a model uses each one, and what it changes."""

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
    """Return the mean KL of each latent dimension over the rows, in nats per row.

    The value for dimension j is the mean over rows of KL(q(z_j|x) || p(z_j)) (Kingma & Welling
    2014, appendix B). The sum over dimensions is the `kl` of `VAE.evaluate`. The model does not use
    a dimension whose value is near 0. ``dimension_kl(vae, X).argsort()[::-1]`` lists the dimensions
    with the strongest first.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X : array-like of shape (n, d), or n images
        Rows to measure.

    Returns
    -------
    ndarray of shape (latent_dim,), float64

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, or X does not fit it.
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
    """Return rows decoded from codes that differ in one latent dimension at a time.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    dimensions : sequence of int, default=None
        The k dimensions to change, counted from 0. None is all dimensions.
    start : array-like of shape (d,) or one image, default=None
        Row whose code gives the values of the unchanged dimensions. By default these values are 0,
        the mean of the prior.
    values : array-like of shape (m,), default=(-3, -2, -1, 0, 1, 2, 3)
        Values that the changed dimension takes. The prior has mean 0 and standard deviation 1.

    Returns
    -------
    ndarray of shape (k, m, d) or (k, m) images, float32

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, `start` does not fit it, or an argument cannot be used.
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
