"""One epoch of a training: batches, checkpoints, divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import Core
from .._input.mapped import check_mapped
from .._input.rows import Rows, matrix_of, total_weight
from .._input.windows import segments
from ..errors import DivergenceError
from ..typing import Record
from .config import TrainingConfig
from .fit import Fit
from .fitted import SCORING_SEED
from .progress import Progress
from .state import EpochState

Figure = float | Callable[[float, int], float]  # a number, or a function of epochs done and planned

POLL_SECONDS = 0.02  # target time of a call of the core; Ctrl-C and the bar follow
CHECKED = 128  # most rows of an epoch's last batch that the new weights score


def train_epoch(fit: Fit, progress: Progress, number: int, learning_rate: Figure) -> Record:
    """Take one step on each batch of the shuffled rows; return the epoch's record."""
    config, processes = fit.config, fit.processes
    model, core = fit.model, fit.model.core
    epoch = _Epoch.of(fit, number, learning_rate)
    processes.attach(core)
    processes.agree()
    last_batch = _take_steps(fit, progress, epoch)
    sums, rate = epoch.sums, float(epoch.rates[-1])
    if not _is_finite(core, last_batch, model.deterministic):  # no loss includes the last step
        raise _diverged(fit, epoch, "after its last batch", rate)
    record: Record = {
        "epoch": number,
        "elbo": -(sums.reconstruction + sums.kl) / epoch.weight - config.outside[0],
        "reconstruction": sums.reconstruction / epoch.weight + config.outside[0],
        "kl": sums.kl / epoch.weight,
        "bound": sums.bound / epoch.weight - config.outside[0],
        "validation": None,
        "beta": float(epoch.betas[-1]),
        "learning_rate": rate,
        "seconds": 0.0,
    }
    if fit.validation is not None:
        elbo = model.evaluate(fit.validation, processes)["elbo"]
        record["validation"] = elbo - config.outside[1]
        if not np.isfinite(record["validation"]):
            raise _diverged(fit, epoch, "on the validation rows", rate)
    (record["seconds"],) = processes.agree(epoch.seconds)
    processes.gather_moments()
    return record


@dataclass(frozen=True, eq=False)
class _Epoch:
    """The batches of an epoch, and the figures that change between them."""

    number: int  # from 1 on
    size: int  # rows of a batch
    weight: float  # of all rows together
    rates: NDArray[np.float64]  # one for each batch, as are the next two
    betas: NDArray[np.float64]
    capacities: NDArray[np.float64] | None
    sums: EpochState  # what the batches done add up to
    start: float  # time

    @classmethod
    def of(cls, fit: Fit, number: int, learning_rate: Figure) -> _Epoch:
        """Return an epoch of a fit, which may have begun before a checkpoint."""
        config, n = fit.config, fit.n
        weight = total_weight(fit.rows, fit.chosen)
        size = min(config.batch_size, n)
        if fit.state.epoch is None:
            fit.state.epoch = EpochState(before=fit.model.core.tensors())
        sums = fit.state.epoch
        start = time.perf_counter() - sums.seconds
        check_mapped(matrix_of(fit.rows))
        # A schedule depends only on the number of epochs done before each batch.
        done = number - 1 + np.arange(0, n, size) / n
        rates, betas = (_along(f, done, config) for f in (learning_rate, config.beta))
        capacities = None if config.capacity is None else _along(config.capacity, done, config)
        return cls(number, size, weight, rates, betas, capacities, sums, start)

    @property
    def seconds(self) -> float:
        """Duration so far."""
        return time.perf_counter() - self.start


