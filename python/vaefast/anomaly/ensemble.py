"""The scores of an ensemble of small VAEs: how far a row lies from others, and how likely it is.

docs/internals/anomalies.md explains each part, its source and how much it brings.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.container import Part
from .._input.feature_names import names_of
from .._input.validation import check_integer, warn_of_empty_columns
from ..ensembles import run_side_by_side
from ..vae import from_bytes
from .member import Costs, Member, Unit
from .scaling import Scaling, read_values

MEMBERS = 24
MANY_COLUMNS = 100  # above it, half as many members
BETAS = (0.3, 1.0, 30.0)  # weights of the KL, in turn; the members of the last give the likelihood
POOL = 10_000  # rows, at most, that members are trained on and units learned from
ROWS, COLUMNS = 1024, 256  # of one member, at most
LIKELIHOOD = 0.5  # weight of the likelihood beside the distance


@dataclass
class Ensemble:
    """A fitted ensemble.

    Attributes
    ----------
    scaling : Scaling
        How rows are read.
    members : list of Member
        The VAEs with their reference rows.
    distance, likelihood : Unit
        Units of the two views of a row, in the rows of the fit.
    """

    scaling: Scaling
    members: list[Member]
    distance: Unit
    likelihood: Unit

    @classmethod
    def fit(
        cls, X: ArrayLike, seed: int, n_threads: int | None
    ) -> tuple[Ensemble, NDArray[np.float64]]:
        """Return an ensemble fitted on X, and the scores of X."""
        values, matrix, shape = read_values(X)
        if len(values) < 2:
            raise ValueError(
                "X has 1 sample (row), expected at least 2: without another row none is unusual"
            )
        names = names_of(X)
        warn_of_empty_columns(matrix, names)
        rng = np.random.default_rng(seed)
        pool = values if len(values) <= POOL else values[rng.permutation(len(values))[:POOL]]
        scaling = Scaling.learn(pool, shape, names)
        Z = scaling.scaled(pool)
        members = _train(Z, rng, n_threads)
        measured = _measure(members, Z, n_threads)
        for member, (distances, costs) in zip(members, measured, strict=True):
            member.calibrate(distances, costs)
        distance, likelihood = _views(members, measured)
        ensemble = cls(scaling, members, Unit.of(distance), Unit.of(likelihood))
        if pool is values:
            return ensemble, ensemble._combined(distance, likelihood)
        return ensemble, ensemble._score(scaling.scaled(values), n_threads)

    @property
    def n_features_in_(self) -> int:
        """Number of features of one row."""
        return self.scaling.features

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the frame that the ensemble was fitted on."""
        if self.scaling.names is None:
            raise AttributeError("feature_names_in_: the columns of the fit had no names")
        return np.array(self.scaling.names, dtype=object)

    def score(self, X: ArrayLike, n_threads: int | None) -> NDArray[np.float64]:
        """Return the score of each row: 0 for a usual row, lower for more abnormal ones."""
        return self._score(self.scaling.read(X), n_threads)

    def contributions(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the part of each feature in the score, before it is centred and without the KL."""
        Z = self.scaling.read(X)
        total = np.zeros(Z.shape)
        likely = sum(member.gives_likelihood for member in self.members)
        for member in self.members:
            parts = member.distance_parts(Z) / self.distance.range / len(self.members)
            if member.gives_likelihood:
                parts += LIKELIHOOD * member.cost_parts(Z) / self.likelihood.range / likely
            total[:, member.columns] += parts
        return total.astype(np.float32).reshape(len(Z), *self.scaling.shape)

    def _score(self, Z: NDArray[np.float32], n_threads: int | None) -> NDArray[np.float64]:
        return self._combined(*_views(self.members, _measure(self.members, Z, n_threads)))

    def _combined(self, distance: Costs, likelihood: Costs) -> NDArray[np.float64]:
        return -(self.distance(distance) + LIKELIHOOD * self.likelihood(likelihood))

    # ---------------------------------------------------------------- files

    def to_part(self) -> Part:
        """Return the ensemble as a part of a file. The model of each member is a file within it."""
        tensors: dict[str, NDArray[np.generic]] = {
            "centre": self.scaling.centre,
            "scale": self.scaling.scale,
        }
        for i, member in enumerate(self.members):
            tensors[f"{i}/model"] = np.frombuffer(member.vae.to_bytes(), np.uint8)
            tensors[f"{i}/columns"] = member.columns
            tensors[f"{i}/references"] = member.references
        names = self.scaling.names
        fields = {
            "feature_shape": list(self.scaling.shape),
            "feature_names": None if names is None else list(names),
            "distance": _plain(self.distance),
            "likelihood": _plain(self.likelihood),
            "members": [
                {
                    "gives_likelihood": member.gives_likelihood,
                    "distance_unit": member.distance_unit,
                    "cost_unit": _plain(member.cost_unit),
                }
                for member in self.members
            ],
        }
        return Part(1, fields, tensors)

    @classmethod
    def from_part(cls, part: Part) -> Ensemble:
        """Return the ensemble that `to_part` described.

        Raises
        ------
        KeyError, TypeError, ValueError
            The part is not that of an ensemble.
        """
        fields, tensors = part.fields, part.tensors
        shape = tuple(check_integer(size, "feature_shape") for size in fields["feature_shape"])
        names = fields["feature_names"]
        scaling = Scaling(
            shape, None if names is None else tuple(names), tensors["centre"], tensors["scale"]
        )
        for array in (scaling.centre, scaling.scale):
            if array.shape != (scaling.features,) or not np.isfinite(array).all():
                raise ValueError(f"centre and scale must be {scaling.features} finite numbers each")
        members = [
            Member(
                from_bytes(tensors[f"{i}/model"].tobytes()),
                tensors[f"{i}/columns"],
                tensors[f"{i}/references"],
                bool(member["gives_likelihood"]),
                float(member["distance_unit"]),
                Unit(*map(float, member["cost_unit"])),
            )
            for i, member in enumerate(fields["members"])
        ]
        views = (Unit(*map(float, fields[name])) for name in ("distance", "likelihood"))
        return cls(scaling, members, *views)


def _train(Z: NDArray[np.float32], rng: np.random.Generator, n_threads: int | None) -> list[Member]:
    """Return members, each trained on random rows and columns."""
    n, d = Z.shape
    tasks = []
    for i in range(MEMBERS if d <= MANY_COLUMNS else MEMBERS // 2):
        beta = BETAS[i % len(BETAS)]
        rows = rng.permutation(n)[:ROWS]
        columns = np.sort(rng.permutation(d)[:COLUMNS])
        own = np.ascontiguousarray(Z[np.ix_(rows, columns)])
        seed = int(rng.integers(2**31))
        tasks.append(partial(Member.train, own, columns, beta, beta == BETAS[-1], seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # codes of members with a large beta collapse
        return run_side_by_side(tasks, n_threads)


def _measure(
    members: Sequence[Member], Z: NDArray[np.float32], n_threads: int | None
) -> list[tuple[Costs, Costs | None]]:
    return run_side_by_side([partial(_measured, member, Z) for member in members], n_threads)


def _measured(member: Member, Z: NDArray[np.float32], stop: object) -> tuple[Costs, Costs | None]:
    return member.measure(Z)


def _views(
    members: Sequence[Member], measured: Sequence[tuple[Costs, Costs | None]]
) -> tuple[Costs, Costs]:
    """Return the mean distance and the mean -ELBO of rows, in the units of each member."""
    both = list(zip(members, measured, strict=True))
    distances = [distances / member.distance_unit for member, (distances, _) in both]
    costs = [member.cost_unit(costs) for member, (_, costs) in both if costs is not None]
    return _mean(distances), _mean(costs)


def _mean(views: Sequence[Costs]) -> Costs:
    """Return the mean. The order in which np.mean adds would depend on the number of rows."""
    total = np.zeros_like(views[0])
    for view in views:
        total += view
    return total / len(views)


def _plain(unit: Unit) -> list[float]:
    return [unit.centre, unit.range]
