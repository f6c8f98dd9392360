"""Completion of a frame: decoded values in missing cells, and known cells as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .column import IDENTIFIER, SUM, TIED, Column
from .differences import add, take
from .filling import fill
from .frames import read
from .series import Name, Series
from .sums import total_of
from .table import Table, decode_each, in_order
from .ties import follow, going_with

Columns = dict[Name, Series]


def complete(
    table: Table, frame: Any, X: ArrayLike, random_state: np.random.Generator | None = None
) -> Any:
    """Return a copy of a frame with values in its missing cells, which fit the known ones.

    The values come from X, as `Table.decode` reads it, except where known cells tell more:

    - The categories of a column from which a known cell follows are those that go with that cell.
    - A cell that a known cell never falls below is the known cell minus the decoded difference.
    - Parts of a known sum add up to it, as far as their ranges allow.

    Parameters
    ----------
    table : Table
        Encoder of the frame.
    frame : pandas.DataFrame, polars.DataFrame or dict of columns
        Frame with missing cells.
    X : array-like of shape (n, width)
        The rows in the form that `Table.encode` returns, without missing values.
    random_state : Generator or None, default=None
        Generator with which categories and booleans are drawn. None takes the most probable ones.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or dict of columns
        Frame of the same library, with the same columns, order, index and types. Known cells are
        exactly the same. Missing cells of identifiers stay missing.

    Raises
    ------
    ValueError
        No cell of a column is known, and neither its type nor that of the table can hold values.
    """
    columns = read(frame)[1]
    found = _completed(table, columns, np.asarray(X, np.float64), random_state)
    return fill(frame, table.library, found)


def _completed(
    table: Table, columns: Columns, X: NDArray[np.float64], rng: np.random.Generator | None
) -> Columns:
    """Return the columns without missing values, in the order of the table."""
    sources = {source.name: source for source in table.sources}
    known = {name: columns[name] for name in sources if name in columns}
    decoded = decode_each(table, _without_misfits(table, known, X), rng)
    for source in sources.values():
        if source.likelihood == SUM:
            _solve(source, known, decoded, sources)
    ordered = in_order(table.sources)
    for source in reversed(ordered):
        if source.above is not None:
            low = take(decoded[source.name], known[source.name], source, sources[source.above])
            known[source.above] = _overlay(known[source.above], low)
    found: Columns = {}
    for source in sorted(ordered, key=lambda source: source.tied_to is not None):
        name, series = source.name, decoded[source.name]
        if (of := source.tied_to) is not None:
            # A new category has no partner; that of the decoded category takes its place.
            partners = follow(decoded[of], sources[of], series, source)
            series = _overlay(follow(found[of], sources[of], series, source), partners)
        elif source.above is not None:
            series = add(series, found[source.above], source)
        if source.likelihood != IDENTIFIER:
            exact = replace(series, values=source.rounded(series.values))
            found[name] = _overlay(known[name], exact)
    for source in sources.values():
        if source.likelihood == SUM:
            total = Series(source.rounded(total_of(source, found)), source.dtype)
            found[source.name] = _overlay(known[source.name], total)
    return found


def _overlay(known: Series, other: Series) -> Series:
    """Return a series with the values of another one where values are missing."""
    missing = known.missing
    values = other.values.copy()
    values[~missing] = known.values[~missing]
    return replace(other, values=values)


def _without_misfits(
    table: Table, known: Mapping[Name, Series], X: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return X without probabilities of categories that do not go with a known, tied value."""
    first = dict(zip((s.name for s in table.sources), _starts(table), strict=True))
    sources = {source.name: source for source in table.sources}
    X = X.copy()
    for tied in table.sources:
        if tied.tied_to is None or tied.likelihood == TIED:
            continue
        of = sources[tied.tied_to]
        rows = np.flatnonzero(known[of.name].missing & ~known[tied.name].missing)
        fits = going_with(known[tied.name].values[rows], tied)
        rows, fits = rows[fits.any(axis=1)], fits[fits.any(axis=1)]
        at = first[of.name]
        block = X[rows, at : at + fits.shape[1]] * fits
        X[rows, at : at + of.width] = 0
        X[rows, at : at + fits.shape[1]] = np.where(block.any(axis=1, keepdims=True), block, fits)
    return X


def _starts(table: Table) -> NDArray[np.intp]:
    """Return the first column of X of each source."""
    widths = [source.width for source in table.sources]
    return np.cumsum([0, *widths[:-1]])


def _solve(
    total: Column, known: Columns, decoded: Mapping[Name, Series], sources: Mapping[Name, Column]
) -> None:
    """Write the unknown parts of known sums into the known values.

    Each part takes an equal share of what its decoded value and those of the others fall short of
    the sum, as far as its range allows. If a part is encoded as a difference, only rows without
    another unknown part are solved.
    """
    parts = [sources[name] for name, _ in total.terms]
    weights = [weight for _, weight in total.terms]
    values = np.stack([known[part.name].values.astype(np.float64) for part in parts])
    missing = np.isnan(values)
    for i, part in enumerate(parts):
        start = decoded[part.name].values if part.above is None else 0.0
        values[i] = np.where(missing[i], start, values[i])
    rest = known[total.name].values.astype(np.float64) - total.mean - weights @ values
    apart = np.array([part.above is not None for part in parts]) @ missing
    solved = missing & ~np.isnan(rest) & ((missing.sum(axis=0) == 1) | ~apart)
    for shares in (np.cumsum(solved[::-1], axis=0)[::-1], solved):
        for i, (part, weight) in enumerate(zip(parts, weights, strict=True)):
            target = values[i] + rest / weight / np.maximum(shares[i], 1)
            moved = np.where(solved[i], part.rounded(np.clip(target, *part.range)), values[i])
            rest, values[i] = rest - weight * (moved - values[i]), moved
    for i, part in enumerate(parts):
        found = Series(np.where(solved[i], values[i], np.nan), part.dtype)
        known[part.name] = _overlay(known[part.name], found)
