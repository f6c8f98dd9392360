"""Checks of rows and codes, shared by the functions of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.matrix import to_matrix
from .._input.validation import check_values

if TYPE_CHECKING:
    from ..vae import VAE

Floats = NDArray[np.float32]


def code_of(vae: VAE, row: ArrayLike, name: str) -> Floats:
    """Return the mean of q(z|x), (latent_dim,), for a single row, (d,) or one image.

    Raises
    ------
    ValueError, TypeError
        The row does not fit the model. The message calls the row `name`.
    """
    n_features, array = vae.n_features_in_, np.asarray(row)
    if array.shape not in (vae.feature_shape_, (n_features,)) and len(vae.feature_shape_) > 1:
        hint = f"; the first one is {name}[0]" if array.shape[1:] == vae.feature_shape_ else ""
        raise ValueError(
            f"{name} has shape {array.shape}, expected one image of shape "
            f"{vae.feature_shape_}{hint}"
        )
    code: Floats = codes_of(vae, array[None], name)[0]
    return code


def codes_of(vae: VAE, rows: ArrayLike, name: str) -> Floats:
    """Return the means of q(z|x), (n, latent_dim). Error messages call the rows `name`."""
    check_unconditional(vae)
    return vae.model_.encode_mean(rows, name=name)


def check_unconditional(vae: VAE) -> None:
    """Raise ValueError if the model is conditional: a point between two rows has no defined y."""
    if vae.model_.conditions is not None:
        raise ValueError(
            "the model is conditional, but this function takes no y: encode with "
            "vae.transform(X, y), use latent.path or latent.cross on the codes, and decode with "
            "vae.inverse_transform(codes, y)"
        )


def check_codes(codes: ArrayLike, name: str) -> Floats:
    """Return codes as float32, (n, latent_dim); ValueError or TypeError if they are unusable."""
    rows, shape = to_matrix(codes, name)
    if len(shape) != 1:
        raise ValueError(
            f"{name} has shape {(len(rows), *shape)}, expected codes of shape (n, latent_dim)"
        )
    floats = rows.astype(np.float32, copy=False)
    check_values(floats, name=name)
    return floats


def check_numbers(values: ArrayLike, name: str) -> Floats:
    """Return numbers as float32, (n,); ValueError or TypeError if they are unusable."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected a list of numbers")
    numbers: Floats = check_codes(array[None], name)[0]
    return numbers


def check_along(direction: ArrayLike, codes: Floats) -> Floats:
    """Return a direction as float32, (latent_dim,); ValueError or TypeError if it is unusable."""
    way = check_numbers(direction, "direction")
    if len(way) != codes.shape[1]:
        raise ValueError(
            f"direction has {len(way)} numbers, but the model has {codes.shape[1]} latent "
            "dimensions: it belongs to another model"
        )
    return way


def decode(vae: VAE, codes: Floats) -> Floats:
    """Decode codes (n, m, latent_dim) into rows (n, m, d) or images."""
    check_unconditional(vae)
    rows = vae.inverse_transform(codes.reshape(-1, codes.shape[-1]))
    return rows.reshape(*codes.shape[:-1], *vae.feature_shape_)
