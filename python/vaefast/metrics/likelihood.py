"""Estimates of log p(x), with their standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LogLikelihood:
    """Estimates of log p(x) by importance sampling, in nats, with their standard errors.

    The estimate of a row is log(mean of p(x, z) / q(z|x)) over samples z of q(z|x) (Burda et al.
    2016, eq. 8). Its expectation is below log p(x) and rises towards it with the number of samples.

    Attributes
    ----------
    rows : ndarray of shape (n,), float64
        Estimate for each row.
    row_errors : ndarray of shape (n,), float64
        Standard error of each estimate by the delta method, which is the standard error of the mean
        divided by the mean. It is infinite for a single sample.
    n_samples : int
        Samples of z for each row.
    """

    rows: NDArray[np.float64]
    row_errors: NDArray[np.float64]
    n_samples: int

    @property
    def mean(self) -> float:
        """Mean over the rows, in nats."""
        return float(self.rows.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, from the sampling of z alone.

        The rows are taken as given and as distinct. Equal rows share their noise, so their errors
        do not average out, and the true standard error is larger.
        """
        return float(np.sqrt(np.sum(self.row_errors**2)) / len(self.rows))

    def __str__(self) -> str:
        return (
            f"log p(x) = {self.mean:.3f} +- {self.standard_error:.3f} nats per row "
            f"({len(self.rows)} rows, {self.n_samples} samples each)"
        )
