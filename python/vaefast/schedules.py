"""Schedules: a beta or a learning rate that changes while training goes on.

A schedule is a frozen value. Called with the epochs done so far, a real number, and those planned,
it returns the figure for the next step. It remembers nothing, so training that was interrupted
goes on to the same bits. `Plateau` depends on how training went, which it reads from the history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias, get_args

from ._input.validation import check_integer, check_number


@dataclass(frozen=True)
class LinearWarmup:
    """Beta rises in a straight line, then stays (Sonderby et al. 2016).

    Parameters
    ----------
    epochs : float
        How long it takes.
    start, end : float
        The first value and the last.
    """

    epochs: float
    start: float = 0.0
    _: KW_ONLY
    end: float = 1.0

    def __post_init__(self) -> None:
        _check_ramp(self)

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return beta after `epoch` epochs; `epochs`, those planned, do not matter."""
        return _between(self.start, self.end, min(epoch / self.epochs, 1))


@dataclass(frozen=True)
class SigmoidWarmup:
    """Beta rises along a logistic curve, then stays (Bowman et al. 2016).

    The curve is steepest halfway, 3.1 times as steep as a line, and scaled to begin and to end
    just at `start` and `end`.

    Parameters
    ----------
    epochs : float
        How long it takes.
    start, end : float
        The first value and the last.
    """

    epochs: float
    start: float = 0.0
    _: KW_ONLY
    end: float = 1.0

    def __post_init__(self) -> None:
        _check_ramp(self)

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return beta after `epoch` epochs; `epochs`, those planned, do not matter."""
        reach = 6.25  # k x0 of the usual curve: 0.0025 per step times 2,500 steps
        share = min(epoch / self.epochs, 1)
        # 1 / (1 + exp(-t)) is (1 + tanh(t / 2)) / 2
        rise = math.tanh((2 * share - 1) * reach / 2) / math.tanh(reach / 2)
        return _between(self.start, self.end, (1 + rise) / 2)


@dataclass(frozen=True)
class Cyclical:
    """Beta rises from `start` to `end` again and again (Fu et al. 2019).

    Parameters
    ----------
    cycles : int
        How often.
    ratio : float
        Share of a cycle in which beta rises in a straight line; for the rest of it beta stays.
    start, end : float
        Beta at the beginning of a cycle, and at its end.
    epochs : float or None
        How long all cycles take together; then beta stays at `end`. None: all epochs planned.
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
    """The learning rate falls along half a cosine (Loshchilov & Hutter 2017, equation 5).

    Parameters
    ----------
    learning_rate : float
        The largest one.
    end : float
        The last one.
    warmup : float
        Epochs in which the rate first rises in a straight line from 0.
    epochs : float or None
        How long all takes, the warm-up included; then the rate stays. None: all epochs planned.
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
    """The learning rate is multiplied by `factor` every so many epochs.

    Parameters
    ----------
    learning_rate : float
        The first one.
    every : int
        Epochs between two changes.
    factor : float
        Between 0 and 1.
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
        """Return the learning rate after `epoch` epochs; `epochs`, those planned, do not matter."""
        return float(self.learning_rate * self.factor ** (epoch // self.every))


@dataclass(frozen=True)
class MultiStep:
    """The learning rate is multiplied by `factor` after each of the epochs named.

    Parameters
    ----------
    learning_rate : float
        The first one.
    milestones : sequence of int
        Epochs after which it changes, in rising order.
    factor : float
        Between 0 and 1.

    Examples
    --------
    Burda et al. (2016) train 3^i epochs at the rate 0.001 * 10^(-i/7), i from 0 to 7:

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
            raise ValueError(f"milestones={given!r} must be epochs in rising order")
        object.__setattr__(self, "milestones", milestones)  # equal and hashable, however given

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the learning rate after `epoch` epochs; `epochs`, those planned, do not matter."""
        return float(self.learning_rate * self.factor ** sum(m <= epoch for m in self.milestones))


@dataclass(frozen=True)
class Plateau:
    """The learning rate is multiplied by `factor` when the ELBO no longer gets better.

    What is watched is the validation ELBO where all epochs have one, else that of training.

    Parameters
    ----------
    learning_rate : float
        The first one.
    patience : int
        Epochs without a better ELBO that are waited for before a change, and again after it.
    factor : float
        Between 0 and 1.
    min_delta : float
        An ELBO must be larger by more than this to be better, in nats per row.
    minimum : float
        The rate never falls below it.
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
        """Return the learning rate for the next epoch, after epochs with these ELBOs."""
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
    """Return beta, or a parameter like it, as a float, or the schedule that it is."""
    if isinstance(value, BetaSchedule):
        return value
    with _mentioning(name, value, "LinearWarmup(epochs=10), SigmoidWarmup or Cyclical"):
        return check_number(value, name, low=0)


def check_learning_rate(value: object, planned: int, last: int) -> float | RateSchedule:
    """Return a learning rate as a float, or the schedule that it is.

    `planned` epochs are what a schedule may be stretched to, `last` the epoch to train up to.
    """
    if isinstance(value, Cosine):
        if (value.epochs or planned) <= value.warmup:
            raise ValueError(f"learning_rate={value!r} must warm up in less than {planned} epochs")
        if value(last - 0.5, planned) == 0:
            raise ValueError(
                f"learning_rate={value!r} must be above 0, but it is 0 before epoch {last}: "
                "nothing would be learned. Set its epochs or its end."
            )
    if isinstance(value, RateSchedule):
        return value
    with _mentioning("learning_rate", value, "Cosine(1e-3), Step, MultiStep or Plateau"):
        return check_number(value, "learning_rate", above=0)


@contextmanager
def _mentioning(name: str, value: object, schedules: str) -> Iterator[None]:
    """Say that what is no number could be a schedule."""
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
