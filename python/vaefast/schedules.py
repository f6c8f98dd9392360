"""Schedules: values of beta, capacity or the learning rate that change during training.

A schedule is an immutable object. Called with the number of epochs done (a real number) and the
number of epochs planned, it returns the value for the next step. A schedule has no state, so
interrupted training continues to the same bits. `Plateau` depends on the progress of training,
which it reads from the history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias, get_args

from ._input.validation import check_integer, check_number

__all__ = [
    "Cosine",
    "Cyclical",
    "LinearWarmup",
    "MultiStep",
    "Plateau",
    "SigmoidWarmup",
    "Step",
]


@dataclass(frozen=True)
class LinearWarmup:
    """Beta changes linearly from `start` to `end`, then stays constant (Sonderby et al. 2016).

    Parameters
    ----------
    epochs : float
        Duration of the warm-up in epochs.
    start : float, default=0.0
        First value.
    end : float, default=1.0
        Last value.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range.
    """

    epochs: float
    start: float = 0.0
    _: KW_ONLY
    end: float = 1.0

    def __post_init__(self) -> None:
        _check_ramp(self)

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return beta after `epoch` epochs. The number of epochs planned is ignored."""
        return _between(self.start, self.end, min(epoch / self.epochs, 1))


@dataclass(frozen=True)
class SigmoidWarmup:
    """Beta follows a logistic curve from `start` to `end`, then stays (Bowman et al. 2016).

    The curve is steepest halfway, where it is 3.1 times as steep as a straight line. It is scaled
    to begin exactly at `start` and to end exactly at `end`.

    Parameters
    ----------
    epochs : float
        Duration of the warm-up in epochs.
    start : float, default=0.0
        First value.
    end : float, default=1.0
        Last value.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range.
    """

    epochs: float
    start: float = 0.0
    _: KW_ONLY
    end: float = 1.0

    def __post_init__(self) -> None:
        _check_ramp(self)

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return beta after `epoch` epochs. The number of epochs planned is ignored."""
        reach = 6.25  # slope times midpoint of the usual curve: 0.0025 per step x 2,500 steps
        share = min(epoch / self.epochs, 1)
        # 1 / (1 + exp(-t)) is (1 + tanh(t / 2)) / 2
        rise = math.tanh((2 * share - 1) * reach / 2) / math.tanh(reach / 2)
        return _between(self.start, self.end, (1 + rise) / 2)


@dataclass(frozen=True)
class Cyclical:
    """Beta changes from `start` to `end` in several cycles (Fu et al. 2019).

    Parameters
    ----------
    cycles : int, default=4
        Number of cycles.
    ratio : float, default=0.5
        Share of a cycle, above 0 and at most 1, in which beta changes linearly. In the rest of the
        cycle, beta is constant.
    start : float, default=0.0
        Beta at the beginning of a cycle.
    end : float, default=1.0
        Beta at the end of a cycle.
    epochs : float or None, default=None
        Total duration of the cycles in epochs, after which beta stays at `end`. None is the number
        of epochs planned.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range.
    """

    cycles: int = 4
    ratio: float = 0.5
    _: KW_ONLY
    start: float = 0.0
    end: float = 1.0
    epochs: float | None = None

    def __post_init__(self) -> None:
        check_integer(self.cycles, "cycles")
        if check_number(self.ratio, "ratio", above=0) > 1:
            raise ValueError(f"ratio={self.ratio!r} must be at most 1")
        check_number(self.start, "start", low=0)
        check_number(self.end, "end", low=0)
        _check_duration(self.epochs)

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return beta after `epoch` epochs of `epochs` planned."""
        turns = epoch / (self.epochs or epochs) * self.cycles
        if turns >= self.cycles:
            return float(self.end)
        return _between(self.start, self.end, min(turns % 1 / self.ratio, 1))


