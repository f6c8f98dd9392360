"""Optimizers: the rule that turns a gradient into a step, with its settings.

An optimizer is a frozen value, passed as ``VAE(optimizer=optimizers.AdamW(weight_decay=0.1))``.
The strings "adam", "adamw" and "sgd" stand for the defaults. The learning rate is a parameter of
`VAE`, because it may follow a schedule.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias, get_args

from ._input.validation import check_choice, check_number

__all__ = ["SGD", "Adam", "AdamW"]

SMALLEST_EPSILON = 1e-30  # the squares of gradients below 1e-19 underflow; 0 / 0 must not occur


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1).

    Parameters
    ----------
    betas : (float, float), default=(0.9, 0.999)
        Decay rates of the first and the second moment, each in [0, 1).
    epsilon : float, default=1e-8
        Constant added to the square root of the second moment.

    Raises
    ------
    TypeError, ValueError
        A setting is not a number, or is outside its range.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_adam(self)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Parameters
    ----------
    betas : (float, float), default=(0.9, 0.999)
        Decay rates of the first and the second moment, each in [0, 1).
    epsilon : float, default=1e-8
        Constant added to the square root of the second moment.
    weight_decay : float, default=0.01
        Share of each weight that a step removes, times the learning rate.

    Raises
    ------
    TypeError, ValueError
        A setting is not a number, or is outside its range.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    _: KW_ONLY
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check_adam(self)
        check_number(self.weight_decay, "weight_decay", low=0)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum (Polyak 1964), as PyTorch writes it.

    Parameters
    ----------
    momentum : float, default=0.9
        Decay rate of the accumulated gradient, in [0, 1). 0 is plain gradient descent.

    Raises
    ------
    TypeError, ValueError
        The momentum is not a number, or is outside its range.
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_number(self.momentum, "momentum", low=0, below=1)


Optimizer: TypeAlias = Adam | AdamW | SGD
Name: TypeAlias = Literal["adam", "adamw", "sgd"]
KINDS: tuple[type[Optimizer], ...] = get_args(Optimizer)
BY_NAME: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


def check_optimizer(value: object) -> Optimizer:
    """Return an optimizer, or the one that a name stands for."""
    if isinstance(value, KINDS) and type(value) in KINDS:  # no subclass: a file can't hold it
        return value
    check_choice(value, "optimizer", tuple(BY_NAME))
    return BY_NAME[str(value)]()


def _check_adam(adam: Adam | AdamW) -> None:
    given = adam.betas
    if isinstance(given, (str, bytes)) or not hasattr(given, "__len__") or len(given) != 2:
        raise ValueError(f"betas={given!r} must be two numbers, such as (0.9, 0.999)")
    betas = tuple(check_number(beta, f"betas[{i}]", low=0, below=1) for i, beta in enumerate(given))
    object.__setattr__(adam, "betas", betas)  # equal and hashable, whatever sequence was given
    check_number(adam.epsilon, "epsilon", low=SMALLEST_EPSILON)
