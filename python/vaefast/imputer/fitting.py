"""Training of the imputer's models: normal distributions and VAEs of a table, and their weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._engine.automatic import Choice, choose_without_watching
from .._input.normal_scores import NormalScores
from ..ensembles import fit_all, run_side_by_side
from ..tables import Table
from ..vae import VAE
from .blend import Blend, GaussianMember, Member, VAEMember
from .gaussian import Gaussian
from .reading import parameters_of

Floats = NDArray[np.float64]

MANY_VALUES = 20_000  # values of a table that get a wide network and the whole budget
LEAST_BUDGET = 0.4  # smallest share of the budget that a table gets
HIDDEN_SHARE, LEAST_HIDDEN, MOST_HIDDEN = 20, 50, 2_000  # known values that no model sees
FEW_VALUES = 500  # known values below which none are hidden
CAUTION = 30  # hidden values that count as much as the prior of equal weights
MOST_COLUMNS = 200  # beyond these, a normal distribution takes longer than a VAE


@dataclass(frozen=True, eq=False)
class Trial:
    """A table from which some known values are hidden.

    Attributes
    ----------
    rest : ndarray of shape (n, d), float64
        The table, with NaN for missing and for hidden values.
    places : tuple of two ndarrays
        Row and column of each hidden value.
    truth, low, high, scale : ndarray of float64
        The hidden values, and the range and the standard deviation of the column of each one.
    """

    rest: Floats
    places: tuple[NDArray[np.intp], NDArray[np.intp]]
    truth: Floats
    low: Floats
    high: Floats
    scale: Floats

    @classmethod
    def draw(cls, values: Floats, seed: int) -> Trial:
        """Hide some known values of the columns that vary, but never all values of a column."""
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        known = np.argwhere(~np.isnan(values) & (low < high))
        count = 0
        if len(known) >= FEW_VALUES:
            count = min(MOST_HIDDEN, max(LEAST_HIDDEN, len(known) // HIDDEN_SHARE))
        rows, columns = np.random.default_rng(seed).choice(known, count, replace=False).T
        left = (~np.isnan(values)).sum(axis=0) - np.bincount(columns, minlength=values.shape[1])
        places = rows[left[columns] > 0], columns[left[columns] > 0]
        rest = values.copy()
        rest[places] = np.nan
        scale = np.nanstd(values, axis=0)
        columns = places[1]
        return cls(rest, places, values[places], low[columns], high[columns], scale[columns])

    def errors(self, member: Member) -> Floats:
        """Return the errors of a model at the hidden values, in standard deviations."""
        rows, within = np.unique(self.places[0], return_inverse=True)
        if not len(rows):
            return np.empty(0)
        found: Floats = member.means(self.rest[rows])[within.ravel(), self.places[1]]
        return (found.clip(self.low, self.high) - self.truth) / self.scale


def choose_for(vae: VAE | None, table: Table | None, values: NDArray[Any]) -> Choice:
    """Return the parameters of the VAEs of these rows, which a table of mixed columns encoded."""
    choice = choose_without_watching(parameters_of(vae, table), *values.shape)
    if vae is not None:
        return choice
    size = values.size if table is None else len(values) * len(table.sources)
    return replace(choice, params=choice.params | budget(size, choice.params["epochs"]))


def budget(size: int, epochs: int) -> dict[str, Any]:
    """Return the width and the epochs of the VAEs of a table of `size` values.

    A small table is learned quickly, and the normal distributions capture most of it. Its VAEs
    therefore take only a share of the `epochs` of the whole budget.
    """
    share = min(1, max(LEAST_BUDGET, size / MANY_VALUES))
    return {
        "hidden_layer_sizes": (512 if share == 1 else 256,),
        "epochs": max(1, round(share * epochs)),
    }


def fit_vaes(
    tables: Sequence[NDArray[Any]], params: Mapping[str, Any], seed: int, n_threads: int | None
) -> list[VAE]:
    """Return a VAE for each of several tables, trained side by side with consecutive seeds."""

    def task(table: NDArray[Any], k: int) -> Callable[[threading.Event], VAE]:
        vae = VAE(**{**deepcopy(dict(params)), "random_state": (seed + k) % 2**64})

        def run(stop: threading.Event) -> VAE:
            ends = [lambda vae, record: stop.is_set()]
            (fitted,) = fit_all([vae], table, n_threads=1, callbacks=ends)
            return fitted

        return run

    return run_side_by_side([task(table, k) for k, table in enumerate(tables)], n_threads)


def fit_blend(
    values: Floats,
    params: Mapping[str, Any],
    n_models: int,
    n_samples: int,
    seed: int,
    n_threads: int | None,
) -> Blend:
    """Return normal distributions and VAEs of a table, with weights.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64
        The table, with NaN where a value is missing. Each column has at least one known value.
    params : mapping
        Parameters of the VAEs.
    n_models : int
        Number of VAEs.
    n_samples : int
        Number of samples of z from which a VAE estimates a mean.
    seed : int
        Seed of all draws.
    n_threads : int or None
        Number of models that are fitted at once. None is the number of CPUs.

    Notes
    -----
    Some known values are hidden from each VAE, and from normal distributions of the columns and of
    their normal scores. The VAEs see the columns or the scores, whichever normal distribution fills
    the hidden values better. The weights minimize the squared error of the weighted mean for these
    values (stacking: Wolpert 1992; without negative weights: Breiman 1996). The normal
    distributions of the blend are then learned from all values.
    """
    trials = [Trial.draw(values, seed + k) for k in range(n_models)]
    tables = [values, *(trial.rest for trial in trials)]
    scores = NormalScores.learn(values)
    gaussians, errors = [], []
    for way in (None, scores) if values.shape[1] <= MOST_COLUMNS else ():
        whole, *parts = run_side_by_side([_learn(t, way, seed) for t in tables], n_threads)
        gaussians.append(whole.gaussian)
        errors.append(_errors(trials, parts))
    sees_scores = len(errors) == 2 and np.sum(errors[1] ** 2) < np.sum(errors[0] ** 2)
    way = scores if sees_scores else None
    rows = [trial.rest if way is None else way.apply(trial.rest) for trial in trials]
    vaes = fit_vaes(rows, params, seed, n_threads)
    errors.append(_errors(trials, [VAEMember(vae, way, n_samples) for vae in vaes]))
    kept = scores if gaussians else None
    return Blend(vaes, bool(sees_scores), kept, tuple(gaussians), _weights(np.stack(errors)))


def _learn(
    table: Floats, scores: NormalScores | None, seed: int
) -> Callable[[threading.Event], GaussianMember]:
    """Return the task of learning a normal distribution."""

    def run(stop: threading.Event) -> GaussianMember:
        rows = table if scores is None else scores.apply(table)
        return GaussianMember(Gaussian.learn(rows, seed), scores)

    return run


def _errors(trials: Sequence[Trial], members: Sequence[Member]) -> Floats:
    """Return the errors of one kind of model at all hidden values, with a member for each trial."""
    return np.concatenate([t.errors(m) for t, m in zip(trials, members, strict=True)])


def _weights(errors: Floats) -> Floats:
    """Return weights of m models with the least squared error of the weighted mean.

    The errors of the models have shape (m, count). The weights are not negative and add up to 1.
    Equal weights act as a prior that is worth CAUTION further values. Otherwise chance would decide
    if few values are hidden, or if a few large errors outweigh all others. The number of hidden
    values is the effective one: that of equal squared errors whose sum has the same variance (Kish
    1965). There are so few models that all subsets with positive weights are tried.
    """
    m, count = errors.shape
    squares = (errors**2).mean(axis=0)
    effective = squares.sum() ** 2 / max((squares**2).sum(), np.finfo(float).tiny)
    target = CAUTION / (effective + CAUTION) * errors.mean(axis=0)
    best, least = np.full(m, 1 / m), np.inf
    for size in range(1, m + 1) if count else ():
        for first, *others in map(list, combinations(range(m), size)):
            differences = (errors[others] - errors[first]).T
            found, *_ = np.linalg.lstsq(differences, target - errors[first], rcond=None)
            weights = np.zeros(m)
            weights[others], weights[first] = found, 1 - found.sum()
            error = float(np.sum((weights @ errors - target) ** 2))
            if error < least and weights.min() >= 0:
                best, least = weights, error
    return best
