"""Columns that are weighted sums of other columns, such as a total and its parts.

A total is left out of X, and decoded rows get the sum of their own parts. Shares that add up to
100, an age that equals the years at school and at work plus 6, and prices in two currencies are
sums in the same sense.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .column import MODES, ORDINAL, SUM, Column
from .encoding import Unseen
from .facts import decimals_of
from .series import Array, Name, Series

LEAST_ROWS = 100  # with fewer rows, a sum may be chance
ROWS_EACH = 5  # fewest rows per column
SEARCHED = 2_000  # most rows in which sums are searched for; all rows must confirm them
NEAR = 0.02  # standard deviations from a sum within which a column is examined
EXACT = 0.01  # standard deviations within which rounding may explain a difference
DIGITS = 6  # most decimals of a weight
NOISE = 1e-9  # relative error of sums of floating-point numbers


def find_sums(
    columns: Mapping[Name, Series], learned: Mapping[Name, Column], free: Collection[Name]
) -> dict[Name, Column]:
    """Return learned columns, in which weighted sums of other columns are encoded as sums.

    A sum must hold in all rows up to rounding, with weights of few decimals. Columns with missing
    values or with fewer than three different values are ignored. If one column is the sum of the
    others with positive weights, X leaves that column out, and otherwise the one that varies most.

    Parameters
    ----------
    columns : mapping of name to Series
        Values of the columns.
    learned : mapping of name to Column
        Encoding of each column.
    free : collection of names
        Columns that stay as they are.
    """
    values = {
        name: columns[name].values
        for name, column in learned.items()
        if column.dtype.kind in ("number", "integer")
        and column.likelihood in ("gaussian", MODES, ORDINAL)
        and column.tied_to is None
        and name not in free
        and not columns[name].missing.any()
        and len(np.unique(columns[name].values)) > 2
    }
    found = dict(learned)
    n = min((len(each) for each in values.values()), default=0)
    if n < max(LEAST_ROWS, ROWS_EACH * len(values)):
        return found
    some = np.unique(np.linspace(0, n - 1, SEARCHED).astype(int))
    span = np.full((len(some), 1), len(some) ** -0.5)  # orthonormal; spans 1 and `basis`
    basis: list[Name] = []
    used: set[Name] = set()
    for name in sorted(values, key=lambda name: float(np.std(values[name]))):
        column = values[name][some]
        away = (column - column.mean()) / (np.std(column) or 1.0)
        for _ in range(2):  # the second pass removes the rounding errors of the first
            away = away - span @ (span.T @ away)
        if basis and np.abs(away).max() <= NEAR:
            total = _as_sum(learned[name], basis, values, some, learned)
            if total is not None:
                swapped = _total(total, used)
                if swapped != name:
                    basis[basis.index(swapped)] = name
                    total = _as_sum(learned[swapped], basis, values, some, learned)
                if total is not None:
                    found[total.name] = total
                    used.update(term for term, _ in total.terms)
                    continue
        length = np.linalg.norm(away)
        if length > NOISE:
            basis.append(name)
            span = np.hstack([span, away[:, None] / length])
    return found


def _total(column: Column, used: Collection[Name]) -> Name:
    """Return the column that is the sum of the others with positive weights, if there is one."""
    negative = [name for name, weight in column.terms if weight < 0]
    positive = [name for name, weight in column.terms if weight > 0]
    if negative and len(positive) == 1 and positive[0] not in used:
        return positive[0]
    return column.name


def _as_sum(
    column: Column,
    basis: Sequence[Name],
    values: Mapping[Name, Array],
    some: NDArray[np.intp],
    learned: Mapping[Name, Column],
) -> Column | None:
    """Return a column as the sum of others, or None if some row does not have the sum."""
    own, terms = values[column.name], np.stack([values[name] for name in basis], axis=1)
    means, scales = terms[some].mean(axis=0), terms[some].std(axis=0)
    rows = (terms[some] - means) / scales
    exact = np.linalg.lstsq(rows, own[some] - own[some].mean(), rcond=None)[0] / scales
    bare = Column(
        column.name,
        column.dtype,
        SUM,
        decimals=decimals_of(column.dtype, own),
        low=float(own.min()),
        high=float(own.max()),
        terms=((basis[0], 1.0),),
    )
    for digits in range(DIGITS + 1):
        weights = np.round(exact, digits)
        rest = own - terms @ weights
        offset = float(np.round((rest.max() + rest.min()) / 2, digits))
        by_name = dict(zip(basis, weights.tolist(), strict=True))
        pairs = tuple((name, by_name[name]) for name in learned if by_name.get(name))
        if not pairs:
            continue
        off = float(np.abs(rest - offset).max()) + NOISE * (1 + float(np.abs(own).max()))
        if off <= min(_rounding(bare, pairs, learned), EXACT * float(np.std(own))):
            return replace(bare, terms=pairs, mean=offset, scale=off)
    return None


def _rounding(
    column: Column, terms: Sequence[tuple[Name, float]], learned: Mapping[Name, Column]
) -> float:
    """Return the largest change of a sum by rounding."""
    units = _unit(column) + sum(abs(weight) * _unit(learned[name]) for name, weight in terms)
    return 0.5 * units + 2 * NOISE * (1 + max(abs(column.low or 0), abs(column.high or 0)))


def _unit(column: Column) -> float:
    """Return the number of which all values are multiples, or 0 if there is none."""
    if column.dtype.kind == "integer":
        return 1.0
    return 10.0**-column.decimals if column.decimals is not None else 0.0


def add_up(column: Column, columns: Mapping[Name, Series]) -> Series:
    """Return a sum, within the learned range and in the precision of the column."""
    total = np.clip(total_of(column, columns), column.low, column.high)
    return Series(column.rounded(total), column.dtype)


def adds_up(column: Column, columns: Mapping[Name, Series]) -> NDArray[np.bool_]:
    """Return whether each row has the sum, up to rounding, or misses one of its values."""
    off = np.abs(columns[column.name].values - total_of(column, columns))
    fine: NDArray[np.bool_] = ~(off > 1.001 * column.scale)
    return fine


def check_sum(column: Column, columns: Mapping[Name, Series], unseen: Unseen) -> None:
    """Raise ValueError if a row does not have the sum, unless `unseen` is "missing"."""
    series = columns[column.name]
    needed = [series, *(columns[name] for name, _ in column.terms)]
    if unseen == "missing" or any(each.missing.all() for each in needed):
        return
    column.check_kind(series)
    wrong = ~adds_up(column, columns)
    total = total_of(column, columns)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{column.called}, row {row}: {column.shown(series.values[row])} is not "
            f"{column.shown(total[row])}, which is {column.formula} (unseen='missing' ignores this)"
        )


def total_of(column: Column, columns: Mapping[Name, Series]) -> Array:
    """Return the weighted sums of the columns, neither rounded nor limited to a range."""
    weighted = []
    for name, weight in column.terms:
        series = columns[name]
        whole = series.dtype.kind == "integer"  # decoded whole numbers are rounded when written
        weighted.append(weight * (np.rint(series.values) if whole else series.values))
    total: Array = column.mean + np.sum(weighted, axis=0)
    return total
