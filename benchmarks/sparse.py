"""Sparse rows: training on counts of which 1 % are filled, compared with dense batches elsewhere.

The counts are drawn a few rows at a time, and no array ever holds all of them densely. PyTorch and
JAX get each batch as a dense array, which is how their users train on such data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse as scipy_sparse

from benchmarks import child, memory, timing
from benchmarks.nets import Net
from benchmarks.peers import find
from benchmarks.peers.base import Float, Index, Peer
from benchmarks.peers.vaefast_vae import VaefastVAE
from benchmarks.plan import Plan
from vaefast._core import kernels
from vaefast._input.sparse import to_sparse

Csr: TypeAlias = Any  # a csr_matrix of SciPy, which has no types

LIKELIHOODS = ("multinomial", "poisson")
WIDE = (Net.parse("20000-200-50-200-20000:tanh"), 100_000, 0.01)
FILMS = (Net.parse("1682-600-200-600-1682:tanh"), 943, 0.063)  # the size of MovieLens-100K
QUICK = (Net.parse("2000-64-16-64-2000:tanh"), 2_000, 0.01)
BATCH, STEPS, SECONDS = 128, 4, 2.0
EXPONENT = 0.7  # of the popularity of columns, by rank
CHUNK = 1_000  # rows drawn at a time
TOLERANCE = 1e-3  # largest relative difference of the gradients of two libraries

FOOTNOTE = """\
data: size of the CSR matrix. peak: the peak of a process that trains one epoch on all rows, without
what it had before the rows. rows/s: rows trained per second by vaefast. by: how many times faster
vaefast is than this library, which makes each batch dense; median and range over the rounds.
output: the share of vaefast's time that the three products of the output layer would take at the
rate of the bare micro-kernel."""


def draw(features: int, rows: int, filled: float, seed: int = 0) -> Csr:
    """Return counts whose columns have popularities by a power law, (rows, features), float32.

    A row is a number of draws of columns; a column that is drawn twice counts 2. About the share
    `filled` of the values is not 0.
    """
    rng = np.random.default_rng(seed)
    shares = np.arange(1.0, features + 1) ** -EXPONENT
    shares /= shares.sum()
    bounds, columns = np.cumsum(shares), rng.permutation(features)  # popular ones lie anywhere
    draws = _draws(shares, filled * features)
    parts = []
    for first in range(0, rows, CHUNK):
        n = min(CHUNK, rows - first)
        ranks = np.searchsorted(bounds, rng.random(n * draws)).clip(max=features - 1)
        at = np.repeat(np.arange(n), draws), columns[ranks]
        part = scipy_sparse.coo_matrix((np.ones(n * draws, np.float32), at), (n, features)).tocsr()
        part.sort_indices()
        parts.append(part)
    return scipy_sparse.vstack(parts, format="csr")


def _draws(shares: npt.NDArray[np.float64], distinct: float) -> int:
    """Return the number of draws of which about `distinct` columns are different."""
    low, high = 1, 1_000_000
    while low < high:
        draws = (low + high) // 2
        found = -np.expm1(draws * np.log1p(-shares)).sum()
        low, high = (draws + 1, high) if found < distinct else (low, draws)
    return low


def peers(likelihood: str) -> list[type[Peer]]:
    """Return vaefast, PyTorch's ways and JAX, if installed, with a likelihood of counts."""
    kinds, _ = find(("vaefast_vae", "torch_vae", "jax_vae"))
    return [type("Counts", (kind,), {"likelihood": likelihood}) for kind in kinds]


