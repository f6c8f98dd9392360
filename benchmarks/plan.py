"""The choices of a run, as the questions read them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.nets import Net


@dataclass(frozen=True)
class Plan:
    """The options of the benchmark command.

    Attributes
    ----------
    quick : bool
        Whether to measure a few small cells only.
    threads : int
        Number of threads of every peer.
    rounds : int
        Number of rounds.
    digits : bool
        Whether nets with 784 features run on digits. Otherwise they run on random numbers.
    cells : list of (Net, int)
        Nets and batch sizes, for the questions that measure a list of cells.
    """

    quick: bool
    threads: int
    rounds: int
    digits: bool
    cells: list[tuple[Net, int]]
