"""Encoding of numbers with awkward distributions as a mode and a score within the mode.

Mode-specific normalization (Xu et al. 2019, section 4.2) writes a number as the mode to which it
belongs and its place within the mode. Here, a mode is either a *spike*, which is a single value
that many rows share, such as a capital gain of 0, or the rest. Within the rest, a number becomes
the normal score of its rank, which turns heavy tails and several humps into one standard normal
distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .series import Array

LEAST_ROWS = 20  # fewest rows from which quantiles are learned
PLACES = 100  # ranks at which quantiles are compared
SPIKE = 0.05  # share of the rows that makes a value a spike
SPIKE_ROWS = 15  # fewest rows of a spike
TALL = 5.0  # fewest rows of a spike, relative to the average value
STRAIGHT = 0.985  # least correlation with normal quantiles; uniform values have 0.977
KNOTS = 500  # most quantiles that are kept


@dataclass(frozen=True)
class Modes:
    """Spikes, and quantiles of all other values.

    Attributes
    ----------
    spikes : tuple of float
        Single values that many rows share, ascending.
    knots : tuple of float
        Quantiles of the other values at evenly spaced ranks, ascending, from the smallest to the
        largest value. There is at least one.
    """

    spikes: tuple[float, ...]
    knots: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, values in (("spikes", self.spikes), ("knots", self.knots)):
            array = np.asarray(values, dtype=np.float64)
            if not np.isfinite(array).all() or (np.diff(array) < 0).any():
                raise ValueError(f"{name} of a column must be finite and ascending")
        if not self.knots:
            raise ValueError("a column needs at least one knot")

    @classmethod
    def learn(cls, values: Array) -> Modes:
        """Return the modes of values, (n,), without missing ones."""
        spikes = _spikes(values)
        rest = values[~np.isin(values, spikes)]
        if not len(rest):  # there is nothing but spikes
            rest = spikes
        knots = np.quantile(rest, np.linspace(0, 1, min(KNOTS, len(rest))))
        return cls(tuple(spikes.tolist()), tuple(knots.tolist()))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Modes:
        """Return the modes that `dataclasses.asdict` described."""
        return cls(tuple(data["spikes"]), tuple(data["knots"]))

    @property
    def width(self) -> int:
        """Number of modes: the spikes, and the rest as the last one."""
        return len(self.spikes) + 1

    def encode(self, values: Array) -> tuple[NDArray[np.intp], Array]:
        """Return the mode of each value, and the normal score within the mode (0 in a spike)."""
        spikes, knots = np.asarray(self.spikes), np.asarray(self.knots)
        mode = np.full(len(values), len(spikes), dtype=np.intp)
        for i, spike in enumerate(spikes):
            mode[values == spike] = i
        first, last = (np.searchsorted(knots, values, side) for side in ("left", "right"))
        below = np.clip(last - 1, 0, len(knots) - 1)
        above = np.clip(first, 0, len(knots) - 1)
        gap = knots[above] - knots[below]
        part = np.where(gap > 0, (values - knots[below]) / np.where(gap > 0, gap, 1), 0.5)
        scores = self._scores
        # The score of a value between two knots lies between their scores. A run of equal knots
        # stands for one value, whose score is that of the middle of the run.
        found = scores[below] + part * (scores[above] - scores[below])
        # Beyond the range, scores grow in proportion to it, so that a distant value does not look
        # usual.
        span = knots[-1] - knots[0]
        if span > 0:
            outside = values - np.clip(values, knots[0], knots[-1])
            found += outside / span * (scores[-1] - scores[0])
        return mode, np.where(mode < len(spikes), 0.0, found)

    def decode(self, mode: NDArray[np.intp], score: Array) -> Array:
        """Return the values of modes and of scores within them."""
        values: Array = np.interp(score, self._scores, self.knots)
        if self.spikes:
            inside = np.minimum(mode, len(self.spikes) - 1)
            values = np.where(mode < len(self.spikes), np.asarray(self.spikes)[inside], values)
        return values

    @property
    def _scores(self) -> Array:
        """Normal score of each knot."""
        n = len(self.knots)
        normal = NormalDist()
        return np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)])


def is_awkward(values: Array) -> bool:
    """Return whether values are far from normally distributed: spikes, skew, tails or humps."""
    if len(values) < LEAST_ROWS:
        return False
    if len(_spikes(values)):
        return True
    places = (np.arange(PLACES) + 0.5) / PLACES
    normal = [NormalDist().inv_cdf(place) for place in places]
    quantiles = np.quantile(values, places)
    spread = np.ptp(quantiles)
    if spread == 0:
        return True
    return bool(np.corrcoef((quantiles - quantiles[0]) / spread, normal)[0, 1] < STRAIGHT)


def _spikes(values: Array) -> Array:
    """Return the values that far more rows share than other values, ascending."""
    different, counts = np.unique(values, return_counts=True)
    least = max(SPIKE * len(values), SPIKE_ROWS, TALL * len(values) / len(different))
    spikes: Array = different[counts >= least]
    return spikes
