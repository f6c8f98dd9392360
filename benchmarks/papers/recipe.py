"""What a recipe is: the data, the trainings, and the figures that were published."""

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
    """Rows to train on in an epoch, counted from 1, and rows to judge by."""

    train: Callable[[int], Pixels]
    test: Pixels
    validation: Pixels | None = None  # their ELBO is measured after each epoch


@dataclass(frozen=True)
class Training:
    """One training of a recipe."""

    name: str  # such as k-50
    parameters: Mapping[str, Any]  # of the VAE
    theirs: Mapping[str, str]  # published figures by name, some of those of `Recipe.figures`


@dataclass(frozen=True)
class Recipe:
    """How a published result came about, and how far we do the same."""

    source: str
    departures: tuple[str, ...]
    trainings: tuple[Training, ...]
    epochs: int
    data: Callable[[int], Data]  # of a seed
    figures: Callable[[VAE, Data, int], dict[str, float]]  # of a trained model; samples of each row
    samples: int = 0  # for the importance sampling of log p(x), where there is one
    seeds: tuple[int, ...] = (0,)
    start: Callable[[VAE, int], None] | None = None  # sets the first weights; None: vaefast's own
    keep_best: bool = False  # judge the weights of the best epoch on the validation rows
    stages: tuple[int, ...] = ()  # epochs of each, where the recipe has stages