@dataclass(frozen=True)
class Cosine:
    """The learning rate falls along half a cosine wave (Loshchilov & Hutter 2017, eq. 5).

    Parameters
    ----------
    learning_rate : float
        Largest rate.
    end : float, default=0.0
        Last rate.
    warmup : float, default=0.0
        Number of epochs at the start in which the rate rises linearly from 0.
    epochs : float or None, default=None
        Duration in epochs, including the warm-up, after which the rate stays constant. None is the
        number of epochs planned.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range.
    """

    learning_rate: float
    end: float = 0.0
    _: KW_ONLY
    warmup: float = 0.0
    epochs: float | None = None

    def __post_init__(self) -> None:
        check_number(self.learning_rate, "learning_rate", above=0)
        check_number(self.end, "end", low=0)
        check_number(self.warmup, "warmup", low=0)
        _check_duration(self.epochs)
        if self.epochs is not None and self.warmup >= self.epochs:
            raise ValueError(f"warmup={self.warmup!r} must be less than epochs={self.epochs!r}")

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the learning rate after `epoch` epochs of `epochs` planned."""
        if epoch < self.warmup:
            return self.learning_rate * epoch / self.warmup
        falling = (self.epochs or epochs) - self.warmup
        share = min((epoch - self.warmup) / falling, 1) if falling > 0 else 0.0
        return _between(self.end, self.learning_rate, (1 + math.cos(math.pi * share)) / 2)


@dataclass(frozen=True)
class Step:
    """The learning rate is multiplied by `factor` at regular intervals.

    Parameters
    ----------
    learning_rate : float
        Rate at the start.
    every : int
        Number of epochs between two changes.
    factor : float, default=0.1
        Factor of one change, between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range.
    """

    learning_rate: float
    every: int
    _: KW_ONLY
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_number(self.learning_rate, "learning_rate", above=0)
        check_integer(self.every, "every")
        _check_factor(self.factor)

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the learning rate after `epoch` epochs. The number planned is ignored."""
        return float(self.learning_rate * self.factor ** (epoch // self.every))


@dataclass(frozen=True)
class MultiStep:
    """The learning rate is multiplied by `factor` after each of the given epochs.

    Parameters
    ----------
    learning_rate : float
        Rate at the start.
    milestones : sequence of int
        Epochs after which the rate changes, in ascending order.
    factor : float, default=0.1
        Factor of one change, between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range, or milestones are not in order.

    Examples
    --------
    Burda et al. (2016) train for 3^i epochs at the rate 0.001 * 10^(-i/7), for i from 0 to 7:

    >>> ends = [sum(3**i for i in range(stage + 1)) for stage in range(7)]
    >>> MultiStep(1e-3, milestones=ends, factor=10 ** (-1 / 7)).milestones
    (1, 4, 13, 40, 121, 364, 1093)
    """

    learning_rate: float
    milestones: Sequence[int]
    _: KW_ONLY
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_number(self.learning_rate, "learning_rate", above=0)
        _check_factor(self.factor)
        given = self.milestones
        if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
            raise TypeError(f"milestones={given!r} must be a sequence of epochs, such as (30, 60)")
        milestones = tuple(check_integer(m, f"milestones[{i}]") for i, m in enumerate(given))
        if not milestones or any(a >= b for a, b in zip(milestones, milestones[1:], strict=False)):
            raise ValueError(f"milestones={given!r} must be epochs in ascending order")
        object.__setattr__(
            self, "milestones", milestones
        )  # equal and hashable, whatever sequence was given

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the learning rate after `epoch` epochs. The number planned is ignored."""
        return float(self.learning_rate * self.factor ** sum(m <= epoch for m in self.milestones))


@dataclass(frozen=True)
class Plateau:
    """The learning rate is multiplied by `factor` when the ELBO stops improving.

    The schedule uses the validation ELBO if every epoch has one, else the training ELBO.

    Parameters
    ----------
    learning_rate : float
        Rate at the start.
    patience : int, default=5
        The rate changes each time that this number of epochs has passed without a better ELBO.
        PyTorch's ReduceLROnPlateau(patience=p) waits one epoch longer, like p + 1 here.
    factor : float, default=0.1
        Factor of one change, between 0 and 1.
    min_delta : float, default=0.0
        Smallest improvement that counts, in nats per row. The improvement must be larger than this.
    minimum : float, default=0.0
        Lower limit of the rate.

    Raises
    ------
    TypeError, ValueError
        A parameter is not a number, or is outside its range.
    """

    learning_rate: float
    patience: int = 5
    _: KW_ONLY
    factor: float = 0.1
    min_delta: float = 0.0
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_number(self.learning_rate, "learning_rate", above=0)
        check_integer(self.patience, "patience")
        _check_factor(self.factor)
        check_number(self.min_delta, "min_delta", low=0)
        if check_number(self.minimum, "minimum", low=0) > self.learning_rate:
            raise ValueError(
                f"minimum={self.minimum!r} must be at most learning_rate={self.learning_rate!r}"
            )

    def after(self, elbos: Sequence[float]) -> float:
        """Return the learning rate for the next epoch, given the ELBO of each epoch done."""
        rate, best, waited = float(self.learning_rate), -math.inf, 0
        for elbo in elbos:
            waited += 1
            if elbo > best + self.min_delta:
                best, waited = elbo, 0
            elif waited == self.patience:
                rate, waited = max(rate * self.factor, float(self.minimum)), 0
        return rate


BetaSchedule: TypeAlias = LinearWarmup | SigmoidWarmup | Cyclical
RateSchedule: TypeAlias = Cosine | Step | MultiStep | Plateau
KINDS: tuple[type[BetaSchedule | RateSchedule], ...] = get_args(BetaSchedule | RateSchedule)
BY_NAME: dict[str, type[BetaSchedule | RateSchedule]] = {
    "linear": LinearWarmup,
    "sigmoid": SigmoidWarmup,
    "cyclical": Cyclical,
    "cosine": Cosine,
    "step": Step,
    "multi-step": MultiStep,
    "plateau": Plateau,
}


def check_beta(value: object, name: str = "beta") -> float | BetaSchedule:
    """Return a value of beta or capacity as a float, or the schedule if it is one.

    Raises
    ------
    TypeError, ValueError
        `value` is neither a schedule of beta nor a non-negative number. The message calls it
        `name`.
    """
    if isinstance(value, BetaSchedule) and type(value) in KINDS:
        return value
    with _mentioning(name, value, "LinearWarmup(epochs=10), SigmoidWarmup or Cyclical"):
        return check_number(value, name, low=0)


def check_learning_rate(value: object, planned: int, last: int) -> float | RateSchedule:
    """Return a learning rate as a float, or the schedule if it is one.

    Parameters
    ----------
    value : object
        The parameter that the user set.
    planned : int
        Number of epochs planned, over which a schedule may stretch.
    last : int
        Number of the last epoch to train.

    Raises
    ------
    TypeError, ValueError
        `value` is neither a schedule of rates nor a positive number, or the schedule does not fit
        these epochs.
    """
    if isinstance(value, Cosine):
        if (value.epochs or planned) <= value.warmup:
            raise ValueError(f"learning_rate={value!r} must warm up in fewer than {planned} epochs")
        if value(last - 0.5, planned) == 0:
            raise ValueError(
                f"learning_rate={value!r} must be above 0, but it is 0 before epoch {last}: "
                "nothing would be learned. Change epochs or end of the schedule."
            )
    if isinstance(value, RateSchedule) and type(value) in KINDS:
        return value
    with _mentioning("learning_rate", value, "Cosine(1e-3), Step, MultiStep or Plateau"):
        return check_number(value, "learning_rate", above=0)


@contextmanager
def _mentioning(name: str, value: object, schedules: str) -> Iterator[None]:
    """Replace a TypeError by one that mentions the schedules."""
    try:
        yield
    except TypeError:
        raise TypeError(f"{name}={value!r} must be a number, or a schedule: {schedules}") from None


def _check_ramp(ramp: LinearWarmup | SigmoidWarmup) -> None:
    check_number(ramp.epochs, "epochs", above=0)
    check_number(ramp.start, "start", low=0)
    check_number(ramp.end, "end", low=0)


def _check_duration(epochs: float | None) -> None:
    if epochs is not None:
        check_number(epochs, "epochs", above=0)


def _check_factor(factor: float) -> None:
    check_number(factor, "factor", above=0, below=1)


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * share
