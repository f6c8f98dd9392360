"""Training: rows per second of an epoch (gather, forward, backward, Adam), and the peers' rates."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import parity, roofline, workload
from benchmarks.nets import Net
from benchmarks.peers.base import Peer

FLOPS_PER_EPOCH = 2.5e10  # necessary operations: a quarter of a second at 100 GFLOP/s
QUICK_FLOPS_PER_EPOCH = 5e9
MIN_BATCHES, MAX_BATCHES, MAX_ROWS = 4, 1_000, 60_000
WARM_UP = 2  # batches
PAUSE = 0.15  # seconds; the previous peer's idle threads may spin until then (OpenBLAS: 0.1)

BASE = "vaefast"  # numerator of all ratios


def measure(
    net: Net,
    batch_size: int,
    peers: Sequence[type[Peer]],
    *,
    threads: int,
    rounds: int,
    digits: bool = True,
    flops_per_epoch: float = FLOPS_PER_EPOCH,
) -> dict[str, Any]:
    """Check that the peers agree, let them train in turns, and return rates and ratios.

    In each round every peer trains one epoch from the same weights. The next round starts with the
    next peer. Peers of one family, such as the ways to use PyTorch, count as one: the peer with the
    highest median rate represents the family.

    Parameters
    ----------
    net : Net
        The net to train.
    batch_size : int
        Rows of a batch.
    peers : sequence of subclasses of Peer
        The peers, among them `BASE`.
    threads : int
        Number of threads of every peer.
    rounds : int
        Number of rounds.
    digits : bool, default=True
        Whether nets with 784 features train on digits; see `workload.make`.
    flops_per_epoch : float, default=2.5e10
        Necessary operations of one epoch, which determine its number of rows.

    Returns
    -------
    dict
        ``net``, ``batch_size``, ``digits``, ``rows`` of an epoch and ``flops_per_row`` describe the
        measurement.
        ``parity`` is the result of `parity.check`.
        ``peers`` gives for each name the ``family``, the medians ``rows_per_second`` and
        ``gflops``, and the rows per second of all ``rounds``.
        ``kernel_gflops`` is the rate of the products' micro-kernel on data in the first-level
        cache, measured after vaefast's turn in each round.
        ``ratios`` gives for each family the ``way`` that represents it, and the ``median``, ``low``
        and ``high`` over rounds of the ratio of vaefast's rate to its rate within a round. Its
        ``limit`` is the median ratio if a step did only its necessary operations, at the
        micro-kernel's rate.

    Raises
    ------
    ParityError
        The peers do not do the same work.
    """
    built = [peer(net, batch_size, threads, seed=0) for peer in peers]
    differences = parity.check(net, batch_size, built, digits=digits)

    batches = round(flops_per_epoch / net.flops_per_row / batch_size)
    batches = max(MIN_BATCHES, min(batches, MAX_BATCHES, MAX_ROWS // batch_size))
    n_rows = batches * batch_size
    work = workload.make(net, n_rows, digits=digits)
    rates: dict[str, list[float]] = {peer.name: [] for peer in built}
    kernel: list[float] = []
    for turn in range(rounds):
        shift = turn % len(built)
        for peer in built[shift:] + built[:shift]:
            rates[peer.name].append(n_rows / _seconds(peer, work, batch_size))
            if peer.name == BASE:
                kernel.append(roofline.kernel_rate(threads))
    limits = [rate / net.flops_per_row for rate in kernel]

    return {
        "net": str(net),
        "batch_size": batch_size,
        "digits": digits,
        "rows": n_rows,
        "flops_per_row": net.flops_per_row,
        "parity": differences,
        "peers": {
            peer.name: {
                "family": peer.family,
                "rows_per_second": statistics.median(rates[peer.name]),
                "gflops": statistics.median(rates[peer.name]) * net.flops_per_row / 1e9,
                "rounds": rates[peer.name],
            }
            for peer in built
        },
        "kernel_gflops": [rate / 1e9 for rate in kernel],
        "ratios": {
            family: _ratio(best_way, rates[BASE], limits, rates[best_way])
            for family, best_way in _best_ways(built, rates).items()
            if family != BASE
        },
    }


def _seconds(peer: Peer, work: workload.Workload, batch_size: int) -> float:
    peer.load(work.weights)
    time.sleep(PAUSE)
    peer.train_epoch(work.X, work.order[: WARM_UP * batch_size])
    start = time.perf_counter()
    peer.train_epoch(work.X, work.order)
    return time.perf_counter() - start


def _best_ways(peers: Sequence[Peer], rates: dict[str, list[float]]) -> dict[str, str]:
    """Return for each family the name of the peer with the highest median rate."""
    slowest_first = sorted(peers, key=lambda peer: statistics.median(rates[peer.name]))
    best = {peer.family: peer.name for peer in slowest_first}
    return {family: best[family] for family in dict.fromkeys(peer.family for peer in peers)}


def _ratio(way: str, base: list[float], limits: list[float], other: list[float]) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(base, other, strict=True)]
    return {
        "way": way,
        "median": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "limit": statistics.median(a / b for a, b in zip(limits, other, strict=True)),
    }
