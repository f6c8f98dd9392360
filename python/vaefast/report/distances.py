"""Distances of synthetic rows to the rows of the fit, compared with those to held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tables.choices import MAX_CATEGORIES
from ..tables.frames import read
from ..tables.series import Name, Series
from .columns import is_discrete, modelled, read_like

ROWS = 5_000  # largest number of rows of each table
CHUNK = 500  # rows at a time


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of synthetic rows to the nearest row of two tables with equally many rows.

    Attributes
    ----------
    training : ndarray of shape (n,)
        Distance of each synthetic row to the nearest row of the fit.
    held_out : ndarray of shape (n,)
        Distance of each synthetic row to the nearest row that was held out.
    nearer_to_training : float
        Share of synthetic rows that are nearer to a row of the fit than to one that was held out.
        Equal distances count half. A share of about 0.5 is no sign of copying.
    copies : tuple of (float, float)
        Shares of synthetic rows that equal a row of the fit, and that equal a held-out row.
    """

    training: NDArray[np.float64]
    held_out: NDArray[np.float64]

    @property
    def nearer_to_training(self) -> float:
        """Share of synthetic rows that are nearer to a row of the fit than to a held-out row."""
        nearer = self.training < self.held_out
        return float(nearer.mean() + 0.5 * (self.training == self.held_out).mean())

    @property
    def copies(self) -> tuple[float, float]:
        """Shares of synthetic rows that equal a row of the fit, and that equal a held-out row."""
        return float((self.training == 0).mean()), float((self.held_out == 0).mean())

    def __str__(self) -> str:
        training, held_out = np.median(self.training), np.median(self.held_out)
        return (
            f"median distance {training:.3f} to the rows of the fit, {held_out:.3f} to held-out "
            f"rows; {self.nearer_to_training:.1%} of the synthetic rows are nearer to the rows of "
            f"the fit; {self.copies[0]:.1%} and {self.copies[1]:.1%} are copies"
        )


def distances(synthetic: Any, training: Any, held_out: Any) -> Distances:
    """Return the distances of synthetic rows to the rows of the fit and to held-out rows.

    The square of a distance is the sum over columns of 1 for two categories that differ, and of the
    squared difference of ranks in [0, 1] for numbers. Up to 5,000 rows of each table are drawn at
    random, as many from the fit as held-out ones.

    Parameters
    ----------
    synthetic : frame
        Synthetic rows.
    training : frame
        Rows that the synthesizer was fitted on.
    held_out : frame
        Rows from the same source that the synthesizer never saw.

    Returns
    -------
    Distances

    Raises
    ------
    ValueError
        A frame lacks a column of `training`, or a column holds another kind of values.
    """
    columns = read(training)[1]
    real = {name: columns[name] for name in modelled(columns)}
    others = read_like(real, held_out, "held_out")
    made = read_like(real, synthetic, "synthetic")
    rng = np.random.default_rng(0)
    rows = min(_length(real), _length(others), ROWS)
    tables = [
        _some(columns, size, rng)
        for columns, size in ((made, min(_length(made), ROWS)), (real, rows), (others, rows))
    ]
    points = _points(real, tables)
    return Distances(nearest(points[0], points[1]), nearest(points[0], points[2]))


def nearest(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the Euclidean distance of each row to the nearest of others."""
    squares = np.square(others).sum(axis=1)
    found = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        away = np.square(part).sum(axis=1)[:, None] + squares - 2 * part @ others.T
        best = away.argmin(axis=1)
        # Subtracts the rows themselves. A difference of squares loses the digits of a distance near
        # 0.
        found.append(np.sqrt(np.square(part - others[best]).sum(axis=1, dtype=np.float64)))
    return np.concatenate(found)


def _points(
    real: Mapping[Name, Series], tables: list[dict[Name, Series]]
) -> list[NDArray[np.float32]]:
    """Return the rows of each table as points."""
    blocks: list[list[NDArray[np.float32]]] = [[] for _ in tables]
    for name in real:
        known = real[name].values[~real[name].missing]
        if is_discrete(real[name]):
            values, counts = np.unique(
                known.astype(str) if known.dtype == object else known, return_counts=True
            )
            kept = values[np.argsort(-counts, kind="stable")][: MAX_CATEGORIES // 5].tolist()
            of = {value: i for i, value in enumerate(kept)}
        else:
            ordered = np.sort(known)
        for table, block in zip(tables, blocks, strict=True):
            series = table[name]
            if is_discrete(real[name]):
                codes = [of.get(value, len(of)) for value in series.values.tolist()]
                one_hot = np.eye(len(of) + 2, dtype=np.float32)
                places = np.where(series.missing, len(of) + 1, codes)
                block.append(one_hot[places] * np.float32(np.sqrt(0.5)))
                continue
            sides = [np.searchsorted(ordered, series.values, side) for side in ("left", "right")]
            rank = (sides[0] + sides[1]) / 2 / len(ordered)
            missing = series.missing
            rank[missing] = 0.5
            block.append(np.stack([rank, missing], axis=1).astype(np.float32))
    return [np.hstack(block) for block in blocks]


def _length(columns: Mapping[Name, Series]) -> int:
    return len(next(iter(columns.values())).values)


def _some(columns: dict[Name, Series], n: int, rng: np.random.Generator) -> dict[Name, Series]:
    chosen = np.sort(rng.choice(_length(columns), n, replace=False))
    return {name: Series(series.values[chosen], series.dtype) for name, series in columns.items()}
