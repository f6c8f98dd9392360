"""Processes: a training step in several processes, and a model of it on many machines.

The measurement starts two processes on this machine. The model adds the time that one of P
processes computes and the time of the network. The first is measured on one thread: the core does
all the work of the last of P processes, with an exchange that returns at once. A machine of n CPUs
is taken to be n times as fast. The second is computed from the network's latency and bandwidth.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import child, timing, workload
from benchmarks.nets import Net
from benchmarks.peers.vaefast_vae import VaefastVAE
from benchmarks.plan import Plan

CELLS = (
    (Net.parse("784-256-2-256-784:relu"), 128),
    (Net.parse("784-512-20-512-784:relu"), 512),
    (Net.parse("4096-1200-1200-10-1200-1200-1200-4096:tanh"), 512),
)
QUICK = ((Net.parse("30-64-32-8-32-64-30:relu"), 64),)
PROCESSES = 2  # that are measured
MODELLED = tuple(2**k for k in range(11))
CPUS = (2, 32)  # of a modelled machine
SECONDS, QUICK_SECONDS = 0.5, 0.05  # duration of one measurement


@dataclass(frozen=True)
class Network:
    """What connects machines: the time of a message without content, and bytes per second."""

    name: str
    latency: float
    bandwidth: float


NETWORKS = (
    Network("10 GbE", 30e-6, 1.1e9),
    Network("100 GbE", 10e-6, 11e9),
    Network("InfiniBand 200", 2e-6, 23e9),
)
RING = 512 << 10  # bytes from which MPI libraries send around a ring, in P - 1 messages

FOOTNOTE = """\
1 process: milliseconds of the fastest step in one process with that many threads. 2 processes: the
same in two processes of this machine that share these threads. cost: the second time divided by the
first; median and range over the rounds. MB: activations, deltas and weights that all processes
exchange in a step. The other columns are modelled, with one process on each machine: the number of
machines (a power of two) at which a step is fastest, and how many times as fast as on one machine
it then is; of machines with the given number of CPUs."""


def measure(
    net: Net, size: int, *, threads: int, rounds: int, seconds: float = SECONDS
) -> dict[str, Any]:
    """Return the time of a step in one process and in two, and in one of P processes.

    Raises
    ------
    ChildError
        mpi4py is missing, or a process failed.
    """
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or "mpiexec"
    arguments = map(str, (net, size, max(1, threads // PROCESSES), rounds, seconds))
    try:
        times = child.run(
            *("-m", "benchmarks.processes", *arguments),
            launcher=(mpiexec, "-n", str(PROCESSES)),
        )
    except FileNotFoundError:
        raise child.ChildError("mpiexec is missing: pip install 'vaefast[mpi]'") from None
    computed, exchanged = compute(net, size, rounds=rounds, seconds=seconds)
    result = {
        "net": str(net),
        "batch_size": size,
        "threads": threads,
        "alone": timing.ratio(times["alone"], [1.0] * rounds)["median"],
        "together": timing.ratio(times["together"], [1.0] * rounds)["median"],
        "cost": timing.ratio(times["together"], times["alone"]),
        "computed": computed,
        "exchanged": exchanged,
        "rounds": times,
    }
    return result | {
        "best": {f"{n.name}, {cpus}": best(result, n, cpus) for cpus in CPUS for n in NETWORKS}
    }


def compute(
    net: Net, size: int, *, rounds: int, seconds: float
) -> tuple[dict[str, float], list[int]]:
    """Return the time that one thread of the last of P processes computes in a step, by P.

    It is the least of the rounds, in seconds of the CPU, which do not count other programs. The
    second result holds the bytes of the two exchanges of a step.
    """
    sizes: list[int] = []
    functions: dict[int, Callable[[], object]] = {}
    for n in MODELLED:
        peer, X = _peer(net, size, 1)
        if n > 1:
            peer.core.set_exchange(n - 1, n, lambda buffer, _: sizes.append(len(buffer)))
        functions[n] = _steps(peer, X, 1)
        functions[n]()
    least = dict.fromkeys(map(str, MODELLED), math.inf)
    for _ in range(rounds):
        for n, function in functions.items():
            end, steps, began = time.perf_counter() + seconds, 0, time.process_time()
            while steps == 0 or time.perf_counter() < end:
                function()
                steps += 1
            least[str(n)] = min(least[str(n)], (time.process_time() - began) / steps)
    return least, sizes[:2]


def step(result: dict[str, Any], network: Network, cpus: int, n: int) -> float:
    """Return the modelled seconds of a step on n machines with so many CPUs each."""
    seconds: float = result["computed"][str(n)] / cpus
    if n == 1:
        return seconds
    for size in result["exchanged"]:
        messages = n - 1 if size >= RING else math.log2(n)
        seconds += messages * network.latency + size * (n - 1) / n / network.bandwidth
    return seconds


def best(result: dict[str, Any], network: Network, cpus: int) -> dict[str, float]:
    """Return the number of machines with the fastest step, and how many times as fast it is."""
    n = min(MODELLED, key=lambda n: step(result, network, cpus, n))
    gain = step(result, network, cpus, 1) / step(result, network, cpus, n)
    return {"machines": n, "gain": gain}


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the result of each net."""
    for net, size in QUICK if plan.quick else CELLS:
        seconds = QUICK_SECONDS if plan.quick else SECONDS
        yield measure(net, size, threads=plan.threads, rounds=plan.rounds, seconds=seconds)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    cost = result["cost"]
    return {
        f"{'net':<43}": f"{result['net']:<43}",
        "batch": str(result["batch_size"]),
        "1 process": f"{1e3 * result['alone']:.2f}",
        "2 processes": f"{1e3 * result['together']:.2f}",
        "            cost": f"{cost['median']:.2f} ({cost['low']:.2f}-{cost['high']:.2f})",
        "   MB": f"{sum(result['exchanged']) / 1e6:.1f}",
        **{
            f"{name:>18}": f"{found['machines']}: {found['gain']:.1f}x"
            for name, found in result["best"].items()
        },
    }


