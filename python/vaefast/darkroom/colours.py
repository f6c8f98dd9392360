"""A map of a photograph's colours to those of a painting, which keeps their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .photographs import Floats

LEVELS = 33  # quantiles of luminance
LEAST = 1e-5  # variance added to each channel, so that grey pictures have a covariance to invert


@dataclass(frozen=True)
class Toning:
    """A map from the colours of a photograph to those of a painting.

    A linear map gives the photograph the mean and the covariance of the painting's colours, and
    changes colours as little as such a map can (Pitié and Kokaram 2007). A second map, of the
    luminance alone, gives it the painting's histogram. No colour leaves the range of the painting's
    colours. The luminance of the result lies halfway between that of the photograph and the mean of
    both maps, so the light remains that of the photograph.
    """

    mean: Floats
    matrix: Floats
    target: Floats
    levels: tuple[NDArray[np.float64], NDArray[np.float64]]
    limits: Floats

    @classmethod
    def learn(cls, photo: Floats, painting: Floats) -> Toning:
        """Return the map for a photograph and a painting, (h, w, 3) of luminance and colour."""
        a, b = photo.reshape(-1, 3), painting.reshape(-1, 3)
        have, want = (np.cov(part.T) + LEAST * np.eye(3) for part in (a, b))
        root = _root(have)
        back = np.linalg.inv(root)
        matrix = back @ _root(root @ want @ root) @ back
        shares = np.linspace(0, 1, LEVELS)
        levels = [np.quantile(part[:, 0], shares).astype(np.float64) for part in (a, b)]
        rising = levels[0] + 1e-6 * np.arange(LEVELS)
        mean, target = (part.mean(axis=0).astype(np.float32) for part in (a, b))
        limits = np.quantile(b, (0.005, 0.995), axis=0).astype(np.float32)
        return cls(mean, matrix.astype(np.float32), target, (rising, levels[1]), limits)

    def __call__(self, photo: Floats) -> Floats:
        """Return the pixels of the photograph (..., 3) in the painting's colours."""
        toned = (photo - self.mean) @ self.matrix.T + self.target
        matched = np.interp(photo[..., 0], *self.levels)
        toned = np.clip(toned, *self.limits)
        toned[..., 0] = photo[..., 0] / 2 + (toned[..., 0] + matched) / 4
        return toned.astype(np.float32)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square root of a positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(1e-12))) @ vectors.T
    return root
