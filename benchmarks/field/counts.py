"""Simulated counts, overdispersed, with known groups and exposure.

Every measurement has a process of its own, because the peak of the memory is that of a process.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import child, memory

from . import data
from .data import Floats, Integers
from .suite import OURS, Figure, Method, Suite, timed

LATENT = 10  # scVI's default
SAMPLES = 100  # importance samples per row
SIZES = {  # rows, columns, groups
    "2,000 x 100": (2_000, 100, 5),
    "5,000 x 500": (5_000, 500, 8),
}
DISPERSIONS = {"dispersion 2": 2.0, "dispersion 0.5": 0.5}  # r: the variance is m + m^2 / r


@dataclass(frozen=True)
class Counts:
    """Rows of counts with their exposures and groups, and the model that drew them.

    Attributes
    ----------
    rows : ndarray of shape (n, d)
        Counts.
    exposure : ndarray of shape (n,)
        Exposure of each row.
    groups : ndarray of shape (n,)
        Group of each row.
    rates : ndarray of shape (groups, d)
        Expected counts of one unit of exposure.
    shares : ndarray of shape (groups,)
        Probability of each group.
    dispersion : float
        Number r of the negative binomial: the variance of a count with mean m is m + m^2 / r.
    """

    rows: Floats
    exposure: Floats
    groups: Integers
    rates: Floats
    shares: Floats
    dispersion: float

    def part(self, indices: Integers) -> Counts:
        """Return some of the rows."""
        drawn = self.rows[indices], self.exposure[indices], self.groups[indices]
        return Counts(*drawn, self.rates, self.shares, self.dispersion)


@dataclass(frozen=True)
class Answer:
    """Result of a method.

    Attributes
    ----------
    likelihood : float or None
        Mean log-likelihood of the test rows in nats, given their exposures.
    codes : ndarray of shape (n, k)
        Codes of the test rows.
    """

    likelihood: float | None
    codes: NDArray[Any]


def simulate(cell: str, seed: int) -> Counts:
    """Draw counts. A fifth of the columns differ from group to group, less in wider tables."""
    size, spread = cell.split(", d")
    n, d, k = SIZES[size]
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 1, d)
    differences = rng.normal(0, np.sqrt(100 / d), (k, d)) * (rng.random(d) < 0.2)
    rates = np.exp(common + differences)
    shares = rng.dirichlet(np.full(k, 5.0))
    groups = rng.choice(k, n, p=shares)
    exposure = rng.lognormal(0, 0.5, n)
    dispersion = DISPERSIONS["d" + spread]
    means = exposure[:, None] * rates[groups]
    rows = rng.poisson(rng.gamma(dispersion, means / dispersion))
    return Counts(rows.astype(float), exposure, groups, rates, shares, dispersion)


def vaefast(train: Counts, test: Counts, seed: int) -> Answer:
    from vaefast import VAE

    own: dict[str, Any] = {"epochs": "auto", "random_state": seed, "verbose": False}
    vae = VAE(LATENT, likelihood="negative_binomial", **own)
    vae.fit(train.rows, exposure=train.exposure)
    likelihood = vae.log_likelihood(test.rows, exposure=test.exposure, n_samples=SAMPLES)
    return Answer(float(likelihood.mean), vae.transform(test.rows))


def scvi(train: Counts, test: Counts, seed: int) -> Answer:
    """Train scVI with its defaults, a negative binomial, and the exposure as the size factor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata
        import scvi
        from scvi.model import SCVI

        scvi.settings.seed = seed
        scvi.settings.verbosity = 40  # errors only
        frames = []
        for part in (train, test):
            frame = anndata.AnnData(part.rows.astype(np.float32))
            frame.obs["exposure"] = part.exposure
            SCVI.setup_anndata(frame, size_factor_key="exposure")
            frames.append(frame)
        model = SCVI(frames[0], n_latent=LATENT, gene_likelihood="nb")
        model.train(accelerator="cpu", enable_progress_bar=False, logger=False)
        likelihood = model.get_marginal_ll(frames[1], n_mc_samples=SAMPLES)
        return Answer(float(likelihood), model.get_latent_representation(frames[1]))


def pca(train: Counts, test: Counts, seed: int) -> Answer:
    """Project the logarithms of the counts per exposure. PCA has no likelihood of counts."""
    from sklearn.decomposition import PCA

    logs = [np.log1p(part.rows / part.exposure[:, None]) for part in (train, test)]
    return Answer(None, PCA(LATENT, random_state=seed).fit(logs[0]).transform(logs[1]))


def truth(train: Counts, test: Counts, seed: int) -> Answer:
    """Score the rows by the model that drew them. Codes are probabilities of the groups."""
    from scipy.special import logsumexp
    from scipy.stats import nbinom

    r, columns = test.dispersion, []
    for rate, share in zip(test.rates, test.shares, strict=True):
        mean = test.exposure[:, None] * rate
        columns.append(nbinom.logpmf(test.rows, r, r / (r + mean)).sum(axis=1) + np.log(share))
    joint = np.stack(columns, axis=1)
    each = logsumexp(joint, axis=1)
    return Answer(float(each.mean()), np.exp(joint - each[:, None]))


def measure(cell: str, seed: int, method: Method) -> dict[str, float | None]:
    threads = {name: os.environ.get(name, "1") for name in child.THREAD_VARIABLES}
    return child.run("-m", "benchmarks.field.counts", cell, str(seed), method.name, **threads)


def _measure_here(cell: str, seed: int, method: Method) -> dict[str, float | None]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    counts = simulate(cell, seed)
    train, test = map(counts.part, data.split(counts.groups, seed))
    tiny = train.part(np.arange(100))
    method.run(tiny, tiny, 0)  # imports what it needs, so that the time does not include that
    with timed() as figures:
        answer = method.run(train, test, seed)
    peak = memory.status()["VmHWM"]
    found = KMeans(len(counts.rates), n_init=10, random_state=0).fit_predict(answer.codes)
    return {
        **figures,
        "log-likelihood": answer.likelihood,
        "recovery": float(adjusted_rand_score(test.groups, found)),
        "peak memory": peak / memory.MB,
    }


SUITE = Suite(
    groups={
        "Simulated counts": tuple(f"{size}, {spread}" for size in SIZES for spread in DISPERSIONS)
    },
    methods=(
        Method(OURS, vaefast),
        Method("scVI", scvi, packages=("scvi-tools", "torch"), seeds=3),
        Method("PCA of logarithms", pca),
        Method("true model", truth),
    ),
    figures=(
        Figure("log-likelihood", 2, higher=True),
        Figure("recovery", 3, higher=True),
        Figure("CPU seconds", 1, higher=False),
        Figure("peak memory", 0, higher=False),
    ),
    measure=measure,
    notes="log-likelihood: mean over held-out rows in nats, given the exposure, by importance "
    f"sampling with {SAMPLES} samples per row; exact for the true model, which nothing can exceed "
    "but by chance. recovery: adjusted Rand index of k-means on the codes of held-out rows, with "
    "the true number of groups. CPU seconds of fitting, scoring and encoding. peak memory: of the "
    "whole process, in megabytes. The dispersion is the number r in the variance m + m^2 / r.",
)


def _main(cell: str, seed: str, name: str) -> None:
    method = next(method for method in SUITE.methods if method.name == name)
    print(json.dumps(_measure_here(cell, int(seed), method)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
