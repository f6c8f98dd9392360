"""Columns that say the same: each value of one goes with one value of the other.

The education of a person as a text and as a number is an example. The second column is tied to the
first: a model sees the first one alone, and the values of the second follow from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from .column import ORDINAL, TIED, Column, Unseen
from .series import Array, Name, Series

ROWS_EACH = 10  # rows per category below which equal columns may be chance


def tie(
    columns: Mapping[Name, Series], learned: Mapping[Name, Column], free: Collection[Name]
) -> dict[Name, Column]:
    """Return learned columns, with those tied that follow from an earlier one.

    Parameters
    ----------
    columns : mapping of name to Series
        Values of the columns.
    learned : mapping of name to Column
        Encoding of each column.
    free : collection of names
        Columns that are not tied, whatever they hold.
    """
    found = dict(learned)
    codes: dict[Name, Array] = {}
    for name, column in learned.items():
        if column.likelihood not in ("categorical", ORDINAL) or column.others:
            continue
        own = column.codes(columns[name])
        n = len(column.categories)
        if (own >= 0).sum() < ROWS_EACH * n:
            continue
        if name not in free:
            for other, of_other in codes.items():
                if len(found[other].categories) != n:
                    continue
                pairs = np.unique(np.stack([of_other, own]), axis=1)
                pairs = pairs[:, (pairs >= 0).any(axis=0)]
                one_to_one = pairs.shape[1] == n and (pairs >= 0).all()
                if one_to_one and all(len(np.unique(side)) == n for side in pairs):
                    values = tuple(column.categories[i] for i in pairs[1])
                    found[name] = replace(column, likelihood=TIED, categories=values, tied_to=other)
                    break
        if found[name].tied_to is None:
            codes[name] = own
    return found


def merge(series: Series, column: Column, of_tied: Series, tied: Column, unseen: Unseen) -> Series:
    """Return a column with what a tied one knows: values where it has none, gaps in broken pairs.

    Raises
    ------
    ValueError
        A pair of values is not one that was learned, and `unseen` is "error".
    """
    if series.missing.all():  # such a column has no kind of its own
        blank = None if column.dtype.kind == "category" else np.nan
        kind = object if blank is None else np.float64
        series = Series(np.full(len(series.values), blank, dtype=kind), column.dtype)
    column.check_kind(series)
    if not of_tied.missing.all():
        tied.check_kind(of_tied)
    own, other = column.codes(series), tied.codes(of_tied)
    there = ~of_tied.missing
    fill = series.missing & (other >= 0)
    wrong = there & (other != own) & ~fill
    if unseen == "error" and wrong.any():
        row = int(wrong.argmax())
        value, partner = tied.shown(of_tied.values[row]), column.shown(series.values[row])
        learned = ""
        if own[row] >= 0:
            learned = f", which goes with {tied.shown(tied.categories[own[row]])}"
        raise ValueError(
            f"column {tied.name!r}, row {row}: {value} does not go with {partner} in column "
            f"{column.name!r}{learned} (unseen='missing' encodes such pairs as missing)"
        )
    values = series.values.copy()
    values[fill] = np.array(column.categories, dtype=values.dtype)[other[fill]]
    values[wrong] = None if values.dtype == object else np.nan
    return replace(series, values=values)


def follow(series: Series, column: Column, tied: Column) -> Series:
    """Return the values of a tied column that go with those of the column that it follows."""
    codes = column.codes(series)
    kind = object if tied.dtype.kind == "category" else np.float64
    values: Array = np.array(tied.categories, dtype=kind)[codes]
    values[codes < 0] = None if kind is object else np.nan
    return Series(values, tied.dtype, tied.categories)
