"""The scores of an ensemble of small VAEs: how far a row lies from others, and how likely it is.

docs/internals/anomalies.md explains each part, its source and how much it contributes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.feature_names import names_of
from .._input.validation import empty_columns, warn_of_empty_columns
from ..ensembles import run_side_by_side
from ..tables.frames import is_mixed
from .member import CATEGORIES, DENSITY, Costs, Likelihood, Member, Unit
from .mixed import Encoding
from .scaling import Scaling, read_values

MEMBERS = 24
MANY_COLUMNS = 100  # columns above which the ensemble has half as many members
BETAS = (0.3, 1.0, 30.0)  # weights of the KL, in turn
POOL = 10_000  # largest number of rows that members and units are learned from
ROWS, COLUMNS = 1024, 256  # largest numbers of one member
TURNS = 4  # members leave out a quarter of the rows in turn, so each row is new to some

# The likelihood comes from the members with the last beta, or from all others if the rows have
# categories. The weights are relative to the distance.
LIKELIHOOD, LIKELIHOOD_OF_CATEGORIES = 0.5, 1.0


@dataclass
class Ensemble:
    """A fitted ensemble.

    Attributes
    ----------
    scaling : Scaling
        Layout and scaling of the rows.
    members : list of Member
        The VAEs with their reference rows.
    distance, likelihood : Unit
        Units of the two views of a row, learned from the rows of the fit.
    encoding : Encoding or None, default=None
        Conversion of frames of mixed columns to numbers.
    """

    scaling: Scaling
    members: list[Member]
    distance: Unit
    likelihood: Unit
    encoding: Encoding | None = None

    @classmethod
    def fit(
        cls, X: ArrayLike, seed: int, n_threads: int | None
    ) -> tuple[Ensemble, NDArray[np.float64], NDArray[np.float64]]:
        """Return an ensemble fitted on X, the scores of X, and the scores of X as new rows.

        The last result covers up to 10,000 rows of X, each scored by the members that were not
        trained on it.
        """
        encoding = Encoding.learn(X) if is_mixed(X) else None
        values, matrix, shape = read_values(X if encoding is None else encoding.encode(X))
        if len(values) < 2:
            raise ValueError(
                "X has 1 sample (row), expected at least 2: a single row can't be unusual"
            )
        names = None
        if encoding is None:
            names = names_of(X)
            warn_of_empty_columns(empty_columns(matrix), names)
        rng = np.random.default_rng(seed)
        pool = values if len(values) <= POOL else values[rng.permutation(len(values))[:POOL]]
        widths = np.ones(values.shape[1], np.int64) if encoding is None else encoding.widths
        scaling = Scaling.learn(pool, shape, names, np.repeat(widths > 1, widths))
        Z = scaling.scaled(pool)
        members, new = _train(Z, widths, rng, n_threads)
        measured = _measure(members, Z, n_threads)
        for member, (distances, costs) in zip(members, measured, strict=True):
            member.calibrate(distances, costs)
        distance, likelihood = _views(members, measured)
        ensemble = cls(scaling, members, Unit.of(distance), Unit.of(likelihood), encoding)
        as_new = ensemble._combined(*_views(members, measured, where=new))
        if pool is values:
            scores = ensemble._combined(distance, likelihood)
        else:
            scores = ensemble._score(scaling.scaled(values), n_threads)
        return ensemble, scores, as_new[np.isfinite(as_new)]

    @property
    def n_features_in_(self) -> int:
        """Number of features of one row."""
        return self.scaling.features if self.encoding is None else len(self.encoding.columns)

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the frame that the ensemble was fitted on."""
        names = self.scaling.names if self.encoding is None else self.encoding.names
        if names is None:
            raise AttributeError("feature_names_in_: the columns of the fit had no names")
        return np.array(names, dtype=object)

    def score(self, X: ArrayLike, n_threads: int | None) -> NDArray[np.float64]:
        """Return the score of each row: about 0 for a usual row, lower for more abnormal rows."""
        return self._score(self._read(X), n_threads)

    def contributions(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the contribution of each feature to the score before centring, without the KL."""
        Z = self._read(X)
        total = np.zeros(Z.shape)
        likely = sum(member.gives_likelihood for member in self.members)
        for member in self.members:
            parts = member.distance_parts(Z) / self.distance.range / len(self.members)
            if member.gives_likelihood:
                parts += self._weight * member.cost_parts(Z) / self.likelihood.range / likely
            total[:, member.columns] += parts
        if self.encoding is not None:
            return self.encoding.by_column(total).astype(np.float32)
        return total.astype(np.float32).reshape(len(Z), *self.scaling.shape)

    @property
    def _weight(self) -> float:
        """Weight of the likelihood relative to the distance."""
        if self.encoding is None or not _has_categories(self.encoding.widths):
            return LIKELIHOOD
        return LIKELIHOOD_OF_CATEGORIES

    def _read(self, X: ArrayLike) -> NDArray[np.float32]:
        return self.scaling.read(X if self.encoding is None else self.encoding.encode(X))

    def _score(self, Z: NDArray[np.float32], n_threads: int | None) -> NDArray[np.float64]:
        return self._combined(*_views(self.members, _measure(self.members, Z, n_threads)))

    def _combined(self, distance: Costs, likelihood: Costs) -> NDArray[np.float64]:
        return -(self.distance(distance) + self._weight * self.likelihood(likelihood))


def _train(
    Z: NDArray[np.float32],
    widths: NDArray[np.int64],
    rng: np.random.Generator,
    n_threads: int | None,
) -> tuple[list[Member], NDArray[np.bool_]]:
    """Return members, each trained on random rows and columns, and whether a row is new to them.

    `widths` are the numbers of columns of Z that belong together, from left to right.
    """
    n, d = Z.shape
    count = MEMBERS if d <= MANY_COLUMNS else MEMBERS // 2
    new = np.ones((count, n), bool)
    tasks = []
    for i in range(count):
        turn, kind = divmod(i, len(BETAS))
        if turn % TURNS == kind == 0:
            parts = np.arange(n) % TURNS
            rng.shuffle(parts)
        rows = rng.permutation(np.flatnonzero(parts != turn % TURNS))[:ROWS]
        new[i, rows] = False
        drawn = _draw(widths, rng)
        columns = np.flatnonzero(np.repeat(drawn, widths))
        own = np.ascontiguousarray(Z[np.ix_(rows, columns)])
        seed = int(rng.integers(2**31))
        beta = BETAS[kind]
        likely = (beta == BETAS[-1]) != _has_categories(widths)
        task = partial(Member.train, own, columns, _likelihood(widths[drawn]), beta, likely, seed)
        tasks.append(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # members with a large beta collapse
        return run_side_by_side(tasks, n_threads), new


def _draw(widths: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which columns a member sees: random ones, of at most 256 numbers in total."""
    order = rng.permutation(len(widths))
    drawn = np.zeros(len(widths), bool)
    drawn[order[np.cumsum(widths[order]) <= COLUMNS]] = True
    return drawn


def _has_categories(widths: NDArray[np.int64]) -> bool:
    return bool((widths > 1).any())


def _likelihood(widths: NDArray[np.int64]) -> Likelihood:
    if not _has_categories(widths):
        return DENSITY
    return [(CATEGORIES if width > 1 else DENSITY, width) for width in widths.tolist()]


def _measure(
    members: Sequence[Member], Z: NDArray[np.float32], n_threads: int | None
) -> list[tuple[Costs, Costs | None]]:
    return run_side_by_side([partial(_measured, member, Z) for member in members], n_threads)


def _measured(member: Member, Z: NDArray[np.float32], stop: object) -> tuple[Costs, Costs | None]:
    return member.measure(Z)


def _views(
    members: Sequence[Member],
    measured: Sequence[tuple[Costs, Costs | None]],
    where: NDArray[np.bool_] | None = None,
) -> tuple[Costs, Costs]:
    """Return the mean distance and the mean -ELBO of rows, in the units of each member.

    With `where`, (members, rows), the means of a row are over the members where it is True, and NaN
    if there are none.
    """
    every = np.ones((len(members), len(measured[0][0])), bool) if where is None else where
    distances, costs = [], []
    for member, (found, nats), counted in zip(members, measured, every, strict=True):
        distances.append((found / member.distance_unit, counted))
        if nats is not None:
            costs.append((member.cost_unit(nats), counted))
    return _mean(distances), _mean(costs)


def _mean(views: Sequence[tuple[Costs, NDArray[np.bool_]]]) -> Costs:
    """Return the mean. The order in which np.mean adds would depend on the number of rows."""
    total, count = np.zeros((2, len(views[0][0])))
    for view, counted in views:
        total += np.where(counted, view, 0)
        count += counted
    with np.errstate(invalid="ignore"):
        return total / count
