"""Distributions that new codes are drawn from: the prior, or what the codes of the fit are like.

A decoder knows the codes of its training rows, the aggregate posterior: the mean of q(z|x) over the
rows. Where that differs from the prior, codes of the prior lie in places that the decoder never
saw (Dai & Wipf 2019). A distribution that is fitted to the codes avoids these places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._input.rows import RowData, Rows

Array = NDArray[np.float64]

KEPT = 2_048  # rows whose posteriors a fit keeps, at most
COMPONENTS = (1, 2, 4, 8, 16, 32)
HELD_OUT = 5  # one code in so many chooses the number of components
STEPS = 50  # of expectation maximization, at most
GAIN = 1e-3  # nats per code, below which it ends
FLOOR = 1e-3  # added to variances, in units of the codes' variance
_SEED = 0  # of the fits: the same codes give the same distribution


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Posteriors q(z|x) of some rows of the fit.

    Attributes
    ----------
    mu, logvar : ndarray of shape (n, latent_dim), float32
        Means and log-variances. The log-variance of a plain autoencoder is -inf.
    """

    mu: NDArray[np.float32]
    logvar: NDArray[np.float32]

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return n codes, each from the posterior of a row that is drawn at random."""
        rows = rng.integers(len(self.mu), size=n)
        noise = rng.standard_normal((n, self.mu.shape[1]))
        return self.mu[rows] + np.exp(self.logvar[rows].astype(np.float64) / 2) * noise


def chosen_rows(rows: Rows) -> NDArray[np.int64]:
    """Return the index of the rows whose posteriors are kept: a sample by their weights."""
    n, rng = len(rows), np.random.default_rng(_SEED)
    weights = rows.weights if isinstance(rows, RowData) else None
    if weights is not None:
        shares = weights.astype(np.float64) / weights.sum(dtype=np.float64)
        return np.sort(rng.choice(n, min(n, KEPT), p=shares))
    return np.sort(rng.choice(n, min(n, KEPT), replace=False))


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians.

    Attributes
    ----------
    shares : ndarray of shape (k,)
        Probability of each component.
    means : ndarray of shape (k, latent_dim)
    factors : ndarray of shape (k, latent_dim, latent_dim)
        Lower Cholesky factors of the covariances.
    """

    shares: Array
    means: Array
    factors: Array

    @classmethod
    def fit(cls, codes: Array, components: int) -> Mixture:
        """Return the mixture that expectation maximization finds (Dempster et al. 1977)."""
        rng = np.random.default_rng(_SEED)
        floor = FLOOR * codes.var(axis=0) + 1e-12
        means = codes[rng.choice(len(codes), components, replace=False)]
        distances = np.square(codes[:, None] - means).sum(axis=2)
        share_of = np.eye(components)[distances.argmin(axis=1)]
        found, before = cls._of(codes, share_of, floor), -np.inf
        for _ in range(STEPS):
            log_shares = found._log_joint(codes)
            log_density = np.logaddexp.reduce(log_shares, axis=1)
            if (now := float(log_density.mean())) - before < GAIN:
                break
            before = now
            found = cls._of(codes, np.exp(log_shares - log_density[:, None]), floor)
        return found

    @classmethod
    def _of(cls, codes: Array, share_of: Array, floor: Array) -> Mixture:
        """Return the mixture of codes that belong to components by these shares, (n, k)."""
        sizes = share_of.sum(axis=0) + 1e-9
        means = share_of.T @ codes / sizes[:, None]
        factors = np.empty((len(sizes), codes.shape[1], codes.shape[1]))
        for k, mean in enumerate(means):
            centred = codes - mean
            covariance = (share_of[:, k, None] * centred).T @ centred / sizes[k]
            factors[k] = np.linalg.cholesky(covariance + np.diag(floor))
        return cls(sizes / sizes.sum(), means, factors)

    def _log_joint(self, codes: Array) -> Array:
        """Return log p(component) + log p(code | component), (n, k)."""
        found = np.empty((len(codes), len(self.shares)))
        for k, (share, mean, factor) in enumerate(
            zip(self.shares, self.means, self.factors, strict=True)
        ):
            z = (codes - mean) @ np.linalg.inv(factor).T
            log_volume = np.log(np.diag(factor)).sum() + 0.5 * len(factor) * np.log(2 * np.pi)
            found[:, k] = np.log(share) - log_volume - 0.5 * np.square(z).sum(axis=1)
        return found

    def log_density(self, codes: Array) -> Array:
        """Return log p of each code, nats."""
        return np.asarray(np.logaddexp.reduce(self._log_joint(codes), axis=1))

    def draw(self, n: int, rng: np.random.Generator, temperature: float) -> Array:
        """Return n codes; `temperature` scales their distance from the means of the components."""
        # A generator of its own, so that more codes from the same seed begin with the same ones.
        chooser = np.random.default_rng(rng.integers(2**63))
        which = chooser.choice(len(self.shares), n, p=self.shares)
        noise = temperature * rng.standard_normal((n, self.means.shape[1]))
        moved: Array = np.einsum("nij,nj->ni", self.factors[which], noise)
        return self.means[which] + moved


def gaussian(posteriors: Posteriors) -> Mixture:
    """Return the Gaussian with the mean and the covariance of the codes."""
    return Mixture.fit(posteriors.draw(KEPT, np.random.default_rng(_SEED)), 1)


def mixture(posteriors: Posteriors) -> Mixture:
    """Return a mixture of Gaussians of the codes.

    The number of components is the one of 1, 2, 4, ..., 32 that describes codes of held-out rows
    best.
    """
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(posteriors.mu))
    apart = order[::HELD_OUT] if len(order) >= 2 * HELD_OUT else order
    rest = np.setdiff1d(order, apart) if len(order) >= 2 * HELD_OUT else order

    def codes_of(rows: NDArray[np.int64], n: int) -> Array:
        return Posteriors(posteriors.mu[rows], posteriors.logvar[rows]).draw(n, rng)

    training, watched = codes_of(rest, KEPT), codes_of(apart, KEPT)
    best, best_density = 1, -np.inf
    for components in COMPONENTS:
        if components * 4 > len(rest) and components > 1:
            break
        density = Mixture.fit(training, components).log_density(watched).mean()
        if density <= best_density:
            break
        best, best_density = components, density
    return Mixture.fit(posteriors.draw(KEPT, rng), best)
