"""A variational autoencoder in float64 NumPy, written to be read. The tests check the core with it.

Parameters. Every function takes the parameters as a dictionary of arrays and leaves them unchanged.
Weights have the shape (in, out), so a layer is ``h @ W + b`` with one row of ``h`` per example:

    encoder.{i}.weight, .bias    hidden layers of the encoder, i = 0, 1, ... (possibly none)
    mu.weight, .bias             the two heads of the encoder, (last hidden, latent_dim)
    logvar.weight, .bias
    decoder.{i}.weight, .bias    hidden layers of the decoder (possibly none)
    output.weight, .bias         (last hidden, n_features)
    log_sigma                    log of the scale of a gaussian, (n_features,)
    log_scale                    the same for laplace and student_t
    log_dispersion               the same for negative_binomial
    columns.{b}.log_sigma, ...   the same for block b, where the columns have several blocks

Shapes. A batch has n rows, and each row has k samples of z. The encoder runs once per row and the
decoder once per sample: sample j of row i is row i k + j of every tensor of the decoder. The noise
``eps`` has the shape (n, k, latent_dim), or (n, latent_dim) where k is 1. With conditions c, the
encoder reads [x, c] and the decoder reads [z, c].

Units. A figure sums over features and over latent dimensions. The figure of a batch is the mean
over rows, weighted if the rows have ``weights`` (n,). All figures are in nats.

Sources. ``docs/internals`` defines the quantities (model.md, likelihoods.md, objectives.md) and
derives the backward pass (gradients.md). K&W stands for Kingma & Welling (2014), arXiv:1312.6114.

The functions keep the dtype of their arguments. The tests also run them in float32, to measure
the rounding error that float32 causes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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

__all__ = [  # includes names of the other reference files, for the tests
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
    "imputation",
    "init",
    "kl_normal",
    "log_mean_exp",
    "log_weights",
    "loss",
    "mean_over_rows",
    "row_shares",
    "seen_by_encoder",
]


@dataclass(frozen=True)
class Objective:
    """The objective of training, without beta: the weight of the KL may change at each step.

    A combination that ``docs/internals/objectives.md`` does not define raises a ValueError.
    """

    kind: str = "elbo"  # "elbo", "iwae" (importance-weighted), "autoencoder" (no noise, no KL)
    gradient: str = "standard"  # estimator for the encoder: "standard", "stl" or "dreg"
    free_bits: float = 0.0  # KL that costs nothing, in nats per latent dimension
    capacity: float | None = None  # target of the KL, in nats per row

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
    """Return KL(N(mu, exp(logvar)) || N(0, 1)) of each latent dimension, in nats.

    kl = -(1 + logvar - mu^2 - exp(logvar)) / 2 (K&W, appendix B). The arguments and the result
    have the shape (n, latent_dim).
    """
    return -0.5 * (1 + logvar - mu**2 - np.exp(logvar))


def row_shares(n: int, weights: Array | None, dtype: npt.DTypeLike) -> Array:
    """Return the share of each row in a mean over n rows, (n,): w_i / sum(w), or 1 / n."""
    w = np.ones(n) if weights is None else weights
    return np.asarray(w / w.sum(), dtype)


def mean_over_rows(a: Array, weights: Array | None) -> Array:
    """Return sum_i w_i a_i / sum_i w_i over the first axis; without weights, the plain mean."""
    return np.asarray(row_shares(len(a), weights, a.dtype) @ a)


# --- Forward --------------------------------------------------------------------------------------


def with_conditions(h: Array, conditions: Array | None, k: int = 1) -> Array:
    """Return [h, c] for h (n k, width): each row of ``conditions`` (n, n_conditions) k times."""
    return h if conditions is None else np.hstack([h, np.repeat(conditions, k, axis=0)])


def seen_by_encoder(x: Array, likelihood: Columns, normalize: bool = False) -> Array:
    """Return what the encoder reads, (n, n_features): x, with log(1 + x) in place of counts.

    The logarithm keeps the first outputs, which are log rates, within the range of exp
    (Lopez et al. 2018). With ``normalize``, the encoder reads the rows divided by their length
    instead, the root of the sum of their squares (Liang et al. 2018).
    """
    if normalize:
        length = np.sqrt(np.nansum(x**2, axis=1, keepdims=True))
        return np.asarray(x / np.where(length > 0, length, np.ones_like(length)))
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
    """Compute every tensor from the rows to the decoder's output, and return them by name.

    The posterior is q(z | x) = N(mu, exp(logvar)), where logvar is the bounded output of its head.
    A sample is z = mu + exp(logvar / 2) eps (K&W, section 2.4).

    Parameters
    ----------
    params : dict of arrays
        Weights and biases, named as in the docstring of this file.
    x : array of shape (n, n_features)
        Rows. NaN marks a missing value; the encoder reads 0 in its place.
    eps : array of shape (n, k, latent_dim) or (n, latent_dim)
        Standard normal noise.
    activation : str
        Activation of the hidden layers, a key of ``ACTIVATIONS``.
    conditions : array of shape (n, n_conditions), default=None
        Conditions of each row.
    corrupted : array of shape (n, n_features), default=None
        Input of the encoder in place of x: ``seen_by_encoder`` of x, with or without noise.
    dropout : mapping of names to arrays, default=None
        Masks of hidden layers: "encoder.0" (n, width), "decoder.0" (n k, width), ...

    Returns
    -------
    dict of arrays
        Hidden layers of ``hidden_layers``: "encoder.{i}" (n, width), "decoder.{i}" (n k, width)
        and their slopes; "mu", "raw_logvar" (before the bound) and "logvar", (n, latent_dim);
        "eps", "sigma" and "z", (n k, latent_dim); "output", (n k, n_features).
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
    """Return E[x | z], (n, n_features), for codes z (n, latent_dim).

    The mean of a count is per unit of exposure.
    """
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
    weights: Array | None = None,
    **net: Any,
) -> dict[str, Array]:
    """Compute the tensors of ``forward`` and the terms of every objective, in nats.

    log p(z) - log q(z | x) = sum over latent dimensions of (eps^2 - z^2 + logvar) / 2. The terms
    log(2 pi) / 2 cancel, and (z - mu)^2 / exp(logvar) is eps^2.

    Parameters
    ----------
    params, x, eps
        As in ``forward``.
    likelihood : str or sequence of (str, int)
        One likelihood for all columns, or blocks of (name, number of columns).
    scale : str or sequence of str, default="per_feature"
        What sets the log of the scale: "fixed", "per_feature" and "global" read it from
        ``params``; "optimal" computes it from the batch. A sequence has one entry per block.
    df : float, default=4.0
        Degrees of freedom of student_t.
    log_exposure : array of shape (n,), default=None
        Log of the exposure of each row, added to the outputs of counts.
    weights : array of shape (n,), default=None
        Positive weights of the rows in the batch. Only an "optimal" scale depends on them.
    **net
        Further arguments of ``forward``.

    Returns
    -------
    dict of arrays
        The tensors of ``forward`` and

        "nll"        (n k, n_features)  -log p(x | z) of each feature; 0 where x is missing
        "d_out"      (n k, n_features)  derivative of "nll" with respect to the output
        "d_scale"    (n k, n_features)  derivative of "nll" with respect to the log of the scale
        "kl"         (n, latent_dim)    closed form of the KL
        "nll_rows"   (n, k)             -log p(x | z) of each sample
        "log_ratio"  (n, k)             log p(z) - log q(z | x) of each sample
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
            w = None if weights is None else np.repeat(weights, k)
            s = Gaussian.optimal_log_sigma(out, x, w)
        t["nll"][:, c] = present * kind.nll(out, s, x[:, c])
        t["d_out"][:, c] = present * kind.d_out(out, s, x[:, c])
        if block.scale:
            t["d_scale"][:, c] = present * kind.d_scale(out, s, x[:, c])

    t["kl"] = kl_normal(t["mu"], t["logvar"])
    t["nll_rows"] = t["nll"].sum(axis=1).reshape(-1, k)
    log_ratio = (t["eps"] ** 2 - t["z"] ** 2 + np.repeat(t["logvar"], k, axis=0)) / 2
    t["log_ratio"] = log_ratio.sum(axis=1).reshape(-1, k)
    return t


# --- Objectives. ``model`` holds further arguments of ``evaluate``: activation, likelihood, ... ---


def log_mean_exp(a: Array) -> Array:
    """Return log(mean(exp(a))) over the last axis, computed after subtracting the largest a."""
    top = a.max(axis=-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(a - top).mean(axis=-1)))


def log_weights(params: Params, x: Array, eps: Array, *, beta: float = 1.0, **model: Any) -> Array:
    """Return the log importance weight of each sample, (n, k), in nats.

    log w = log p(x | z) + beta (log p(z) - log q(z | x)). With beta = 1, ``log_mean_exp`` of the
    result estimates log p(x) by importance sampling, and its mean is the bound of the IWAE
    (Burda et al. 2016).
    """
    t = evaluate(params, x, eps, **model)
    return beta * t["log_ratio"] - t["nll_rows"]


def imputation(params: Params, x: Array, eps: Array, **model: Any) -> Array:
    """Return the mean of E[x | z] over the samples, weighted by their importance, (n, n_features).

    It estimates E[x | what is known of x] (Mattei & Frellsen 2019, eq. 12).
    """
    log_w = log_weights(params, x, eps, **model)
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    out = evaluate(params, x, eps, **model)["output"]
    blocks_of_model = blocks(model["likelihood"], x.shape[1], model.get("scale", "per_feature"))
    means = np.hstack([block.likelihood.mean(out[:, block.columns]) for block in blocks_of_model])
    return np.asarray(np.einsum("nk,nkf->nf", w, means.reshape(*eps.shape[:2], -1)))


def without_noise(eps: Array, beta: float, objective: Objective) -> tuple[Array, float]:
    """Return eps and beta for the objective: both become 0 for a plain autoencoder."""
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
    """Return the reported figures of each row: "reconstruction", "kl" and "bound", each (n,) nats.

    reconstruction = mean over samples of -log p(x | z)
    kl             = closed form, summed over latent dimensions; 0 for a plain autoencoder
    bound          = -(reconstruction + kl), the ELBO (K&W, equation 7)
    bound of IWAE  = log of the mean importance weight (Burda et al. 2016)

    Only the bound of the IWAE depends on beta.
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
    """Return reconstruction and kl of each row, both (n,); the ELBO is -(reconstruction + kl)."""
    rows = figures(params, x, eps, objective=objective, **model)
    return rows["reconstruction"], rows["kl"]


