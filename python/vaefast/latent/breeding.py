"""Crossover and mutation of codes: new rows from parents, generation after generation."""

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
    """Return children of the parents: rows decoded from crossed and mutated codes.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    parents : array-like of shape (k, d), or k images
        At least one. Of one alone the children are mutants.
    n : int
        How many children.
    mutation, random_state
        As for `cross`.

    Returns
    -------
    ndarray of float32, (n, d) or n images
    """
    codes = codes_of(vae, parents, "parents")
    return vae.inverse_transform(cross(codes, n, mutation, random_state))


def cross(
    codes: ArrayLike, n: int = 8, mutation: float = 0.3, random_state: RandomState = None
) -> Floats:
    """Return codes of children: crossover of two parents, then mutation.

    Each child has two different parents among the given codes, drawn at random, and each of its
    numbers from one or the other (uniform crossover). A mutation m then makes its code z into
    sqrt(1 - m^2) z + m e, with e from the prior: codes that follow the prior follow it still.

    Parameters
    ----------
    codes : array-like of shape (k, latent_dim)
        Of the parents; at least one.
    n : int
        How many children.
    mutation : float
        From 0, only crossover, to 1, a sample of the prior that owes nothing to its parents.
    random_state : int, Generator, RandomState or None
        Seed; None: a fresh one.

    Returns
    -------
    ndarray of float32, (n, latent_dim)
    """
    parents = check_codes(codes, "codes")
    n = check_integer(n, "n")
    mutation = check_number(mutation, "mutation", low=0)
    if mutation > 1:
        raise ValueError(f"mutation={mutation!r} must be at most 1")
    random = np.random.default_rng(seed_from(random_state))
    k = len(parents)
    mother = random.integers(k, size=n)
    father = (mother + random.integers(1, max(k, 2), size=n)) % k  # another one, where there is
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
    """Breed generation after generation; chance chooses two of each to be the next one's parents.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    parents : array-like of shape (k, d), or k images
        Of the first generation; at least one.
    generations : int
        How many.
    n : int
        Children in each, at least two.
    mutation, random_state
        As for `cross`.

    Returns
    -------
    children : ndarray of float32, (generations, n, d) or (generations, n) images
    chosen : ndarray of int64, (generations - 1, 2)
        The numbers of the two, in each generation but the last, whose children are the next.
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
