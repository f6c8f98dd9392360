"""Distributions from which new codes are drawn, fitted to the codes of the training rows.

A decoder is trained on codes of the training rows. They follow the aggregate posterior, which is
the mean of q(z|x) over the rows. Where the aggregate posterior differs from the prior, codes drawn
from the prior lie in places that the decoder never saw (Dai & Wipf 2019). A distribution that is
fitted to the codes avoids these places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._input.rows import AnyRows, parts_of

Array = NDArray[np.float64]

KEPT = 2_048  # most rows whose posteriors a fit keeps
COMPONENTS = (1, 2, 4, 8, 16, 32)
HELD_OUT = 5  # every fifth row is held out to choose the number of components
STEPS = 25  # most steps of expectation maximization
GAIN = 1e-3  # gain in nats per code below which it stops
BLOCK = 1 << 22  # numbers in one matrix product: 32 MB
FLOOR = 1e-3  # added to variances, in units of the codes' variance
_SEED = 0  # seed of the fits, so the same codes give the same distribution


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


def places(kept: int, n: int, seed: int) -> tuple[NDArray[np.int64], int]:
    """Return which of the kept posteriors stay, and how many of n further rows join them.

    Together they are a uniform sample. The posteriors of earlier calls count only as many rows as
    were kept, so they fade as the encoder changes.
    """
    rng = np.random.default_rng((_SEED, seed))
    total = min(kept + n, KEPT)
    stay = int(rng.hypergeometric(kept, n, total))
    return np.sort(rng.choice(kept, stay, replace=False)), total - stay


def chosen_rows(rows: AnyRows, count: int) -> NDArray[np.int64]:
    """Return the indices of the rows whose posteriors are kept, sampled by weight."""
    n, rng = len(rows), np.random.default_rng(_SEED)
    *_, weights = parts_of(rows)
    if weights is not None:
        shares = weights.astype(np.float64) / weights.sum(dtype=np.float64)
        return np.sort(rng.choice(n, count, p=shares))
    return np.sort(rng.choice(n, count, replace=False))


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
        # The last term exceeds rounding errors, even for codes that are large and similar.
        floor = FLOOR * codes.var(axis=0) + np.square(1e-6 * np.abs(codes).max(axis=0)) + 1e-12
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
        """Return the mixture of codes, given the share of each code in each component, (n, k)."""
        sizes = share_of.sum(axis=0) + 1e-9  # an empty component lies at the centre
        centre = codes.mean(axis=0)  # near the means, so that few digits cancel
        centred = codes - centre
        shifts = share_of.T @ centred / sizes[:, None]
        squares = np.empty((len(sizes), codes.shape[1], codes.shape[1]))
        for part in _blocks(len(sizes), codes.size):
            weighted = share_of[:, part, None] * centred[:, None]
            squares[part] = (weighted.reshape(len(codes), -1).T @ centred).reshape(
                -1, *squares.shape[1:]
            )
        squares /= sizes[:, None, None]
        covariances = squares - shifts[:, :, None] * shifts[:, None] + np.diag(floor)
        return cls(sizes / sizes.sum(), centre + shifts, np.linalg.cholesky(covariances))

    def _log_joint(self, codes: Array) -> Array:
        """Return log p(component) + log p(code | component), (n, k)."""
        k, d = self.means.shape
        whiteners = np.linalg.inv(self.factors)
        volumes = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        found = np.empty((len(codes), k))
        for part in _blocks(k, codes.size):
            z = (codes @ whiteners[part].reshape(-1, d).T).reshape(len(codes), -1, d)
            z -= np.einsum("kij,kj->ki", whiteners[part], self.means[part])
            found[:, part] = -0.5 * np.einsum("nkd,nkd->nk", z, z)
        found += np.log(self.shares) - volumes - 0.5 * d * np.log(2 * np.pi)
        return found

    def log_density(self, codes: Array) -> Array:
        """Return log p of each code in nats."""
        return np.asarray(np.logaddexp.reduce(self._log_joint(codes), axis=1))

    def draw(self, n: int, rng: np.random.Generator, temperature: float) -> Array:
        """Return n codes; `temperature` scales their distance from the means of the components."""
        # The separate generator makes a larger draw from the same seed begin with the smaller one.
        chooser = np.random.default_rng(rng.integers(2**63))
        which = chooser.choice(len(self.shares), n, p=self.shares)
        noise = temperature * rng.standard_normal((n, self.means.shape[1]))
        codes: Array = self.means[which]
        for k, factor in enumerate(self.factors):
            codes[which == k] += noise[which == k] @ factor.T
        return codes


def _blocks(components: int, size: int) -> list[slice]:
    """Return the components in parts that take one matrix product each.

    Few large products are faster than many small ones, especially if threads compete for CPUs.
    """
    step = max(1, BLOCK // size)
    return [slice(first, first + step) for first in range(0, components, step)]


def gaussian(posteriors: Posteriors) -> Mixture:
    """Return the Gaussian with the mean and the covariance of the codes."""
    return Mixture.fit(posteriors.draw(KEPT, np.random.default_rng(_SEED)), 1)


def mixture(posteriors: Posteriors, n: int = KEPT) -> Mixture:
    """Return a mixture of Gaussians that is fitted to n codes.

    The number of components doubles, from 1 to at most 32, as long as this raises the density of
    the codes of held-out rows.
    """
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(posteriors.mu))
    apart = order[::HELD_OUT] if len(order) >= 2 * HELD_OUT else order
    rest = np.setdiff1d(order, apart) if len(order) >= 2 * HELD_OUT else order

    def codes_of(rows: NDArray[np.int64], n: int) -> Array:
        return Posteriors(posteriors.mu[rows], posteriors.logvar[rows]).draw(n, rng)

    training, watched = codes_of(rest, n), codes_of(apart, n)
    best, best_density = 1, -np.inf
    for components in COMPONENTS:
        if components * 4 > len(rest) and components > 1:
            break
        density = Mixture.fit(training, components).log_density(watched).mean()
        if density <= best_density:
            break
        best, best_density = components, density
    return Mixture.fit(posteriors.draw(n, rng), best)
