"""Names of the columns of X, where it has any: those of a frame, or of a CSV file's header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

FeatureNames = tuple[str, ...]


def names_of(X: Any) -> FeatureNames | None:
    """The names of a pandas or polars frame's columns; None unless all of them are text."""
    columns = getattr(X, "columns", None)
    if not isinstance(columns, Iterable):
        return None
    names = tuple(columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def check_names(names: FeatureNames | None, expected: FeatureNames | None, name: str = "X") -> None:
    """Raise ValueError if both are known and differ: columns in another order mean other things."""
    if names is None or expected is None or names == expected:
        return
    for what, odd in (
        ("lacks columns of the fit", [n for n in expected if n not in names]),
        ("has columns that the model was not fitted on", [n for n in names if n not in expected]),
    ):
        if odd and len(names) != len(expected):
            raise ValueError(f"{name} {what}: {_listed(tuple(odd))}")
    if len(names) != len(expected):
        return  # names that are there twice; check_features says what is wrong
    i, found, fitted = next(
        (i, a, b) for i, (a, b) in enumerate(zip(names, expected, strict=True)) if a != b
    )
    same = sorted(names) == sorted(expected)
    remedy = "put the columns in that order" if same else "pass the columns of the fit"
    raise ValueError(
        f"column {i} of {name} is {found!r}, but the model was fitted with {fitted!r} there: "
        f"{remedy}, {_listed(expected)}"
    )


def _listed(names: FeatureNames, shown: int = 10) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