def _peer(net: Net, size: int, threads: int) -> tuple[VaefastVAE, Any]:
    load = workload.make(net, 4 * size)
    peer = VaefastVAE(net, size, threads, 0)
    peer.load(load.weights)
    return peer, load.X


def _steps(peer: VaefastVAE, X: Any, n: int) -> Callable[[], float]:
    """Return a function that takes n steps, and returns the seconds of the fastest."""
    batches = np.resize(np.arange(len(X)), (n, peer.batch_size))

    def take() -> float:
        fastest = math.inf
        for batch in batches:
            began = time.perf_counter()
            peer.train_epoch(X, batch)
            fastest = min(fastest, time.perf_counter() - began)
        return fastest

    return take


# --- In each of the processes that are measured ---------------------------------------------------


def _main(name: str, size: str, threads: str, rounds: str, seconds: str) -> dict[str, list[float]]:
    """Return the seconds of the fastest step alone and together, by round; of the first process."""
    from mpi4py import MPI

    from vaefast._engine.processes import Processes

    comm = MPI.COMM_WORLD
    net, each = Net.parse(name), int(threads)
    (alone, X), (together, _) = (_peer(net, int(size), n) for n in (each * comm.size, each))
    processes = Processes(comm)
    processes.attach(together.core)
    _steps(alone, X, 3)()
    began = time.perf_counter()
    _steps(alone, X, 3)()
    n = comm.bcast(max(3, round(3 * float(seconds) / (time.perf_counter() - began))))
    _steps(together, X, 3)()
    times: dict[str, list[float]] = {"alone": [], "together": []}

    def take(kind: str) -> None:
        if kind == "alone" and comm.rank:
            while not comm.Iprobe(source=0):  # a blocking call would keep a CPU busy
                time.sleep(1e-3)
            comm.recv(source=0)
            return
        if kind == "together":
            comm.Barrier()
        times[kind].append(_steps(together if kind == "together" else alone, X, n)())
        if kind == "alone":
            for rank in range(1, comm.size):
                comm.send(None, rank)

    for turn in range(int(rounds)):
        for kind in ("alone", "together") if turn % 2 else ("together", "alone"):
            take(kind)
    processes.detach()
    return times


if __name__ == "__main__":
    import json

    found = _main(*sys.argv[1:])
    if found["alone"]:
        print(json.dumps(found))
