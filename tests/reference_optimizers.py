"""Optimizers and gradient clipping in float64 NumPy, by PyTorch's definitions.

``step`` takes the parameters and the gradients by name. It replaces, in the dictionary ``params``,
each parameter that has a gradient. ``docs/internals/model.md`` gives the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from reference_likelihoods import SCALE_RANGES
from reference_network import Params


def global_norm(grads: Params, shared: Collection[str] = ()) -> float:
    """Return the Euclidean norm of all gradients as one vector.

    ``shared`` names the tensors whose entries are copies of one number; each counts once.
    """
    squares = [np.sum((g[:1] if name in shared else g) ** 2) for name, g in grads.items()]
    return math.sqrt(sum(float(square) for square in squares))


def clip(grads: Params, max_norm: float, shared: Collection[str] = ()) -> Params:
    """Return the gradients times min(1, max_norm / ``global_norm``) (Pascanu et al. 2013)."""
    norm = global_norm(grads, shared)
    factor = max_norm / norm if norm > max_norm else 1.0
    return {name: factor * g for name, g in grads.items()}


def project(params: Params, grads: Params) -> None:
    """Clip the log of each trained scale to its range, in ``params``.

    A fixed scale has no gradient and keeps its value, even outside the range.
    """
    for name in grads:
        kind = name.rsplit(".", 1)[-1]  # "columns.2.log_scale" is a log_scale
        if kind in SCALE_RANGES:
            params[name] = np.clip(params[name], *SCALE_RANGES[kind])


class SGD:
    """Stochastic gradient descent with momentum and without dampening.

    u = momentum u + g, w = w - learning_rate u
    """

    def __init__(self, learning_rate: float, momentum: float = 0.0) -> None:
        self.learning_rate, self.momentum = learning_rate, momentum
        self.buffer: Params = {}

    def step(self, params: Params, grads: Params) -> None:
        for name, g in grads.items():
            self.buffer[name] = self.momentum * self.buffer.get(name, np.zeros_like(g)) + g
            params[name] = params[name] - self.learning_rate * self.buffer[name]
        project(params, grads)


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    w = (1 - learning_rate weight_decay) w
    m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2
    w = w - learning_rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    t counts the steps. The decay acts on every trained parameter, including biases and scales.
    """

    def __init__(
        self,
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.learning_rate, self.betas, self.eps = learning_rate, betas, eps
        self.weight_decay = weight_decay
        self.t = 0  # steps taken
        self.m: Params = {}  # first moments: running mean of the gradient
        self.v: Params = {}  # second moments: running mean of the squared gradient

    def step(self, params: Params, grads: Params) -> None:
        self.t += 1
        lr, (b1, b2) = self.learning_rate, self.betas
        for name, g in grads.items():
            self.m[name] = b1 * self.m.get(name, np.zeros_like(g)) + (1 - b1) * g
            self.v[name] = b2 * self.v.get(name, np.zeros_like(g)) + (1 - b2) * g**2
            m_hat = self.m[name] / (1 - b1**self.t)
            v_hat = self.v[name] / (1 - b2**self.t)
            decayed = params[name] * (1 - lr * self.weight_decay)
            params[name] = decayed - lr * m_hat / (np.sqrt(v_hat) + self.eps)
        project(params, grads)


class Adam(AdamW):
    """Adam (Kingma & Ba 2015): AdamW with a weight decay of 0."""

    def __init__(
        self, learning_rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(learning_rate, betas, eps, weight_decay=0.0)
