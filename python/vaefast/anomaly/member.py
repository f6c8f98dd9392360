"""One member of the ensemble: a small VAE, and the rows that it compares others with."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DivergenceError
from ..vae import VAE

REFERENCES = 256  # reference rows, at most; half of the rows of the fit, at most
SHARE, NEAREST = 0.05, 5  # the neighbour at this share of the reference rows, or at least this one
RESIDUAL = 0.5  # weight of the residual beside the reconstruction
STEPS, BATCH = 300, 64  # steps of training, and rows of one step
NET: dict[str, Any] = {
    "hidden_layer_sizes": (32,),
    "likelihood": "student_t",
    "df": 4.0,
    "learning_rate": 3e-3,
    "missing": "mask",
}
CHUNK = 2048  # rows that are compared with the reference rows at once

Costs = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """The median and the 10..90 % range of some numbers, in which others are measured."""

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
    distance_unit : float
        Median distance of the rows of the fit.
    cost_unit : Unit
        Unit of -ELBO.
    """

    vae: VAE
    columns: NDArray[np.int64]
    references: NDArray[np.float32]
    gives_likelihood: bool
    distance_unit: float = 1.0
    cost_unit: Unit = field(default_factory=lambda: Unit(0.0, 1.0))

    def __post_init__(self) -> None:
        self._points = self._points_of(self.references)
        self._nearest = min(max(NEAREST, math.ceil(SHARE * len(self._points))), len(self._points))

    @classmethod
    def train(
        cls,
        rows: NDArray[np.float32],
        columns: NDArray[np.int64],
        beta: float,
        gives_likelihood: bool,
        seed: int,
        stop: threading.Event,
    ) -> Member:
        """Return a member trained on these rows; end early once `stop` is set."""
        batch = min(BATCH, len(rows))
        vae = VAE(
            min(2, max(1, len(columns) - 1)),
            **NET,
            beta=beta,
            batch_size=batch,
            epochs=max(1, round(STEPS / math.ceil(len(rows) / batch))),
            random_state=seed,
            n_threads=1,
            verbose=False,
        )
        with contextlib.suppress(DivergenceError):  # the weights of the epoch before serve
            vae.fit(rows, callbacks=[lambda vae, record: stop.is_set()])
        vae.model_.posteriors = None  # nothing is sampled
        references = rows[: max(1, min(REFERENCES, len(rows) // 2))]
        return cls(vae, columns, references, gives_likelihood)

    def measure(self, Z: NDArray[np.float32]) -> tuple[Costs, Costs | None]:
        """Return the distances of rows, and -ELBO in nats if it is a part of the score."""
        distances = np.empty(len(Z))
        for rows, squares in self._squares(Z):
            distances[rows] = np.sqrt(squares.sum(axis=1))
        if not self.gives_likelihood:
            return distances, None
        return distances, -self.vae.score_samples(self._own(Z))

    def calibrate(self, distances: Costs, costs: Costs | None) -> None:
        """Set the units by what `measure` found for the rows of the fit."""
        self.distance_unit = float(np.median(distances)) or float(distances.mean()) or 1.0
        if costs is not None:
            self.cost_unit = Unit.of(costs)

    def distance_parts(self, Z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the parts of the columns in the distances, in units, of shape (n, m)."""
        parts = np.empty((len(Z), len(self.columns)))
        for rows, squares in self._squares(Z):
            distances = np.sqrt(squares.sum(axis=1, keepdims=True))
            parts[rows] = squares / np.maximum(distances, 1e-12) / self.distance_unit
        return parts

    def cost_parts(self, Z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the parts of the columns in -log p(x|z), in units, of shape (n, m)."""
        model = self.vae.model_
        nats = model.contributions(model.reader.read_to_score(self._own(Z)))
        return nats.astype(np.float64) / self.cost_unit.range

    def _own(self, Z: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(Z[:, self.columns])

    def _points_of(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return reconstruction and weighed residual, (n, 2m); that of a missing value is 0.

        In float64, the nearest reference row of a row does not depend on the rows beside it.
        """
        decoded = self.vae.reconstruct(rows)
        return np.hstack([decoded, RESIDUAL * np.nan_to_num(rows - decoded)]).astype(np.float64)

    def _squares(self, Z: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield some rows, and their squared differences from the k-th nearest reference row."""
        m, k, points = len(self.columns), self._nearest - 1, self._points
        norms = (points**2).sum(axis=1)
        for start in range(0, len(Z), CHUNK):
            rows = slice(start, start + CHUNK)
            found = self._points_of(self._own(Z[rows]))
            order = norms - 2 * found @ points.T  # squared distances, less the norm of the row
            kth = np.partition(order, k, axis=1)[:, k, None]
            neighbours = (order == kth).argmax(axis=1)  # several times faster than argpartition
            squares = (found - points[neighbours]) ** 2
            yield rows, squares[:, :m] + squares[:, m:]
