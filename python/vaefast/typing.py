"""Types for annotations: the string choices of `VAE`, and the shapes of its arguments."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "Activation",
    "Auto",
    "GradientEstimator",
    "Likelihood",
    "Missing",
    "Noise",
    "Normalize",
    "Objective",
    "Prior",
    "RandomState",
    "Record",
    "Rows",
    "Scale",
]

Auto: TypeAlias = Literal["auto"]
Activation: TypeAlias = Literal[
    "relu", "tanh", "sigmoid", "elu", "leaky_relu", "softplus", "gelu", "silu", "identity"
]
Likelihood: TypeAlias = Literal[
    "bernoulli",
    "continuous_bernoulli",
    "gaussian",
    "laplace",
    "student_t",
    "poisson",
    "negative_binomial",
    "categorical",
    "multinomial",
]
Scale: TypeAlias = Literal["per_feature", "global", "optimal"]
Normalize: TypeAlias = Literal["l2"]
Missing: TypeAlias = Literal["error", "mask"]
Objective: TypeAlias = Literal["elbo", "iwae", "autoencoder"]
GradientEstimator: TypeAlias = Literal["standard", "stl", "dreg"]
Prior: TypeAlias = Literal["prior", "gaussian", "mixture", "second_stage"]
Noise: TypeAlias = Literal["mask", "dropout", "gaussian", "salt_and_pepper"]
RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
Record: TypeAlias = dict[str, Any]
Rows: TypeAlias = ArrayLike | os.PathLike[str] | Iterable[Any]  # in memory, on a disk, or in chunks
