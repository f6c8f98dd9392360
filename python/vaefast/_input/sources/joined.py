"""Several sources in sequence, as one source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .source import Array, Source


class Joined(Source):
    """Sources with rows of the same form, one after the other.

    Parameters
    ----------
    parts : sequence of Source
    name : str
        Name of the whole in error messages.

    Raises
    ------
    ValueError
        The parts differ in the shape or the type of their rows, or in the names of their features.
    """

    def __init__(self, parts: Sequence[Source], name: str) -> None:
        first = parts[0]
        for part in parts[1:]:
            for what, ours, theirs in (
                ("rows of shape", part.row_shape, first.row_shape),
                ("values of type", part.found, first.found),
                ("columns", part.names, first.names),
            ):
                if ours != theirs:
                    raise ValueError(
                        f"{part.name} has {what} {_shown(ours)}, but {first.name} has "
                        f"{_shown(theirs)}: the parts of {name} must be alike"
                    )
        super().__init__(
            sum(len(part) for part in parts), first.row_shape, first.found, name, first.names
        )
        self.parts, self.unit = list(parts), max(part.unit for part in parts)
        self.starts = np.cumsum([0, *(len(part) for part in parts)])

    def read(self, start: int, stop: int) -> Array:
        found = []
        for i in range(*np.searchsorted(self.starts, [start, stop - 1], "right") + [-1, 0]):
            at = int(self.starts[i])
            part = self.parts[i]
            found.append(part.rows(max(start - at, 0), min(stop - at, len(part))))
        return np.concatenate(found).reshape(stop - start, *self.row_shape)

    def check(self) -> None:
        for part in self.parts:
            part.check()


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
