"""Roofline: share of the machine's peak and memory bandwidth that a training step reaches."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import workload
from benchmarks.nets import Net
from benchmarks.peers.base import BETA1, BETA2, EPSILON, LEARNING_RATE
from benchmarks.plan import Plan
from vaefast import _core

TERMS = 2_000_000  # multiply-adds per register in the peak loop: some tens of milliseconds
TERMS_OF_CALL = 100  # multiply-adds of one call of the micro-kernel, about
SECONDS, QUICK_SECONDS = 0.3, 0.1  # duration of the steps in one round
BATCHES, MAX_ROWS = 8, 60_000  # largest number of batches and of rows of the training data

# Memory traffic of a step, in arrays of the weights' size, if no cache keeps them. The rows phase
# reads the weights. In the weights phase Adam reads and writes the weights, m and v.
ROWS_TRAFFIC, WEIGHTS_TRAFFIC = 1, 6
KEPT = 3  # arrays that a cache would have to keep: the weights, m and v

FOOTNOTE = """\
peak: GFLOP/s of a loop that only multiplies and adds in registers. GFLOP/s: rate of the step, which
counts its necessary operations only. share: the step's share of the peak. kernel: GFLOP/s of the
products' micro-kernel on data in the first-level cache. of it: the step's share of that rate. rows,
weights: milliseconds per step of the two phases. memory: GB/s that a stream reads and writes, on an
array that no cache holds. optimizer: the time of the optimizer's traffic at that bandwidth, as a
share of the step (c: the arrays fit the last-level cache, which is faster). limit: the shortest
possible time of both phases at the peak and at the memory bandwidth, as a share of the step."""


def measure(
    net: Net,
    batch_size: int,
    *,
    isa: str,
    threads: int,
    rounds: int,
    seconds: float = SECONDS,
    terms: int = TERMS,
    stream_floats: int | None = None,
) -> dict[str, Any]:
    """Measure peak, bandwidth and training steps of one instruction set, in turns.

    Parameters
    ----------
    net : Net
        The net to train.
    batch_size : int
        Rows of a batch.
    isa : str
        Instruction set: baseline, avx2 or avx512.
    threads : int
        Number of threads.
    rounds : int
        Number of rounds.
    seconds : float, default=0.3
        Time of the steps in each round, about.
    terms : int, default=2_000_000
        Multiply-adds of each register in the peak loop.
    stream_floats : int or None, default=None
        Number of float32 values that the stream reads and writes. None is an array four times as
        large as the last-level cache, within bounds.
    """
    variant = _variant(isa)
    step = _Steps(variant, net, batch_size, threads)
    cache = last_level_cache()
    if stream_floats is None:  # as many values of 4 bytes as the cache has bytes
        stream_floats = min(max(cache, 32 << 20), 256 << 20)
    step.run(1)
    start = time.perf_counter()
    step.run(2)
    steps = max(3, round(2 * seconds / (time.perf_counter() - start)))

    measured: dict[str, list[float]] = {
        name: [] for name in ("peak", "kernel", "bandwidth", "step", "rows", "weights")
    }
    for _ in range(rounds):
        measured["peak"].append(variant.kernels.fma_rate(threads, terms))
        measured["kernel"].append(kernel_rate(threads, isa, terms))
        measured["bandwidth"].append(variant.kernels.stream_rate(threads, stream_floats, 1))
        for name, taken in step.run(steps).items():
            measured[name].append(taken / steps)

    def of_kernel() -> float:
        rates = zip(measured["kernel"], measured["step"], strict=True)
        return statistics.median(flops / kernel / step for kernel, step in rates)

    def share(limit: Callable[[float, float], float]) -> float:
        """Return the median over rounds of limit(peak, bandwidth) / step, both in seconds."""
        limits = map(limit, measured["peak"], measured["bandwidth"])
        return statistics.median(a / b for a, b in zip(limits, measured["step"], strict=True))

    weights = sum(fan_in * fan_out for _, fan_in, fan_out in net.layers)
    flops = net.flops_per_row * batch_size
    flops_of_weights = 2 * weights * batch_size
    cached = 4 * KEPT * weights <= cache

    def limit(peak: float, bandwidth: float) -> float:
        traffic = 0 if cached else 4 * weights
        return max((flops - flops_of_weights) / peak, ROWS_TRAFFIC * traffic / bandwidth) + max(
            flops_of_weights / peak, WEIGHTS_TRAFFIC * traffic / bandwidth
        )

    medians = {name: statistics.median(values) for name, values in measured.items()}
    return {
        "net": str(net),
        "batch_size": batch_size,
        "isa": isa,
        "threads": threads,
        "peak_gflops": medians["peak"] / 1e9,
        "gflops": flops / medians["step"] / 1e9,
        "share_of_peak": share(lambda peak, _: flops / peak),
        "kernel_gflops": medians["kernel"] / 1e9,
        "share_of_kernel": of_kernel(),
        "seconds": {name: medians[name] for name in ("step", "rows", "weights")},
        "gflops_of_phases": {
            "rows": (flops - flops_of_weights) / medians["rows"] / 1e9,
            "weights": flops_of_weights / medians["weights"] / 1e9,
        },
        "bandwidth": medians["bandwidth"],
        "optimizer": {
            "bytes": 4 * WEIGHTS_TRAFFIC * weights,
            "fits_cache": cached,
            "share_of_step": share(lambda _, bandwidth: 4 * WEIGHTS_TRAFFIC * weights / bandwidth),
        },
        "share_of_limit": share(limit),
        "rounds": measured,
    }


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the results of each cell.

    A quick run measures the best instruction set with all threads. A full run measures every
    instruction set of the CPU, with all threads and with one.
    """
    isas = (_core.ISA,) if plan.quick else _core.SUPPORTED
    counts = (plan.threads,) if plan.quick else tuple(dict.fromkeys((plan.threads, 1)))
    for net, batch_size in plan.cells:
        for isa in isas:
            for threads in counts:
                yield measure(
                    net,
                    batch_size,
                    isa=isa,
                    threads=threads,
                    rounds=plan.rounds,
                    seconds=QUICK_SECONDS if plan.quick else SECONDS,
                )


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    milliseconds = {name: f"{value * 1e3:.3g}" for name, value in result["seconds"].items()}
    optimizer = result["optimizer"]
    return {
        f"{'net':<42}": f"{result['net']:<42}",
        "batch": str(result["batch_size"]),
        "     isa": result["isa"],
        "threads": str(result["threads"]),
        " peak": f"{result['peak_gflops']:.0f}",
        "GFLOP/s": f"{result['gflops']:.0f}",
        "share": f"{result['share_of_peak']:.0%}",
        "kernel": f"{result['kernel_gflops']:.0f}",
        "of it": f"{result['share_of_kernel']:.0%}",
        "    rows": milliseconds["rows"],
        " weights": milliseconds["weights"],
        "memory": f"{result['bandwidth'] / 1e9:.1f}",
        "optimizer": f"{optimizer['share_of_step']:.0%}" + " c"[optimizer["fits_cache"]],
        "limit": f"{result['share_of_limit']:.0%}",
    }


