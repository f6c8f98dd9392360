"""AnnData objects, the tables of single-cell biology: the counts, and what is known of each cell.

anndata is not imported here: an object of it shows that it is loaded.
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
            f"y={y!r} names no column of obs, which has {found}. Labels are passed as an array"
        )
    return X.obs[y]
