"""Properties of the rows of a fit on which warnings depend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .rows import AnyRows, matrix_of
from .stream import Stream
from .validation import brightest, empty_columns


@dataclass(frozen=True, eq=False)
class Looks:
    """Facts about rows.

    Attributes
    ----------
    sample : Matrix
        All rows, or some rows at equal distances.
    brightest : int
        The largest byte, or 0.
    empty : list of int
        Columns in which every value is missing.
    """

    sample: Any
    brightest: int
    empty: list[int]

    @classmethod
    def of(cls, rows: AnyRows) -> Looks:
        """Return the properties of rows; those of a stream come from its first pass."""
        if isinstance(rows, Stream):
            found = rows.learned
            assert found is not None
            return cls(found.sample, found.brightest, found.empty)
        matrix = matrix_of(rows)
        return cls(matrix, brightest(matrix), empty_columns(matrix))
