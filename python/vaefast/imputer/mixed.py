"""Frames of mixed columns: which frames these are, and how an imputer learns and fills them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._input.sparse import is_scipy_sparse
from ..tables import Table
from ..tables.completion import complete
from .blend import Blend

NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "empty")  # names in pandas


def is_mixed(X: Any) -> bool:
    """Return whether X is a dict of columns, or a frame with a column of other values than numbers.

    Booleans of NumPy, which are never missing, count as numbers. All other booleans do not.
    """
    library = _library(X)
    if library == "pandas":
        return not all(_is_number(column) for _, column in X.items())
    if library == "polars":
        null = sys.modules["polars"].Null
        return not all(dtype.is_numeric() or dtype == null for dtype in X.dtypes)
    return library == "dict"


def _library(X: Any) -> str:
    """Return the library of a frame, dict for a dict of columns, or an empty text."""
    for name in ("pandas", "polars"):
        module = sys.modules.get(name)
        if module and isinstance(X, module.DataFrame):
            return name
    return "dict" if isinstance(X, Mapping) and not is_scipy_sparse(X) else ""  # some are dicts


def _is_number(column: Any) -> bool:
    """Return whether a column of pandas holds numbers."""
    types, dtype = sys.modules["pandas"].api.types, column.dtype
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return types.infer_dtype(column, skipna=True) in NUMBERS
    nullable = types.is_bool_dtype(dtype) and not isinstance(dtype, np.dtype)
    return types.is_numeric_dtype(dtype) and not nullable


def check_container(X: Any, container: str) -> None:
    """Raise ValueError if `set_output` asks for a frame of another library than that of X."""
    library = _library(X)
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
