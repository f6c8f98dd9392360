"""How many rows per second does a training epoch take: gather, forward, backward, Adam?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import parity, workload
from benchmarks.nets import Net
from benchmarks.peers.base import Peer

FLOPS_PER_EPOCH = 6e10  # needed ones: about half a second at 100 GFLOP/s
QUICK_FLOPS_PER_EPOCH = 5e9
MIN_BATCHES, MAX_BATCHES, MAX_ROWS = 4, 1_000, 60_000
WARM_UP = 2  # batches
PAUSE = 0.05  # seconds; idle threads of the peer before stop spinning

BASE = "vaefast"  # ratios are its rate by that of another


def measure(
    net: Net,
    batch_size: int,
    peers: Sequence[type[Peer]],
    *,
    threads: int,
    rounds: int,
    flops_per_epoch: float = FLOPS_PER_EPOCH,
) -> dict[str, Any]:
    """Check that the peers agree, then let them take turns; return medians and ratios.

    In each round every peer trains one epoch from the same weights, and the next round begins with
    the next peer. A ratio is the median over rounds of the ratios within a round.
    """
    built = [peer(net, batch_size, threads, seed=0) for peer in peers]
    differences = parity.check(net, batch_size, built)

    batches = round(flops_per_epoch / net.flops_per_row / batch_size)
    batches = max(MIN_BATCHES, min(batches, MAX_BATCHES, MAX_ROWS // batch_size))
    n_rows = batches * batch_size
    work = workload.make(net, n_rows)
    rates: dict[str, list[float]] = {peer.name: [] for peer in built}
    for turn in range(rounds):
        shift = turn % len(built)
        for peer in built[shift:] + built[:shift]:
            rates[peer.name].append(n_rows / _seconds(peer, work, batch_size))

    return {
        "net": str(net),
        "batch_size": batch_size,
        "rows": n_rows,
        "flops_per_row": net.flops_per_row,
        "parity": differences,
        "peers": {
            name: {
                "rows_per_second": statistics.median(of_rounds),
                "gflops": statistics.median(of_rounds) * net.flops_per_row / 1e9,
                "rounds": of_rounds,
            }
            for name, of_rounds in rates.items()
        },
        "ratios": {
            name: _ratio(rates[BASE], of_rounds)
            for name, of_rounds in rates.items()
            if name != BASE
        },
    }


def _seconds(peer: Peer, work: workload.Workload, batch_size: int) -> float:
    peer.load(work.weights)
    time.sleep(PAUSE)
    peer.train_epoch(work.X, work.order[: WARM_UP * batch_size])
    start = time.perf_counter()
    peer.train_epoch(work.X, work.order)
    return time.perf_counter() - start


def _ratio(base: list[float], other: list[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(base, other, strict=True)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
