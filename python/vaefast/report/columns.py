"""Comparison of two tables column by column, by the shares of categories and bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tables.choices import choose
from ..tables.frames import read
from ..tables.series import KINDS, Array, Name, Series

BINS = 30  # bins of a histogram
LEVELS = 10  # bins or categories with which associations are measured
SHOWN = 8  # categories with their own bars
OUTER = 0.005  # share of the real values beyond each end of a histogram with long tails
FREQUENT = 0.2  # share of rows from which a number is listed


@dataclass(frozen=True, eq=False)
class ColumnComparison:
    """One column in both tables.

    Attributes
    ----------
    name : str or int
        Name of the column.
    kind : str
        Kind of the values, in words.
    labels : tuple of str
        Categories in the order of their frequency, or empty for numbers.
    edges : ndarray of shape (bins + 1,) or None
        Edges of the bins of numbers; seconds for dates and durations.
    ends : tuple of (float, float)
        Smallest and largest number of the histogram; values beyond are in the outer bins.
    real, synthetic : ndarray of float64
        Share of the known values in each category or bin.
    gaps : tuple of (float, float)
        Share of missing values in the real and in the synthetic table.
    frequent : tuple of (float, float, float) or None
        A number that many real rows have, with its shares in both tables.
    difference : float
        For numbers, the largest difference between the distribution functions (Kolmogorov and
        Smirnov); for categories, the total variation distance. 0 means equal and 1 means disjoint.
    """

    name: Name
    kind: str
    labels: tuple[str, ...]
    edges: NDArray[np.float64] | None
    ends: tuple[float, float]
    real: NDArray[np.float64]
    synthetic: NDArray[np.float64]
    gaps: tuple[float, float]
    frequent: tuple[float, float, float] | None
    difference: float


def read_like(real: Mapping[Name, Series], frame: Any, what: str) -> dict[Name, Series]:
    """Return the columns of a frame that the real one also has, in the order of the real one.

    Raises
    ------
    ValueError
        The frame lacks a column, or a column holds another kind of values.
    """
    columns = read(frame)[1]
    lacking = [name for name in real if name not in columns]
    if lacking:
        raise ValueError(f"{what} lacks columns of the real table: {', '.join(map(str, lacking))}")
    numbers = {"integer", "number", "boolean", "nothing"}
    for name, series in real.items():
        kinds = {series.dtype.kind, columns[name].dtype.kind}
        if len(kinds - {"nothing"}) > 1 and not kinds <= numbers:
            raise ValueError(
                f"column {name!r} holds {KINDS[series.dtype.kind]} in the real table, but "
                f"{KINDS[columns[name].dtype.kind]} in {what}"
            )
    return {name: columns[name] for name in real}


def modelled(columns: Mapping[Name, Series]) -> list[Name]:
    """Return the columns to compare, without names of rows and columns without values."""
    return [
        name
        for name, series in columns.items()
        if not series.missing.all() and choose(series) != "identifier"
    ]


def compare_column(name: Name, real: Series, synthetic: Series) -> ColumnComparison:
    """Return the comparison of one column."""
    known, drawn = (series.values[~series.missing] for series in (real, synthetic))
    gaps = (float(real.missing.mean()), float(synthetic.missing.mean()))
    kind = KINDS[real.dtype.kind]
    if is_discrete(real):
        values, shares = _shares(known)
        order = np.argsort(-shares, kind="stable")
        values, shares = values[order], shares[order]
        of = dict(zip(values.tolist(), range(len(values)), strict=True))
        places = np.array([of.get(value, len(values)) for value in drawn.tolist()], dtype=np.intp)
        found = np.bincount(places, minlength=len(values) + 1) / max(1, len(drawn))
        difference = 0.5 * (np.abs(found[:-1] - shares).sum() + found[-1])
        labels = [_text(real, value) for value in values[:SHOWN]]
        bars = min(SHOWN, len(values))
        shown, also = shares[:bars], found[:bars]
        if len(values) > SHOWN or found[-1]:
            labels.append("others")
            shown = np.append(shown, shares[bars:].sum())
            also = np.append(also, found[bars:].sum())
        return ColumnComparison(
            name, kind, tuple(labels), None, (0.0, 0.0), shown, also, gaps, None, float(difference)
        )
    low, high = np.quantile(known, [OUTER, 1 - OUTER])
    if high <= low:
        low, high = float(known.min()), float(known.max()) + (known.min() == known.max())
    edges = np.linspace(low, high, BINS + 1)
    if real.dtype.kind in ("integer", "number") and not (known % 1).any():
        wide = max(1.0, np.ceil((high - low + 1) / BINS))  # equally many whole numbers in each bin
        edges = np.arange(np.floor(low), np.ceil(high) + wide + 1, wide) - 0.5
    histograms = [np.histogram(np.clip(v, low, high), edges)[0] for v in (known, drawn)]
    values, counts = np.unique(known, return_counts=True)
    top = counts.argmax()
    frequent = None
    if counts[top] >= FREQUENT * len(known):
        drawn_too = float((drawn == values[top]).mean()) if len(drawn) else 0.0
        frequent = (float(values[top]), float(counts[top] / len(known)), drawn_too)
    return ColumnComparison(
        name,
        kind,
        (),
        edges,
        (float(low), float(high)),
        histograms[0] / len(known),
        histograms[1] / max(1, len(drawn)),
        gaps,
        frequent,
        _kolmogorov(known, drawn),
    )


def is_discrete(series: Series) -> bool:
    """Return whether a column has categories, rather than numbers, dates or durations."""
    return series.dtype.kind in ("category", "boolean")


def levels(real: Series, others: list[Series]) -> list[NDArray[np.intp]]:
    """Return the level of each value, a bin or category of the real column.

    Missing values have level 0, and values outside the real categories share one level.
    """
    known = real.values[~real.missing]
    found = []
    if is_discrete(real):
        values, shares = _shares(known)
        kept = values[np.argsort(-shares, kind="stable")][: LEVELS - 1].tolist()
        of = {value: i + 1 for i, value in enumerate(kept)}
        for series in others:
            codes = np.array([of.get(v, LEVELS) for v in series.values.tolist()], dtype=np.intp)
            codes[series.missing] = 0
            found.append(codes)
        return found
    edges = np.unique(np.quantile(known, np.linspace(0, 1, LEVELS + 1)[1:-1]))
    for series in others:
        codes = np.searchsorted(edges, series.values, side="left") + 1
        codes[series.missing] = 0
        found.append(codes)
    return found


def associations(codes: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Return Cramér's V of all pairs of columns of levels, with Bergsma's correction of the bias.

    0 means independent, and 1 means that each is a function of the other (Bergsma 2013).
    """
    n, size = len(codes[0]), LEVELS + 1
    found = np.eye(len(codes))
    for i, first in enumerate(codes):
        for j in range(i):
            table = np.bincount(first * size + codes[j], minlength=size * size)
            counts = table.reshape(size, size).astype(np.float64)
            counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
            expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / n
            phi = (np.square(counts - expected) / expected).sum() / n
            rows, columns = counts.shape
            scale = max(n - 1, 1)
            phi = max(0.0, phi - (rows - 1) * (columns - 1) / scale)
            least = min(rows - (rows - 1) ** 2 / scale, columns - (columns - 1) ** 2 / scale) - 1
            found[i, j] = found[j, i] = min(1.0, np.sqrt(phi / least)) if least > 0 else 0.0
    return found


def _shares(values: Array) -> tuple[Array, NDArray[np.float64]]:
    if values.dtype == object:
        values = values.astype(str)
    different, counts = np.unique(values, return_counts=True)
    return different, counts / len(values)


def _text(series: Series, value: Any) -> str:
    return str(bool(value)) if series.dtype.kind == "boolean" else str(value)


def _kolmogorov(first: Array, second: Array) -> float:
    if not len(second):
        return 1.0
    both = np.concatenate([first, second])
    at = [np.searchsorted(np.sort(v), both, side="right") / len(v) for v in (first, second)]
    return float(np.abs(at[0] - at[1]).max())
