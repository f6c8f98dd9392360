"""Names of the columns of X, from a frame, an AnnData object or the header of a CSV file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from .annotated import is_anndata

FeatureNames = tuple[str, ...]


def names_of(X: Any) -> FeatureNames | None:
    """Return the column names of a frame or an AnnData object, or None unless all are strings."""
    arrow = sys.modules.get("pyarrow")
    if is_anndata(X):
        columns = X.var_names
    elif arrow and isinstance(X, arrow.Table | arrow.RecordBatch):
        columns = X.schema.names
    else:
        columns = getattr(X, "columns", None)
    if not isinstance(columns, Iterable):
        return None
    return strings_only(columns)


def strings_only(names: Iterable[Any]) -> FeatureNames | None:
    """Return the names of columns, or None unless all are strings."""
    found = tuple(names)
    return found if found and all(isinstance(name, str) for name in found) else None


def check_names(names: FeatureNames | None, expected: FeatureNames | None, name: str = "X") -> None:
    """Raise ValueError if the names of the columns differ from those of the fit.

    Parameters
    ----------
    names : tuple of str or None
        Names of the columns. None, for columns without names, passes.
    expected : tuple of str or None
        Names of the columns of the fit, in order. None passes, too.
    name : str, default="X"
        Name of the rows in error messages.
    """
    if names is None or expected is None or names == expected:
        return
    for what, odd in (
        ("lacks columns of the fit", [n for n in expected if n not in names]),
        ("has columns that the model was not fitted on", [n for n in names if n not in expected]),
    ):
        if odd and len(names) != len(expected):
            raise ValueError(f"{name} {what}: {_listed(tuple(odd))}")
    if len(names) != len(expected):
        return  # some names are repeated; check_features reports the problem
    i, found, fitted = next(
        (i, a, b) for i, (a, b) in enumerate(zip(names, expected, strict=True)) if a != b
    )
    same = sorted(names) == sorted(expected)
    remedy = "put the columns in the order" if same else "pass the columns of the fit:"
    raise ValueError(
        f"column {i} of {name} is {found!r}, but the model was fitted with {fitted!r} there: "
        f"{remedy} {_listed(expected)}"
    )


def _listed(names: FeatureNames, shown: int = 10) -> str:
    """Return the first names as text."""
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
