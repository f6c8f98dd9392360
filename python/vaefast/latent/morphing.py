"""Ways through the latent space from one row to another."""

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
    """Change one row smoothly into another: decode the codes between theirs.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    a, b : array-like of shape (d,) or one image
        The row to start from and the one to end with.
    steps : int
        Rows from one given row to the next, both ends included.
    through : sequence of rows
        Rows to visit on the way, in this order.
    how : str
        linear or spherical, see `path`.

    Returns
    -------
    ndarray of float32, m rows
        For k given rows m is ``(k - 1) * (steps - 1) + 1``. Each given row is there, as the model
        reconstructs it, ``steps - 1`` after the one before.
    """
    rows = {"a": a, **{f"through[{i}]": row for i, row in enumerate(through)}, "b": b}
    codes = np.stack([code_of(vae, row, name) for name, row in rows.items()])
    return vae.inverse_transform(path(codes, steps, how))


def path(codes: ArrayLike, steps: int = 10, how: str = "linear") -> Floats:
    """Return the codes on the way through k given ones, in equal steps.

    Parameters
    ----------
    codes : array-like of shape (k, latent_dim)
        At least two.
    steps : int
        Codes from one given code to the next, both ends included: at least two.
    how : str
        linear: straight lines. spherical: the direction from the origin turns at a constant rate
        (slerp, Shoemake 1985) while the distance from it changes linearly. The codes of a prior
        of many dimensions lie at about one distance from the origin; such a way stays there,
        a straight line cuts through the middle, where few codes are (White 2016). Where there
        is no one way to turn - a code at the origin, two opposite codes - the way is straight.

    Returns
    -------
    ndarray of float32, ((k - 1) * (steps - 1) + 1, latent_dim)
    """
    stops = check_codes(codes, "codes").astype(np.float64)
    if len(stops) < 2:
        raise ValueError("codes holds one code: a path needs at least two")
    share = np.linspace(0, 1, check_integer(steps, "steps", low=2))[:, None]  # of a leg
    check_choice(how, "how", WAYS)
    leg = _spherical if how == "spherical" else _linear
    legs = [leg(a, b, share)[:-1] for a, b in zip(stops[:-1], stops[1:], strict=True)]
    return np.concatenate([*legs, stops[-1:]]).astype(np.float32)


def _linear(
    a: NDArray[np.float64], b: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    way: NDArray[np.float64] = (1 - share) * a + share * b
    return way


def _spherical(
    a: NDArray[np.float64], b: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    lengths = np.linalg.norm([a, b], axis=1)
    if lengths.min() == 0:
        return _linear(a, b, share)
    toward_a, toward_b = a / lengths[0], b / lengths[1]
    angle = np.arccos(np.clip(toward_a @ toward_b, -1, 1))
    if np.sin(angle) < 1e-6:  # the same direction or the opposite one
        return _linear(a, b, share)
    turned = np.sin((1 - share) * angle) * toward_a + np.sin(share * angle) * toward_b
    length = (1 - share) * lengths[0] + share * lengths[1]
    way: NDArray[np.float64] = turned / np.sin(angle) * length
    return way
