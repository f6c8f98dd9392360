"""Editing of rows: more or less of an attribute, with all else unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .._input.matrix import to_matrix
from .._input.pixels import is_image_shape, value_range
from .checks import Floats, check_along, check_numbers, codes_of, decode

if TYPE_CHECKING:
    from ..vae import VAE

WINDOWS = 9  # windows along each side of an image, over which the mask is smoothed
FAINT = 0.4  # share of the image's root mean square change at which a change is halved


def edit(
    vae: VAE,
    X: ArrayLike,
    direction: ArrayLike,
    amount: float | ArrayLike,
    *,
    detail: bool = True,
) -> Floats:
    """Return rows with more of an attribute, such as an older face or a thicker stroke.

    The code z of a row moves along the direction d. With `detail`, the row x itself gets the change
    of the decoded row: x + decode(z + amount d) - decode(z). This keeps everything in the row that
    the model does not explain, so a photograph stays as sharp as it was.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    X : array-like of shape (n, d), or n images
        Rows to edit.
    direction : array-like of shape (latent_dim,)
        Direction of the attribute, such as the function `direction` returns.
    amount : float or array-like of shape (n,)
        How far to go along the direction, for all rows or for each. A direction that was learned
        from numbers has their unit: with ages in years, 20 is 20 years older.
    detail : bool, default=True
        Whether to keep what the model does not explain. Otherwise, the moved codes are decoded, as
        by `shift`.

    Returns
    -------
    ndarray of shape (n, d) or n images, float32
        With `detail`, images change only where the attribute shows, and stay within the range of X,
        as `pictures.value_range` returns it.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, X, `direction` or `amount` does not fit it, or a number is not
        finite.

    Notes
    -----
    The change of an image is multiplied by a mask, e / (e + 0.16 e0). Here e is the mean square of
    the change in a window of a ninth of each side, and e0 the mean of e over the image. A
    background, where the change is faint, thus keeps its colours. The masked change is then scaled
    to the root mean square of the whole change, so it appears in fewer places but is as strong.
    """
    codes = codes_of(vae, X, "X")
    way = check_along(direction, codes)
    steps = _check_amount(amount, len(codes))
    moved = decode(vae, codes + steps[:, None] * way)
    if not detail:
        return moved
    change = moved - decode(vae, codes)
    rows, _ = to_matrix(X)
    divisor = vae.model_.reader.divisor if rows.dtype == np.uint8 else 1
    given = (rows / np.float32(divisor)).reshape(change.shape)
    if not is_image_shape(vae.feature_shape_):
        return given + change
    edited: Floats = np.clip(given + _masked(change), *value_range(given))
    return edited


def _check_amount(amount: float | ArrayLike, n: int) -> Floats:
    """Return how far each of n rows goes, (n,); ValueError or TypeError if that is unusable."""
    values = np.asarray(amount)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("amount holds a number that is NaN or infinite")
    steps = check_numbers(np.full(n, values) if values.ndim == 0 else values, "amount")
    if len(steps) != n:
        raise ValueError(f"amount has {len(steps):,} numbers, but X has {n:,} rows")
    return steps


def _masked(change: Floats) -> Floats:
    """Return changes of images, (n, h, w) or (n, h, w, c), without those in quiet places.

    The weight of a place grows with the mean square of the change around it, relative to that of
    the image. The root mean square of the whole change stays the same.
    """
    squares = np.square(change).reshape(*change.shape[:3], -1).mean(axis=3)
    smooth = _smoothed(_smoothed(squares, 1), 2)
    tiny = np.finfo(np.float32).tiny
    mask = smooth / (smooth + FAINT**2 * smooth.mean(axis=(1, 2), keepdims=True) + tiny)
    kept = (mask**2 * squares).mean(axis=(1, 2), keepdims=True)
    mask *= np.sqrt(squares.mean(axis=(1, 2), keepdims=True) / (kept + tiny))
    masked: Floats = change * mask.reshape(*mask.shape, *[1] * (change.ndim - 3))
    return masked


def _smoothed(values: Floats, axis: int) -> Floats:
    """Return the means of windows along an axis; the values at the edges are repeated."""
    radius = values.shape[axis] // (2 * WINDOWS)
    padding = [(radius, radius) if i == axis else (0, 0) for i in range(values.ndim)]
    padded = np.pad(values, padding, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis)
    smooth: Floats = windows.mean(axis=-1)
    return smooth