def measure(
    net: Net,
    rows: int,
    filled: float,
    likelihood: str,
    *,
    threads: int,
    rounds: int,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Return the speed of training, compared with the peers, and the peak of its memory in bytes.

    Raises
    ------
    ValueError
        A peer computes other gradients.
    ChildError
        The process whose memory is measured failed.
    """
    size = min(BATCH, rows)
    X = draw(net.features, min(rows, 4 * STEPS * size), filled)
    order = np.random.default_rng(1).permutation(X.shape[0])[: STEPS * size].astype(np.int64)
    order = order[: len(order) // size * size]
    functions: dict[str, Callable[[], object]] = {}
    expected: dict[str, Float] | None = None
    weights = None
    for kind in peers(likelihood):
        peer = kind(net, size, threads, 0)
        if weights is None:
            peer.core.initialize(0)  # type: ignore[attr-defined]
            weights = peer.weights()
        peer.load(weights)
        few = X[:8].toarray()
        eps = np.random.default_rng(2).standard_normal((8, net.latent_dim), np.float32)
        gradients = peer.loss_and_gradients(few, eps)[2]
        expected = gradients if expected is None else expected
        _check(kind.name, gradients, expected)
        functions[kind.name] = _training(peer, X, order, size)
    times = timing.in_turns(functions, rounds=rounds, seconds=seconds)
    own = timing.ratio(times["vaefast"], [1.0] * rounds)["median"]
    flops = 6.0 * len(order) * (net.decoder or (net.latent_dim,))[-1] * net.features
    arguments = (str(net), str(rows), str(filled), likelihood, str(threads))
    return {
        "net": str(net),
        "likelihood": likelihood,
        "rows": rows,
        "filled": X.nnz / X.shape[0] / X.shape[1],
        "threads": threads,
        "rows per second": len(order) / own,
        "output": flops / kernels.kernel_rate(threads, 100_000) / own,
        "ratios": {
            name: timing.ratio(times[name], times["vaefast"]) for name in times if name != "vaefast"
        },
        "rounds": times,
        **child.run("-m", "benchmarks.sparse", *arguments),
    }


def _check(name: str, gradients: dict[str, Float], expected: dict[str, Float]) -> None:
    for key, gradient in expected.items():
        difference = np.linalg.norm(gradients[key] - gradient) / np.linalg.norm(gradient)
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{name} and vaefast differ in the gradient of {key}: {difference:.2g}"
            )


def _training(peer: Peer, X: Csr, order: Index, size: int) -> Callable[[], object]:
    """Return a function that takes one step per batch of the rows in this order."""
    if isinstance(peer, VaefastVAE):
        rows: Any = to_sparse(X)
        return lambda: peer.train_epoch(rows, order)

    def train() -> None:
        for first in range(0, len(order), size):
            dense = X[order[first : first + size]].toarray()
            peer.train_epoch(dense, np.arange(size))

    return train


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the result of each net and likelihood."""
    for net, rows, filled in (QUICK,) if plan.quick else (WIDE, FILMS):
        for likelihood in LIKELIHOODS:
            yield measure(net, rows, filled, likelihood, threads=plan.threads, rounds=plan.rounds)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    return {
        f"{'net':<30}": f"{result['net']:<30}",
        f"{'likelihood':<11}": f"{result['likelihood']:<11}",
        "   rows": f"{result['rows']:,}",
        "filled": f"{result['filled']:.1%}",
        "data MB": f"{result['data'] / memory.MB:.1f}",
        "peak MB": f"{(result['peak'] - result['before']) / memory.MB:.0f}",
        " rows/s": f"{result['rows per second']:,.0f}",
        "output": f"{result['output']:.0%}",
        **{
            f"{name} by": f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"
            for name, ratio in result["ratios"].items()
        },
    }


# --- In the process that is measured --------------------------------------------------------------


def _main(name: str, rows: str, filled: str, likelihood: str, threads: str) -> dict[str, int]:
    from vaefast import VAE

    net = Net.parse(name)
    before = memory.status()["VmHWM"]
    X = draw(net.features, int(rows), float(filled))
    vae = VAE(
        net.latent_dim,
        net.encoder,
        decoder_layer_sizes=net.decoder,
        activation=net.activation,
        likelihood=likelihood,  # type: ignore[arg-type]
        batch_size=BATCH,
        epochs=1,
        n_threads=int(threads),
        random_state=0,
        verbose=False,
    )
    vae.fit(X)
    data = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return {"data": data, "before": before, "peak": memory.status()["VmHWM"]}


if __name__ == "__main__":
    import json
    import warnings

    warnings.simplefilter("ignore")  # one epoch is few steps
    print(json.dumps(_main(*sys.argv[1:])))
