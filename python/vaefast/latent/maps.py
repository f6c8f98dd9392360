"""Maps: the plane or the surface of two dimensions that shows most of a latent space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.seeds import seed_from
from ..errors import MissingExtraError
from ..typing import RandomState
from .checks import Floats, check_codes


class Plane(NamedTuple):
    """A plane in a latent space, with coordinates.

    Attributes
    ----------
    origin : ndarray of float32, (latent_dim,)
        The code at the coordinates (0, 0).
    axes : ndarray of float32, (2, latent_dim)
        The steps that one unit of each coordinate makes; orthonormal.
    variance_ratio : ndarray of float64, (2,)
        The part of the codes' variance along each axis.
    """

    origin: Floats
    axes: Floats
    variance_ratio: NDArray[np.float64]

    def project(self, codes: ArrayLike) -> Floats:
        """Return the coordinates, (n, 2), of the points of the plane nearest to codes."""
        offsets: Floats = check_codes(codes, "codes") - self.origin
        points: Floats = np.dot(offsets, self.axes.T)
        return points

    def at(self, points: ArrayLike) -> Floats:
        """Return the codes, (n, latent_dim), at coordinates (n, 2)."""
        codes: Floats = self.origin + check_codes(points, "points") @ self.axes
        return codes


def plane(codes: ArrayLike) -> Plane:
    """Return the plane to draw a map in: that of the first two principal components of codes.

    A latent space of two dimensions is a plane already: its own axes are kept.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        At least two, of at least two dimensions: ``vae.transform(X)``.
    """
    z = check_codes(codes, "codes")
    n, latent_dim = z.shape
    if latent_dim < 2:
        raise ValueError(
            "a map needs at least 2 latent dimensions, these codes have 1: traverse it instead"
        )
    if n < 2:
        raise ValueError("codes holds one code: a map needs at least two")
    total = max(float(z.var(axis=0, dtype=np.float64).sum()), np.finfo(float).tiny)
    if latent_dim == 2:
        origin, axes = np.zeros(2, np.float32), np.eye(2, dtype=np.float32)
        along = z.var(axis=0, dtype=np.float64)
    else:
        origin = z.mean(axis=0)
        # The eigenvectors of the covariance: an SVD of a small matrix, however many codes.
        _, along, directions = np.linalg.svd(np.cov(z, rowvar=False, ddof=0))
        axes = directions[:2]
        # An eigenvector has no sign of its own: its largest number becomes positive.
        largest = np.abs(axes).argmax(axis=1)
        axes = axes * np.sign(axes[[0, 1], largest])[:, None]
    return Plane(origin.astype(np.float32), axes.astype(np.float32), along[:2] / total)


def umap(codes: ArrayLike, random_state: RandomState = None) -> Floats:
    """Lay codes out in two dimensions, (n, 2), so that neighbours stay neighbours (McInnes 2018).

    Far distances and directions mean nothing in such a map. Needs umap-learn.

    Raises
    ------
    MissingExtraError
        umap-learn is not installed.
    """
    z = check_codes(codes, "codes")
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("this map needs umap-learn: pip install 'vaefast[umap]'") from error
    seed = seed_from(random_state) % 2**32
    points: Floats = UMAP(n_components=2, random_state=seed, n_jobs=1).fit_transform(z)
    return points
