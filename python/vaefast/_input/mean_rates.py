"""Mean rates of counts, from which the outputs of a fresh model start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rows import AnyRows, Parts, matrix_of, parts_of
from .sparse import SparseMatrix

STEP = 4_096  # rows added up at a time
_WIDTH = 256  # columns converted to float64 at a time


class MeanRates:
    """The mean count per unit of exposure of some columns, from rows in blocks of `STEP`.

    Parameters
    ----------
    blocks : sequence of slice
        Runs of columns that hold counts.
    """

    step = STEP

    def __init__(self, blocks: Sequence[slice]) -> None:
        self.blocks = blocks
        self.counted = [np.zeros(block.stop - block.start) for block in blocks]
        self.exposed = [np.zeros(block.stop - block.start) for block in blocks]

    def add(self, matrix: NDArray[Any], parts: Parts) -> None:
        """Add a block of rows with their conditions, exposure and weights."""
        _, log_exposure, weights = parts
        units = np.ones(len(matrix))
        if log_exposure is not None:
            units = np.exp(log_exposure.astype(np.float64))
        for run, counted, exposed in zip(self.blocks, self.counted, self.exposed, strict=True):
            width = run.stop - run.start
            # No part has a single column unless the run has: NumPy adds a single column in another
            # order.
            cuts = [*range(0, max(1, width - 1), _WIDTH), width]
            for low, high in zip(cuts, cuts[1:], strict=False):
                part = matrix[:, run.start + low : run.start + high].astype(np.float64)
                at_risk = units[:, None] * ~np.isnan(part)
                if weights is not None:
                    part, at_risk = part * weights[:, None], at_risk * weights[:, None]
                counted[low:high] += np.nansum(part, axis=0)
                exposed[low:high] += at_risk.sum(axis=0)

    def logs(self) -> list[NDArray[np.float64]]:
        """Return the logarithm of the rates of each run of columns."""
        return [_smoothed(*sums) for sums in zip(self.counted, self.exposed, strict=True)]


def log_rates(rows: AnyRows, blocks: Sequence[slice]) -> list[NDArray[np.float64]]:
    """Return the logarithm of the mean count per unit of exposure of each run of columns."""
    matrix, parts = matrix_of(rows), parts_of(rows)
    if isinstance(matrix, SparseMatrix):
        return [_of_sparse(matrix, parts, block) for block in blocks]
    rates = MeanRates(blocks)
    for first in range(0, len(matrix), STEP):
        now = slice(first, first + STEP)
        rates.add(matrix[now], tuple(None if part is None else part[now] for part in parts))
    return rates.logs()


def _of_sparse(x: SparseMatrix, parts: Parts, block: slice) -> NDArray[np.float64]:
    """Return the log rates of sparse rows, from the stored values."""
    _, log_exposure, of_rows = parts
    units = np.ones(len(x)) if log_exposure is None else np.exp(log_exposure.astype(np.float64))
    weights = np.ones(len(x)) if of_rows is None else of_rows.astype(np.float64)
    counted, missed = np.zeros((2, x.shape[1]))
    for first, part in x.chunks():
        rows, values = first + part.row_numbers(), part.values.astype(np.float64)
        gaps = np.isnan(values)
        values[gaps] = 0
        counted += np.bincount(part.indices, values * weights[rows], minlength=x.shape[1])
        lost = np.where(gaps, (units * weights)[rows], 0)
        missed += np.bincount(part.indices, lost, minlength=x.shape[1])
    return _smoothed(counted[block], (units @ weights - missed)[block])


def _smoothed(counted: NDArray[Any], exposed: NDArray[Any]) -> NDArray[np.float64]:
    seen = exposed > 0  # a column without any value keeps the rate 1
    return np.asarray(np.where(seen, np.log((counted + 0.5) / np.where(seen, exposed, 1)), 0))
