"""Paths through the latent space from one row to another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.validation import check_choice, check_integer
from .checks import Floats, check_codes, code_of

if TYPE_CHECKING:
    from ..vae import VAE

WAYS = ("linear", "spherical")


def morph(
    vae: VAE,
    a: ArrayLike,
    b: ArrayLike,
    steps: int = 10,
    *,
    through: Iterable[ArrayLike] = (),
    how: str = "linear",
) -> Floats:
    """Return rows that change smoothly from one row into another.

    The rows are decoded from codes on the path between the codes of the given rows.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    a : array-like of shape (d,) or one image
        Row to start from.
    b : array-like of shape (d,) or one image
        Row to end with.
    steps : int, default=10
        Number of rows from one given row to the next, both included; at least 2.
    through : iterable of rows, default=()
        Rows to visit on the way, in this order.
    how : {"linear", "spherical"}, default="linear"
        Shape of the path between two codes; see `path`.

    Returns
    -------
    ndarray of shape (m, d) or m images, float32
        For k given rows m is ``(k - 1) * (steps - 1) + 1``. The reconstructions of the given rows
        are among them, every ``steps - 1`` rows.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, a row does not fit it, or an argument cannot be used.
    """
    rows = {"a": a, **{f"through[{i}]": row for i, row in enumerate(through)}, "b": b}
    codes = np.stack([code_of(vae, row, name) for name, row in rows.items()])
    return vae.inverse_transform(path(codes, steps, how))


def path(codes: ArrayLike, steps: int = 10, how: str = "linear") -> Floats:
    """Return the codes on a path through k given codes, in equal steps.

    Parameters
    ----------
    codes : array-like of shape (k, latent_dim)
        At least two codes.
    steps : int, default=10
        Number of codes from one given code to the next, both included; at least 2.
    how : {"linear", "spherical"}, default="linear"
        Shape of the path between two codes. linear is a straight line. spherical turns around the
        origin at a constant rate (slerp, Shoemake 1985), while the distance from the origin changes
        linearly.

        In many dimensions, nearly all codes drawn from the prior have about the same distance from
        the origin. A spherical path stays at that distance. A straight line passes through the
        middle, where there are few codes (White 2016). The turn is not defined for a code at the
        origin or for two opposite codes, so the path is then straight.

    Returns
    -------
    ndarray of shape ((k - 1) * (steps - 1) + 1, latent_dim), float32

    Raises
    ------
    ValueError, TypeError
        There are fewer than two codes, they are not finite numbers, or an argument cannot be used.
    """
    stops = check_codes(codes, "codes").astype(np.float64)
    if len(stops) < 2:
        raise ValueError("codes holds one code, but a path needs at least two")
    share = np.linspace(0, 1, check_integer(steps, "steps", low=2))[:, None]
    check_choice(how, "how", WAYS)
    leg = _spherical if how == "spherical" else _linear
    legs = [leg(a, b, share)[:-1] for a, b in zip(stops[:-1], stops[1:], strict=True)]
    return np.concatenate([*legs, stops[-1:]]).astype(np.float32)


def _linear(
    a: NDArray[np.float64], b: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the points, (steps, latent_dim), at these shares of the straight line from a to b."""
    way: NDArray[np.float64] = (1 - share) * a + share * b
    return way


def _spherical(
    a: NDArray[np.float64], b: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the points, (steps, latent_dim), at these shares of the turn from a to b."""
    lengths = np.linalg.norm([a, b], axis=1)
    if lengths.min() == 0:
        return _linear(a, b, share)
    toward_a, toward_b = a / lengths[0], b / lengths[1]
    angle = np.arccos(np.clip(toward_a @ toward_b, -1, 1))
    if np.sin(angle) < 1e-6:  # equal or opposite directions
        return _linear(a, b, share)
    turned = np.sin((1 - share) * angle) * toward_a + np.sin(share * angle) * toward_b
    length = (1 - share) * lengths[0] + share * lengths[1]
    way: NDArray[np.float64] = turned / np.sin(angle) * length
    return way
