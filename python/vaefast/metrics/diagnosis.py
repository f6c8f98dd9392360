"""How a model uses its latent space: what each unit says, and how far q(z) is from the prior.

The aggregate posterior q(z) is the mean of the posteriors q(z|x) over the rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CollapseWarning

Floats = NDArray[np.float64]

ACTIVE = 0.01  # a unit is active whose posterior mean varies by more than this (Burda et al. 2016)
POINTS = 512  # of the grid on which densities are compared
ROWS = 2048  # whose densities are computed at a time
SHOWN = 50  # units in the table
STEPS = 1000  # early in training a KL near 0 is common and passes
FEW = 10  # in this many units one active is few


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What `VAE.diagnose` found; `print` shows it as a table.

    Attributes
    ----------
    n_rows : int
        Rows that were looked at.
    kl : ndarray of shape (latent_dim,)
        Mean over the rows of the KL of q(z_k|x) from the prior, nats. The sum is the `kl` of
        `VAE.evaluate`.
    information, distance : ndarray of shape (latent_dim,)
        The two parts of `kl` (Hoffman & Johnson 2016): the mutual information of row and z_k,
        which is at most log(n_rows), and the KL of the aggregate posterior q(z_k) from the prior,
        in nats. Posteriors narrower than 1/511 of the range of z_k count as that wide.
    mean_variance : ndarray of shape (latent_dim,)
        Variance over the rows of the posterior mean.
    mean : ndarray of shape (latent_dim,)
        Mean of z under q(z); 0 under the prior.
    covariance : ndarray of shape (latent_dim, latent_dim)
        Covariance of z under q(z); the identity under the prior.
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
        """Which units are active: `mean_variance` above 0.01 (Burda et al. 2016)."""
        return self.mean_variance > ACTIVE

    @property
    def active_units(self) -> int:
        """How many units are active."""
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
            lines.append(f"and {len(order) - SHOWN} more of KL {self.kl[order[SHOWN]]:.3f} or less")
        return "\n".join(lines)

    __repr__ = __str__


def diagnose(mu: NDArray[np.float32], logvar: NDArray[np.float32]) -> Diagnosis:
    """Return what the posteriors of some rows, (n, latent_dim) each, say of the latent space."""
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
    """Return the mean KL of each unit from the prior, (latent_dim,), nats (K&W, appendix B)."""
    mu, logvar = mu.astype(np.float64), logvar.astype(np.float64)
    return np.asarray((mu**2 + np.expm1(logvar) - logvar).mean(0) / 2)


def active_units(mu: NDArray[np.float32]) -> int:
    """Return how many units have a posterior mean that varies over the rows by more than 0.01."""
    return int((mu.var(0, dtype=np.float64) > ACTIVE).sum())


def warn_of_collapse(active: int, latent_dim: int, steps: int) -> None:
    """Warn if training was long enough to tell, and fewer than one unit in ten is active.

    A model that needs fewer units than it has leaves the others to the prior, which is no harm;
    so only a nearly empty latent space is worth a word.
    """
    if steps < STEPS or active * FEW >= latent_dim:
        return
    warnings.warn(
        f"posterior collapse: {active} of {latent_dim} latent units are active, the others say "
        "nothing about the rows. What helps: a smaller beta or a warm-up, as with "
        "beta=schedules.LinearWarmup(epochs=10); free_bits=0.1; wider or more hidden layers; for "
        "likelihood='gaussian' a smaller sigma. If the rows are noise, there is nothing to say. "
        "diagnose(X) shows the units one by one.",
        CollapseWarning,
        stacklevel=3,
    )


def _distance(mu: NDArray[np.float32], sigma: NDArray[np.float32]) -> float:
    """KL of the mixture of the normals N(mu_i, sigma_i^2) from N(0, 1), by sums over a grid."""
    low, high = float((mu - 6 * sigma).min()), float((mu + 6 * sigma).max())
    grid = np.linspace(low, high, POINTS)
    step = grid[1] - grid[0]
    width = np.maximum(sigma, np.float32(step))[:, None]  # narrower ones would fall between points
    points, centres = grid.astype(np.float32), mu[:, None]
    density = np.zeros(POINTS)
    for first in range(0, len(mu), ROWS):
        rows = slice(first, first + ROWS)
        density += (np.exp(-(((points - centres[rows]) / width[rows]) ** 2) / 2) / width[rows]).sum(
            0
        )
    share = density / density.sum()  # of the mixture in each interval of the grid
    inside = share > 0
    log_q = np.log(share[inside] / step)
    log_p = -(grid[inside] ** 2 + np.log(2 * np.pi)) / 2
    return max(0.0, float((share[inside] * (log_q - log_p)).sum()))
