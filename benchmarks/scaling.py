"""Scaling: time against threads, batch, width, depth and number of rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import timing, workload
from benchmarks.nets import Net
from benchmarks.peers.base import LEARNING_RATE
from benchmarks.peers.vaefast_vae import VaefastVAE
from benchmarks.plan import Plan

BASE, SMALL = Net.parse("784-256-2-256-784:relu"), Net.parse("30-64-32-8-32-64-30:relu")
BATCH = 128
SECONDS, QUICK_SECONDS = 0.2, 0.03  # duration of one measurement

FOOTNOTE = """\
Median milliseconds of a training step, of an epoch, or of transform, with each number of threads.
faster by: the time with the smallest number of threads divided by the time with more, median over
rounds, lowest and highest. Below 1 the additional threads cost more than they bring."""


@dataclass(frozen=True)
class Point:
    """One size on one of the axes."""

    axis: str  # threads, batch, width, depth, rows
    value: int  # along that axis
    net: Net
    work: str  # step, epoch or transform
    rows: int = BATCH  # rows of the step, the epoch or the transform

    @property
    def batch_size(self) -> int:
        """Rows of a batch. A step is one batch of all rows."""
        return self.rows if self.work == "step" else BATCH


def measure(
    point: Point,
    *,
    threads: Sequence[int],
    rounds: int,
    digits: bool = True,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Time a point with each number of threads, in turns.

    Parameters
    ----------
    point : Point
        The size to measure.
    threads : sequence of int
        Numbers of threads. Speed-ups are relative to the first one.
    rounds : int
        Number of rounds.
    digits : bool, default=True
        Whether nets with 784 features get digits; see `workload.make`.
    seconds : float, default=0.2
        Time of one number of threads in one round, about.
    """
    work = workload.make(point.net, point.rows, digits=digits)
    peers = {n: VaefastVAE(point.net, point.batch_size, n, seed=0) for n in threads}
    for peer in peers.values():
        peer.load(work.weights)
    times = timing.in_turns(
        {n: _function(point, peer, work) for n, peer in peers.items()},
        rounds=rounds,
        seconds=seconds,
    )
    first = times[threads[0]]
    return {
        "axis": point.axis,
        "value": point.value,
        "net": str(point.net),
        "work": point.work,
        "digits": digits,
        "rows": point.rows,
        "seconds": {str(n): statistics.median(times[n]) for n in threads},
        "speed_up": {str(n): timing.ratio(first, times[n]) for n in threads[1:]},
        "rounds": {str(n): times[n] for n in threads},
    }


def points(quick: bool) -> list[Point]:
    """Return all points, except those of the axis of threads."""

    def sizes(last: int, factor: int) -> list[int]:
        return [n for k in range(20) if (n := factor**k) <= last]

    def wide(width: int, depth: int) -> Net:
        hidden = [width] * depth
        return Net((784, *hidden, 2, *hidden, 784), "relu")

    f = 6 if quick else 2
    found = [Point("batch", n, BASE, "step", n) for n in sizes(1024, f)]
    found += [Point("batch", n, SMALL, "step", n) for n in sizes(4096, f)]
    found += [
        Point("width", 4 * n, wide(4 * n, 1), "step") for n in sizes(256 if quick else 512, f)
    ]
    found += [Point("depth", n, wide(256, n), "step") for n in sizes(8, 2)]
    most = 8192 if quick else 65_536
    for n in sizes(most // BATCH, f):
        found.append(Point("rows", BATCH * n, BASE, "epoch", BATCH * n))
    for net in (BASE, SMALL):
        found += [Point("rows", n, net, "transform", n) for n in sizes(most, f)]
    return found


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the results of all points, starting with the axis of threads."""
    seconds = QUICK_SECONDS if plan.quick else SECONDS
    counts = sorted({2**k for k in range(10) if 2**k < plan.threads} | {plan.threads})
    for net in (BASE, SMALL):
        point = Point("threads", plan.threads, net, "step")
        yield measure(
            point, threads=counts, rounds=plan.rounds, digits=plan.digits, seconds=seconds
        )
    for point in points(plan.quick):
        counts = sorted({1, plan.threads})
        yield measure(
            point, threads=counts, rounds=plan.rounds, digits=plan.digits, seconds=seconds
        )


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    times = " ".join(f"{n}: {s * 1e3:.4g}" for n, s in result["seconds"].items())
    gains = " ".join(
        f"{n}: {gain['median']:.2f} ({gain['low']:.2f}-{gain['high']:.2f})"
        for n, gain in result["speed_up"].items()
    )
    return {
        f"{'axis':<8}": f"{result['axis']:<8}",
        "value": str(result["value"]),
        "     work": result["work"],
        f"{'net':<42}": f"{result['net']:<42}",
        f"{'threads: milliseconds':<30}": f"{times:<30}",
        f"{'threads: faster by':<20}": gains,
    }


def _function(point: Point, peer: VaefastVAE, work: workload.Workload) -> Callable[[], object]:
    if point.work == "transform":
        return lambda: peer.core.encode(work.X)
    if point.work == "epoch":
        return lambda: peer.train_epoch(work.X, work.order)
    core = peer.core
    return lambda: core.step(work.X, work.order, LEARNING_RATE, 1.0, 0, core.optimizer_steps)