def kl_term(kl: Array, beta: float, objective: Objective) -> tuple[float, Array]:
    """Return the KL term of the loss and its derivative with respect to ``kl``, (latent_dim,).

    ``kl`` (latent_dim,) is the mean over rows of the KL of each latent dimension d, in nats.

    ELBO       beta sum_d kl_d
    free bits  beta sum_d max(free_bits, kl_d)    (Kingma et al. 2016)
    capacity   beta |sum_d kl_d - capacity|       (Burgess et al. 2018)
    """
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
    weights: Array | None = None,
    **model: Any,
) -> float:
    """Return the loss that training minimizes, in nats per row.

    ELBO         mean over rows of the reconstruction, plus the KL term of ``kl_term``
                 (K&W, equation 8, divided by minus the number of rows, where beta is 1)
    IWAE         minus the mean over rows of log((1 / k) sum_j w_j), with the importance weights w
                 of ``log_weights`` (Burda et al. 2016)
    autoencoder  mean over rows of the reconstruction at z = mu

    With ``weights`` (n,), each mean over rows is the weighted mean of ``mean_over_rows``.
    """
    eps, beta = without_noise(eps, beta, objective)
    t = evaluate(params, x, eps, weights=weights, **model)
    if objective.kind == "iwae":
        log_w = beta * t["log_ratio"] - t["nll_rows"]
        return -float(mean_over_rows(log_mean_exp(log_w), weights))
    reconstruction = float(mean_over_rows(t["nll_rows"].mean(axis=1), weights))
    return reconstruction + kl_term(mean_over_rows(t["kl"], weights), beta, objective)[0]


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
    weights: Array | None = None,
    **model: Any,
) -> Params:
    """Return d loss / d parameter, by the name of the parameter (backpropagation).

    ``docs/internals/gradients.md`` derives each step. The arguments are those of ``loss``; the
    result has the shapes of ``params``. A scale that is "fixed" or "optimal" has no entry.

    ``objective.gradient`` selects the estimator for the encoder: "standard" is the gradient of
    the loss, "stl" sticks the landing (Roeder et al. 2017), and "dreg" is doubly reparameterized
    (Tucker et al. 2018). The gradient of the decoder is the same for all three.

    ``delta`` and the names in d_ hold d loss / d (a tensor), with the share of each row in the
    mean over rows: 1 / n, or w_i / sum(w).
    """
    eps, beta = without_noise(eps, beta, objective)
    t = evaluate(params, x, eps, likelihood=likelihood, scale=scale, weights=weights, **model)
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

    # Share of each sample in the loss of its row, (n k, 1): 1 / k, or its normalized weight.
    share = np.full((n, k), 1 / k, x.dtype)
    if iwae:
        log_w = beta * t["log_ratio"] - t["nll_rows"]
        share = np.exp(log_w - log_mean_exp(log_w)[:, None]) / k  # softmax of log_w
    share = share.reshape(-1, 1)
    # Share of each row in the loss of the batch, (n, 1), and of each sample, (n k, 1).
    row_share = row_shares(n, weights, x.dtype)[:, None]
    of_batch = share * np.repeat(row_share, k, axis=0)

    # Likelihood
    delta = of_batch * t["d_out"]
    d_scale = (of_batch * t["d_scale"]).sum(axis=0)
    for block in blocks(likelihood, x.shape[1], scale):
        if block.scale and block.mode in ("per_feature", "global"):
            g = d_scale[block.columns]
            grads[block.scale] = g if block.mode == "per_feature" else np.full_like(g, g.sum())

    # Decoder
    delta = back_through_dense("output", last_hidden("decoder"), delta)
    d_z = back_through_hidden("decoder", delta)[:, : t["mu"].shape[1]]  # conditions get no gradient

    # Posterior: z = mu + sigma eps with sigma = exp(logvar / 2), and the KL.
    # "standard" adds the direct derivative with respect to mu and logvar: of the closed form of
    # the KL, or of log q in the IWAE. "stl" and "dreg" pass everything through z and leave out
    # the direct derivative of log q (the score), whose mean under q is 0. "dreg" also corrects for
    # the weights, which depend on z.
    weight = kl_term(mean_over_rows(t["kl"], weights), beta, objective)[1].astype(x.dtype)
    direct_mu, direct_logvar = np.zeros_like(t["mu"]), np.zeros_like(t["mu"])
    if objective.gradient != "standard":
        d_z = d_z + of_batch * weight * (t["z"] - t["eps"] / t["sigma"])
    elif iwae:
        d_z = d_z + of_batch * weight * t["z"]
        direct_logvar = direct_logvar - row_share * weight / 2
    else:
        direct_mu = row_share * weight * t["mu"]
        direct_logvar = row_share * weight * np.expm1(t["logvar"]) / 2
    if objective.gradient == "dreg":
        d_z = (1 - beta + beta * share) * d_z  # a weight of share^2 in all where beta is 1
    d_mu = sum_of_samples(d_z) + direct_mu
    d_logvar = sum_of_samples(d_z * t["sigma"] * t["eps"] / 2) + direct_logvar
    d_raw = d_logvar * bound_derivative(t["raw_logvar"])

    # Encoder
    h = last_hidden("encoder")
    delta = back_through_dense("mu", h, d_mu) + back_through_dense("logvar", h, d_raw)
    back_through_hidden("encoder", delta)
    return grads
