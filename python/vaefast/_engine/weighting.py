"""Codes of rows with some given values, by importance resampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .fitted import FittedModel
from .sampling import log_scales_of

POOL = 10_000  # codes weighted at a time
ROUNDS = 10  # most pools of codes
ENOUGH, LEAST = 100.0, 5.0  # effective numbers of codes at which to stop, and below which to fail

Drawer = Callable[[int, np.random.Generator], tuple[NDArray[np.float32], NDArray[np.int64]]]


def codes_given(
    model: FittedModel,
    wanted: NDArray[np.float32],
    draw: Drawer,
    n: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return n codes from p(z | some values), and the row indices that `draw` returned for them.

    A pool of codes is drawn, and resampled with the probabilities of the given values as weights.
    Features are independent given a code, so all other values may then be drawn from p(x|z).

    Parameters
    ----------
    model : FittedModel
    wanted : ndarray of shape (features,), float32
        The given values as features, with NaN elsewhere.
    draw : callable
        Function that takes a number and a generator, and returns codes and a row index for each.
    n : int
    rng : Generator

    Raises
    ------
    ValueError
        Too few codes fit the values, or the likelihood of a given column is not supported.
    """
    codes, rows, logs = [], [], []
    weights = np.zeros(0)
    effective = 0.0
    for _ in range(ROUNDS):
        z, of = draw(POOL, rng)
        codes.append(z)
        rows.append(of)
        logs.append(_log_density(model, model.decode(z).reshape(len(z), -1), wanted))
        log = np.concatenate(logs)
        weights = np.exp(log - log.max()) if np.isfinite(log.max()) else np.zeros(len(log))
        effective = weights.sum() ** 2 / np.square(weights).sum() if weights.any() else 0.0
        if effective >= ENOUGH:
            break
    if effective < LEAST:
        raise ValueError(
            f"the conditions fit too few of {len(weights):,} codes, in effect {effective:.0f}: the "
            "model has hardly seen such rows. Give fewer conditions"
        )
    chosen = rng.choice(len(weights), n, p=weights / weights.sum())
    return np.concatenate(codes)[chosen], np.concatenate(rows)[chosen]


def _log_density(
    model: FittedModel, mean: NDArray[np.float32], wanted: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return log p(wanted | z) up to a constant, (n,), for the features that are not NaN."""
    found = np.zeros(len(mean))
    scales = log_scales_of(model)
    first = 0
    for i, (likelihood, width) in enumerate(model.columns):
        known = np.flatnonzero(~np.isnan(wanted[first : first + width]))
        m = mean[:, first + known].astype(np.float64)
        x = wanted[first + known].astype(np.float64)
        first += width
        if not len(known):
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            if likelihood == "categorical":
                found += np.log(m @ x)
            elif likelihood == "bernoulli":
                found += np.log(np.where(x >= 0.5, m, 1 - m)).sum(axis=1)
            elif likelihood == "gaussian":
                sigma = np.exp(scales[i][known].astype(np.float64)) if i in scales else 1.0
                found -= 0.5 * np.square((x - m) / sigma).sum(axis=1)
            else:
                raise ValueError(
                    f"conditions on columns with the likelihood {likelihood} are not possible: "
                    "choose another likelihood, such as gaussian"
                )
    return found
