"""Likelihoods: -log p(x | z) of each feature from the decoder's output, in nats, constants and all.

``out`` is the decoder's output (rows, features), ``s`` the log of the scale (features,), ``x`` the
data (rows, features). A likelihood without a scale is given ``s`` = 0 and doesn't look at it.
``docs/maths.md`` derives every formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

# Where the optimisers keep the log of a scale.
SCALE_RANGES = {
    "log_sigma": (-7.0, 14.0),
    "log_scale": (-7.0, 14.0),
    "log_dispersion": (-7.0, 7.0),
}


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), without overflow"""
    return np.asarray(special.expit(a))


def softplus(a: Array) -> Array:
    """log(1 + exp(a)), without overflow"""
    return np.logaddexp(0, a)


def log_gamma(a: Array) -> Array:
    return np.asarray(special.gammaln(a))


def digamma(a: Array) -> Array:
    """The derivative of log_gamma."""
    return np.asarray(special.digamma(a))


class Likelihood:
    scale = ""  # name of the scale parameter, if there is one
    counts = False  # out is the log of a rate, to which the log of a row's exposure is added
    whole_block = False  # the features of a block are one variable: missing together

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        raise NotImplementedError

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        """d nll / d out"""
        raise NotImplementedError

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        """d nll / d s"""
        raise NotImplementedError

    def mean(self, out: Array) -> Array:
        """E[x | z]"""
        return out


class Bernoulli(Likelihood):
    """out = logit of p; x anywhere in [0, 1]: -x log p - (1 - x) log(1 - p)."""

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return np.maximum(out, 0) - out * x + np.log1p(np.exp(-np.abs(out)))

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return sigmoid(out) - x

    def mean(self, out: Array) -> Array:
        return sigmoid(out)


class ContinuousBernoulli(Likelihood):
    """out = l; x in [0, 1] with the density exp(l x - A(l)), A(l) = log((exp(l) - 1) / l)."""

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        size = np.maximum(np.abs(out), np.finfo(out.dtype).tiny)
        return np.maximum(out, 0) - out * x + np.log(-np.expm1(-size) / size)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return self.mean(out) - x

    def mean(self, out: Array) -> Array:
        """A'(l) = 1 / (1 - exp(-l)) - 1 / l = (1 + coth h - 1 / h) / 2 with h = l / 2."""
        h = out / 2
        series = h / 3 - h**3 / 45 + 2 * h**5 / 945 - h**7 / 4725
        small = np.abs(h) < 0.1
        far = np.where(small, 1, h).astype(out.dtype)
        return 0.5 + 0.5 * np.where(small, series, 1 / np.tanh(far) - 1 / far)


class Gaussian(Likelihood):
    """out = mean, s = log sigma."""

    scale = "log_sigma"

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        r = (x - out) * np.exp(-s)
        return 0.5 * r**2 + s + 0.5 * math.log(2 * math.pi)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return -(x - out) * np.exp(-2 * s)

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        return 1 - ((x - out) * np.exp(-s)) ** 2

    @classmethod
    def optimal_log_sigma(cls, out: Array, x: Array) -> Array:
        """Of the one sigma that minimises the sum of the nll: sigma^2 = mean (x - out)^2."""
        low, high = SCALE_RANGES[cls.scale]
        variance = max(float(np.mean((x - out) ** 2)), math.exp(2 * low))
        return np.full(x.shape[1], min(0.5 * math.log(variance), high), x.dtype)


class Laplace(Likelihood):
    """out = mean and median, s = log of the scale b."""

    scale = "log_scale"

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return np.abs(x - out) * np.exp(-s) + s + math.log(2)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return -np.sign(x - out) * np.exp(-s)

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        return 1 - np.abs(x - out) * np.exp(-s)


@dataclass(frozen=True)
class StudentT(Likelihood):
    """out = mean, s = log of the scale; df degrees of freedom."""

    scale = "log_scale"
    df: float = 4.0

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        df, r = self.df, (x - out) * np.exp(-s)
        constant = math.lgamma(df / 2) - math.lgamma((df + 1) / 2) + 0.5 * math.log(df * math.pi)
        return constant + s + (df + 1) / 2 * np.log1p(r**2 / df)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        r = (x - out) * np.exp(-s)
        return -(self.df + 1) * r / (self.df + r**2) * np.exp(-s)

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        r = (x - out) * np.exp(-s)
        return 1 - (self.df + 1) * r**2 / (self.df + r**2)


class Poisson(Likelihood):
    """out = log of the rate."""

    counts = True

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return np.exp(out) - x * out + log_gamma(x + 1)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return np.exp(out) - x

    def mean(self, out: Array) -> Array:
        return np.exp(out)


class NegativeBinomial(Likelihood):
    """out = log of the mean m, s = log of the dispersion r; the variance is m + m^2 / r.

    log(r / (r + m)) = -softplus(out - s), log(m / (r + m)) = -softplus(s - out).
    """

    scale = "log_dispersion"
    counts = True

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        r = np.exp(s)
        log_choices = log_gamma(x + r) - log_gamma(r) - log_gamma(x + 1)
        return r * softplus(out - s) + x * softplus(s - out) - log_choices

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return (np.exp(out) - x) * sigmoid(s - out)

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        r, m = np.exp(s), np.exp(out)
        d_r: Array = softplus(out - s) - digamma(x + r) + digamma(r) + (x - m) / (r + m)
        return r * d_r

    def mean(self, out: Array) -> Array:
        return np.exp(out)


class Categorical(Likelihood):
    """out = logits of a block of columns, x one-hot: the column that is 1 has all of the nll."""

    whole_block = True

    def log_softmax(self, out: Array) -> Array:
        shifted: Array = out - out.max(axis=-1, keepdims=True)
        log_sum: Array = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return shifted - log_sum

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return -x * self.log_softmax(out)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        total: Array = x.sum(axis=-1, keepdims=True)
        return self.mean(out) * total - x

    def mean(self, out: Array) -> Array:
        return np.exp(self.log_softmax(out))


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "student_t": StudentT,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "categorical": Categorical,
}


def make(name: str, df: float = 4.0) -> Likelihood:
    return StudentT(df) if name == "student_t" else LIKELIHOODS[name]()


# --- Columns: blocks of features, each with its own likelihood ------------------------------------

Columns = str | Sequence[tuple[str, int]]  # one likelihood for all features, or (name, count)s


@dataclass(frozen=True)
class Block:
    likelihood: Likelihood
    columns: slice
    scale: str  # name of its scale tensor, "" without
    mode: str  # what sets the scale: "fixed", "per_feature", "global" or "optimal"


def blocks(
    likelihood: Columns,
    n_features: int,
    scale: str | Sequence[str] = "per_feature",
    df: float = 4.0,
) -> list[Block]:
    """The blocks from left to right. ``scale`` is a mode for all of them, or one for each."""
    parts = [(likelihood, n_features)] if isinstance(likelihood, str) else list(likelihood)
    modes = [scale] * len(parts) if isinstance(scale, str) else list(scale)
    if sum(count for _, count in parts) != n_features or len(modes) != len(parts):
        raise ValueError(f"{parts} with scales {modes} are not {n_features} features")
    if "optimal" in modes and [name for name, _ in parts] != ["gaussian"]:
        raise ValueError("an optimal sigma is for one gaussian block")
    out, first = [], 0
    for b, ((name, count), mode) in enumerate(zip(parts, modes, strict=True)):
        made = make(name, df)
        prefix = f"columns.{b}." if len(parts) > 1 and made.scale else ""
        out.append(Block(made, slice(first, first + count), prefix + made.scale, mode))
        first += count
    return out
