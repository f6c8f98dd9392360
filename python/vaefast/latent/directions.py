"""Attributes of rows as directions in the latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import Floats, check_along, check_numbers, codes_of, decode

if TYPE_CHECKING:
    from ..vae import VAE

Array = NDArray[np.float64]

FEWEST = 3  # fewest rows of a regression
UNKNOWN = 0.01  # share of explained variance of y below which the codes do not tell y
FARTHEST = 3.0  # largest step for one sd of y, in sd of the predictions


def direction(
    vae: VAE, X: ArrayLike, X_without: ArrayLike | None = None, *, y: ArrayLike | None = None
) -> Floats:
    """Return the direction in which codes gain an attribute, learned from examples.

    Two groups of rows show an attribute that a row has or lacks, such as a smile. The direction
    then points from the mean of the codes of the rows without the attribute to the mean of the
    codes of the rows with it (Larsen et al. 2016). If the groups are alike in everything else, the
    direction changes little else.

    Numbers y, one for each row, measure an attribute such as an age. The direction is then the
    covariance of y with the decorrelated codes. It lies halfway between two extremes. The weights
    of a linear regression hold all else fixed, but leave the region where codes lie. The covariance
    of y with the codes themselves (Haufe et al. 2014) stays in this region, but also changes
    whatever goes with the attribute, such as the light of old photographs.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X : array-like of shape (n, d), or n images
        Without y, at least one row that has the attribute. With y, at least 3 rows.
    X_without : array-like of shape (m, d), or m images, default=None
        At least one row without the attribute. Pass either X_without or y.
    y : array-like of shape (n,), default=None
        How much of the attribute each row of X has, in any unit.

    Returns
    -------
    ndarray of shape (latent_dim,), float32
        The direction. For two groups, its length is the standard deviation of the codes of both
        groups along it. For numbers, it is the step that raises the attribute by 1: it raises a
        linear prediction of y from the codes by 1 / s, where s is the share of the variance of y
        that is predicted. The codes carry only this share of the attribute and must go further,
        because the rest of a row stays as it is. If the codes say little about y, steps are
        shorter: one standard deviation of y moves a code by at most 3 standard deviations of the
        predictions.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, the rows do not fit it, or a group is empty; neither X_without nor
        y is given, or both are; y does not fit X, holds a missing value or is constant; or the
        codes do not tell the groups apart, or do not tell y.

    Notes
    -----
    Let C be the covariance of the codes, and c the covariance of y with the codes. The direction is
    that of C^(-1/2) c, the correlation-adjusted scores of Zuber & Strimmer (2011). C is shrunk
    towards the covariance of independent dimensions, as if latent_dim further rows had been seen.
    The predicted share of the variance is measured by leaving out one row at a time.

    Examples
    --------
    >>> from vaefast import VAE, datasets, latent
    >>> digits = datasets.strokes(2000)
    >>> vae = VAE(8, epochs=5, random_state=0, verbose=False).fit(digits.X)
    >>> slant = latent.direction(vae, digits.X, y=digits.factors["slant"])
    >>> latent.edit(vae, digits.X[:5], slant, 0.2).shape
    (5, 28, 28)
    """
    if X_without is not None and y is None:
        return _between(vae, X, X_without).astype(np.float32)
    if y is not None and X_without is None:
        return _along(vae, X, y).astype(np.float32)
    raise ValueError(
        "a direction needs either two groups, direction(vae, X_with, X_without), or a number for "
        "each row, direction(vae, X, y=ages)"
    )


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
    way = check_along(direction, codes)
    moved = codes[:, None] + check_numbers(strengths, "strengths")[:, None] * way
    return decode(vae, moved)


def _between(vae: VAE, X_with: ArrayLike, X_without: ArrayLike) -> Array:
    """Return the direction from the second group to the first."""
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
    found: Array = deviation * unit
    return found


def _along(vae: VAE, X: ArrayLike, y: ArrayLike) -> Array:
    """Return the step that raises y by 1."""
    codes = codes_of(vae, X, "X").astype(np.float64)
    amounts = _check_amounts(y, len(codes))
    centred, centred_amounts = codes - codes.mean(axis=0), amounts - amounts.mean()
    squares = centred.T @ centred
    n, k = codes.shape
    squares += np.eye(k) * (np.trace(squares) / n + np.finfo(float).tiny)  # like k more rows
    products = centred.T @ centred_amounts
    weights = np.linalg.solve(squares, products)
    share = _predicted_share(centred, centred_amounts, squares, weights)
    if share < UNKNOWN:
        raise ValueError(
            "the codes of X say nothing about y: this model does not see the attribute, or there "
            f"are too few rows ({n:,}) to learn it from"
        )
    variances, axes = np.linalg.eigh(squares)
    way = axes @ (axes.T @ products / np.sqrt(variances))
    found: Array = way / (way @ weights) * min(1 / share, FARTHEST * np.sqrt(share))
    return found


def _predicted_share(codes: Array, y: Array, squares: Array, weights: Array) -> float:
    """Return the slope on y of its leave-one-out predictions by a ridge regression.

    For many rows, this is the share of the variance of y that the codes explain.
    """
    leverage = 1 / len(y) + np.einsum("ij,ij->i", codes, np.linalg.solve(squares, codes.T).T)
    held_out = y - (y - codes @ weights) / (1 - leverage)
    return float(held_out @ y / (y @ y))


def _check_amounts(y: ArrayLike, n: int) -> Array:
    """Return y as float64, (n,); ValueError or TypeError if no direction follows from it."""
    array = np.asarray(y)
    if array.ndim == 1 and array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(
            f"y holds {array[row]} in row {row} (counted from 0): leave out rows without a number"
        )
    amounts = check_numbers(array, "y").astype(np.float64)
    if len(amounts) != n:
        raise ValueError(f"y has {len(amounts):,} numbers, but X has {n:,} rows")
    if n < FEWEST:
        raise ValueError(f"X has {n} rows, but a direction by numbers needs at least {FEWEST}")
    if np.ptp(amounts) == 0:
        raise ValueError(
            f"y is {amounts[0]:g} for every row: a direction needs rows with different amounts of "
            "the attribute"
        )
    return amounts
