"""Workloads: the weights, rows, order and noise that every peer receives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.nets import Net
from benchmarks.peers.base import Float, Index, Weights
from vaefast import datasets

DIGIT_FEATURES = 784  # 28 x 28


@dataclass(frozen=True)
class Workload:
    """One set of inputs, the same for every peer."""

    weights: Weights
    X: Float  # (n, features), in [0, 1]
    order: Index  # (n,), a permutation
    noise: Float  # (n, latent_dim), standard normal; row i goes with row order[i] of X


def make(net: Net, n_rows: int, *, digits: bool = True, seed: int = 0) -> Workload:
    """Draw a workload.

    Weights and biases are uniform within 1 / sqrt(fan_in), as PyTorch initializes them.

    Parameters
    ----------
    net : Net
        The net to draw weights, rows and noise for.
    n_rows : int
        Number of rows.
    digits : bool, default=True
        Whether nets with 784 features get the built-in digits, in which 79 % of the pixels are zero
        (MNIST: 81 %). All other rows are uniform random numbers in [0, 1).
    seed : int, default=0
        Seed of weights, random rows, order and noise.

    Returns
    -------
    Workload
        Tensors in float32.
    """
    rng = np.random.default_rng(seed)

    def uniform(limit: float, *shape: int) -> Float:
        return (rng.random(shape, dtype=np.float32) * 2 - 1) * np.float32(limit)

    weights: Weights = {}
    for name, fan_in, fan_out in net.layers:
        weights[f"{name}.weight"] = uniform(fan_in**-0.5, fan_in, fan_out)
        weights[f"{name}.bias"] = uniform(fan_in**-0.5, fan_out)
    return Workload(
        weights=weights,
        X=_digits(n_rows)
        if digits and net.features == DIGIT_FEATURES
        else rng.random((n_rows, net.features), dtype=np.float32),
        order=rng.permutation(n_rows),
        noise=rng.standard_normal((n_rows, net.latent_dim), dtype=np.float32),
    )


def _digits(n_rows: int) -> Float:
    images = datasets.strokes(n_rows, n_test=1, random_state=0).X
    return (images.reshape(n_rows, DIGIT_FEATURES) / np.float32(255)).astype(np.float32)
