"""What a run is asked for, as the questions read it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.nets import Net


@dataclass(frozen=True)
class Plan:
    quick: bool
    threads: int
    rounds: int
    digits: bool  # as the rows of nets with 784 features; else random numbers
    cells: list[tuple[Net, int]]  # nets and batch sizes, for the questions that go through them
