"""AnnData objects, the tables of single-cell biology: counts, and annotations of each cell.

anndata is not imported here, because an AnnData object can only exist if anndata is loaded.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard


def is_anndata(X: object) -> TypeGuard[Any]:
    """Return whether X is an AnnData object."""
    anndata = sys.modules.get("anndata")
    return anndata is not None and isinstance(X, anndata.AnnData)


def condition_of(X: Any, y: Any) -> Any:
    """Return y, or the column of X.obs that it names if X is an AnnData object and y a str.

    Raises
    ------
    ValueError
        X.obs has no column of that name.
    """
    if not isinstance(y, str) or not is_anndata(X):
        return y
    if y not in X.obs:
        found = ", ".join(map(repr, X.obs.columns)) or "no columns"
        raise ValueError(
            f"y={y!r} names no column of obs, which has {found}. To pass labels, use an array"
        )
    return X.obs[y]
