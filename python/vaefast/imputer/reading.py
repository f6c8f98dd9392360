"""Checks of the table of numbers and of the VAE that a user passes to an imputer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.feature_names import FeatureNames, names_of
from .._input.matrix import to_float64, to_matrix
from ..tables import Table
from ..vae import VAE


def parameters_of(vae: VAE | None, table: Table | None) -> dict[str, Any]:
    """Return the parameters of the VAEs, some of which may be "auto".

    A table gives the likelihood, and standardizes the columns by itself.
    """
    params = _parameters_of(vae)
    if table is not None:
        params |= {"likelihood": table.columns, "standardize": False}
    return params


def _parameters_of(vae: VAE | None) -> dict[str, Any]:
    if vae is None:
        return VAE(
            "auto", "auto", likelihood="gaussian", missing="mask", standardize=True,
            batch_size="auto", learning_rate="auto",
        ).get_params()  # fmt: skip
    if not isinstance(vae, VAE):
        raise TypeError(f"vae={vae!r} must be a VAE or None")
    if vae.missing != "mask":
        raise ValueError(f"vae has missing={vae.missing!r}, but VAEImputer needs missing='mask'")
    if vae.conditional:
        raise ValueError("vae has conditional=True, but VAEImputer takes no y: use VAE.impute")
    return vae.get_params()


def read(X: ArrayLike) -> tuple[NDArray[Any], FeatureNames | None]:
    """Return the numbers of a table, float32 if that holds them all, else float64; and names."""
    matrix, shape = to_matrix(X)
    if len(shape) != 1:
        raise ValueError(f"X has rows of shape {shape}, expected a table: (n, features)")
    values: NDArray[Any] = matrix.astype(np.float32)
    if (exact := to_float64(X)) is not None:
        # Only the matrix has NaN for the masked values of a masked array.
        values = np.where(np.isnan(values), np.nan, exact)
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0]
        raise ValueError(
            f"X holds {values[row, column]:g} in row {row}, column {column}, expected finite "
            "numbers, or NaN where a value is missing"
        )
    return values, names_of(X)


def names_out(names: FeatureNames | None, n: int, given: Any) -> NDArray[np.object_]:
    """Return the names of n columns: those of the fit, those given, or x0, x1, ...

    Raises
    ------
    ValueError
        The given names differ from those of the fit, or there are not n of them.
    """
    found = (names or tuple(f"x{i}" for i in range(n))) if given is None else tuple(given)
    if len(found) != n:
        raise ValueError(
            f"input_features should have length equal to number of features ({n}), got {len(found)}"
        )
    if names is not None and found != names:
        raise ValueError("input_features is not equal to feature_names_in_")
    return np.array(found, dtype=object)


def ranges_of(values: NDArray[Any], names: FeatureNames | None) -> NDArray[np.float64]:
    """Return the smallest and the largest known value of each column, (2, d)."""
    low = np.fmin.reduce(values, axis=0)
    empty = np.flatnonzero(np.isnan(low))
    if len(empty):
        called = f" ({names[empty[0]]})" if names else ""
        raise ValueError(
            f"column {empty[0]}{called} of X has no known value, so nothing can be filled: drop it"
        )
    return np.array([low, np.fmax.reduce(values, axis=0)], np.float64)