def _take_steps(fit: Fit, progress: Progress, epoch: _Epoch) -> Rows:
    """Take the steps of an epoch that are left; return the first rows of its last batch."""
    sums, size, n = epoch.sums, epoch.size, fit.n
    at_once = 1  # batches
    # Batches of earlier segments. The last batch is always read, because it is scored.
    before = min(sums.taken, len(epoch.rates) - 1)
    parts = segments(
        fit.rows,
        fit.chosen,
        fit.config.window,
        fit.model.seed,
        epoch.number,
        size=size,
        first=before,
    )
    with closing(parts):
        for part, order in parts:
            while (taken := (sums.taken - before) * size) < len(order):
                batches = order[taken : taken + at_once * size]
                began = time.perf_counter()
                count = _step(fit, epoch, part, batches)
                seen = min(sums.taken * size, n) * epoch.weight / n  # approximate weight
                progress.advance(
                    len(batches), sums.reconstruction / seen + fit.config.outside[0], sums.kl / seen
                )
                due: float = fit.checkpointer is not None and fit.checkpointer.is_due(count)
                faster = _batches_at_once(count, time.perf_counter() - began)
                at_once, due = map(int, fit.processes.agree(faster, due))
                if due:
                    _write_checkpoint(fit, epoch)
            before += -(-len(order) // size)
            last_batch = part[order[(len(order) - 1) // size * size :][:CHECKED]]
    return last_batch


def _step(fit: Fit, epoch: _Epoch, part: Rows, batches: NDArray[np.int64]) -> int:
    """Take one step on each of these batches, and add up the losses; return how many they are."""
    core, sums = fit.model.core, epoch.sums
    now = slice(sums.taken, sums.taken - (-len(batches) // epoch.size))
    with fit.processes.stepping():
        losses = core.steps(
            part,
            batches,
            epoch.size,
            epoch.rates[now],
            epoch.betas[now],
            fit.model.seed,
            core.optimizer_steps,
            None if epoch.capacities is None else epoch.capacities[now],
        )
    for reconstruction, kl, bound in losses.tolist():
        sums.reconstruction += reconstruction
        sums.kl += kl
        sums.bound += bound
    sums.taken += len(losses)
    if not math.isfinite(sums.reconstruction + sums.kl + sums.bound):
        raise _diverged(fit, epoch, f"at batch {sums.taken}", epoch.rates[sums.taken - 1])
    return len(losses)


def _batches_at_once(count: int, seconds: float) -> int:
    """Return how many batches the next call of the core takes, after `count` took `seconds`."""
    speed_up = POLL_SECONDS / max(seconds, 1e-9)
    return max(1, min(2 * count, int(speed_up * count)))


def _write_checkpoint(fit: Fit, epoch: _Epoch) -> None:
    """Write a checkpoint within an epoch, for which all processes bring the moments together."""
    fit.processes.gather_moments()
    if fit.checkpointer is not None:
        epoch.sums.seconds = epoch.seconds
        fit.checkpointer.write(fit.model, fit.state)
    fit.processes.agree()


def _along(
    figure: Figure, done: NDArray[np.float64], config: TrainingConfig
) -> NDArray[np.float64]:
    """Return the value of a figure after each of these numbers of epochs."""
    if isinstance(figure, float):
        return np.full(len(done), figure)
    return np.array([figure(epochs, config.planned) for epochs in done.tolist()], np.float64)


def _is_finite(core: Core, rows: Rows, deterministic: bool) -> bool:
    """Return whether the weights are finite, and the scores that they give these rows."""
    scores = core.score(rows, SCORING_SEED, deterministic=deterministic)
    results: list[NDArray[Any]] = [*core.tensors().values(), *scores]
    return all(bool(np.isfinite(result).all()) for result in results)


def _diverged(fit: Fit, epoch: _Epoch, where: str, learning_rate: float) -> DivergenceError:
    """Restore the weights from before an epoch; return the error that reports the divergence."""
    fit.model.core.set_tensors(epoch.sums.before)
    kept = "they had before training" if epoch.number == 1 else f"of epoch {epoch.number - 1}"
    return DivergenceError(
        f"the loss became infinite or NaN in epoch {epoch.number}, {where}. "
        f"learning_rate={learning_rate:g} may be too large (max_grad_norm=1 helps as well), or the "
        f"data may be too far from unit variance. The weights are those {kept}."
    )
