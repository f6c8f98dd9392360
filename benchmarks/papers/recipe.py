"""Recipes: the data, the trainings and the published figures of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaefast import VAE

Pixels = NDArray[np.uint8]  # (n, 784), 0 to 255


@dataclass(frozen=True)
class Data:
    """Rows of a training.

    Attributes
    ----------
    train : callable
        Returns the training rows of an epoch. Epochs count from 1.
    test : ndarray
        Rows of the evaluation.
    validation : ndarray or None
        Rows whose ELBO is measured after each epoch.
    """

    train: Callable[[int], Pixels]
    test: Pixels
    validation: Pixels | None = None


@dataclass(frozen=True)
class Training:
    """One training of a recipe.

    Attributes
    ----------
    name : str
        Name of the training, such as "iwae-50".
    parameters : mapping
        Parameters of the `VAE`.
    theirs : mapping of str to str
        Published figures, by names that `Recipe.figures` returns.
    """

    name: str
    parameters: Mapping[str, Any]
    theirs: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """How a published result was obtained, and where we depart from it.

    Attributes
    ----------
    source : str
        Where the result was published.
    departures : tuple of str
        Differences between the published procedure and ours.
    trainings : tuple of Training
        The trainings.
    epochs : int
        Number of epochs of each training.
    data : callable
        Returns the `Data` of a seed.
    figures : callable
        Returns the figures of a trained model, from the model, its data and the samples per row.
    samples : int
        Samples per row for the importance sampling of log p(x); 0 if the recipe has none.
    seeds : tuple of int
        Seeds of the published result.
    start : callable or None
        Sets the initial weights of a VAE, given a seed. None keeps those of vaefast.
    keep_best : bool
        Whether to evaluate the weights of the epoch with the best validation ELBO.
    stages : tuple of int
        Number of epochs of each stage, if the recipe has stages.
    """

    source: str
    departures: tuple[str, ...]
    trainings: tuple[Training, ...]
    epochs: int
    data: Callable[[int], Data]
    figures: Callable[[VAE, Data, int], dict[str, float]]
    samples: int = 0
    seeds: tuple[int, ...] = (0,)
    start: Callable[[VAE, int], None] | None = None
    keep_best: bool = False
    stages: tuple[int, ...] = ()
