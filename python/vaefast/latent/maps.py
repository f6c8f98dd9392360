"""Maps of a latent space in two dimensions: a plane through the codes, or UMAP."""

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
    origin : ndarray of shape (latent_dim,), float32
        Code at the coordinates (0, 0).
    axes : ndarray of shape (2, latent_dim), float32
        Orthonormal vectors of the latent space, one for each coordinate.
    variance_ratio : ndarray of shape (2,), float64
        Share of the total variance of the codes along each axis.
    """

    origin: Floats
    axes: Floats
    variance_ratio: NDArray[np.float64]

    def project(self, codes: ArrayLike) -> Floats:
        """Project codes onto the plane; return the coordinates.

        Parameters
        ----------
        codes : array-like of shape (n, latent_dim)
            Points of the latent space.

        Returns
        -------
        ndarray of shape (n, 2), float32

        Raises
        ------
        ValueError, TypeError
            The codes are not finite numbers of shape (n, latent_dim).
        """
        offsets: Floats = check_codes(codes, "codes") - self.origin
        points: Floats = np.dot(offsets, self.axes.T)
        return points

    def at(self, points: ArrayLike) -> Floats:
        """Return the codes at coordinates of the plane.

        Parameters
        ----------
        points : array-like of shape (n, 2)
            Coordinates in the plane.

        Returns
        -------
        ndarray of shape (n, latent_dim), float32

        Raises
        ------
        ValueError, TypeError
            The points are not finite numbers of shape (n, 2).
        """
        codes: Floats = self.origin + check_codes(points, "points") @ self.axes
        return codes


def plane(codes: ArrayLike) -> Plane:
    """Return the plane of the first two principal components of codes, to draw a map in.

    A latent space of two dimensions keeps its axes and its origin.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        At least two codes of at least two dimensions, such as ``vae.transform(X)``.

    Returns
    -------
    Plane
        The plane. In each axis, the component with the largest absolute value is positive.

    Raises
    ------
    ValueError, TypeError
        There are fewer than two codes or dimensions, or the codes are not finite numbers.
    """
    z = check_codes(codes, "codes")
    n, latent_dim = z.shape
    if latent_dim < 2:
        raise ValueError(
            "a map needs at least 2 latent dimensions, but these codes have 1: use traverse instead"
        )
    if n < 2:
        raise ValueError("codes holds one code, but a map needs at least two")
    total = max(float(z.var(axis=0, dtype=np.float64).sum()), np.finfo(float).tiny)
    if latent_dim == 2:
        origin, axes = np.zeros(2, np.float32), np.eye(2)
        along = z.var(axis=0, dtype=np.float64)
    else:
        origin = z.mean(axis=0)
        # The eigenvectors come from the covariance, a small matrix for any number of codes.
        _, along, directions = np.linalg.svd(np.cov(z, rowvar=False, ddof=0))
        axes = directions[:2]
        # The sign of an eigenvector is arbitrary. It is chosen so that the coordinate with the
        # largest absolute value is positive.
        largest = np.abs(axes).argmax(axis=1)
        axes = axes * np.sign(axes[[0, 1], largest])[:, None]
    return Plane(origin.astype(np.float32), axes.astype(np.float32), along[:2] / total)


def umap(codes: ArrayLike, random_state: RandomState = None) -> Floats:
    """Return a map of codes in which neighbours stay neighbours (UMAP, McInnes et al. 2018).

    Large distances and directions have no meaning in such a map. The function needs umap-learn:
    ``pip install 'vaefast[umap]'``.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        Codes to map, such as ``vae.transform(X)``.
    random_state : int, Generator, RandomState or None, default=None
        Seed. None is a fresh seed.

    Returns
    -------
    ndarray of shape (n, 2), float32
        Coordinates of the codes.

    Raises
    ------
    MissingExtraError
        umap-learn is not installed.
    ValueError, TypeError
        The codes are not finite numbers of shape (n, latent_dim).
    """
    z = check_codes(codes, "codes")
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("this map needs umap-learn: pip install 'vaefast[umap]'") from error
    seed = seed_from(random_state) % 2**32
    points: Floats = UMAP(n_components=2, random_state=seed, n_jobs=1).fit_transform(z)
    return points
