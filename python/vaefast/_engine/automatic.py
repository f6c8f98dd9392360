"""Values of parameters that are "auto": sizes and budgets chosen from the data.

Each rule depends on the numbers of rows, columns and weights, and never on the clock, so a fit has
the same bits everywhere. docs/internals/defaults.md gives the evidence for the rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import permutation
from .._input.validation import check_integer
from ..schedules import Cosine
from .building import Params, count_weights

AUTO = "auto"
CHOOSABLE = ("latent_dim", "hidden_layer_sizes", "learning_rate", "batch_size", "epochs")

FEW_ROWS = 2_000  # rows that a wide layer would overfit
MOST_STEPS, LEAST_STEPS = 20_000, 8_000
EPOCHS = 64  # passes over large data, within these limits
WORK = 2e13  # multiplications and additions of a fit: a few minutes on two cores
FEWEST_STEPS = 1_000  # smallest budget, however large the work
UPDATE_ROWS = 32  # rows of a batch that take as much work as updating the weights
MANY_WEIGHTS = 2_000_000  # weights of a network that learns at half the rate
WATCHED_SHARE, LEAST_ROWS, MOST_WATCHED = 10, 100, 5_000


@dataclass(frozen=True)
class Choice:
    """Parameters without any "auto", and the number of rows that are watched instead of trained on.

    Attributes
    ----------
    params : dict
        Parameters of the `VAE`, by name.
    given : dict
        The user's values of the parameters that the choice replaced.
    n_watched : int
        Number of rows that early stopping watches.
    """

    params: dict[str, Any]
    given: dict[str, Any]
    n_watched: int

    @property
    def text(self) -> str:
        """A line that lists the chosen values; empty if there are none."""
        parts = [
            f"{name} {_spelled(self.params[name])}"
            for name, value in self.given.items()
            if value is not None or self.params[name] is not None
        ]
        if self.n_watched:
            parts.append(f"{self.n_watched:,} rows watched")
        return ", ".join(parts)

    def split(self, n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to train on and those to watch, in ascending order."""
        watched = np.sort(permutation(n, seed, 0, self.n_watched))  # epochs shuffle by 1, 2, ...
        trained = np.ones(n, bool)
        trained[watched] = False
        return np.flatnonzero(trained), watched


def choose(
    params: Params, n: int, features: int, conditions: int, *, has_validation: bool, whole: bool
) -> Choice:
    """Return the parameters for a fit on `n` rows.

    Parameters
    ----------
    params : mapping
        Parameters of the `VAE`, by name.
    n : int
        Number of rows, including those that may be watched.
    features, conditions : int
        Numbers of features and of conditions of each row.
    has_validation : bool
        Whether the user passed rows to watch.
    whole : bool
        Whether this is a whole fit. A single epoch has no budget and watches no rows.
    """
    chosen, budgeted = dict(params), whole and _is_auto(params["epochs"])
    watches = budgeted and params["patience"] is None and _watches_the_elbo(params)
    n_watched = 0
    if budgeted and not has_validation and (watches or params["patience"] is not None):
        n_watched = _n_watched(n) if n >= LEAST_ROWS else 0
    rows = n - n_watched
    if _is_auto(params["latent_dim"]):
        chosen["latent_dim"] = min(features, _power_of_two(math.sqrt(features), 16, 32))
    if _is_auto(params["hidden_layer_sizes"]):
        chosen["hidden_layer_sizes"] = (256 if rows < FEW_ROWS else 512,)
    if _is_auto(params["batch_size"]):
        chosen["batch_size"] = min(rows, _power_of_two(math.sqrt(rows), 32, 512))
    weights = count_weights(chosen, features, conditions)
    if _is_auto(params["epochs"]):
        size = min(check_integer(chosen["batch_size"], "batch_size"), rows)
        steps, per_epoch = _steps(rows, size, weights), -(-rows // size)
        chosen["epochs"] = max(1, round(steps / per_epoch))
        if watches and (n_watched or has_validation):
            chosen["patience"] = max(5, math.ceil(steps / 4 / per_epoch))
    if _is_auto(params["learning_rate"]):
        rate = 2e-3 if weights < MANY_WEIGHTS else 1e-3
        chosen["learning_rate"] = Cosine(rate) if whole else rate / 2
    given = {name: params[name] for name in params if chosen[name] is not params[name]}
    return Choice(chosen, given, n_watched)


def choose_without_watching(params: Params, n: int, features: int) -> Choice:
    """Return the parameters for a fit that trains on all rows for the whole budget."""
    choice = choose(params, n, features, 0, has_validation=True, whole=True)
    chosen = {**choice.params, "patience": params["patience"]}
    given = {name: value for name, value in choice.given.items() if name != "patience"}
    return Choice(chosen, given, 0)


def choose_to_go_on(params: Params, fitted: Params) -> Params:
    """Return parameters for one more epoch of a fitted model, whose parameters were `fitted`."""
    chosen = {name: fitted[name] if _is_auto(value) else value for name, value in params.items()}
    if _is_auto(params["learning_rate"]) and isinstance(fitted["learning_rate"], Cosine):
        chosen["learning_rate"] = (
            fitted["learning_rate"].learning_rate / 2
        )  # the cosine may have ended at 0
    return chosen


def _steps(rows: int, batch_size: int, weights: int) -> int:
    """Return the number of steps, from epochs within limits and from the work of a step."""
    steps = min(MOST_STEPS, max(LEAST_STEPS, EPOCHS * rows // batch_size))
    return max(FEWEST_STEPS, min(steps, int(WORK / (6 * weights * (batch_size + UPDATE_ROWS)))))


def _n_watched(n: int) -> int:
    return min(MOST_WATCHED, round(n / WATCHED_SHARE))


def _watches_the_elbo(params: Params) -> bool:
    """Return whether training maximizes the ELBO that early stopping watches."""
    plain = params["capacity"] is None and params["free_bits"] == 0
    return plain and isinstance(params["beta"], int | float) and params["beta"] == 1


def _power_of_two(x: float, low: int, high: int) -> int:
    """Return the power of two nearest to x, within limits."""
    return min(high, max(low, 1 << round(math.log2(max(x, 1)))))


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == AUTO


def _spelled(value: Any) -> str:
    if isinstance(value, Cosine):
        return f"cosine from {value.learning_rate:g}"
    return "-".join(map(str, value)) if isinstance(value, tuple) else f"{value:,}"
