"""Inference: time of transform for one row and for many, of samples, scores and log p(x)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import timing, workload
from benchmarks.nets import Net
from benchmarks.parity import ParityError
from benchmarks.peers.base import Float, Weights
from benchmarks.plan import Plan
from vaefast import VAE

ROWS = 60_000
MAX_FLOATS = 1 << 26  # values of all rows: wide nets get fewer rows
SECONDS, QUICK_SECONDS = 0.3, 0.05  # duration of one measurement
LIKELIHOOD_SAMPLES = 5_000  # per row, as in the papers; wide nets take fewer
LIKELIHOOD_FLOPS = 4e10  # largest number of operations of one call of log_likelihood
TOLERANCE = 1e-4  # largest relative difference between two libraries' codes

FOOTNOTE = """\
Median times through the estimator, including checks of the data. transform is compared with the
same encoder in NumPy and, if installed, in PyTorch (eager, without gradients), which must return
the same codes. by: how many times as long NumPy or PyTorch takes, median over rounds, lowest and
highest. log p(x): samples that log_likelihood draws per second; 10,000 rows with 5,000 samples each
are 5e7."""


def measure(
    net: Net,
    rows: int,
    *,
    threads: int,
    rounds: int,
    digits: bool = True,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Time a model on a number of rows, and compare `transform` with other libraries.

    Parameters
    ----------
    net : Net
        The net of the model.
    rows : int
        Number of rows, and of samples.
    threads : int
        Number of threads.
    rounds : int
        Number of rounds.
    digits : bool, default=True
        Whether nets with 784 features get digits; see `workload.make`.
    seconds : float, default=0.3
        Time of one function in one round, about.

    Raises
    ------
    ParityError
        Another library returns other codes.
    """
    work = workload.make(net, rows, digits=digits)
    vae = VAE(
        latent_dim=net.latent_dim,
        hidden_layer_sizes=net.encoder,
        decoder_layer_sizes=net.decoder,
        activation=net.activation,
        n_threads=threads,
        epochs=1,
        random_state=0,
        verbose=False,
    ).fit(work.X[:1])
    weights, X = vae.model_.weights(), work.X
    functions: dict[str, Callable[[], object]] = {"vaefast": lambda: vae.transform(X)}
    expected = vae.transform(X)
    for name, make in ENCODERS.items():
        try:
            encode = make(net, weights, threads)
        except ImportError:
            continue
        difference = float(np.linalg.norm(encode(X) - expected) / np.linalg.norm(expected))
        if not difference <= TOLERANCE:
            raise ParityError(
                f"{net}: {name} and vaefast do not return the same codes. The relative difference "
                f"is {difference:.2g}; {TOLERANCE:g} is allowed."
            )
        functions[name] = lambda encode=encode: encode(X)  # type: ignore[misc]
    functions["sample"] = lambda: vae.sample(rows, random_state=0)
    functions["score_samples"] = lambda: vae.score_samples(X)
    some = X[: 4 * threads]
    samples = _samples(net, len(some))
    functions["log_likelihood"] = lambda: vae.log_likelihood(some, n_samples=samples)
    times = timing.in_turns(functions, rounds=rounds, seconds=seconds)
    own = ("vaefast", "sample", "score_samples", "log_likelihood")
    others = [name for name in functions if name not in own]
    return {
        "net": str(net),
        "rows": rows,
        "digits": digits,
        "threads": threads,
        "samples": samples * len(some),
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "ratios": {name: timing.ratio(times[name], times["vaefast"]) for name in others},
        "rounds": times,
    }


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the results of each net, for one row and for many."""
    for net in dict.fromkeys(net for net, _ in plan.cells):
        many = min(ROWS // 10 if plan.quick else ROWS, MAX_FLOATS // net.features)
        for rows in (1, many):
            yield measure(
                net,
                rows,
                threads=plan.threads,
                rounds=plan.rounds,
                digits=plan.digits,
                seconds=QUICK_SECONDS if plan.quick else SECONDS,
            )


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""

    def text(seconds: float) -> str:
        if seconds < 1e-3:
            return f"{seconds * 1e6:.1f} us"
        return f"{seconds * 1e3:.1f} ms"

    seconds = result["seconds"]
    return {
        f"{'net':<42}": f"{result['net']:<42}",
        "  rows": str(result["rows"]),
        "transform": text(seconds["vaefast"]),
        **{
            f"{name} by": f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"
            for name, ratio in result["ratios"].items()
        },
        "   sample": text(seconds["sample"]),
        "score_samples": text(seconds["score_samples"]),
        " log p(x)": f"{result['samples'] / seconds['log_likelihood']:,.0f}/s",
    }


def _samples(net: Net, rows: int) -> int:
    """Return the number of samples per row for one call of log_likelihood."""
    decoder = [layer for layer in net.layers if layer[0].startswith(("decoder", "output"))]
    flops = 2 * rows * sum(fan_in * fan_out for _, fan_in, fan_out in decoder)
    return max(1, min(LIKELIHOOD_SAMPLES, int(LIKELIHOOD_FLOPS / flops)))


def _numpy(net: Net, weights: Weights, threads: int) -> Callable[[Float], Float]:
    layers = [_layer(weights, f"encoder.{i}") for i in range(len(net.encoder))]
    head = _layer(weights, "mu")

    def encode(x: Float) -> Float:
        for weight, bias in layers:
            x = x @ weight
            x += bias
            np.maximum(x, 0, out=x) if net.activation == "relu" else np.tanh(x, out=x)
        codes: Float = x @ head[0]
        codes += head[1]
        return codes

    return encode


def _torch(net: Net, weights: Weights, threads: int) -> Callable[[Float], Float]:
    import torch

    torch.set_num_threads(threads)
    modules: list[Any] = []
    for name in (*(f"encoder.{i}" for i in range(len(net.encoder))), "mu"):
        weight, bias = (torch.from_numpy(values) for values in _layer(weights, name))
        linear = torch.nn.Linear(*weight.shape)
        linear.load_state_dict({"weight": weight.T.contiguous(), "bias": bias})
        modules += [linear, torch.nn.ReLU() if net.activation == "relu" else torch.nn.Tanh()]
    encoder = torch.nn.Sequential(*modules[:-1])

    def encode(x: Float) -> Float:
        with torch.inference_mode():
            codes: Float = encoder(torch.from_numpy(x)).numpy()
        return codes

    return encode


def _layer(weights: Weights, name: str) -> tuple[Float, Float]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


ENCODERS: dict[str, Callable[[Net, Weights, int], Callable[[Float], Float]]] = {
    "NumPy": _numpy,
    "PyTorch": _torch,
}
