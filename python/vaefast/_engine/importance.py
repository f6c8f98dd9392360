"""Importance sampling: estimates of log p(x), and of missing values."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from .._core import Core
from .._input.rows import AnyRows, Rows
from ..metrics import LogLikelihood
from .display import Display

FIRST_SAMPLES = 20_000  # samples in the first call of the core; its speed sizes later calls
SAMPLES = 100_000  # samples in a call of the core that fills missing values
CALL_SECONDS = 1.0  # target time of a call; between calls Ctrl-C is polled and the bar moves


def log_likelihood(
    core: Core, rows: AnyRows, n_samples: int, seed: int, verbose: bool
) -> LogLikelihood:
    """Estimate log p(x) of the rows, a few at a time (Burda et al. 2016, eq. 8).

    Parameters
    ----------
    core : Core
        The trained network.
    rows : AnyRows
        Rows to score, with conditions and exposure where the model needs them.
    n_samples : int
        Number of samples of z for each row.
    seed : int
        Seed of the noise.
    verbose : bool
        Whether to show progress.

    Returns
    -------
    LogLikelihood
        Estimates and standard errors in nats.
    """
    n = len(rows)
    first, step = 0, max(1, FIRST_SAMPLES // n_samples)  # row numbers
    estimates, errors = np.empty(n), np.empty(n)
    with Display(n, "log p(x)", verbose) as display:
        while first < n:
            began = time.perf_counter()
            part = slice(first, min(first + step, n))
            estimates[part], errors[part] = core.log_likelihood(rows[part], n_samples, seed)
            mean = estimates[: part.stop].mean()
            display.advance(part.stop - first, ("log p(x)", f"{mean:.3f}"))
            first = part.stop
            speed_up = CALL_SECONDS / max(time.perf_counter() - began, 1e-9)
            step = max(1, min(2 * step, int(speed_up * step)))
    if n_samples == 1:
        errors[:] = np.inf  # a single sample gives no error estimate
    return LogLikelihood(estimates, errors, n_samples)


def weighted_means(core: Core, rows: Rows, n_samples: int, seed: int) -> NDArray[np.float32]:
    """Return E[x|known values], (n, features), of the rows (Mattei & Frellsen 2019, eq. 12).

    Parameters
    ----------
    core : Core
        The trained network.
    rows : Matrix or RowData
        Rows with missing values, with conditions where the model needs them.
    n_samples : int
        Number of samples of z for each row.
    seed : int
        Seed of the noise.
    """
    step = max(1, SAMPLES // n_samples)
    parts = [core.impute(rows[i : i + step], n_samples, seed) for i in range(0, len(rows), step)]
    return np.concatenate(parts)
