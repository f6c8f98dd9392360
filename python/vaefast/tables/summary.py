"""A summary of what a table learned, with one line for each column."""

from __future__ import annotations

from collections.abc import Iterable

from .column import CONSTANT, IDENTIFIER, MODES, ORDINAL, SUM, TIED, Column
from .exclusions import Exclusion
from .series import KINDS

SHOWN = 3  # most pairs of values to list that never occur together


def lines(columns: Iterable[Column], excluded: Iterable[Exclusion]) -> list[str]:
    """Return a line for each column, and a last one for values that never occur together."""
    rows = [(str(c.name), KINDS[c.dtype.kind], _encoding(c)) for c in columns]
    names, kinds = (max(len(row[i]) for row in rows) for i in (0, 1))
    found = [f"{name:{names}}  {kind:{kinds}}  {text}" for name, kind, text in rows]
    pairs = [
        f"{each.names[0]}={a} and {each.names[1]}={b}"
        for each in excluded
        for a, b in sorted(each.pairs, key=repr)
    ]
    if pairs:
        more = f", and {len(pairs) - SHOWN:,} more pairs" if len(pairs) > SHOWN else ""
        found.append(f"Never together: {'; '.join(pairs[:SHOWN])}{more}")
    return found


def _encoding(column: Column) -> str:
    """Return the encoding of a column in words."""
    text = _own_encoding(column)
    if column.above is not None:
        return f"never below {column.above!r}: the difference, {text}"
    if column.partners:
        return f"{text}; follows from {column.tied_to!r}"
    return text


def _own_encoding(column: Column) -> str:
    n = len(column.categories)
    if column.likelihood == CONSTANT:
        return "one value in all rows: left out, and put back by decode"
    if column.likelihood == IDENTIFIER:
        return "names or numbers of the rows: left out, and numbered anew by decode"
    if column.likelihood == TIED:
        return f"follows from {column.tied_to!r}, value by value: left out, and put back by decode"
    if column.likelihood == SUM:
        return f"is {column.formula}: left out, and put back by decode"
    if column.likelihood == ORDINAL:
        return f"{n} ordered categories"
    if column.likelihood == MODES and column.modes is not None:
        spikes = [f"{spike:.9g}" for spike in column.modes.spikes]
        rank = "normal scores of the ranks"
        return f"whether it is {', '.join(spikes)}; else {rank}" if spikes else rank
    if column.others:
        return f"{n:,} categories, and one for {len(column.others):,} rare ones"
    if n:
        return f"{n} categories"
    standardized = "standardized, " if column.scale != 1 or column.mean else ""
    return f"{standardized}{column.likelihood}"
