"""log p(x) by importance sampling."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._core import Core
from .rowdata import RowData
from .validation import Rows

SAMPLES_AT_FIRST = 20_000  # of the first call of the core
PATIENCE = 1.0  # seconds of a call, about, after which Ctrl-C is heard and the progress bar moves


@dataclass(frozen=True)
class LogLikelihood:
    """Estimates of log p(x), in nats, with their standard errors.

    The estimate of a row is log(mean of p(x, z) / q(z|x)) over z drawn from q(z|x) (Burda et al.
    2016, eq. 8). On average it is below log p(x), and rises towards it with the number of samples.

    Attributes
    ----------
    rows, row_errors : ndarray of shape (n,)
        Of each row, and its standard error (that of the mean, relative to it).
    n_samples : int
        Samples of z for each row.
    """

    rows: NDArray[np.float64]
    row_errors: NDArray[np.float64]
    n_samples: int

    @property
    def mean(self) -> float:
        """Mean over the rows."""
        return float(self.rows.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, from the sampling of z alone; the rows are taken as given, and as different:
        equal rows share their noise, and their errors don't cancel."""
        return float(np.sqrt(np.sum(self.row_errors**2)) / len(self.rows))

    def __str__(self) -> str:
        return (
            f"log p(x) = {self.mean:.3f} +- {self.standard_error:.3f} nats per row "
            f"({len(self.rows)} rows, {self.n_samples} samples each)"
        )


def log_likelihood(
    core: Core, rows: Rows | RowData, n_samples: int, seed: int, verbose: bool
) -> LogLikelihood:
    """Estimate log p(x) of the rows, a few at a time, with a progress bar if `verbose`."""
    from tqdm import tqdm

    n = len(rows)
    first, step = 0, max(1, SAMPLES_AT_FIRST // n_samples)  # rows
    estimates, errors = np.empty(n), np.empty(n)
    with tqdm(total=n, unit=" rows", disable=not verbose, dynamic_ncols=True) as bar:
        while first < n:
            began = time.perf_counter()
            part = slice(first, min(first + step, n))
            estimates[part], errors[part] = core.log_likelihood(rows[part], n_samples, seed)
            bar.update(part.stop - first)
            bar.set_postfix_str(f"log p(x) {estimates[: part.stop].mean():.3f}", refresh=False)
            first = part.stop
            patience = PATIENCE / max(time.perf_counter() - began, 1e-9)
            step = max(1, min(2 * step, int(patience * step)))
    return LogLikelihood(estimates, errors, n_samples)
