"""Diagnosis of a latent space: the information of each unit, and the distance of q(z) from p(z).

The aggregate posterior q(z) is the mean of the posteriors q(z|x) over the rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CollapseWarning, ConvergenceWarning

Floats = NDArray[np.float64]

ACTIVE = 0.01  # variance of the posterior mean above which a unit is active (Burda et al. 2016)
POINTS = 512  # points of the grid on which densities are compared
ROWS = 2048  # rows whose densities are computed at once
SHOWN = 50  # units in the printed table, at most
STEPS = 1000  # no warning before: early in training, a KL near 0 is common
FEW_STEPS = 300  # fewer steps leave any network far from trained
STEPS_TO_SETTLE = 3_000  # no warning of a rising ELBO after so many steps
RISING = 0.1  # share of the whole gain, in the last quarter of the epochs, that warns
FEW = 10  # fewer than one active unit in this many causes a warning


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """Result of `VAE.diagnose`. `print` shows a table of the units, with the largest KL first.

    Attributes
    ----------
    n_rows : int
        Number of rows that were diagnosed.
    kl : ndarray of shape (latent_dim,), float64
        KL(q(z_k|x) || p(z_k)) of each unit, mean over the rows, in nats. The sum over units is the
        `kl` of `VAE.evaluate`.
    information : ndarray of shape (latent_dim,), float64
        Mutual information of the row and z_k in nats, at most log(n_rows). It is the first of two
        parts that add up to `kl` (Hoffman & Johnson 2016).
    distance : ndarray of shape (latent_dim,), float64
        KL(q(z_k) || p(z_k)) of the aggregate posterior in nats, the second part of `kl`. It is
        computed on a grid over the range of z_k. A posterior narrower than one step of the grid,
        1/511 of the range, counts as one step wide.
    mean_variance : ndarray of shape (latent_dim,), float64
        Variance of the posterior mean over the rows.
    mean : ndarray of shape (latent_dim,), float64
        Mean of z under q(z). It is 0 under the prior.
    covariance : ndarray of shape (latent_dim, latent_dim), float64
        Covariance of z under q(z). It is the identity under the prior.
    """

    n_rows: int
    kl: Floats
    information: Floats
    distance: Floats
    mean_variance: Floats
    mean: Floats
    covariance: Floats

    @property
    def active(self) -> NDArray[np.bool_]:
        """Whether each unit is active: `mean_variance` is above 0.01 (Burda et al. 2016)."""
        return self.mean_variance > ACTIVE

    @property
    def active_units(self) -> int:
        """Number of active units."""
        return int(self.active.sum())

    def __str__(self) -> str:
        order = np.argsort(-self.kl, kind="stable")
        lines = [
            f"{self.active_units} of {len(order)} units active, KL {self.kl.sum():.2f} nats per "
            f"row, {self.n_rows:,} rows",
            " unit       KL  information  distance     mean      std  var(mu)",
        ]
        std = np.sqrt(np.diag(self.covariance))
        for k in order[:SHOWN]:
            lines.append(
                f"{k:5} {self.kl[k]:8.3f} {self.information[k]:12.3f} {self.distance[k]:9.3f} "
                f"{self.mean[k]:8.3f} {std[k]:8.3f} {self.mean_variance[k]:8.4f}"
                + ("" if self.active[k] else "  inactive")
            )
        if len(order) > SHOWN:
            lines.append(
                f"and {len(order) - SHOWN} more with KL {self.kl[order[SHOWN]]:.3f} or less"
            )
        return "\n".join(lines)

    __repr__ = __str__


def diagnose(mu: NDArray[np.float32], logvar: NDArray[np.float32]) -> Diagnosis:
    """Return a diagnosis of the latent space from the posteriors of rows.

    Parameters
    ----------
    mu : ndarray of shape (n, latent_dim), float32
        Means of the posteriors.
    logvar : ndarray of shape (n, latent_dim), float32
        Logarithms of the variances of the posteriors.
    """
    n = len(mu)
    kl = kl_per_dimension(mu, logvar)
    sigma = np.exp(logvar / 2)
    distance = np.array([_distance(mu[:, k], sigma[:, k]) for k in range(mu.shape[1])])
    means = mu.astype(np.float64)
    centred = means - means.mean(0)
    covariance = centred.T @ centred / n + np.diag(np.exp(logvar, dtype=np.float64).mean(0))
    return Diagnosis(
        n_rows=n,
        kl=kl,
        information=np.clip(kl - distance, 0, np.log(n)),
        distance=distance,
        mean_variance=means.var(0),
        mean=means.mean(0),
        covariance=covariance,
    )


def kl_per_dimension(mu: NDArray[np.float32], logvar: NDArray[np.float32]) -> Floats:
    """Return the mean KL of each unit, (latent_dim,), nats (Kingma & Welling 2014, appendix B)."""
    mu, logvar = mu.astype(np.float64), logvar.astype(np.float64)
    return np.asarray((mu**2 + np.expm1(logvar) - logvar).mean(0) / 2)


def active_units(mu: NDArray[np.float32]) -> int:
    """Return the number of units whose posterior mean has a variance above 0.01 over the rows."""
    return int((mu.var(0, dtype=np.float64) > ACTIVE).sum())


def warn_of_collapse(active: int, latent_dim: int, steps: int) -> None:
    """Warn if fewer than one unit in ten is active after at least 1,000 training steps.

    Some inactive units do no harm: a model that needs fewer units than it has leaves the others to
    the prior. Only a nearly empty latent space deserves a warning.

    Warns
    -----
    CollapseWarning
        The latent space is nearly empty. The message lists remedies.
    """
    if steps < STEPS or active * FEW >= latent_dim:
        return
    warnings.warn(
        f"posterior collapse: {active} of {latent_dim} latent units are active; the others carry "
        "no information. Try a smaller beta or a warm-up, as with "
        "beta=schedules.LinearWarmup(epochs=10); free_bits=0.1; wider or more hidden layers; and, "
        "for likelihood='gaussian', a smaller sigma. If the rows are noise, there is nothing to "
        "learn. diagnose(X) shows the units one by one.",
        CollapseWarning,
        stacklevel=3,
    )


def warn_of_few_steps(elbos: Sequence[float], steps: int) -> None:
    """Warn if training ended early: after few steps, or while the ELBO still rose steeply.

    Warns
    -----
    ConvergenceWarning
        There were fewer than 300 steps; or fewer than 3,000, and the last quarter of the epochs
        brought more than a tenth of the whole gain.
    """
    quarter = len(elbos) // 4
    gain = elbos[-1] - elbos[0]
    rising = quarter > 0 and elbos[-1] - elbos[-1 - quarter] > RISING * gain > 0
    if steps >= FEW_STEPS and not (rising and steps < STEPS_TO_SETTLE):
        return
    reason = f"only {steps:,} steps" if steps < FEW_STEPS else "the ELBO was still rising"
    warnings.warn(
        f'{reason}: raise epochs from {len(elbos)}, or leave the budget to epochs="auto". A '
        "smaller batch_size takes more steps in each epoch.",
        ConvergenceWarning,
        stacklevel=3,
    )


def _distance(mu: NDArray[np.float32], sigma: NDArray[np.float32]) -> float:
    """Return the KL of the mixture of N(mu_i, sigma_i^2) from N(0, 1), by a sum over a grid."""
    low, high = float((mu - 6 * sigma).min()), float((mu + 6 * sigma).max())
    grid = np.linspace(low, high, POINTS)
    step = grid[1] - grid[0]
    width = np.maximum(sigma, np.float32(step))[:, None]  # narrower peaks would fall between points
    points, centres = grid.astype(np.float32), mu[:, None]
    density = np.zeros(POINTS)
    for first in range(0, len(mu), ROWS):
        rows = slice(first, first + ROWS)
        density += (np.exp(-(((points - centres[rows]) / width[rows]) ** 2) / 2) / width[rows]).sum(
            0
        )
    share = density / density.sum()  # probability of each interval of the grid
    inside = share > 0
    log_q = np.log(share[inside] / step)
    log_p = -(grid[inside] ** 2 + np.log(2 * np.pi)) / 2
    return max(0.0, float((share[inside] * (log_q - log_p)).sum()))
