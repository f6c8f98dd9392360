"""Attributes as directions in the latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .checks import Floats, check_numbers, codes_of, decode

if TYPE_CHECKING:
    from ..vae import VAE


def direction(vae: VAE, X_with: ArrayLike, X_without: ArrayLike) -> Floats:
    """Return the direction in which codes gain an attribute, from examples of it.

    It points from the mean code of the rows without the attribute to that of the rows with it
    (Larsen et al. 2016). The more the two groups are alike in all else, the purer the attribute.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X_with, X_without : array-like of shape (n, d), or n images
        Rows that have the attribute, and rows that do not; at least one of each.

    Returns
    -------
    ndarray of float32, (latent_dim,)
        As long as one standard deviation, along it, of the codes of both groups together.

    Raises
    ------
    ValueError
        A group is empty, or the two have the same mean code.
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
            "X_with and X_without have the same mean code: nothing tells them apart in this model"
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
    """Move rows along a direction, in steps.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X : array-like of shape (n, d), or n images
        The rows to move.
    direction : array-like of shape (latent_dim,)
        As the function `direction` returns it.
    strengths : array-like of shape (k,)
        How far, in lengths of the direction: standard deviations of the codes along it. At 0 is
        the row as the model reconstructs it.

    Returns
    -------
    ndarray of float32, (n, k, d) or (n, k) images
    """
    codes = codes_of(vae, X, "X")
    way = check_numbers(direction, "direction")
    if len(way) != codes.shape[1]:
        raise ValueError(
            f"direction has {len(way)} numbers, but this model has {codes.shape[1]} latent "
            "dimensions"
        )
    moved = codes[:, None] + check_numbers(strengths, "strengths")[:, None] * way
    return decode(vae, moved)
