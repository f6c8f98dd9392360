"""The training loop: batches, history, early stopping, divergence, interruption, progress."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._core import Core, permutation
from .diagnosis import active_units, kl_per_dimension
from .errors import DivergenceError
from .rowdata import RowData
from .schedules import BetaSchedule, Plateau, RateSchedule
from .validation import Rows as PlainRows

if TYPE_CHECKING:
    from .vae import VAE

Rows = PlainRows | RowData
Record = dict[str, Any]
Callback = Callable[["VAE", Record], object]
Figure = float | Callable[[float, int], float]  # what _at looks up

RECORD_KEYS = (
    "epoch", "elbo", "reconstruction", "kl", "bound", "validation", "beta", "learning_rate",
    "kl_per_dimension", "active_units", "seconds",
)  # fmt: skip
SCORING_SEED = 0  # names the noise of all scores: equal rows score equally, at every call
ATTENTION = 0.02  # seconds: so often the loop looks up, for Ctrl-C and the progress bar
CHECKED = 128  # rows at most of an epoch's last batch that are scored once more, by the new weights
MONITORED = 1000  # rows at most whose posteriors are looked at after each epoch...
MONITORED_VALUES = 1 << 21  # ...and their values at most, of which there may be a copy


@dataclass(frozen=True)
class Schedule:
    """How to train: the parameters of a `VAE` that the loop itself needs."""

    epochs: int  # to do now
    planned: int  # of the whole fit, which some schedules are stretched to
    batch_size: int
    learning_rate: float | RateSchedule
    beta: float | BetaSchedule
    capacity: float | BetaSchedule | None
    seed: int
    patience: int | None
    mean_code: bool  # of a plain autoencoder
    verbose: bool


def train(
    vae: VAE,
    core: Core,
    rows: Rows,
    schedule: Schedule,
    *,
    validation: Rows | None,
    callbacks: Sequence[Callback],
) -> None:
    """Train `core` on all rows, `schedule.epochs` times, and keep the history in `vae`.

    Epochs and steps are counted on from those that `vae` has done. A callback that returns True
    ends training, and so does Ctrl-C. With `patience`, the weights of the best epoch are restored.

    Raises
    ------
    DivergenceError
        The loss is no longer finite. The weights are those of the last epoch before that.
    """
    best_elbo, best_epoch, best = -np.inf, vae.n_iter_, None
    monitored = _monitored(rows if validation is None else validation, vae.n_features_in_)
    vae.interrupted_ = False
    with _Progress(vae.n_iter_, schedule, len(rows)) as progress:
        try:
            for epoch in range(vae.n_iter_ + 1, vae.n_iter_ + schedule.epochs + 1):
                rate = _rate(schedule, vae.history_)
                record = _train_epoch(core, rows, schedule, rate, epoch, validation, progress)
                mu, logvar = core.encode(monitored)
                kl = kl_per_dimension(mu, logvar) * (not schedule.mean_code)
                record["kl_per_dimension"] = kl.tolist()
                record["active_units"] = active_units(mu)
                for key in RECORD_KEYS:
                    vae.history_[key].append(record[key])
                vae.n_iter_ = epoch
                progress.finish_epoch(record)
                answers = [callback(vae, dict(record)) for callback in callbacks]
                stop = [isinstance(a, (bool, np.bool_)) and bool(a) for a in answers]
                if schedule.patience is not None:
                    if record["validation"] > best_elbo:
                        best_elbo, best_epoch, best = record["validation"], epoch, core.tensors()
                    stop.append(epoch - best_epoch >= schedule.patience)
                if any(stop):
                    break
        except KeyboardInterrupt:
            vae.interrupted_ = True
            for values in vae.history_.values():
                del values[vae.n_iter_ :]  # of an epoch that was being written down
    if best is not None and not vae.interrupted_:
        core.set_tensors(best)


def _train_epoch(
    core: Core,
    rows: Rows,
    schedule: Schedule,
    learning_rate: Figure,
    epoch: int,
    validation: Rows | None,
    progress: _Progress,
) -> Record:
    """Take one step on each batch of the rows, shuffled; return the epoch's record."""
    start = time.perf_counter()
    n = len(rows)
    size = min(schedule.batch_size, n)
    before = core.tensors()
    order = permutation(n, schedule.seed, epoch)
    # epochs done before each batch: of nothing else is a schedule a function
    done = epoch - 1 + np.arange(0, n, size) / n
    rates, betas = (_along(f, done, schedule) for f in (learning_rate, schedule.beta))
    capacities = None if schedule.capacity is None else _along(schedule.capacity, done, schedule)
    reconstruction = kl = bound = 0.0
    taken, at_once = 0, 1  # batches
    while taken < len(done):
        now = slice(taken, taken + at_once)
        batches = order[taken * size : (taken + at_once) * size]
        began = time.perf_counter()
        losses = core.steps(
            rows,
            batches,
            size,
            rates[now],
            betas[now],
            schedule.seed,
            core.optimizer_steps,
            None if capacities is None else capacities[now],
        )
        for batch_reconstruction, batch_kl, batch_bound in losses.tolist():
            reconstruction += batch_reconstruction
            kl += batch_kl
            bound += batch_bound
        taken += len(losses)
        if not math.isfinite(reconstruction + kl + bound):
            core.set_tensors(before)
            raise _divergence(epoch, f"at batch {taken}", rates[taken - 1])
        progress.advance(len(batches), reconstruction, kl)
        patience = ATTENTION / max(time.perf_counter() - began, 1e-9)
        at_once = max(1, min(2 * at_once, int(patience * at_once)))
    rate, beta = float(rates[-1]), float(betas[-1])
    batch = order[(taken - 1) * size :][:CHECKED]
    if not _is_finite(core, rows[batch], schedule.mean_code):  # what no loss has shown yet
        core.set_tensors(before)
        raise _divergence(epoch, "after its last batch", rate)
    record: Record = {
        "epoch": epoch,
        "elbo": -(reconstruction + kl) / n,
        "reconstruction": reconstruction / n,
        "kl": kl / n,
        "bound": bound / n,
        "validation": None,
        "beta": beta,
        "learning_rate": rate,
        "seconds": 0.0,
    }
    if validation is not None:
        record["validation"] = evaluate(core, validation, schedule.mean_code)["elbo"]
        if not np.isfinite(record["validation"]):
            core.set_tensors(before)
            raise _divergence(epoch, "on the validation rows", rate)
    record["seconds"] = time.perf_counter() - start
    return record


