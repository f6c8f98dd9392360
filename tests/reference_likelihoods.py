"""Likelihoods in float64 NumPy: -log p(x | z) of each feature, its derivatives, and the mean.

The methods take three arrays:

    out  (rows, features)  the decoder's output; for counts, the log of the exposure is added
    s    (features,)       log of the scale; ignored by a likelihood without a scale
    x    (rows, features)  the data

Figures are in nats and include all constants, so exp(-nll) integrates or sums to 1 over x. The one
exception is a Bernoulli of x between 0 and 1. ``docs/internals/likelihoods.md`` gives the formulas
with their derivations and sources.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

# Range of the log of each scale. The optimizers project onto it after every step.
SCALE_RANGES = {
    "log_sigma": (-7.0, 14.0),
    "log_scale": (-7.0, 14.0),
    "log_dispersion": (-7.0, 7.0),
}


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), without overflow."""
    return np.asarray(special.expit(a))


def softplus(a: Array) -> Array:
    """Return log(1 + exp(a)), without overflow."""
    return np.logaddexp(0, a)


def log_gamma(a: Array) -> Array:
    """Return log(Gamma(a))."""
    return np.asarray(special.gammaln(a))


def digamma(a: Array) -> Array:
    """Return the derivative of ``log_gamma``."""
    return np.asarray(special.digamma(a))


def log_softmax(out: Array) -> Array:
    """Return out - log(sum(exp(out))) over the columns, after subtracting the largest out."""
    shifted: Array = out - out.max(axis=-1, keepdims=True)
    log_sum: Array = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted - log_sum


class Likelihood:
    """Base class: a density or probability mass p(x | out, s) of one feature."""

    scale = ""  # name of the parameter that holds s; empty without a scale
    counts = False  # x holds counts; out is the log of a rate, plus the log of the row's exposure
    whole_block = False  # the features of a block form one variable, and are missing together

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        """Return -log p(x | z) of each feature, (rows, features), in nats."""
        raise NotImplementedError

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        """Return d nll / d out, (rows, features)."""
        raise NotImplementedError

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        """Return d nll / d s of each row, (rows, features)."""
        raise NotImplementedError

    def mean(self, out: Array) -> Array:
        """Return E[x | z], (rows, features)."""
        return out


class Bernoulli(Likelihood):
    """Bernoulli: x in [0, 1], out = logit of p.

    nll = -x log p - (1 - x) log(1 - p)
        = max(out, 0) - out x + log(1 + exp(-|out|)), which does not overflow

    This is equation 11 of Kingma & Welling (2014) with the opposite sign. For x strictly between 0
    and 1 it is a cross-entropy rather than a log-density.
    """

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return np.maximum(out, 0) - out * x + np.log1p(np.exp(-np.abs(out)))

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return sigmoid(out) - x

    def mean(self, out: Array) -> Array:
        return sigmoid(out)


class ContinuousBernoulli(Likelihood):
    """Continuous Bernoulli (Loaiza-Ganem & Cunningham 2019): x in [0, 1], out = l.

    p = exp(l x - A(l)) with the log-normalizer A(l) = log((exp(l) - 1) / l)
    nll = max(l, 0) - l x + log((1 - exp(-|l|)) / |l|), which does not overflow
    """

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        size = np.maximum(np.abs(out), np.finfo(out.dtype).tiny)
        return np.maximum(out, 0) - out * x + np.log(-np.expm1(-size) / size)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return self.mean(out) - x

    def mean(self, out: Array) -> Array:
        """Return A'(l) = 1 / (1 - exp(-l)) - 1 / l = (1 + coth h - 1 / h) / 2 with h = l / 2.

        The difference coth h - 1 / h cancels near 0, so a series replaces it where |h| < 0.1.
        """
        h = out / 2
        series = h / 3 - h**3 / 45 + 2 * h**5 / 945 - h**7 / 4725
        small = np.abs(h) < 0.1
        far = np.where(small, 1, h).astype(out.dtype)
        return 0.5 + 0.5 * np.where(small, series, 1 / np.tanh(far) - 1 / far)


class Gaussian(Likelihood):
    """Gaussian: x real, out = mean, s = log sigma.

    nll = r^2 / 2 + s + log(2 pi) / 2 with r = (x - out) / sigma
    """

    scale = "log_sigma"

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        r = (x - out) * np.exp(-s)
        return 0.5 * r**2 + s + 0.5 * math.log(2 * math.pi)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return -(x - out) * np.exp(-2 * s)

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        return 1 - ((x - out) * np.exp(-s)) ** 2

    @classmethod
    def optimal_log_sigma(cls, out: Array, x: Array, weights: Array | None = None) -> Array:
        """Return the best log sigma shared by all rows and features, repeated: (features,).

        sigma^2 = mean of (x - out)^2 minimizes the sum of the nll (Rybkin et al. 2021). With
        ``weights`` (rows,), it is the weighted mean over rows and minimizes the weighted sum. The
        result is clipped to the range of "log_sigma".
        """
        low, high = SCALE_RANGES[cls.scale]
        squares = ((x - out) ** 2).mean(axis=1)
        mean = squares.mean() if weights is None else weights @ squares / weights.sum()
        variance = max(float(mean), math.exp(2 * low))
        return np.full(x.shape[1], min(0.5 * math.log(variance), high), x.dtype)


