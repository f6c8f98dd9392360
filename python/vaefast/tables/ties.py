"""Columns that follow from another column, each of whose values goes with a single value.

A table may give the education of a person both as text and as a number, and a city determines its
country. In the first case, a model sees the first column alone. In the second case, and wherever
the missing values of the two columns differ, it sees both, but decoded values follow from the first
one. Numbers and dates may follow, too: a patient in several rows has one date of birth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .choices import MAX_CATEGORIES
from .column import CONSTANT, IDENTIFIER, ORDINAL, TIED, Column
from .encoding import Unseen
from .learning import learn
from .series import Array, Name, Scalar, Series

ROWS_EACH = 10  # rows per category; with fewer, equal columns may be chance
AGAIN = 50  # rows with a repeated category; with fewer, a tie may be chance
PARTNERS = 0.8  # least share of the categories that occur beside a known value
LABEL_ROWS = 3  # rows per value; with fewer, a whole number is not a label
CHANCE = 1e-9  # largest probability that an independent column seems to follow


def tie(
    columns: Mapping[Name, Series], learned: Mapping[Name, Column], free: Collection[Name]
) -> dict[Name, Column]:
    """Return learned columns, in which those that follow from another one are tied.

    Parameters
    ----------
    columns : mapping of name to Series
        Values of the columns.
    learned : mapping of name to Column
        Encoding of each column.
    free : collection of names
        Columns that are not tied, whatever they hold.
    """
    coded = {
        name: _code(column, columns[name])
        for name, column in learned.items()
        if column.likelihood not in (CONSTANT, IDENTIFIER) and not column.others
    }
    found = dict(learned)
    finest_first = sorted(coded, key=lambda name: -len(coded[name].values))
    for place, name in enumerate(finest_first):
        if name in free:
            continue
        for other in finest_first[:place]:
            if found[other].tied_to is None and learned[other].one_hot:
                tied = _tied(learned[name], coded[name], learned[other], coded[other].codes)
                if tied is not None:
                    found[name] = tied
                    break
    return found


def labels(
    columns: Mapping[Name, Series], learned: Mapping[Name, Column], free: Collection[Name]
) -> dict[Name, Column]:
    """Return learned columns, in which whole numbers that determine a column are categories.

    A postcode that determines a city is a label, not a quantity, and so is the number of a patient
    that determines an age. If the numbers that go with each value of the other column lie side by
    side, as ages and age groups do, they are ordered categories. Such numbers may be quantities
    after all, so they need more rows if the other column is a number that grows with them.
    """
    coded = {
        name: _code(column, columns[name])
        for name, column in learned.items()
        if column.likelihood not in (CONSTANT, IDENTIFIER) and not column.others
    }
    found = dict(learned)
    for name, column in learned.items():
        if name in free or not _is_whole(column, columns[name]):
            continue
        label = learn(name, columns[name], "categorical")
        codes = label.codes(columns[name])
        for other, of_other in coded.items():
            if other == name or len(of_other.values) > len(label.categories):
                continue
            tied = _tied(learned[other], of_other, label, codes)
            if tied is None:
                continue
            values = tied.categories if tied.likelihood == TIED else tied.partners
            grows = tied.dtype.kind not in ("category", "boolean") and _is_monotone(values)
            if grows and (codes >= 0).sum() < ROWS_EACH * len(values):
                continue
            runs = 1 + sum(a != b for a, b in pairwise(values))
            ordered = grows or runs == len(set(values)) < len(values)
            found[name] = replace(label, likelihood=ORDINAL) if ordered else label
            break
    return found


def _is_whole(column: Column, series: Series) -> bool:
    """Return whether a number may be a label: whole, with few values that recur."""
    if column.likelihood not in ("gaussian", "modes") or column.dtype.kind not in (
        "integer",
        "number",
    ):
        return False
    values = series.values[~series.missing]
    different = len(np.unique(values))
    few = 1 < different <= min(MAX_CATEGORIES, len(values) / LABEL_ROWS)
    return few and not (values % 1).any()


def _is_monotone(values: tuple[Scalar | None, ...]) -> bool:
    steps = np.diff([value for value in values if isinstance(value, (int, float))])
    return bool((steps >= 0).all() or (steps <= 0).all())


@dataclass(frozen=True, eq=False)
class _Coded:
    """Different values of a column, and the index of each row's value; -1 is a missing value."""

    values: Array
    codes: NDArray[np.intp]


def _code(column: Column, series: Series) -> _Coded:
    if column.categories:
        return _Coded(np.array(column.categories, object), column.codes(series))
    codes = np.full(len(series.values), -1)
    known = ~series.missing
    values, codes[known] = np.unique(series.values[known], return_inverse=True)
    if column.dtype.kind == "boolean":
        values = values.astype(bool)
    return _Coded(values.astype(object), codes)


