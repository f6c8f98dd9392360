"""The choice of an encoding for a column, by its values."""

from __future__ import annotations

import numpy as np

from .modes import is_awkward
from .series import Array, Series

MAX_CATEGORIES = 1000
RARE = 10  # rows below which a value of a text with too many values counts as rare

# Texts are names or remarks if more than MANY differ, and at least half of the cells. If all cells
# differ, it takes only FEW. A column of whole numbers that counts the rows needs more than FEW.
MANY, FEW = 50, 10

# Numbers become ordered categories if a value has ROWS_EACH rows on average, and if there are at
# most LADDER values, or at most LONG_LADDER of an awkward distribution.
ROWS_EACH, LADDER, LONG_LADDER = 50, 50, 200
SHORT_ROWS_EACH, SHORT_LADDER = 10, 10  # fewer rows will do for few values


def choose(series: Series) -> str:
    """Return the encoding that fits the values of a column best.

    Parameters
    ----------
    series : Series
        Values of the column, at least one of them known.
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
        return "gaussian"  # which refuses them
    different = len(np.unique(known))
    awkward = different > 1 and is_awkward(known)
    most = min(len(known) / ROWS_EACH, LONG_LADDER if awkward else LADDER)
    most = max(most, min(len(known) / SHORT_ROWS_EACH, SHORT_LADDER))
    if kind in ("integer", "number") and 1 < different <= most:
        return "ordinal"
    return "modes" if awkward else "gaussian"


def counts_rows(series: Series) -> bool:
    """Return whether whole numbers count the rows, up or down, without a gap."""
    if series.missing.any() or len(series.values) <= FEW:
        return False
    steps = np.unique(np.diff(series.values))
    return len(steps) == 1 and abs(steps[0]) == 1


def is_name(known: Array) -> bool:
    """Return whether texts name the rows, or are remarks: hardly any value comes twice."""
    texts, counts = np.unique(known.astype(str), return_counts=True)
    if len(texts) == len(known):
        return len(texts) > FEW
    # Values that many rows share are categories, whatever the rest is.
    return len(texts) > MANY and 2 * len(texts) >= len(known) and counts.max() < RARE
