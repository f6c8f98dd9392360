"""A variational autoencoder in float64 NumPy, written to be read. The tests check the core by it.

Everything is a plain function of a dictionary of parameters. Weights are (in, out), so that a layer
is ``h @ W + b`` with one row of ``h`` per example:

    encoder.{i}.weight, .bias    hidden layers of the encoder, i = 0, 1, ... (possibly none)
    mu.weight, .bias             the two heads of the encoder, (last hidden, latent_dim)
    logvar.weight, .bias
    decoder.{i}.weight, .bias    hidden layers of the decoder (possibly none)
    output.weight, .bias         (last hidden, n_features): logits (bernoulli) or means (gaussian)
    log_sigma                    (n_features,), only with the gaussian likelihood

Sum over features, sum over latent dimensions, mean over rows; all figures are in nats.
``docs/maths.md`` derives every formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit as sigmoid  # 1 / (1 + exp(-a)), without overflow
from scipy.special import ndtr as normal_cdf  # (1 + erf(a / sqrt(2))) / 2

Array = npt.NDArray[np.float64]
Params = dict[str, Array]

LINEAR_UP_TO = 10.0  # the log-variance is the head's output up to here, ...
BOUND_WIDTH = 10.0  # ... and stays below LINEAR_UP_TO + BOUND_WIDTH = 20
LOG_SIGMA_MIN, LOG_SIGMA_MAX = -7.0, 14.0


# --- Activations: f(a) and f'(a) ------------------------------------------------------------------


def normal_pdf(a: Array) -> Array:
    return np.exp(-0.5 * a**2) / math.sqrt(2 * math.pi)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (lambda a: a, lambda a: np.ones_like(a)),
    "relu": (lambda a: np.maximum(a, 0), lambda a: np.where(a > 0, 1.0, 0.0)),
    "leaky_relu": (lambda a: np.where(a > 0, a, 0.01 * a), lambda a: np.where(a > 0, 1.0, 0.01)),
    "elu": (
        lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
        lambda a: np.exp(np.minimum(a, 0)),
    ),
    "softplus": (lambda a: np.logaddexp(0, a), sigmoid),
    "sigmoid": (sigmoid, lambda a: sigmoid(a) * sigmoid(-a)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "gelu": (lambda a: a * normal_cdf(a), lambda a: normal_cdf(a) + a * normal_pdf(a)),
    "silu": (lambda a: a * sigmoid(a), lambda a: sigmoid(a) * (1 + a * sigmoid(-a))),
}
LIKELIHOODS = ("bernoulli", "gaussian")


# --- The log-variance is bounded smoothly, so that its exponential can't overflow -----------------


def bound(raw: Array) -> Array:
    """raw where |raw| <= 10; beyond, it bends smoothly towards +-20."""
    excess = np.maximum(np.abs(raw) - LINEAR_UP_TO, 0)
    bent = np.sign(raw) * (LINEAR_UP_TO + BOUND_WIDTH * np.tanh(excess / BOUND_WIDTH))
    return np.where(excess > 0, bent, raw)


def bound_derivative(raw: Array) -> Array:
    excess = np.maximum(np.abs(raw) - LINEAR_UP_TO, 0)
    return 1 - np.tanh(excess / BOUND_WIDTH) ** 2


# --- The two parts of the ELBO, element by element ------------------------------------------------


def kl_normal(mu: Array, logvar: Array) -> Array:
    """KL(N(mu, exp(logvar)) || N(0, 1)) of each latent dimension."""
    return -0.5 * (1 + logvar - mu**2 - np.exp(logvar))


def bernoulli_nll(logits: Array, x: Array) -> Array:
    """-x log p - (1 - x) log(1 - p) with p = sigmoid(logits), for x anywhere in [0, 1]."""
    return np.maximum(logits, 0) - logits * x + np.log1p(np.exp(-np.abs(logits)))


def gaussian_nll(mean: Array, log_sigma: Array, x: Array) -> Array:
    """-log N(x; mean, exp(log_sigma)^2), with its constant."""
    return 0.5 * ((x - mean) * np.exp(-log_sigma)) ** 2 + log_sigma + 0.5 * math.log(2 * math.pi)


# --- Forward --------------------------------------------------------------------------------------


def n_hidden(params: Params, part: str) -> int:
    """Number of hidden layers of the "encoder" or the "decoder"."""
    return sum(name.startswith(f"{part}.") and name.endswith(".weight") for name in params)


def dense(params: Params, name: str, h: Array) -> Array:
    return h @ params[f"{name}.weight"] + params[f"{name}.bias"]


def forward(params: Params, x: Array, eps: Array, *, activation: str) -> dict[str, Array]:
    """All tensors on the way from x (n, n_features) and eps (n, latent_dim) to the output.

    "encoder.{i}.pre" and "encoder.{i}" are a hidden layer before and after its activation.
    """
    f, _ = ACTIVATIONS[activation]
    t: dict[str, Array] = {"x": x, "eps": eps}

    def hidden_layers(part: str, h: Array) -> Array:
        for i in range(n_hidden(params, part)):
            t[f"{part}.{i}.pre"] = dense(params, f"{part}.{i}", h)
            h = t[f"{part}.{i}"] = f(t[f"{part}.{i}.pre"])
        return h

    h = hidden_layers("encoder", x)
    t["mu"] = dense(params, "mu", h)
    t["raw_logvar"] = dense(params, "logvar", h)
    t["logvar"] = bound(t["raw_logvar"])
    t["z"] = t["mu"] + np.exp(t["logvar"] / 2) * eps
    h = hidden_layers("decoder", t["z"])
    t["output"] = dense(params, "output", h)
    return t


def elbo_rows(
    params: Params, x: Array, eps: Array, *, activation: str, likelihood: str
) -> tuple[Array, Array]:
    """reconstruction = -log p(x|z) and kl, both (n,). The ELBO is -(reconstruction + kl)."""
    t = forward(params, x, eps, activation=activation)
    if likelihood == "bernoulli":
        nll = bernoulli_nll(t["output"], x)
    else:
        nll = gaussian_nll(t["output"], params["log_sigma"], x)
    return nll.sum(axis=1), kl_normal(t["mu"], t["logvar"]).sum(axis=1)


def loss(
    params: Params, x: Array, eps: Array, *, activation: str, likelihood: str, beta: float = 1.0
) -> float:
    """What training minimises: the mean over rows of reconstruction + beta * kl."""
    reconstruction, kl = elbo_rows(params, x, eps, activation=activation, likelihood=likelihood)
    return float(np.mean(reconstruction + beta * kl))


# --- Backward -------------------------------------------------------------------------------------


def gradients(
    params: Params, x: Array, eps: Array, *, activation: str, likelihood: str, beta: float = 1.0
) -> Params:
    """d loss / d parameter, by name. ``delta`` is always d loss / d (the tensor just reached)."""
    n = len(x)
    t = forward(params, x, eps, activation=activation)
    _, f_derivative = ACTIVATIONS[activation]
    grads: Params = {}

    def back_through_dense(name: str, inputs: Array, delta: Array) -> Array:
        grads[f"{name}.weight"] = inputs.T @ delta
        grads[f"{name}.bias"] = delta.sum(axis=0)
        return delta @ params[f"{name}.weight"].T

    def back_through_hidden(part: str, inputs: Array, delta: Array) -> Array:
        for i in reversed(range(n_hidden(params, part))):
            delta = delta * f_derivative(t[f"{part}.{i}.pre"])
            delta = back_through_dense(f"{part}.{i}", t[f"{part}.{i - 1}"] if i else inputs, delta)
        return delta

    def last_hidden(part: str, inputs: Array) -> Array:
        return t.get(f"{part}.{n_hidden(params, part) - 1}", inputs)

    # Likelihood
    if likelihood == "bernoulli":
        delta = (sigmoid(t["output"]) - x) / n
    else:
        sigma = np.exp(params["log_sigma"])
        residual = (x - t["output"]) / sigma
        delta = -residual / sigma / n
        grads["log_sigma"] = (1 - residual**2).sum(axis=0) / n

    # Decoder
    delta = back_through_dense("output", last_hidden("decoder", t["z"]), delta)
    d_z = back_through_hidden("decoder", t["z"], delta)

    # Posterior: z = mu + exp(logvar / 2) * eps, and the KL
    d_mu = d_z + beta * t["mu"] / n
    d_logvar = d_z * eps * np.exp(t["logvar"] / 2) / 2 + beta * np.expm1(t["logvar"]) / 2 / n
    d_raw = d_logvar * bound_derivative(t["raw_logvar"])

    # Encoder
    h = last_hidden("encoder", x)
    delta = back_through_dense("mu", h, d_mu) + back_through_dense("logvar", h, d_raw)
    back_through_hidden("encoder", x, delta)
    return grads


# --- Optimisers: PyTorch's definitions. ``step`` updates the parameters that have a gradient ------


def project(params: Params, grads: Params) -> None:
    """After an update log_sigma goes back into [-7, 14]. A fixed one, without gradient, stays."""
    if "log_sigma" in grads:
        params["log_sigma"] = np.clip(params["log_sigma"], LOG_SIGMA_MIN, LOG_SIGMA_MAX)


class SGD:
    def __init__(self, learning_rate: float, momentum: float = 0.0) -> None:
        self.learning_rate, self.momentum = learning_rate, momentum
        self.buffer: Params = {}

    def step(self, params: Params, grads: Params) -> None:
        for name, g in grads.items():
            self.buffer[name] = self.momentum * self.buffer.get(name, np.zeros_like(g)) + g
            params[name] = params[name] - self.learning_rate * self.buffer[name]
        project(params, grads)


class AdamW:
    """Adam with decoupled weight decay, which pulls on every parameter, biases included."""

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
        self.m: Params = {}  # running means of the gradient and of its square
        self.v: Params = {}

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
    """AdamW without the decay."""

    def __init__(
        self, learning_rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(learning_rate, betas, eps, weight_decay=0.0)


# --- Initial parameters ---------------------------------------------------------------------------


def init(
    rng: np.random.Generator,
    n_features: int,
    encoder: Sequence[int],
    latent_dim: int,
    decoder: Sequence[int],
    likelihood: str,
) -> Params:
    """PyTorch's default: weights and biases uniform within 1 / sqrt(fan_in); log_sigma = 0."""
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

    last = add_hidden("encoder", n_features, encoder)
    add_dense("mu", last, latent_dim)
    add_dense("logvar", last, latent_dim)
    last = add_hidden("decoder", latent_dim, decoder)
    add_dense("output", last, n_features)
    if likelihood == "gaussian":
        params["log_sigma"] = np.zeros(n_features)
    return params
