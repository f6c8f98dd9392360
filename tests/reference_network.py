"""Layers of a net in float64 NumPy: activations, the bound on the log-variance, initial weights.

``docs/internals/model.md`` defines the bound and the initial values, ``gradients.md`` the layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.special import ndtr as normal_cdf  # (1 + erf(a / sqrt(2))) / 2

from reference_likelihoods import Array, Columns, blocks, sigmoid, softplus

Params = dict[str, Array]

LINEAR_UP_TO = 10.0  # the bound is the identity where |raw| is at most this
BOUND_WIDTH = 10.0  # the bound stays below LINEAR_UP_TO + BOUND_WIDTH = 20


# --- Activations: f(a) and f'(a) ------------------------------------------------------------------


def normal_pdf(a: Array) -> Array:
    """Return the density of N(0, 1) at a."""
    return np.exp(-0.5 * a**2) / math.sqrt(2 * math.pi)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (lambda a: a, lambda a: np.ones_like(a)),
    "relu": (lambda a: np.maximum(a, 0), lambda a: np.where(a > 0, 1.0, 0.0)),
    "leaky_relu": (lambda a: np.where(a > 0, a, 0.01 * a), lambda a: np.where(a > 0, 1.0, 0.01)),
    "elu": (
        lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
        lambda a: np.exp(np.minimum(a, 0)),
    ),
    "softplus": (softplus, sigmoid),
    "sigmoid": (sigmoid, lambda a: sigmoid(a) * sigmoid(-a)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "gelu": (lambda a: a * normal_cdf(a), lambda a: normal_cdf(a) + a * normal_pdf(a)),
    "silu": (lambda a: a * sigmoid(a), lambda a: sigmoid(a) * (1 + a * sigmoid(-a))),
}


# --- The bound on the log-variance: smooth, so that exp(logvar) cannot overflow -------------------


def bound(raw: Array) -> Array:
    """Return the log-variance for the raw output of its head, elementwise.

    bound(r) = r                                           where |r| <= 10
    bound(r) = sign(r) (10 + 10 tanh((|r| - 10) / 10))     beyond

    The result stays within +-20 and has two continuous derivatives.
    """
    excess = np.maximum(np.abs(raw) - LINEAR_UP_TO, 0)
    bent = np.sign(raw) * (LINEAR_UP_TO + BOUND_WIDTH * np.tanh(excess / BOUND_WIDTH))
    return np.where(excess > 0, bent, raw)


def bound_derivative(raw: Array) -> Array:
    """Return 1 where |r| <= 10, and 1 - tanh((|r| - 10) / 10)^2 beyond, elementwise."""
    excess = np.maximum(np.abs(raw) - LINEAR_UP_TO, 0)
    return 1 - np.tanh(excess / BOUND_WIDTH) ** 2


# --- Dense layers ---------------------------------------------------------------------------------


def n_hidden(params: Params, part: str) -> int:
    """Return the number of hidden layers of the "encoder" or the "decoder"."""
    return sum(name.startswith(f"{part}.") and name.endswith(".weight") for name in params)


def dense(params: Params, name: str, h: Array) -> Array:
    """Return h W + b, (rows, out), for h (rows, in)."""
    return h @ params[f"{name}.weight"] + params[f"{name}.bias"]


def hidden_layers(
    params: Params, part: str, h: Array, activation: str, dropout: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the tensors of the hidden layers of ``part``, "encoder" or "decoder", by name.

    "{part}.-1"         the input h, (rows, in)
    "{part}.{i}"        the output f(a) m of layer i, (rows, width), with a = (input) W + b
    "{part}.{i}.slope"  the derivative f'(a) m of that output with respect to a, (rows, width)

    ``dropout`` maps "{part}.{i}" to the mask m (rows, width), whose elements are 0 or
    1 / (1 - rate) (Srivastava et al. 2014). A layer without a mask has m = 1.
    """
    f, f_derivative = ACTIVATIONS[activation]
    t = {f"{part}.-1": h}
    for i in range(n_hidden(params, part)):
        name = f"{part}.{i}"
        a = dense(params, name, h)
        mask = dropout.get(name, np.ones_like(a))
        h = t[name] = f(a) * mask
        t[f"{name}.slope"] = f_derivative(a) * mask
    return t


# --- Initial parameters ---------------------------------------------------------------------------


def init(
    rng: np.random.Generator,
    n_features: int,
    encoder: Sequence[int],
    latent_dim: int,
    decoder: Sequence[int],
    likelihood: Columns,
    n_conditions: int = 0,
) -> Params:
    """Draw initial parameters, named and shaped as in the docstring of ``reference.py``.

    Weights and biases are uniform within +-1 / sqrt(fan_in), PyTorch's default for a linear layer.
    The log of every scale is 0. ``encoder`` and ``decoder`` hold the widths of the hidden layers.
    """
    params: Params = {}

    def add_dense(name: str, fan_in: int, fan_out: int) -> None:
        limit = 1 / math.sqrt(fan_in)
        params[f"{name}.weight"] = rng.uniform(-limit, limit, (fan_in, fan_out))
        params[f"{name}.bias"] = rng.uniform(-limit, limit, fan_out)

    def add_hidden(part: str, fan_in: int, widths: Sequence[int]) -> int:
        for i, width in enumerate(widths):
            add_dense(f"{part}.{i}", fan_in, width)
            fan_in = width
        return fan_in

    last = add_hidden("encoder", n_features + n_conditions, encoder)
    add_dense("mu", last, latent_dim)
    add_dense("logvar", last, latent_dim)
    last = add_hidden("decoder", latent_dim + n_conditions, decoder)
    add_dense("output", last, n_features)
    for block in blocks(likelihood, n_features):
        if block.scale:
            params[block.scale] = np.zeros(block.columns.stop - block.columns.start)
    return params
