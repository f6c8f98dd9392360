"""The survey of a source: what one pass over its rows learns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .likelihoods import Columns, Totals, count_blocks, quantiles_of_totals, row_totals
from .mean_rates import MeanRates
from .rows import LazyRows
from .standardization import Moments
from .validation import SCALE_ROWS

Array = NDArray[Any]


class Advance(Protocol):
    """Object that counts rows and shows a text on the work and its figures."""

    def advance(self, rows: int, text: tuple[str, str]) -> None: ...


class Unwatched:
    """Counts rows without showing anything."""

    def __init__(self, n: int) -> None:
        del n

    def __enter__(self) -> Unwatched:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def advance(self, rows: int, text: tuple[str, str]) -> None:
        """Do nothing."""


Watch = Callable[[int], AbstractContextManager[Advance]]  # shows the progress over this many rows
HEAD = "first pass"


@dataclass(frozen=True, eq=False)
class Survey:
    """Facts about rows.

    Attributes
    ----------
    sha256 : str
        SHA-256 of the values, in C order.
    sample : ndarray of shape (k, features)
        Rows at equal distances; 1,000 to 2,000 if there are more.
    brightest : float
        Largest value of bytes.
    empty : list of int
        Columns in which every value is missing.
    totals : Totals
        Quantiles of the totals of the rows, for each run of multinomial columns.
    log_rates : list of ndarray
        Logarithm of the mean rates of each run of counts.
    moments : Moments or None
        Means and standard deviations, if the model standardizes.
    """

    sha256: str
    sample: Array
    brightest: int
    empty: list[int]
    totals: Totals
    log_rates: list[NDArray[np.float64]]
    moments: Moments | None


class _InSteps:
    """Passes rows on in blocks of a fixed size, whatever the size of the incoming blocks."""

    def __init__(self, step: int, add: Callable[[Array, int], None]) -> None:
        self.step, self.add = step, add
        self.waiting: list[Array] = []
        self.count, self.done = 0, 0  # waiting rows, and rows that were passed on

    def put(self, rows: Array) -> None:
        """Take the next rows."""
        self.waiting.append(rows)
        self.count += len(rows)
        while self.count >= self.step:
            self._pass_on(self.step)

    def finish(self) -> None:
        """Pass on the remaining rows."""
        if self.count:
            self._pass_on(self.count)

    def _pass_on(self, n: int) -> None:
        rows = self.waiting[0] if len(self.waiting) == 1 else np.concatenate(self.waiting)
        self.add(rows[:n], self.done)
        self.waiting, self.count, self.done = [rows[n:]], len(rows) - n, self.done + n


def survey(rows: LazyRows, columns: Columns, standardize: bool, watch: Watch) -> Survey:
    """Read and check all rows once, and return what was learned.

    The result has the same bits as for rows in memory, because sums run over the same blocks.
    """
    n, features = rows.shape
    digest, every = hashlib.sha256(), max(1, n // SCALE_ROWS)
    sample: list[Array] = []
    totals: list[dict[int, Array]] = []
    known, brightest, at = np.zeros(features, bool), 0, 0
    _, log_exposure, weights = rows.parts
    rates, moments = MeanRates(count_blocks(columns)), Moments(features)

    def add_rates(part: Array, first: int) -> None:
        now = slice(first, first + len(part))
        given = (None if p is None else p[now] for p in (None, log_exposure, weights))
        rates.add(part, tuple(given))

    def add_moments(part: Array, first: int) -> None:
        moments.add(part, None if weights is None else weights[first : first + len(part)])

    learners = []
    if rates.blocks:
        learners.append(_InSteps(rates.step, add_rates))
    if standardize:
        learners.append(_InSteps(moments.step, add_moments))
    with watch(n) as display:
        for block in rows.matrix.blocks():
            digest.update(block.data)
            sample.append(block[-at % every :: every].copy())
            if block.dtype == np.uint8:
                brightest = max(brightest, int(block.max()))
                known[:] = True
            elif not known.all():
                known |= ~np.isnan(block).all(axis=0)
            totals.append(row_totals(block, columns))
            for learner in learners:
                learner.put(block)
            at += len(block)
            display.advance(len(block), (HEAD, ""))
        for learner in learners:
            learner.finish()
    sums = {i: np.concatenate([part[i] for part in totals]) for i in totals[0]}
    return Survey(
        digest.hexdigest(),
        np.concatenate(sample),
        brightest,
        np.flatnonzero(~known).tolist(),
        {i: quantiles_of_totals(total) for i, total in sums.items()},
        rates.logs(),
        moments if standardize else None,
    )