def _rate(schedule: Schedule, history: Mapping[str, Sequence[Any]]) -> Figure:
    """The learning rate of the next epoch, which `Plateau` derives from all epochs before."""
    if not isinstance(schedule.learning_rate, Plateau):
        return schedule.learning_rate
    watched = "elbo" if None in history["validation"] else "validation"
    return schedule.learning_rate.after(history[watched])


def _along(figure: Figure, done: NDArray[np.float64], schedule: Schedule) -> NDArray[np.float64]:
    """The figure after so many epochs of those planned, each: a number stays what it is."""
    if isinstance(figure, float):
        return np.full(len(done), figure)
    return np.array([figure(epochs, schedule.planned) for epochs in done.tolist()], np.float64)


def _monitored(rows: Rows, features: int) -> Rows:
    """Rows enough to see the latent space by: a tenth, but 100 to 1,000, of wide rows fewer.

    They are always the same ones.
    """
    n = len(rows)
    count = min(n, max(100, min(MONITORED, MONITORED_VALUES // features, n // 10)))
    return rows if count == n else rows[np.sort(permutation(n, SCORING_SEED, 0)[:count])]


def _is_finite(core: Core, rows: Rows, mean_code: bool) -> bool:
    """Whether the weights are finite, and what they make of these rows."""
    scores = core.score(rows, SCORING_SEED, mean_code=mean_code)
    results: list[NDArray[Any]] = [*core.tensors().values(), *scores]
    return all(bool(np.isfinite(result).all()) for result in results)


def _divergence(epoch: int, where: str, learning_rate: float) -> DivergenceError:
    kept = "they had before training" if epoch == 1 else f"of epoch {epoch - 1}"
    return DivergenceError(
        f"the loss became infinite or NaN in epoch {epoch}, {where}. "
        f"learning_rate={learning_rate:g} may be too large (max_grad_norm=1 helps as well), or the "
        f"data too far from unit variance. The weights are those {kept}."
    )


def evaluate(core: Core, rows: Rows, mean_code: bool = False) -> dict[str, float]:
    """Mean ELBO, reconstruction and KL of the rows, in nats per row.

    `mean_code`: as a plain autoencoder, whose code is mu and which has no KL.
    """
    reconstruction, kl = core.score(rows, SCORING_SEED, mean_code=mean_code)
    parts = {"reconstruction": float(reconstruction.mean()), "kl": float(kl.mean())}
    return {"elbo": -(parts["reconstruction"] + parts["kl"]), **parts}


class _Progress:
    """A live bar: epoch, ELBO and its parts in nats per row, rows per second."""

    def __init__(self, epochs_done: int, schedule: Schedule, n: int) -> None:
        self.bar = None
        self.n = n
        self.last = epochs_done + schedule.epochs
        self.epoch = epochs_done + 1
        self.seen = 0
        self.validation = ""
        self.drawn = 0.0
        if schedule.verbose:
            from tqdm import tqdm

            self.bar = tqdm(
                total=n * schedule.epochs,
                unit=" rows",
                unit_scale=True,
                dynamic_ncols=True,
                mininterval=0.1 if sys.stderr.isatty() else 10,  # seconds: a log wants few lines
            )
            self.bar.set_description(f"epoch {self.epoch}/{self.last}", refresh=False)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def advance(self, rows: int, reconstruction: float, kl: float) -> None:
        """Count `rows` more; the losses are sums over the epoch so far."""
        if self.bar is None:
            return
        self.seen += rows
        now = time.perf_counter()
        if now - self.drawn > 0.1:
            self.drawn = now
            self._describe(reconstruction / self.seen, kl / self.seen)
        self.bar.update(rows)

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Show the epoch's own figures and turn to the next."""
        if self.bar is None:
            return
        if record["validation"] is not None:
            self.validation = f", validation {record['validation']:.2f}"
        self._describe(record["reconstruction"], record["kl"])
        self.seen = 0
        self.epoch = min(self.epoch + 1, self.last)

    def _describe(self, reconstruction: float, kl: float) -> None:
        assert self.bar is not None
        self.bar.set_description(f"epoch {self.epoch}/{self.last}", refresh=False)
        self.bar.set_postfix_str(
            f"elbo {-(reconstruction + kl):.2f} = -({reconstruction:.2f} + {kl:.2f})"
            + self.validation,
            refresh=False,
        )
