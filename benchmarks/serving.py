"""Serving: transform of one row from several threads at once; time to load a model and use it."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import child, workload
from benchmarks.inference import ENCODERS
from benchmarks.nets import Net
from benchmarks.plan import Plan
from vaefast import VAE

CALLERS = (1, 2, 4, 16)
PEERS = ("PyTorch", "ONNX")
SECONDS, QUICK_SECONDS = 0.5, 0.1  # duration of one measurement

FOOTNOTE = """\
Calls that transform one row, from threads of one process that share a model. Each library uses one
thread per call, and vaefast checks each row. /s: calls per second of all threads together. p50 and
p99: quantiles of the time of a call in microseconds. Medians over rounds. first: milliseconds from
the end of `import vaefast` to the codes of one row, by a model that is loaded from a file, in a
fresh process."""

FIRST = """
import json, sys, time
import numpy as np
import vaefast
row = np.zeros((1, int(sys.argv[2])), np.float32)
start = time.perf_counter()
vaefast.load(sys.argv[1]).transform(row)
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def measure(
    net: Net, *, rounds: int, seconds: float = SECONDS, callers: tuple[int, ...] = CALLERS
) -> dict[str, Any]:
    """Time calls of one row from several threads, and the first result of a loaded model.

    Parameters
    ----------
    net : Net
        The net of the model.
    rounds : int
        Number of rounds.
    seconds : float, default=0.5
        Duration of one measurement.
    callers : tuple of int, default=(1, 2, 4, 16)
        Numbers of threads.
    """
    X = workload.make(net, 256, digits=False).X
    vae = VAE(
        latent_dim=net.latent_dim,
        hidden_layer_sizes=net.encoder,
        decoder_layer_sizes=net.decoder,
        activation=net.activation,
        n_threads=1,
        epochs=1,
        random_state=0,
        verbose=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step trains nothing
        vae.fit(X[:1])
    functions: dict[str, Callable[[Any], object]] = {"vaefast": vae.transform}
    for name in PEERS:
        try:
            functions[name] = ENCODERS[name](net, vae.model_.weights(), 1)
        except ImportError:
            continue
    calls: dict[str, dict[str, list[float]]] = {}
    first: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        vae.save(path)
        for _ in range(rounds):
            first.append(child.run("-c", FIRST, str(path), str(net.features))["seconds"])
            for count in callers:
                for name, function in functions.items():
                    kept = calls.setdefault(f"{name} {count}", {"rate": [], "p50": [], "p99": []})
                    for figure, value in _serve(function, X, count, seconds).items():
                        kept[figure].append(value)
    return {
        "net": str(net),
        "peers": list(functions),
        "callers": list(callers),
        "calls": {
            name: {figure: statistics.median(values) for figure, values in kept.items()}
            for name, kept in calls.items()
        },
        "first": statistics.median(first),
        "rounds": {"calls": calls, "first": first},
    }


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the results of each net and number of threads."""
    for net in dict.fromkeys(net for net, _ in plan.cells):
        result = measure(net, rounds=plan.rounds, seconds=QUICK_SECONDS if plan.quick else SECONDS)
        for count in result["callers"]:
            yield {**result, "threads": count}


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    line = {
        f"{'net':<42}": f"{result['net']:<42}",
        "threads": str(result["threads"]),
        "first": f"{result['first'] * 1e3:.1f}",
    }
    for name in result["peers"]:
        figures = result["calls"][f"{name} {result['threads']}"]
        line[f"{name} /s"] = f"{figures['rate']:,.0f}"
        for quantile in ("p50", "p99"):
            line[f"{name} {quantile}"] = f"{figures[quantile] * 1e6:.0f}"
    return line


def _serve(
    function: Callable[[Any], object], X: Any, count: int, seconds: float
) -> dict[str, float]:
    """Call a function with one row at a time in `count` threads; return rate and quantiles."""
    function(X[:1])
    start = threading.Barrier(count + 1)
    times: list[list[float]] = [[] for _ in range(count)]

    def call(own: list[float], first: int) -> None:
        row, now = first, time.perf_counter
        start.wait()
        end = (began := now()) + seconds
        while began < end:
            function(X[row : row + 1])
            row = (row + 1) % len(X)
            before, began = began, now()
            own.append(began - before)

    threads = [threading.Thread(target=call, args=(own, i)) for i, own in enumerate(times)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began
    every = np.concatenate(times)
    return {
        "rate": len(every) / taken,
        "p50": float(np.quantile(every, 0.5)),
        "p99": float(np.quantile(every, 0.99)),
    }
