"""A variational autoencoder in float64 NumPy, written to be read. The tests check the core by it.

Everything is a plain function of a dictionary of parameters. Weights are (in, out), so that a layer
is ``h @ W + b`` with one row of ``h`` per example:

    encoder.{i}.weight, .bias    hidden layers of the encoder, i = 0, 1, ... (possibly none)
    mu.weight, .bias             the two heads of the encoder, (last hidden, latent_dim)
    logvar.weight, .bias
    decoder.{i}.weight, .bias    hidden layers of the decoder (possibly none)
    output.weight, .bias         (last hidden, n_features): see ``reference_likelihoods.py``
    log_sigma                    (n_features,), the scale of a gaussian; log_scale of laplace and
                                 student_t; log_dispersion of negative_binomial. With several blocks
                                 of columns that of block b is columns.{b}.log_sigma and so on.

With conditions c the encoder reads [x, c] and the decoder [z, c].

Each row is encoded once. It has k samples of noise, ``eps`` (n, k, latent_dim); (n, latent_dim) is
one sample. Sample j of row i is row i k + j of every tensor of the decoder.

Sum over features, sum over latent dimensions, mean over rows; all figures are in nats.
``docs/maths.md`` derives every formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference_likelihoods import LIKELIHOODS, Array, Columns, Gaussian, blocks
from reference_network import (
    ACTIVATIONS,
    Params,
    bound,
    bound_derivative,
    dense,
    hidden_layers,
    init,
    n_hidden,
)
from reference_optimizers import SGD, Adam, AdamW, clip, global_norm

__all__ = [  # with what the tests want of the other files
    "ACTIVATIONS",
    "ELBO",
    "LIKELIHOODS",
    "SGD",
    "Adam",
    "AdamW",
    "Array",
    "Objective",
    "Params",
    "bound",
    "bound_derivative",
    "clip",
    "decode",
    "dense",
    "elbo_rows",
    "evaluate",
    "figures",
    "forward",
    "global_norm",
    "gradients",
    "init",
    "kl_normal",
    "log_mean_exp",
    "log_weights",
    "loss",
    "seen_by_encoder",
]


@dataclass(frozen=True)
class Objective:
    """What is minimised, but for beta, the weight of the KL, which may change at each step."""

    kind: str = "elbo"  # "elbo", "iwae", or "autoencoder": no noise, no KL
    gradient: str = "standard"  # that of the encoder: "standard", "stl" or "dreg"
    free_bits: float = 0.0  # nats per latent dimension that cost nothing
    capacity: float | None = None  # nats per row at which the KL is held

    def __post_init__(self) -> None:
        gradients = {"elbo": ("standard", "stl"), "iwae": ("standard", "stl", "dreg")}
        if self.gradient not in gradients.get(self.kind, ("standard",)):
            raise ValueError(f"the {self.kind} has no gradient {self.gradient}")
        if self.free_bits and self.capacity is not None:
            raise ValueError("free bits and a capacity exclude each other")
        if self.kind != "elbo" and (self.free_bits or self.capacity is not None):
            raise ValueError("free bits and a capacity are for the elbo")


ELBO = Objective()


def kl_normal(mu: Array, logvar: Array) -> Array:
    """KL(N(mu, exp(logvar)) || N(0, 1)) of each latent dimension."""
    return -0.5 * (1 + logvar - mu**2 - np.exp(logvar))


# --- Forward --------------------------------------------------------------------------------------


def with_conditions(h: Array, conditions: Array | None, k: int = 1) -> Array:
    return h if conditions is None else np.hstack([h, np.repeat(conditions, k, axis=0)])


def seen_by_encoder(x: Array, likelihood: Columns) -> Array:
    """x, with log(1 + x) in place of counts."""
    seen = x.copy()
    for block in blocks(likelihood, x.shape[1]):
        if block.likelihood.counts:
            seen[:, block.columns] = np.log1p(x[:, block.columns])
    return seen


def forward(
    params: Params,
    x: Array,
    eps: Array,
    *,
    activation: str,
    conditions: Array | None = None,
    corrupted: Array | None = None,
    dropout: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """All tensors on the way from x (n, n_features) and eps (n, k, latent_dim) to the output.

    The encoder reads ``corrupted`` in place of x where it is given, and 0 in place of a NaN:
    ``seen_by_encoder`` of x, or that with noise.
    ``dropout`` has the masks of hidden layers, by name: "encoder.0" (n, width), "decoder.0"
    (n k, width), ...
    """
    eps = eps if eps.ndim == 3 else eps[:, None]
    k, latent_dim = eps.shape[1:]
    seen = x if corrupted is None else corrupted
    seen = np.where(np.isnan(seen), np.zeros_like(seen), seen)
    h = with_conditions(seen, conditions)
    t = hidden_layers(params, "encoder", h, activation, dropout or {})
    h = t[f"encoder.{n_hidden(params, 'encoder') - 1}"]
    t["mu"] = dense(params, "mu", h)
    t["raw_logvar"] = dense(params, "logvar", h)
    t["logvar"] = bound(t["raw_logvar"])

    t["eps"] = eps.reshape(-1, latent_dim)
    t["sigma"] = np.repeat(np.exp(t["logvar"] / 2), k, axis=0)
    t["z"] = np.repeat(t["mu"], k, axis=0) + t["sigma"] * t["eps"]
    h = with_conditions(t["z"], conditions, k)
    t |= hidden_layers(params, "decoder", h, activation, dropout or {})
    t["output"] = dense(params, "output", t[f"decoder.{n_hidden(params, 'decoder') - 1}"])
    return t


def decode(
    params: Params,
    z: Array,
    *,
    activation: str,
    likelihood: Columns,
    conditions: Array | None = None,
) -> Array:
    """E[x | z] (n, n_features), per unit of exposure."""
    t = hidden_layers(params, "decoder", with_conditions(z, conditions), activation, {})
    output = dense(params, "output", t[f"decoder.{n_hidden(params, 'decoder') - 1}"])
    return np.hstack(
        [b.likelihood.mean(output[:, b.columns]) for b in blocks(likelihood, output.shape[1])]
    )


def evaluate(
    params: Params,
    x: Array,
    eps: Array,
    *,
    likelihood: Columns,
    scale: str | Sequence[str] = "per_feature",
    df: float = 4.0,
    log_exposure: Array | None = None,
    **net: Any,
) -> dict[str, Array]:
    """The tensors of ``forward`` (it takes ``net``), and what follows from them:

    "nll", "d_out", "d_scale"    (n k, n_features): the nll and its derivatives; 0 at missing x
    "kl"                         (n, latent_dim)
    "nll_rows", "log_ratio"      (n, k): -log p(x | z), and log p(z) - log q(z | x)

    ``scale`` says what sets the scales: "fixed" or "per_feature" or "global" parameters, or
    "optimal" for the batch. ``log_exposure`` (n,) is added to the outputs that are log rates.
    """
    net.setdefault("corrupted", seen_by_encoder(x, likelihood))
    t = forward(params, x, eps, **net)
    k = len(t["z"]) // len(x)
    observed = np.repeat(~np.isnan(x), k, axis=0)
    x = np.repeat(np.where(np.isnan(x), np.zeros_like(x), x), k, axis=0)
    t["nll"], t["d_out"], t["d_scale"] = (np.zeros_like(t["output"]) for _ in range(3))
    for block in blocks(likelihood, x.shape[1], scale, df):
        kind, c = block.likelihood, block.columns
        out, present = t["output"][:, c], observed[:, c]
        if kind.counts and log_exposure is not None:
            out = out + np.repeat(log_exposure, k)[:, None]
        if kind.whole_block:
            present = np.asarray(present.all(axis=1, keepdims=True))
        s = params[block.scale] if block.scale else np.zeros_like(out[0])
        if block.mode == "optimal":
            s = Gaussian.optimal_log_sigma(out, x)
        t["nll"][:, c] = present * kind.nll(out, s, x[:, c])
        t["d_out"][:, c] = present * kind.d_out(out, s, x[:, c])
        if block.scale:
            t["d_scale"][:, c] = present * kind.d_scale(out, s, x[:, c])

    t["kl"] = kl_normal(t["mu"], t["logvar"])
    t["nll_rows"] = t["nll"].sum(axis=1).reshape(-1, k)
    log_ratio = (t["eps"] ** 2 - t["z"] ** 2 + np.repeat(t["logvar"], k, axis=0)) / 2
    t["log_ratio"] = log_ratio.sum(axis=1).reshape(-1, k)
    return t


# --- Objectives. ``model`` is what ``evaluate`` takes: activation, likelihood, scale, ... ---------


def log_mean_exp(a: Array) -> Array:
    """log of the mean of exp(a), over the last axis."""
    top = a.max(axis=-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(a - top).mean(axis=-1)))


def log_weights(params: Params, x: Array, eps: Array, *, beta: float = 1.0, **model: Any) -> Array:
    """log w = log p(x | z) + beta (log p(z) - log q(z | x)), (n, k).

    ``log_mean_exp`` of it estimates log p(x) by importance sampling, and is the bound of the IWAE.
    """
    t = evaluate(params, x, eps, **model)
    return beta * t["log_ratio"] - t["nll_rows"]


def without_noise(eps: Array, beta: float, objective: Objective) -> tuple[Array, float]:
    """eps and beta as the objective has them."""
    return (0 * eps, 0.0) if objective.kind == "autoencoder" else (eps, beta)


def figures(
    params: Params,
    x: Array,
    eps: Array,
    *,
    beta: float = 1.0,
    objective: Objective = ELBO,
    **model: Any,
) -> dict[str, Array]:
    """What is reported of each row: "reconstruction", "kl" and "bound", all (n,).

    beta has a say in the bound of the IWAE only.
    """
    eps, beta = without_noise(eps, beta, objective)
    t = evaluate(params, x, eps, **model)
    reconstruction, kl = t["nll_rows"].mean(axis=1), t["kl"].sum(axis=1)
    if objective.kind == "autoencoder":
        kl = np.zeros_like(kl)
    elbo = -(reconstruction + kl)
    log_w = beta * t["log_ratio"] - t["nll_rows"]
    of_row = log_mean_exp(log_w) if objective.kind == "iwae" else elbo
    return {"reconstruction": reconstruction, "kl": kl, "bound": of_row}


def elbo_rows(
    params: Params, x: Array, eps: Array, *, objective: Objective = ELBO, **model: Any
) -> tuple[Array, Array]:
    """reconstruction = -log p(x|z) and kl, both (n,). The ELBO is -(reconstruction + kl)."""
    rows = figures(params, x, eps, objective=objective, **model)
    return rows["reconstruction"], rows["kl"]


def kl_term(kl: Array, beta: float, objective: Objective) -> tuple[float, Array]:
    """The KL's part of the loss, and its derivative, from the KL's mean over rows (latent_dim,)."""
    if objective.free_bits:
        floor = objective.free_bits
        return beta * float(np.maximum(kl, floor).sum()), np.where(kl > floor, beta, 0.0)
    if objective.capacity is not None:
        excess = float(kl.sum()) - objective.capacity
        return beta * abs(excess), np.full(len(kl), beta * np.sign(excess))
    return beta * float(kl.sum()), np.full(len(kl), beta)


def loss(
    params: Params,
    x: Array,
    eps: Array,
    *,
    beta: float = 1.0,
    objective: Objective = ELBO,
    **model: Any,
) -> float:
    """What training minimises: the mean over rows of reconstruction + beta * kl, or its kin."""
    eps, beta = without_noise(eps, beta, objective)
    t = evaluate(params, x, eps, **model)
    if objective.kind == "iwae":
        return -float(np.mean(log_mean_exp(beta * t["log_ratio"] - t["nll_rows"])))
    return float(np.mean(t["nll_rows"])) + kl_term(t["kl"].mean(axis=0), beta, objective)[0]


# --- Backward -------------------------------------------------------------------------------------


def gradients(
    params: Params,
    x: Array,
    eps: Array,
    *,
    likelihood: Columns,
    scale: str | Sequence[str] = "per_feature",
    beta: float = 1.0,
    objective: Objective = ELBO,
    **model: Any,
) -> Params:
    """d loss / d parameter, by name; "stl" and "dreg" estimate it for the encoder.

    ``delta`` is always d loss / d (the tensor just reached). A scale that is not learned has none.
    """
    eps, beta = without_noise(eps, beta, objective)
    t = evaluate(params, x, eps, likelihood=likelihood, scale=scale, **model)
    n, k = t["nll_rows"].shape
    iwae = objective.kind == "iwae"
    grads: Params = {}

    def back_through_dense(name: str, inputs: Array, delta: Array) -> Array:
        grads[f"{name}.weight"] = inputs.T @ delta
        grads[f"{name}.bias"] = delta.sum(axis=0)
        return delta @ params[f"{name}.weight"].T

    def back_through_hidden(part: str, delta: Array) -> Array:
        for i in reversed(range(n_hidden(params, part))):
            delta = delta * t[f"{part}.{i}.slope"]
            delta = back_through_dense(f"{part}.{i}", t[f"{part}.{i - 1}"], delta)
        return delta

    def last_hidden(part: str) -> Array:
        return t[f"{part}.{n_hidden(params, part) - 1}"]

    def sum_of_samples(a: Array) -> Array:
        return np.asarray(a.reshape(n, k, -1).sum(axis=1))

    # The share of each sample in the loss of its row, (n k, 1)
    share = np.full((n, k), 1 / k, x.dtype)
    if iwae:
        log_w = beta * t["log_ratio"] - t["nll_rows"]
        share = np.exp(log_w - log_mean_exp(log_w)[:, None]) / k  # softmax
    share = share.reshape(-1, 1)

    # Likelihood
    delta = share * t["d_out"] / n
    d_scale = (share * t["d_scale"]).sum(axis=0) / n
    for block in blocks(likelihood, x.shape[1], scale):
        if block.scale and block.mode in ("per_feature", "global"):
            g = d_scale[block.columns]
            grads[block.scale] = g if block.mode == "per_feature" else np.full_like(g, g.sum())

    # Decoder
    delta = back_through_dense("output", last_hidden("decoder"), delta)
    d_z = back_through_hidden("decoder", delta)[:, : t["mu"].shape[1]]  # not those of conditions

    # Posterior: z = mu + sigma eps, sigma = exp(logvar / 2), and the KL. Either the KL's (in the
    # IWAE: log q's) derivative is exact, or all of it goes through z, and log q's other part,
    # which is 0 on average, is left out.
    weight = kl_term(t["kl"].mean(axis=0), beta, objective)[1].astype(x.dtype) / n
    direct_mu, direct_logvar = np.zeros_like(t["mu"]), np.zeros_like(t["mu"])
    if objective.gradient != "standard":
        d_z = d_z + share * weight * (t["z"] - t["eps"] / t["sigma"])
    elif iwae:
        d_z = d_z + share * weight * t["z"]
        direct_logvar = direct_logvar - weight / 2
    else:
        direct_mu, direct_logvar = weight * t["mu"], weight * np.expm1(t["logvar"]) / 2
    if objective.gradient == "dreg":
        d_z = (1 - beta + beta * share) * d_z
    d_mu = sum_of_samples(d_z) + direct_mu
    d_logvar = sum_of_samples(d_z * t["sigma"] * t["eps"] / 2) + direct_logvar
    d_raw = d_logvar * bound_derivative(t["raw_logvar"])

    # Encoder
    h = last_hidden("encoder")
    delta = back_through_dense("mu", h, d_mu) + back_through_dense("logvar", h, d_raw)
    back_through_hidden("encoder", delta)
    return grads
