"""Completion of rows by importance sampling from p(missing values | known values)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .._input import likelihoods
from .._input.rows import RowData
from .fitted import FittedModel
from .sampling import log_scales_of

Floats = NDArray[np.float64]

VALUES = 4_000_000  # values drawn at a time


def means_of(
    model: FittedModel, rows: RowData, values_of: Callable[[Floats], Floats], n_samples: int
) -> Floats:
    """Return E[values_of(x)|known values], (n, d), of the rows.

    Parameters
    ----------
    model : FittedModel
        A gaussian model with a sigma for each feature.
    rows : RowData
        Rows with missing values.
    values_of : callable
        Function of an array of rows, (..., d), such as the inverse of a map that was applied to the
        rows.
    n_samples : int
        Number of samples of z for each row, with one draw of x for each. All rows share the noise
        of these draws, so the result for a row does not depend on the other rows.
    """
    d = model.features
    sigma = np.exp(log_scales_of(model)[0].astype(np.float64))
    noise = sigma * np.random.default_rng(0).standard_normal((n_samples, d))
    means = np.empty((len(rows), d))
    for part, z, weights in _samples(model, rows, n_samples, 0):
        x = model.core.decode(z.reshape(-1, z.shape[2])).reshape(-1, n_samples, d) + noise
        means[part] = np.einsum("nk,nkf->nf", weights, values_of(x))
    return means


def draws(
    model: FittedModel, rows: RowData, n: int, n_samples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return n draws of x given the known values of each row, (n, rows, d).

    A code is drawn from n_samples samples of z by their importance weights, and x is drawn from
    p(x|z) (Mattei & Frellsen 2019, section 3.2).
    """
    out = np.empty((n, len(rows), model.features), np.float32)
    for part, z, weights in _samples(model, rows, n_samples, int(rng.integers(2**63))):
        cumulative = np.cumsum(weights, axis=1)
        for i in range(n):
            u = rng.random((len(z), 1)) * cumulative[:, -1:]
            chosen = z[np.arange(len(z)), (cumulative < u).sum(axis=1)]
            mean = model.core.decode(chosen)
            out[i, part] = likelihoods.draw(
                mean, model.columns, log_scales_of(model), model.params["df"], rng
            )
    return out


def _samples(
    model: FittedModel, rows: RowData, n_samples: int, seed: int
) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
    """Yield a few rows at a time with samples of z and their weights, which add up to 1."""
    step = max(1, VALUES // (n_samples * model.features))
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        z, log_weights = model.core.importance_samples(rows[part], n_samples, seed)
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        yield part, z, weights / weights.sum(axis=1, keepdims=True)