def _tied(column: Column, own: _Coded, of: Column, other: NDArray[np.intp]) -> Column | None:
    """Return a column as tied to another one, or None if it does not follow from that one."""
    both = (own.codes >= 0) & (other >= 0)
    a, b = other[both], own.codes[both]
    partner = np.full(len(of.categories), -1)
    partner[a] = b
    if (partner[a] != b).any() or (partner >= 0).mean() < PARTNERS:
        return None
    values: Array = np.array([*own.values.tolist(), None], object)
    partners = tuple(values[partner].tolist())  # None if they never occur together
    one_to_one = None not in partners and len(set(partners)) == len(partners) == len(values) - 1
    same_gaps = (both | ((own.codes < 0) & (other < 0))).all()
    if one_to_one and same_gaps and len(a) >= ROWS_EACH * len(partners):
        return replace(column, likelihood=TIED, modes=None, categories=partners, tied_to=of.name)
    sizes = np.unique(a, return_counts=True)[1]
    log_shares = np.log(np.unique(b, return_counts=True)[1] / len(b))
    log_chance = np.logaddexp.reduce(log_shares[:, None] * sizes, axis=0).sum()
    if len(a) - len(sizes) < AGAIN or log_chance > np.log(CHANCE):
        return None
    return replace(column, tied_to=of.name, partners=partners)


def merge(
    series: Series, column: Column, of_tied: Series, tied: Column, unseen: Unseen
) -> tuple[Series, Series]:
    """Return a column and one tied to it, each completed by the values of the other one.

    An unknown pair of values becomes missing, in the column if the model sees that alone, and
    otherwise in the tied column.

    Raises
    ------
    ValueError
        A pair of values is unknown, and `unseen` is "error".
    """
    series, of_tied = _with_kind(series, column), _with_kind(of_tied, tied)
    column.check_kind(series)
    tied.check_kind(of_tied)
    own = column.codes(series)
    partners = _partners(tied)
    follows = partners[own]
    there = (own >= 0) & _known(follows)
    wrong = ~of_tied.missing & there & (of_tied.values != follows)
    if unseen == "error" and wrong.any():
        row = int(wrong.argmax())
        value, partner = tied.shown(of_tied.values[row]), column.shown(series.values[row])
        raise ValueError(
            f"column {tied.name!r}, row {row}: {value} does not go with {partner} in column "
            f"{column.name!r}, which goes with {tied.shown(follows[row])} (unseen='missing' "
            "encodes such pairs as missing)"
        )
    if tied.likelihood != TIED:
        values = np.where(of_tied.missing & there, follows, of_tied.values)
        return series, replace(of_tied, values=values).with_gaps(wrong)
    other = tied.codes(of_tied)
    fill = series.missing & (other >= 0)
    lost = fill | ~series.missing | of_tied.missing
    values = series.values.copy()
    values[fill] = np.array(column.categories, dtype=values.dtype)[other[fill]]
    if unseen == "error" and not lost.all():
        row = int((~lost).argmax())
        raise ValueError(
            f"column {tied.name!r}, row {row}: {tied.shown(of_tied.values[row])} is a new value "
            "(unseen='missing' encodes new values as missing)"
        )
    return replace(series, values=values).with_gaps(wrong), of_tied


def follow(series: Series, column: Column, of_tied: Series, tied: Column) -> Series:
    """Return the values of a tied column that go with those of the column it follows from."""
    codes = column.codes(series)
    values = _partners(tied)[codes]
    blank = (codes < 0) | ~_known(values)
    if tied.likelihood == TIED:
        return replace(of_tied, values=values).with_gaps(blank)
    return replace(of_tied, values=np.where(blank, of_tied.values, values))


def going_with(values: Array, tied: Column) -> NDArray[np.bool_]:
    """Return which categories of the other column go with values of a tied one, (n, categories)."""
    fits: NDArray[np.bool_] = values[:, None] == _partners(tied)
    return fits


def _partners(tied: Column) -> Array:
    kind = object if tied.dtype.kind == "category" else np.float64
    return np.array(tied.categories if tied.likelihood == TIED else tied.partners, dtype=kind)


def _known(values: Array) -> NDArray[np.bool_]:
    if values.dtype == object:
        return np.fromiter((value is not None for value in values), bool, len(values))
    return ~np.isnan(values)


def _with_kind(series: Series, column: Column) -> Series:
    """Return a series, converted to the kind of a column if all its values are missing."""
    if not series.missing.all():
        return series
    blank = None if column.dtype.kind == "category" else np.nan
    kind = object if blank is None else np.float64
    return Series(np.full(len(series.values), blank, dtype=kind), column.dtype)
