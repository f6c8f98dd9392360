"""Values that never occur together, such as "husband" and "female"."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .column import ORDINAL, Column
from .series import Name, Scalar, Series

EXPECTED = 10.0  # fewest rows with both values, if the columns were independent
MOST = 200  # most categories of a column


@dataclass(frozen=True)
class Exclusion:
    """Pairs of values of two columns that never occur together.

    Attributes
    ----------
    names : tuple of (str or int, str or int)
        The two columns.
    pairs : frozenset of tuple
        The pairs of values.
    """

    names: tuple[Name, Name]
    pairs: frozenset[tuple[Scalar, Scalar]]

    def holds(self, columns: Mapping[Name, Series]) -> NDArray[np.bool_]:
        """Return whether each row has none of the pairs, bool of shape (n,)."""
        first, second = (columns[name].values.tolist() for name in self.names)
        rows = zip(first, second, strict=True)
        return np.fromiter((pair not in self.pairs for pair in rows), bool, len(first))

    def to_dict(self) -> dict[str, Any]:
        """Return the pairs as plain data, for JSON."""
        return {"names": list(self.names), "pairs": sorted(map(list, self.pairs), key=repr)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Exclusion:
        """Return the pairs that `to_dict` described."""
        first, second = data["names"]
        return cls((first, second), frozenset((a, b) for a, b in data["pairs"]))


def exclusions(
    columns: Mapping[Name, Series], sources: Iterable[Column], free: Collection[Name]
) -> tuple[Exclusion, ...]:
    """Return the pairs of values that no row has, although independent columns would have them.

    Parameters
    ----------
    columns : mapping of name to Series
        Values of the columns.
    sources : iterable of Column
        Encoding of each column.
    free : collection of names
        Columns that are left alone.
    """
    codes = {
        source: source.codes(columns[source.name])
        for source in sources
        if source.likelihood in ("categorical", ORDINAL)
        and not (source.others or source.tied_to is not None or source.above is not None)
        and source.name not in free
        and len(source.categories) <= MOST
    }
    found = []
    for a, b in combinations(codes, 2):
        both = (codes[a] >= 0) & (codes[b] >= 0)
        width = len(b.categories)
        counts = np.bincount(
            codes[a][both] * width + codes[b][both], minlength=len(a.categories) * width
        ).reshape(-1, width)
        expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / max(1, both.sum())
        cells = np.argwhere((counts == 0) & (expected >= EXPECTED))
        if len(cells):
            pairs = frozenset((a.categories[i], b.categories[j]) for i, j in cells)
            found.append(Exclusion((a.name, b.name), pairs))
    return tuple(found)
