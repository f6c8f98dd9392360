"""Attributes of rows as directions in the latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .checks import Floats, check_numbers, codes_of, decode

if TYPE_CHECKING:
    from ..vae import VAE


def direction(vae: VAE, X_with: ArrayLike, X_without: ArrayLike) -> Floats:
    """Return the direction in which codes gain an attribute, learned from examples.

    The direction points from the mean of the codes of the rows without the attribute to the mean of
    the codes of the rows with it (Larsen et al. 2016). Groups that are alike in everything else
    give a direction that changes little else.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X_with : array-like of shape (n, d), or n images
        At least one row that has the attribute.
    X_without : array-like of shape (m, d), or m images
        At least one row that does not have the attribute.

    Returns
    -------
    ndarray of shape (latent_dim,), float32
        The direction. Its length is the standard deviation of the codes of both groups along it.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, the rows do not fit it, a group is empty, or the codes of both
        groups have the same mean.
    """
    groups = []
    for name, rows in (("X_with", X_with), ("X_without", X_without)):
        if np.shape(rows)[:1] == (0,):
            raise ValueError(
                f"{name} is empty: a direction needs rows with the attribute and rows without it"
            )
        groups.append(codes_of(vae, rows, name).astype(np.float64))
    way = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    length = np.linalg.norm(way)
    if length < 1e-6:
        raise ValueError(
            "the codes of X_with and X_without have the same mean: this model does not tell the "
            "two groups apart"
        )
    unit = way / length
    deviation = np.std(np.concatenate(groups) @ unit)
    found: Floats = (deviation * unit).astype(np.float32)
    return found


def shift(
    vae: VAE,
    X: ArrayLike,
    direction: ArrayLike,
    strengths: ArrayLike = (-2, -1, 0, 1, 2),
) -> Floats:
    """Return rows moved along a direction of the latent space, in steps.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X : array-like of shape (n, d), or n images
        Rows to move.
    direction : array-like of shape (latent_dim,)
        Direction to move in, such as the function `direction` returns.
    strengths : array-like of shape (k,), default=(-2, -1, 0, 1, 2)
        Multiples of the direction to add to each code. 0 gives the reconstruction of the row.

    Returns
    -------
    ndarray of shape (n, k, d) or (n, k) images, float32

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, X or `direction` does not fit it, or a number is not finite.
    """
    codes = codes_of(vae, X, "X")
    way = check_numbers(direction, "direction")
    if len(way) != codes.shape[1]:
        raise ValueError(
            f"direction has {len(way)} numbers, but the model has {codes.shape[1]} latent "
            "dimensions"
        )
    moved = codes[:, None] + check_numbers(strengths, "strengths")[:, None] * way
    return decode(vae, moved)
