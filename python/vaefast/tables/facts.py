"""Facts about the values of a column: decimals, time units and categories."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from .choices import MAX_CATEGORIES, RARE
from .series import Array, Dtype, Name, Scalar, Series

DECIMALS = 6  # most decimals that are looked for


def step_of(kind: str, seconds: Array) -> float:
    """Return the longest of day, hour, minute and second that divides all values, or 0."""
    if kind not in ("date", "instant", "duration"):
        return 0.0
    return next((s for s in (86400.0, 3600.0, 60.0, 1.0) if not (seconds % s).any()), 0.0)


def decimals_of(dtype: Dtype, values: Array) -> int | None:
    """Return the smallest number of decimals that represents all floats, or None if none does."""
    if dtype.kind != "number":
        return None
    bits = next((bits for bits in (16, 32) if dtype.name.endswith(str(bits))), 64)
    close = 2 * np.finfo(f"float{bits}").eps * np.abs(values)
    return next(
        (d for d in range(DECIMALS + 1) if (np.abs(np.round(values, d) - values) <= close).all()),
        None,
    )


def check_finite(name: Name, series: Series) -> None:
    if series.dtype.kind != "category" and np.isinf(series.values).any():
        row = int(np.isinf(series.values).argmax())
        raise ValueError(
            f"column {name!r}, row {row}: expected a finite number, got {series.values[row]} "
            "(infinite, or beyond 1.8e308); mark missing values with NaN"
        )


def categories_of(
    series: Series, there: Array, merge: bool
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...], tuple[int, ...]]:
    """Return the categories, and the rare values with their counts if there are too many.

    The categories are those that the dtype declares. If it declares none, they are the values that
    occur, sorted.
    """
    convert = {"integer": int, "boolean": bool}.get(series.dtype.kind, lambda value: value)
    found = series.categories or sorted(set(there.tolist()))
    others: list[Any] = []
    counts = Counter(there.tolist())
    if merge and len(found) > MAX_CATEGORIES:
        frequent = counts.most_common(MAX_CATEGORIES - 1)
        kept = {value for value, n in frequent if n >= RARE} or {value for value, _ in frequent}
        others = [value for value in found if value not in kept and counts[value]]
        found = [value for value in found if value in kept]
    return (
        tuple(map(convert, found)),
        tuple(map(convert, others)),
        tuple(counts[value] for value in others),
    )
