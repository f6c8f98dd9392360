"""The choice of an encoding for a column from its values."""

from __future__ import annotations

import numpy as np

from .modes import is_awkward
from .series import Array, Series

MAX_CATEGORIES = 1000
RARE = 10  # rows below which a value of a text column counts as rare

# Text cells are names or remarks if they have more than MANY different values, and at least half of
# the cells differ. If all cells differ, more than FEW values suffice. Whole numbers that count the
# rows must also be more than FEW.
MANY, FEW = 50, 10

# Numbers become ordered categories if each value has ROWS_EACH rows on average, and if there are at
# most LADDER values, or at most LONG_LADDER values with an awkward distribution.
ROWS_EACH, LADDER, LONG_LADDER = 50, 50, 200
SHORT_ROWS_EACH, SHORT_LADDER = 10, 10  # few values need fewer rows


def choose(series: Series) -> str:
    """Return the encoding that fits the values of a column best.

    Parameters
    ----------
    series : Series
        Values of the column, of which at least one is known.
    """
    kind = series.dtype.kind
    known = series.values[~series.missing]
    if kind == "category":
        return "identifier" if series.categories is None and is_name(known) else "categorical"
    if kind == "boolean":
        return "bernoulli"
    if kind == "integer" and counts_rows(series):
        return "identifier"
    if not np.isfinite(known).all():
        return "gaussian"  # whose encoder refuses infinite numbers
    different = len(np.unique(known))
    awkward = different > 1 and is_awkward(known)
    most = min(len(known) / ROWS_EACH, LONG_LADDER if awkward else LADDER)
    most = max(most, min(len(known) / SHORT_ROWS_EACH, SHORT_LADDER))
    if kind in ("integer", "number") and 1 < different <= most:
        return "ordinal"
    return "modes" if awkward else "gaussian"


def counts_rows(series: Series) -> bool:
    """Return whether whole numbers count the rows, up or down, in steps of 1."""
    if series.missing.any() or len(series.values) <= FEW:
        return False
    steps = np.unique(np.diff(series.values))
    return len(steps) == 1 and abs(steps[0]) == 1


def is_name(known: Array) -> bool:
    """Return whether text names the rows or consists of remarks: hardly any value occurs twice."""
    texts, counts = np.unique(known.astype(str), return_counts=True)
    if len(texts) == len(known):
        return len(texts) > FEW
    # Values that many rows share are categories, whatever the other values are.
    return len(texts) > MANY and 2 * len(texts) >= len(known) and counts.max() < RARE
