"""Columns that never fall below another one, such as the end of a ride and its start.

Such a column is encoded as the difference of the two, which is at least 0 in every decoded row. The
difference is often the simpler column too: rides take minutes, wherever in three years they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from .column import CONSTANT, IDENTIFIER, SUM, Column
from .facts import DECIMALS
from .learning import learn
from .series import Array, Name, Series

KINDS = ("number", "integer", "date", "instant", "duration")
LEAST_ROWS = 100  # rows with both values; with fewer, an order may be chance
BROKEN, BROKEN_SHARE = 10, 0.01  # fewest rows that independent columns would break
KNOWN = 0.9  # least share of the column's rows that also have the lower value
# A missing value takes its difference with it, and the model then knows less of the other columns.
# Frames to be filled therefore have narrow differences only, which are worth that.
NARROW, KNOWN_TO_FILL = 0.1, 0.5
MORE_VALUES = 2  # largest number of different values, relative to the column


def order(
    columns: Mapping[Name, Series],
    learned: Mapping[Name, Column],
    free: Collection[Name],
    *,
    to_fill: bool,
) -> dict[Name, Column]:
    """Return learned columns; those that never fall below another one become differences.

    If there are several lower columns, the one is chosen whose difference varies least. The column
    stays as it is unless this difference varies less than the column itself.

    Parameters
    ----------
    columns : mapping of name to Series
        Values of the columns.
    learned : mapping of name to Column
        Encoding of each column.
    free : collection of names
        Columns that stay as they are.
    to_fill : bool
        Whether missing values are to be filled. The standard deviation of a difference is then at
        most a tenth of that of the column, and half of its rows must have the lower value.
    """
    widest, known = (NARROW, KNOWN_TO_FILL) if to_fill else (1.0, KNOWN)
    numbers = [
        name
        for name, column in learned.items()
        if column.dtype.kind in KINDS
        and column.tied_to is None
        and column.likelihood not in (CONSTANT, IDENTIFIER, SUM)
    ]
    found = dict(learned)
    for name in numbers:
        series, best = columns[name], widest * float(np.nanstd(columns[name].values))
        lower = None
        for other in numbers:
            if name in free or _rests_on(other, name, found):
                continue  # equal columns would depend on each other: the last one stays
            below = columns[other]
            if below.dtype.kind != series.dtype.kind:
                continue
            if _never_falls_below(series.values, below.values, _unit(learned[name]), known):
                spread = float(np.nanstd(series.values - below.values))
                if spread < best:
                    best, lower = spread, other
        if lower is not None:
            found[name] = _as_difference(learned[name], series, lower, columns[lower])
    return found


def _rests_on(name: Name, lower: Name, columns: Mapping[Name, Column]) -> bool:
    """Return whether a column is the lower one, or a chain of differences leads from it there."""
    at: Name | None = name
    while at is not None and at != lower:
        at = columns[at].above
    return at is not None


def _never_falls_below(values: Array, lower: Array, unit: float, known: float) -> bool:
    """Return whether values are never below others, although independent ones would be.

    At least this share of the known values must have a known lower one.
    """
    both = ~(np.isnan(values) | np.isnan(lower))
    n = int(both.sum())
    if n < max(LEAST_ROWS, known * int((~np.isnan(values)).sum())) or (values < lower).any():
        return False
    a, b = values[both], lower[both]
    broken = np.searchsorted(np.sort(a), b, side="left").mean()  # expected if rows were permuted
    if broken < max(BROKEN, BROKEN_SHARE * n):
        return False
    difference = np.rint((a - b) / unit) if unit else a - b
    return len(np.unique(difference)) <= MORE_VALUES * len(np.unique(a))


def _as_difference(column: Column, series: Series, lower: Name, below: Series) -> Column:
    difference = subtract(series, below, column)
    encoded = learn(column.name, difference, None)
    if encoded.likelihood == IDENTIFIER:
        encoded = learn(column.name, difference, "gaussian")
    known = difference.values[~difference.missing]
    return replace(
        encoded,
        low=float(known.min()),
        high=float(known.max()),
        step=column.step,
        decimals=column.decimals,
        above=lower,
        ends=(float(np.nanmin(series.values)), float(np.nanmax(series.values))),
    )


def subtract(series: Series, below: Series, column: Column) -> Series:
    """Return the difference between a column and the lower one.

    Raises
    ------
    ValueError
        The values are not of the kind that was learned.
    """
    if series.missing.all():
        return series
    column.check_kind(series)
    values = series.values - (np.nan if below.missing.all() else below.values)
    if column.decimals is not None:
        values = np.round(values, DECIMALS)  # removes the noise of floating-point numbers
    return replace(series, values=values)


def add(difference: Series, below: Series, column: Column) -> Series:
    """Return the column with these differences from the lower one, in the column's precision.

    The values stay within the learned range, and at or above the lower column.
    """
    assert column.ends is not None
    values = np.clip(below.values + difference.values, *column.ends)
    unit = _unit(column)
    if unit:
        low = np.ceil(below.values / unit * (1 - 1e-12) - 1e-9)
        values = np.maximum(np.rint(values / unit), low) * unit
    if column.decimals is not None:
        values = np.round(values, column.decimals)
    return replace(difference, values=np.maximum(values, below.values) if not unit else values)


def take(difference: Series, series: Series, column: Column, lower: Column) -> Series:
    """Return the values of the lower column that lie these differences below a column.

    The values are in the precision of the lower column, within its learned range, and at or below
    the column.
    """
    values = series.values.astype(np.float64) - column.rounded(difference.values)
    unit = _unit(lower)
    if unit:
        values = np.floor(values / unit * (1 + 1e-12) + 1e-9) * unit
    return Series(lower.rounded(np.clip(values, *lower.range)), lower.dtype)


def _unit(column: Column) -> float:
    """Return the number of which decoded values are multiples, or 0 if there is none."""
    if column.dtype.kind == "integer":
        return 1.0
    return column.step or (10.0**-column.decimals if column.decimals is not None else 0.0)