def kernel_rate(threads: int, isa: str = _core.ISA, terms: int = TERMS) -> float:
    """Return the operations per second of the micro-kernel on data in the first-level cache."""
    return float(_variant(isa).kernels.kernel_rate(threads, -(-terms // TERMS_OF_CALL)))


def _variant(isa: str) -> Any:
    """Return the core that was compiled for this instruction set."""
    return import_module(f"vaefast._core.{isa}._variant")


def last_level_cache() -> int:
    """Return the bytes of the first CPU's largest cache, or 32 MiB if the system does not tell."""
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    sizes = [path.read_text().strip() for path in folder.glob("index*/size")]  # such as 36608K
    return max((int(size[:-1]) << 10 for size in sizes if size.endswith("K")), default=32 << 20)


class _Steps:
    """Training steps on random rows, as the training loop takes them."""

    def __init__(self, variant: Any, net: Net, batch_size: int, threads: int) -> None:
        n_rows = max(1, min(BATCHES, MAX_ROWS // batch_size)) * batch_size
        work = workload.make(net, n_rows, digits=False)  # without zeros, no operation is skipped
        self.X = work.X
        self.batches = np.split(work.order, n_rows // batch_size)
        self.core = variant.Core(
            features=net.features,
            encoder=net.encoder,
            latent_dim=net.latent_dim,
            decoder=net.decoder,
            activation=net.activation,
            columns=[("bernoulli", net.features)],
            scale="fixed",
            n_threads=threads,
        )
        self.core.set_tensors(work.weights)
        self.core.set_optimizer(
            "adam", momentum=0.0, beta1=BETA1, beta2=BETA2, epsilon=EPSILON, weight_decay=0.0
        )

    def run(self, steps: int) -> dict[str, float]:
        """Return the seconds of `steps` steps, and of their two phases."""
        core, batches = self.core, self.batches
        before = core.phase_seconds()
        start = time.perf_counter()
        for i in range(steps):
            core.step(
                self.X, batches[i % len(batches)], LEARNING_RATE, 1.0, 0, core.optimizer_steps
            )
        taken = time.perf_counter() - start
        rows, weights = np.subtract(core.phase_seconds(), before)
        return {"step": taken, "rows": float(rows), "weights": float(weights)}
