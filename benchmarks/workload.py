"""What every peer is given: the same weights, rows, order and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.nets import Net
from benchmarks.peers.base import Float, Index, Weights


@dataclass(frozen=True)
class Workload:
    weights: Weights
    X: Float  # (n, features), uniform in [0, 1)
    order: Index  # (n,), a permutation
    noise: Float  # (n, latent_dim), standard normal; row i belongs to row order[i] of X


def make(net: Net, n_rows: int, seed: int = 0) -> Workload:
    """Draw a workload. Weights and biases are uniform within 1 / sqrt(fan_in), as PyTorch's are."""
    rng = np.random.default_rng(seed)

    def uniform(limit: float, *shape: int) -> Float:
        return (rng.random(shape, dtype=np.float32) * 2 - 1) * np.float32(limit)

    weights: Weights = {}
    for name, fan_in, fan_out in net.layers:
        weights[f"{name}.weight"] = uniform(fan_in**-0.5, fan_in, fan_out)
        weights[f"{name}.bias"] = uniform(fan_in**-0.5, fan_out)
    return Workload(
        weights=weights,
        X=rng.random((n_rows, net.features), dtype=np.float32),
        order=rng.permutation(n_rows),
        noise=rng.standard_normal((n_rows, net.latent_dim), dtype=np.float32),
    )
