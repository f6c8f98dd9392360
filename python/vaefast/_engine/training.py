"""The training loop: batches, history, early stopping, divergence, interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import Core, permutation
from .._input.mapped import check_mapped
from .._input.rows import AnyRows, LazyRows, Rows, matrix_of, total_weight
from .._input.windows import segments
from ..errors import DivergenceError
from ..metrics.diagnosis import active_units, kl_per_dimension
from ..schedules import Plateau
from ..typing import Record
from .checkpointing import Checkpointer
from .config import TrainingConfig
from .fitted import SCORING_SEED, FittedModel
from .history import RECORD_KEYS
from .processes import ALONE, Processes
from .progress import Progress
from .requirements import requirements
from .state import EpochState, TrainingState

Figure = float | Callable[[float, int], float]  # a number, or a function of epochs done and planned

POLL_SECONDS = 0.02  # target time of a call of the core; Ctrl-C and the bar follow
CHECKED = 128  # most rows of an epoch's last batch that the new weights score
MONITORED = 1000  # most rows whose posteriors the record of an epoch describes
MONITORED_VALUES = 1 << 21  # most values of those rows, which may be a copy


def train(
    model: FittedModel,
    rows: AnyRows,
    config: TrainingConfig,
    *,
    validation: AnyRows | None,
    callbacks: Sequence[Callable[[Record], object]],
    state: TrainingState | None = None,
    checkpointer: Checkpointer | None = None,
    chosen: NDArray[np.int64] | None = None,
    processes: Processes = ALONE,
) -> None:
    """Train a model on all rows, or on the `chosen` ones, `config.epochs` times.

    Each epoch adds a record to the history. Epochs and steps continue those that the model has
    done. Training ends early when a callback returns True, and at Ctrl-C. With `patience`, the
    weights of the best epoch are restored. A `state` from a checkpoint continues within its epoch.
    Between two epochs, while the callbacks run, other threads may use the model. If several
    `processes` train the model, the first one has the checkpointer and the callbacks, and decides
    for all.

    Raises
    ------
    DivergenceError
        The loss is no longer finite. The model keeps the weights of the epoch before.
    """
    history = model.history
    state = TrainingState(best_epoch=model.n_iter) if state is None else state
    monitored = _monitored(rows if validation is None else validation, model.features)
    model.interrupted = False
    began = time.perf_counter()
    shown = config.verbose and config.epochs > 0 and processes.is_first
    needs = requirements(
        model,
        rows,
        validation,
        epochs=config.epochs,
        batch_size=config.batch_size,
        early_stopping=config.patience is not None,
    )
    limit = math.inf if config.max_time is None else config.max_time
    n = len(rows) if chosen is None else len(chosen)
    with Progress(model.n_iter, config.epochs, n, needs, limit, shown) as progress:
        done = model.n_iter
        last, paused = done + config.epochs, False
        try:
            for epoch in range(done + 1, last + 1):
                loop = _Loop(
                    model,
                    rows,
                    chosen,
                    config,
                    validation,
                    state,
                    checkpointer,
                    progress,
                    processes,
                )
                with model.access.changing:
                    record = _train_epoch(loop, epoch, _rate(config, history))
                    core = model.core  # a callback may replace it by setting the number of threads
                    mu, logvar = core.encode(monitored)
                    kl = kl_per_dimension(mu, logvar) * (not model.deterministic)
                    record["kl_per_dimension"] = kl.tolist()
                    record["active_units"] = active_units(mu)
                    try:
                        for key in RECORD_KEYS:
                            history[key].append(record[key])
                    except KeyboardInterrupt:
                        for values in history.values():
                            del values[done:]
                        raise
                    done, state.epoch = epoch, None
                progress.finish_epoch(record)
                answers = [callback(deepcopy(record)) for callback in callbacks]
                stop = [isinstance(a, (bool, np.bool_)) and bool(a) for a in answers]
                if config.patience is not None:
                    if record["validation"] > state.best_elbo:
                        state.best_elbo, state.best_epoch = record["validation"], epoch
                        state.best = model.weights()
                    stop.append(epoch - state.best_epoch >= config.patience)
                if config.max_time is not None and epoch < last and not any(stop):
                    spent = time.perf_counter() - began
                    paused = spent + record["seconds"] > config.max_time
                ended, paused = map(bool, processes.agree(any(stop), paused))
                if paused or ended:
                    progress.stop()
                    break
                if checkpointer is not None:
                    checkpointer.after_epoch(model, state)
        except KeyboardInterrupt as error:
            model.interrupted = True
            processes.interrupt(error)
            processes.gather_moments()
        finally:
            processes.detach()
    if model.interrupted:
        return
    if checkpointer is not None and paused:  # the latest weights, from which training continues
        checkpointer.write(model, state)
    if state.best is not None:
        with model.access.changing:
            model.core.set_tensors(state.best)
    if checkpointer is not None and not paused:
        state.finished = True
        checkpointer.write(model, state)


@dataclass(frozen=True)
class _Loop:
    """Everything that an epoch needs."""

    model: FittedModel
    rows: AnyRows
    chosen: NDArray[np.int64] | None  # the rows to train on; None is all of them
    config: TrainingConfig
    validation: AnyRows | None
    state: TrainingState
    checkpointer: Checkpointer | None
    progress: Progress
    processes: Processes


def _train_epoch(loop: _Loop, epoch: int, learning_rate: Figure) -> Record:
    """Take one step on each batch of the shuffled rows; return the epoch's record."""
    model, rows, config, state = loop.model, loop.rows, loop.config, loop.state
    core, processes = model.core, loop.processes
    n = len(rows) if loop.chosen is None else len(loop.chosen)
    total = total_weight(rows, loop.chosen)
    size = min(config.batch_size, n)
    if state.epoch is None:
        state.epoch = EpochState(before=core.tensors())
    sums = state.epoch
    start = time.perf_counter() - sums.seconds
    check_mapped(matrix_of(rows))
    # A schedule depends only on the number of epochs done before each batch.
    done = epoch - 1 + np.arange(0, n, size) / n
    rates, betas = (_along(f, done, config) for f in (learning_rate, config.beta))
    capacities = None if config.capacity is None else _along(config.capacity, done, config)
    at_once = 1  # batches
    processes.attach(core)
    processes.agree()
    before = min(sums.taken, len(done) - 1)  # batches of earlier segments; the last batch is scored
    parts = segments(rows, loop.chosen, config.window, model.seed, epoch, size=size, first=before)
    with closing(parts):
        for part, order in parts:
            while (taken := (sums.taken - before) * size) < len(order):
                batches = order[taken : taken + at_once * size]
                now = slice(sums.taken, sums.taken - (-len(batches) // size))
                began = time.perf_counter()
                with processes.stepping():
                    losses = core.steps(
                        part,
                        batches,
                        size,
                        rates[now],
                        betas[now],
                        model.seed,
                        core.optimizer_steps,
                        None if capacities is None else capacities[now],
                    )
                for batch_reconstruction, batch_kl, batch_bound in losses.tolist():
                    sums.reconstruction += batch_reconstruction
                    sums.kl += batch_kl
                    sums.bound += batch_bound
                sums.taken += len(losses)
                if not math.isfinite(sums.reconstruction + sums.kl + sums.bound):
                    core.set_tensors(sums.before)
                    raise _divergence(epoch, f"at batch {sums.taken}", rates[sums.taken - 1])
                seen = min(sums.taken * size, n) * total / n  # approximate weight of these rows
                loop.progress.advance(
                    len(batches), sums.reconstruction / seen + config.outside[0], sums.kl / seen
                )
                due: float = loop.checkpointer is not None and loop.checkpointer.is_due(len(losses))
                speed_up = POLL_SECONDS / max(time.perf_counter() - began, 1e-9)
                faster = max(1, min(2 * len(losses), int(speed_up * len(losses))))
                at_once, due = map(int, processes.agree(faster, due))
                if due:
                    processes.gather_moments()
                    if loop.checkpointer is not None:
                        sums.seconds = time.perf_counter() - start
                        loop.checkpointer.write(model, state)
                    processes.agree()
            before += -(-len(order) // size)
            last_batch = part[order[(len(order) - 1) // size * size :][:CHECKED]]
    rate, beta = float(rates[-1]), float(betas[-1])
    if not _is_finite(core, last_batch, model.deterministic):  # no loss includes the last step
        core.set_tensors(sums.before)
        raise _divergence(epoch, "after its last batch", rate)
    record: Record = {
        "epoch": epoch,
        "elbo": -(sums.reconstruction + sums.kl) / total - config.outside[0],
        "reconstruction": sums.reconstruction / total + config.outside[0],
        "kl": sums.kl / total,
        "bound": sums.bound / total - config.outside[0],
        "validation": None,
        "beta": beta,
        "learning_rate": rate,
        "seconds": 0.0,
    }
    if loop.validation is not None:
        elbo = model.evaluate(loop.validation, processes)["elbo"]
        record["validation"] = elbo - config.outside[1]
        if not np.isfinite(record["validation"]):
            core.set_tensors(sums.before)
            raise _divergence(epoch, "on the validation rows", rate)
    (record["seconds"],) = processes.agree(time.perf_counter() - start)
    processes.gather_moments()
    return record


def _rate(config: TrainingConfig, history: Mapping[str, Sequence[Any]]) -> Figure:
    """Return the learning rate of the next epoch, which `Plateau` computes from the history."""
    if not isinstance(config.learning_rate, Plateau):
        return config.learning_rate
    watched = "elbo" if None in history["validation"] else "validation"
    return config.learning_rate.after(history[watched])


def _along(
    figure: Figure, done: NDArray[np.float64], config: TrainingConfig
) -> NDArray[np.float64]:
    """Return the value of a figure after each of these numbers of epochs."""
    if isinstance(figure, float):
        return np.full(len(done), figure)
    return np.array([figure(epochs, config.planned) for epochs in done.tolist()], np.float64)


def _monitored(rows: AnyRows, features: int) -> Rows:
    """Return the rows that describe the latent space after each epoch; they are always the same.

    They are a tenth of the rows, but at least 100 and at most 1,000, and fewer if rows are wide.
    """
    n = len(rows)
    count = min(n, max(100, min(MONITORED, MONITORED_VALUES // features, n // 10)))
    if count == n and not isinstance(rows, LazyRows):
        return rows
    some: Rows = rows[np.sort(permutation(n, SCORING_SEED, 0, count))]
    return some


def _is_finite(core: Core, rows: Rows, deterministic: bool) -> bool:
    """Return whether the weights are finite, and the scores that they give these rows."""
    scores = core.score(rows, SCORING_SEED, deterministic=deterministic)
    results: list[NDArray[Any]] = [*core.tensors().values(), *scores]
    return all(bool(np.isfinite(result).all()) for result in results)


def _divergence(epoch: int, where: str, learning_rate: float) -> DivergenceError:
    kept = "they had before training" if epoch == 1 else f"of epoch {epoch - 1}"
    return DivergenceError(
        f"the loss became infinite or NaN in epoch {epoch}, {where}. "
        f"learning_rate={learning_rate:g} may be too large (max_grad_norm=1 helps as well), or the "
        f"data may be too far from unit variance. The weights are those {kept}."
    )
