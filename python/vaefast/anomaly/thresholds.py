"""The threshold between usual scores and anomalies, and p-values of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

CUTOFF = 3.5  # robust standard deviations below the median


def automatic_threshold(scores: Scores) -> float:
    """Return a threshold that does not need a known share of anomalies.

    The threshold lies 3.5 robust standard deviations below the median. The robust standard
    deviation is 1.4826 times the median absolute deviation (Iglewicz & Hoaglin 1993) or, if more
    than half of the scores are equal, 1.2533 times the mean absolute deviation.
    """
    centre = np.median(scores)
    deviations = np.abs(scores - centre)
    sd = 1.4826 * np.median(deviations) or 1.2533 * deviations.mean()
    return float(centre - CUTOFF * sd)


def p_values(scores: Scores, others: Scores) -> Scores:
    """Return (1 + number of others that are at most the score) / (1 + number of others).

    These are the conformal p-values of Bates et al. (2023).
    """
    at_most = np.searchsorted(np.sort(others), scores, side="right")
    return (1 + at_most) / (1 + len(others))
