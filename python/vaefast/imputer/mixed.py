"""How an imputer fills frames of mixed columns."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..tables import Table
from ..tables.completion import complete
from ..tables.frames import library_of
from .blend import Blend


def check_container(X: Any, container: str) -> None:
    """Raise ValueError if `set_output` asks for a frame of another library than that of X."""
    library = library_of(X)
    if container not in ("default", library):
        found = f"a {library} DataFrame" if library in sys.modules else f"a {type(X).__name__}"
        raise ValueError(
            f"set_output asks for a {container} DataFrame, but mixed columns keep their container, "
            f"and X is {found}"
        )


def transform(table: Table, blend: Blend, X: Any, n_samples: int) -> Any:
    """Return a frame with the most probable categories and the means of numbers in its gaps."""
    rows = table.encode(X, unseen="missing").astype(np.float64)
    gaps = np.isnan(rows).any(axis=1)
    if gaps.any():
        means = blend.means(rows[gaps], n_samples)
        rows[gaps] = np.where(np.isnan(rows[gaps]), means, rows[gaps])
    return complete(table, X, rows)


def sample(
    table: Table, blend: Blend, X: Any, n: int, n_samples: int, rng: np.random.Generator
) -> list[Any]:
    """Return n frames with drawn values in the gaps."""
    rows = table.encode(X, unseen="missing").astype(np.float64)
    out, gaps = np.repeat(rows[None], n, axis=0), np.isnan(rows).any(axis=1)
    if gaps.any():
        drawn = blend.draws(rows[gaps], n, n_samples, rng)
        out[:, gaps] = np.where(np.isnan(rows[gaps]), drawn, rows[gaps])
    return [complete(table, X, each, rng) for each in out]
