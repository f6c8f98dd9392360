"""One member of the ensemble: a small VAE, and the rows with which it compares others."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .. import typing
from ..errors import DivergenceError
from ..vae import VAE

REFERENCES = 256  # largest number of reference rows, which are also at most half of the rows
SHARE, NEAREST = 0.05, 5  # neighbour to compare with: 5 % of the references, at least the 5th
RESIDUAL = 0.5  # weight of the residual relative to the reconstruction
STEPS, BATCH = 300, 64  # steps of training, and rows of one step
HIDDEN = 32  # units of the hidden layer
WITH_CATEGORIES = 2  # this many times the steps and units if some columns are categories
NET: dict[str, Any] = {
    "df": 4.0,
    "learning_rate": 3e-3,
    "missing": "mask",
}
DENSITY: Final = "student_t"  # likelihood of numbers
CATEGORIES = "categorical"  # likelihood of one-hot columns
FILLS = 3  # how often missing values are replaced by their reconstructions
MIDDLE = 0.4, 0.6  # ranks, as shares, between which rows are usual
CHUNK = 2048  # rows that are compared with the reference rows at once

Costs = NDArray[np.float64]
Likelihood = typing.Likelihood | list[tuple[str, int]]


@dataclass(frozen=True)
class Unit:
    """A unit for numbers: the median and the range from the 10th to the 90th percentile."""

    centre: float
    range: float

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> Unit:
        """Return the unit of these numbers."""
        low, centre, high = np.quantile(numbers, [0.1, 0.5, 0.9])
        return cls(float(centre), float(high - low) or 1.0)

    def __call__(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return (numbers - self.centre) / self.range


@dataclass
class Member:
    """A VAE of some rows and columns.

    Attributes
    ----------
    vae : VAE
        The fitted model.
    columns : ndarray of shape (m,), int64
        Columns that the model sees.
    references : ndarray of shape (r, m), float32
        Reference rows.
    gives_likelihood : bool
        Whether the ELBO of the model is a part of the score.
    usual_squares, usual_costs : ndarray of shape (m,), float64
        What each column contributes to the squared distance and to -log p(x|z) in usual rows. A
        missing value counts as this much.
    distance_unit : float
        Median distance of the rows of the fit.
    cost_unit : Unit
        Unit of -ELBO.
    """

    vae: VAE
    columns: NDArray[np.int64]
    references: NDArray[np.float32]
    gives_likelihood: bool
    usual_squares: Costs
    usual_costs: Costs
    distance_unit: float = 1.0
    cost_unit: Unit = field(default_factory=lambda: Unit(0.0, 1.0))

    def __post_init__(self) -> None:
        kinds, widths = zip(*self.vae.model_.columns, strict=True)
        self._numbers = np.repeat([kind != CATEGORIES for kind in kinds], widths)
        self._points = self._points_of(self.references)
        self._nearest = min(max(NEAREST, math.ceil(SHARE * len(self._points))), len(self._points))

    @classmethod
    def train(
        cls,
        rows: NDArray[np.float32],
        columns: NDArray[np.int64],
        likelihood: Likelihood,
        beta: float,
        gives_likelihood: bool,
        seed: int,
        stop: threading.Event,
    ) -> Member:
        """Return a member trained on these rows; end early once `stop` is set."""
        batch = min(BATCH, len(rows))
        times = 1 if likelihood == DENSITY else WITH_CATEGORIES
        vae = VAE(
            min(2, max(1, len(columns) - 1)),
            (times * HIDDEN,),
            **NET,
            likelihood=likelihood,
            beta=beta,
            batch_size=batch,
            epochs=max(1, round(times * STEPS / math.ceil(len(rows) / batch))),
            random_state=seed,
            n_threads=1,
            verbose=False,
        )
        with contextlib.suppress(DivergenceError):  # the weights of the epoch before will do
            vae.fit(rows, callbacks=[lambda vae, record: stop.is_set()])
        vae.model_.posteriors = None  # nothing is sampled
        references = rows[: max(1, min(REFERENCES, len(rows) // 2))]
        nothing = np.zeros(len(columns))
        member = cls(vae, columns, references, gives_likelihood, nothing, nothing)
        member._learn_usual_parts(rows)
        return member

    def measure(self, Z: NDArray[np.float32]) -> tuple[Costs, Costs | None]:
        """Return the distances of rows, and -ELBO in nats if it is a part of the score."""
        own = self._own(Z)
        squares = [part.sum(axis=1) for part in self._squares(own)]
        distances = np.sqrt(np.concatenate(squares))
        if not self.gives_likelihood:
            return distances, None
        missing: Costs = np.isnan(own) @ self.usual_costs
        return distances, missing - self.vae.score_samples(own)

    def calibrate(self, distances: Costs, costs: Costs | None) -> None:
        """Set the units from what `measure` returned for the rows of the fit."""
        self.distance_unit = float(np.median(distances)) or float(distances.mean()) or 1.0
        if costs is not None:
            self.cost_unit = Unit.of(costs)

    def distance_parts(self, Z: NDArray[np.float32]) -> Costs:
        """Return what each column contributes to the distances, in units, (n, m)."""
        squares = np.concatenate(list(self._squares(self._own(Z))))
        distances = np.sqrt(squares.sum(axis=1, keepdims=True))
        parts: Costs = squares / np.maximum(distances, 1e-12) / self.distance_unit
        return parts

    def cost_parts(self, Z: NDArray[np.float32]) -> Costs:
        """Return what each column contributes to -log p(x|z), in units, (n, m)."""
        own = self._own(Z)
        return np.where(np.isnan(own), self.usual_costs, self._costs(own)) / self.cost_unit.range

    def _learn_usual_parts(self, own: NDArray[np.float32]) -> None:
        known = ~np.isnan(own)
        self.usual_squares = _usual(np.concatenate(list(self._squares(own))), known)
        if self.gives_likelihood:
            self.usual_costs = _usual(self._costs(own), known)

    def _costs(self, own: NDArray[np.float32]) -> Costs:
        """Return what each column contributes to -log p(x|z), in nats; 0 for missing values."""
        model = self.vae.model_
        return model.contributions(model.reader.read_to_score(own)).astype(np.float64)

    def _own(self, Z: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(Z[:, self.columns])

    def _points_of(self, own: NDArray[np.float32]) -> Costs:
        """Return reconstructions and weighted residuals, (n, 2m). Missing values have residual 0.

        Missing numbers are replaced by their reconstructions before a row is encoded. Missing
        categories are not, because the model takes one-hot columns and no probabilities.

        The result is float64, so the nearest reference row of a row does not depend on other rows.
        """
        gaps = np.isnan(own)
        numbers = gaps & self._numbers
        some = numbers.any(axis=1)
        if some.any():
            own, known = own.copy(), own[some]
            for _ in range(FILLS):
                own[some] = np.where(numbers[some], self.vae.reconstruct(own[some]), known)
        decoded = self.vae.reconstruct(own)
        residual = np.where(gaps, 0, own - decoded)
        return np.hstack([decoded, RESIDUAL * residual]).astype(np.float64)

    def _squares(self, own: NDArray[np.float32]) -> Iterator[Costs]:
        """Yield squared differences from the k-th nearest reference row by column, (n, m).

        Each item covers the next 2,048 rows.
        """
        m, k, points = len(self.columns), self._nearest - 1, self._points
        norms = (points**2).sum(axis=1)
        for start in range(0, len(own), CHUNK):
            rows = own[start : start + CHUNK]
            found = self._points_of(rows)
            order = norms - 2 * found @ points.T  # squared distances minus the row's squared norm
            kth = np.partition(order, k, axis=1)[:, k, None]
            neighbours = (order == kth).argmax(axis=1)  # several times faster than argpartition
            squares = (found - points[neighbours]) ** 2
            yield np.where(np.isnan(rows), self.usual_squares, squares[:, :m] + squares[:, m:])


def _usual(parts: Costs, known: NDArray[np.bool_]) -> Costs:
    """Return the mean known contribution of each column in usual rows, or 0 if none is known.

    Usual rows are the middle fifth of the rows by the mean of their known contributions.
    """
    some = known.any(axis=1)
    known, parts = known[some], np.where(known, parts, 0)[some]
    order = np.argsort(parts.sum(axis=1) / known.sum(axis=1))
    low, high = MIDDLE
    usual = order[math.floor(low * len(order)) : math.ceil(high * len(order))]
    means: Costs = parts[usual].sum(axis=0) / np.maximum(known[usual].sum(axis=0), 1)
    return means
