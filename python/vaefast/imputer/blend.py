"""A weighted average of the answers of several models of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._engine import completions
from .._input.normal_scores import NormalScores
from .._input.rows import RowData
from ..vae import VAE
from .gaussian import Gaussian

Floats = NDArray[np.float64]


class Member(Protocol):
    """A model that knows the distribution of missing values given the known ones of a row."""

    def means(self, values: Floats) -> Floats:
        """Return rows (n, d) with missing values at their means; known ones may be anything."""

    def draws(self, values: Floats, n: int, rng: np.random.Generator) -> Floats:
        """Return n draws of rows (n, rows, d); known values may be anything."""


@dataclass(frozen=True, eq=False)
class GaussianMember:
    """A normal distribution of the columns, or of their normal scores."""

    gaussian: Gaussian
    scores: NormalScores | None

    def means(self, values: Floats) -> Floats:
        if self.scores is None:
            return self.gaussian.means(values)
        return self.gaussian.means(self.scores.apply(values), self.scores.undo)

    def draws(self, values: Floats, n: int, rng: np.random.Generator) -> Floats:
        if self.scores is None:
            return self.gaussian.draws(values, n, rng)
        return self.scores.undo(self.gaussian.draws(self.scores.apply(values), n, rng))


@dataclass(frozen=True, eq=False)
class VAEMember:
    """A VAE of the columns, or of their normal scores."""

    vae: VAE
    scores: NormalScores | None
    n_samples: int

    def means(self, values: Floats) -> Floats:
        if self.scores is None:
            return self.vae.impute(values, n_samples=self.n_samples).astype(np.float64)
        rows = self._rows(self.scores.apply(values))
        return completions.means_of(self.vae.model_, rows, self.scores.undo, self.n_samples)

    def draws(self, values: Floats, n: int, rng: np.random.Generator) -> Floats:
        self.vae.model_.require_posterior("draw")
        rows = self._rows(values if self.scores is None else self.scores.apply(values))
        drawn = completions.draws(self.vae.model_, rows, n, self.n_samples, rng).astype(np.float64)
        return drawn if self.scores is None else self.scores.undo(drawn)

    def _rows(self, values: Floats) -> RowData:
        rows = self.vae.model_.reader.read_to_score(values)
        assert isinstance(rows, RowData)
        return rows


@dataclass(frozen=True, eq=False)
class Blend:
    """The models of an imputer.

    Attributes
    ----------
    vaes : list of VAE
        The VAEs, which share one weight.
    sees_scores : bool
        Whether the VAEs see normal scores of the columns.
    scores : NormalScores or None
        The map to normal scores, if a model sees them.
    gaussians : tuple of Gaussian
        The normal distributions of the columns and of their normal scores, or an empty tuple.
    weights : ndarray of shape (len(gaussians) + 1,), float64
        Weights of the normal distributions, followed by that of the VAEs. The weights add up to 1.
    """

    vaes: Sequence[VAE]
    sees_scores: bool
    scores: NormalScores | None
    gaussians: tuple[Gaussian, ...]
    weights: Floats

    def members(self, n_samples: int) -> Iterator[tuple[Member, float]]:
        """Yield the models whose weight is not 0, and their weights.

        The VAEs estimate a mean from n_samples samples of z.
        """
        for gaussian, scores, weight in zip(
            self.gaussians, (None, self.scores), self.weights[:-1], strict=False
        ):
            if weight:
                yield GaussianMember(gaussian, scores), weight
        for vae in self.vaes if self.weights[-1] else ():
            scores = self.scores if self.sees_scores else None
            yield VAEMember(vae, scores, n_samples), self.weights[-1] / len(self.vaes)

    def means(self, values: Floats, n_samples: int) -> Floats:
        """Return rows (n, d) with missing values at their means; known ones may be anything."""
        total = np.zeros(values.shape)
        for member, weight in self.members(n_samples):
            total += weight * member.means(values)
        return total

    def draws(self, values: Floats, n: int, n_samples: int, rng: np.random.Generator) -> Floats:
        """Return n draws of rows (n, rows, d); known values may be anything.

        Each weight is the probability with which a row of a draw comes from that model.
        """
        members, weights = zip(*self.members(n_samples), strict=True)
        chosen = rng.choice(len(members), (n, len(values)), p=np.array(weights) / sum(weights))
        out = np.empty((n, *values.shape))
        for k, member in enumerate(members):
            rows = np.flatnonzero((chosen == k).any(axis=0))
            mine = chosen[:, rows] == k
            if len(rows):
                drawn = member.draws(values[rows], n, rng)
                out[:, rows] = np.where(mine[:, :, None], drawn, out[:, rows])
        return out