class Laplace(Likelihood):
    """Laplace: x real, out = mean and median, s = log b.

    nll = |x - out| / b + s + log 2
    """

    scale = "log_scale"

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return np.abs(x - out) * np.exp(-s) + s + math.log(2)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return -np.sign(x - out) * np.exp(-s)

    def d_scale(self, out: Array, s: Array, x: Array) -> Array:
        return 1 - np.abs(x - out) * np.exp(-s)


@dataclass(frozen=True)
class StudentT(Likelihood):
    """Student's t: x real, out = location, s = log sigma, df degrees of freedom.

    nll = (df + 1) / 2 log(1 + r^2 / df) + s
          + log Gamma(df / 2) - log Gamma((df + 1) / 2) + log(df pi) / 2, r = (x - out) / sigma

    The location is the median, and also the mean where df > 1.
    """

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
    """Poisson: x a count, out = log of the rate.

    nll = exp(out) - x out + log Gamma(x + 1)
    """

    counts = True

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return np.exp(out) - x * out + log_gamma(x + 1)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        return np.exp(out) - x

    def mean(self, out: Array) -> Array:
        return np.exp(out)


class NegativeBinomial(Likelihood):
    """Negative binomial: x a count, out = log of the mean m, s = log of the dispersion r.

    nll = -log(Gamma(x + r) / (Gamma(r) Gamma(x + 1))) - r log(r / (r + m)) - x log(m / (r + m))

    The variance is m + m^2 / r. Two identities avoid overflow:
    log(r / (r + m)) = -softplus(out - s) and log(m / (r + m)) = -softplus(s - out).
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
    """Categorical: a block of columns is one variable; x is one-hot, out = logits.

    nll of column c = -x_c log softmax(out)_c, so the column that is 1 carries all of it.
    """

    whole_block = True

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        return -x * log_softmax(out)

    def d_out(self, out: Array, s: Array, x: Array) -> Array:
        total: Array = x.sum(axis=-1, keepdims=True)
        return self.mean(out) * total - x

    def mean(self, out: Array) -> Array:
        return np.exp(log_softmax(out))


class Multinomial(Categorical):
    """Multinomial: a block of columns holds the counts of N draws, out = logits of p.

    nll of the block = log(prod_c x_c!) - log N! - sum_c x_c log p_c
    with p = softmax(out) and N = sum_c x_c

    It is the likelihood of independent Poissons with rates N p_c, given their sum: a Poisson with
    rate N. The nll of column c is that of its Poisson, minus the share x_c / N of that of the sum.
    An exposure, whose log is added to every logit, cancels.
    """

    counts = True

    def nll(self, out: Array, s: Array, x: Array) -> Array:
        total = x.sum(axis=-1, keepdims=True)
        safe = np.where(total == 0, np.ones_like(total), total)
        log_rate = log_softmax(out) + np.log(safe)
        of_total = safe - special.xlogy(safe, safe) + log_gamma(safe + 1)
        nll = np.exp(log_rate) - x * log_rate + log_gamma(x + 1) - x / safe * of_total
        return np.asarray(np.where(total == 0, np.zeros_like(nll), nll))


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "student_t": StudentT,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "categorical": Categorical,
    "multinomial": Multinomial,
}


def make(name: str, df: float = 4.0) -> Likelihood:
    """Return the likelihood of that name; ``df`` is the degrees of freedom of student_t."""
    return StudentT(df) if name == "student_t" else LIKELIHOODS[name]()


# --- Columns: blocks of features, each with its own likelihood ------------------------------------

Columns = str | Sequence[tuple[str, int]]  # a likelihood, or blocks of (name, number of columns)


@dataclass(frozen=True)
class Block:
    """Consecutive columns that share a likelihood."""

    likelihood: Likelihood
    columns: slice
    scale: str  # name of the parameter that holds the log of its scale; empty without a scale
    mode: str  # what sets the scale: "fixed", "per_feature", "global" or "optimal"


def blocks(
    likelihood: Columns,
    n_features: int,
    scale: str | Sequence[str] = "per_feature",
    df: float = 4.0,
) -> list[Block]:
    """Return the blocks of columns from left to right.

    Parameters
    ----------
    likelihood : str or sequence of (str, int)
        One likelihood for all columns, or blocks of (name, number of columns).
    n_features : int
        Number of columns in all.
    scale : str or sequence of str, default="per_feature"
        What sets the scale, "fixed", "per_feature", "global" or "optimal": for all blocks, or one
        entry per block.
    df : float, default=4.0
        Degrees of freedom of student_t.

    Raises
    ------
    ValueError
        If the numbers do not add up, or "optimal" is used with anything but one gaussian block.
    """
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
