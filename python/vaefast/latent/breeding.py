"""New rows by crossover and mutation of the codes of parents, over one or more generations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.seeds import seed_from
from .._input.validation import check_integer, check_number
from ..typing import RandomState
from .checks import Floats, check_codes, codes_of, decode

if TYPE_CHECKING:
    from ..vae import VAE


def breed(
    vae: VAE,
    parents: ArrayLike,
    n: int = 8,
    mutation: float = 0.3,
    random_state: RandomState = None,
) -> Floats:
    """Return children of parent rows, decoded from codes that `cross` makes.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    parents : array-like of shape (k, d), or k images
        At least one parent. The children of a single parent differ only by mutation.
    n : int, default=8
        Number of children.
    mutation : float, default=0.3
        Strength of the mutation, from 0 (crossover only) to 1 (samples of the prior that are
        independent of the parents).
    random_state : int, Generator, RandomState or None, default=None
        Seed. None is a fresh seed.

    Returns
    -------
    ndarray of shape (n, d) or n images, float32

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, the parents do not fit it, or an argument is out of range.
    """
    codes = codes_of(vae, parents, "parents")
    return vae.inverse_transform(cross(codes, n, mutation, random_state))


def cross(
    codes: ArrayLike, n: int = 8, mutation: float = 0.3, random_state: RandomState = None
) -> Floats:
    """Return codes of children, by crossover of two parents and mutation.

    Each child gets two different parents, drawn at random, and takes each coordinate from one of
    the two (uniform crossover). With mutation m the code z becomes sqrt(1 - m^2) z + m e, where e
    is drawn from the prior. Codes that follow the prior therefore still follow it.

    Parameters
    ----------
    codes : array-like of shape (k, latent_dim)
        Codes of at least one parent.
    n : int, default=8
        Number of children.
    mutation : float, default=0.3
        Strength m of the mutation, from 0 (crossover only) to 1 (samples of the prior that are
        independent of the parents).
    random_state : int, Generator, RandomState or None, default=None
        Seed. None is a fresh seed.

    Returns
    -------
    ndarray of shape (n, latent_dim), float32

    Raises
    ------
    ValueError, TypeError
        The codes are not finite numbers of shape (k, latent_dim), or an argument is out of range.
    """
    parents = check_codes(codes, "codes")
    n = check_integer(n, "n")
    mutation = check_number(mutation, "mutation", low=0)
    if mutation > 1:
        raise ValueError(f"mutation={mutation!r} must be at most 1")
    random = np.random.default_rng(seed_from(random_state))
    k = len(parents)
    mother = random.integers(k, size=n)
    father = (mother + random.integers(1, max(k, 2), size=n)) % k  # not the mother if k > 1
    of_mother = random.random((n, parents.shape[1])) < 0.5
    child = np.where(of_mother, parents[mother], parents[father])
    noise = random.standard_normal(child.shape)
    mutant: Floats = (np.sqrt(1 - mutation**2) * child + mutation * noise).astype(np.float32)
    return mutant


def evolve(
    vae: VAE,
    parents: ArrayLike,
    generations: int = 6,
    n: int = 8,
    mutation: float = 0.3,
    random_state: RandomState = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """Return several generations of children, each bred from two rows of the one before.

    The two parents are drawn at random from each generation.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    parents : array-like of shape (k, d), or k images
        At least one parent of the first generation.
    generations : int, default=6
        Number of generations.
    n : int, default=8
        Number of children in each generation, at least 2.
    mutation : float, default=0.3
        Strength of the mutation, from 0 (crossover only) to 1 (samples of the prior that are
        independent of the parents).
    random_state : int, Generator, RandomState or None, default=None
        Seed. None is a fresh seed.

    Returns
    -------
    children : ndarray of shape (generations, n, d) or (generations, n) images, float32
        The children of each generation.
    chosen : ndarray of shape (generations - 1, 2), int64
        Indices of the two children of each generation that are the parents of the next one.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The model is conditional, the parents do not fit it, or an argument is out of range.
    """
    codes = codes_of(vae, parents, "parents")
    generations = check_integer(generations, "generations")
    n = check_integer(n, "n", low=2)
    random = np.random.default_rng(seed_from(random_state))
    family, chosen = [cross(codes, n, mutation, random)], []
    for _ in range(generations - 1):
        pair = np.sort(random.choice(n, 2, replace=False))
        chosen.append(pair)
        family.append(cross(family[-1][pair], n, mutation, random))
    return decode(vae, np.stack(family)), np.array(chosen, dtype=np.int64).reshape(-1, 2)
