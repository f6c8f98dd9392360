"""The training loop: epochs, history, early stopping, interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from .._core import permutation
from .._input.rows import AnyRows, LazyRows, Rows
from ..metrics.diagnosis import active_units, kl_per_dimension
from ..schedules import Plateau
from ..typing import Record
from .config import TrainingConfig
from .epoch import Figure, train_epoch
from .fit import Fit
from .fitted import SCORING_SEED
from .history import RECORD_KEYS
from .progress import Progress
from .requirements import requirements

MONITORED = 1000  # most rows whose posteriors the record of an epoch describes
MONITORED_VALUES = 1 << 21  # most values of those rows, which may be a copy


def train(fit: Fit, callbacks: Sequence[Callable[[Record], object]] = ()) -> None:
    """Train a model on the rows of a fit, `config.epochs` times.

    Each epoch adds a record to the history. Epochs and steps continue those that the model has
    done. Training ends early when a callback returns True, and at Ctrl-C. With `patience`, the
    weights of the best epoch are restored. The state from a checkpoint continues within its epoch.
    Between two epochs, while the callbacks run, other threads may use the model. Only the first of
    several processes has callbacks.

    Raises
    ------
    DivergenceError
        The loss is no longer finite. The model keeps the weights of the epoch before.
    """
    model, config, processes = fit.model, fit.config, fit.processes
    monitored = _monitored(fit.rows if fit.validation is None else fit.validation, model.features)
    model.interrupted = False
    began = time.perf_counter()
    with _progress(fit) as progress:
        done = model.n_iter
        last, paused = done + config.epochs, False
        try:
            for epoch in range(done + 1, last + 1):
                with model.access.changing:
                    record = train_epoch(fit, progress, epoch, _rate(config, model.history))
                    _record_epoch(fit, record, monitored)
                progress.finish_epoch(record)
                answers = [callback(deepcopy(record)) for callback in callbacks]
                stop = [isinstance(a, (bool, np.bool_)) and bool(a) for a in answers]
                ended = any([*stop, _is_patience_over(fit, record)])
                if config.max_time is not None and epoch < last and not ended:
                    spent = time.perf_counter() - began
                    paused = spent + record["seconds"] > config.max_time
                ended, paused = map(bool, processes.agree(ended, paused))
                if paused or ended:
                    progress.stop()
                    break
                if fit.checkpointer is not None:
                    fit.checkpointer.after_epoch(model, fit.state)
        except KeyboardInterrupt as error:
            model.interrupted = True
            processes.interrupt(error)
            processes.gather_moments()
        finally:
            processes.detach()
    if not model.interrupted:
        _finish(fit, paused)


def _progress(fit: Fit) -> Progress:
    """Return the progress of a fit, before its first step."""
    config, done = fit.config, fit.model.n_iter
    shown = config.verbose and config.epochs > 0 and fit.processes.is_first
    needs = requirements(
        fit.model,
        fit.rows,
        fit.validation,
        epochs=config.epochs,
        batch_size=config.batch_size,
        early_stopping=config.patience is not None,
    )
    limit = math.inf if config.max_time is None else config.max_time
    return Progress(done, config.epochs, fit.n, needs, limit, shown)


def _record_epoch(fit: Fit, record: Record, monitored: Rows) -> None:
    """Describe the latent space in the record of an epoch, and add the record to the history."""
    model, history = fit.model, fit.model.history
    done = model.n_iter
    mu, logvar = model.core.encode(monitored)
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
    fit.state.epoch = None


def _is_patience_over(fit: Fit, record: Record) -> bool:
    """Keep the weights of the best epoch; return whether it is `patience` epochs ago."""
    state, epoch, patience = fit.state, record["epoch"], fit.config.patience
    if patience is None:
        return False
    if record["validation"] > state.best_elbo:
        state.best_elbo, state.best_epoch = record["validation"], epoch
        state.best = fit.model.weights()
    over: bool = epoch - state.best_epoch >= patience
    return over


def _finish(fit: Fit, paused: bool) -> None:
    """Restore the best weights, and write the checkpoint of a finished or a paused training."""
    model, state, checkpointer = fit.model, fit.state, fit.checkpointer
    if checkpointer is not None and paused:  # the latest weights, from which training continues
        checkpointer.write(model, state)
    if state.best is not None:
        with model.access.changing:
            model.core.set_tensors(state.best)
    if checkpointer is not None and not paused:
        state.finished = True
        checkpointer.write(model, state)


def _rate(config: TrainingConfig, history: Mapping[str, Sequence[Any]]) -> Figure:
    """Return the learning rate of the next epoch, which `Plateau` computes from the history."""
    if not isinstance(config.learning_rate, Plateau):
        return config.learning_rate
    watched = "elbo" if None in history["validation"] else "validation"
    return config.learning_rate.after(history[watched])


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
