"""The settings of a training that the loop itself needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._input.reader import check_window
from .._input.validation import check_integer
from ..schedules import BetaSchedule, RateSchedule, check_beta, check_learning_rate


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run: the parameters of a `VAE` that the loop itself needs."""

    epochs: int  # epochs to do now
    planned: int  # epochs of the whole fit, over which some schedules stretch
    batch_size: int
    learning_rate: float | RateSchedule
    beta: float | BetaSchedule
    capacity: float | BetaSchedule | None
    patience: int | None
    verbose: bool
    window: int | None = None  # rows that are shuffled together
    max_time: float | None = None  # seconds
    # Nats per training row and per validation row that the network does not see.
    outside: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, params: Mapping[str, Any], whole: bool, done: int = 0) -> TrainingConfig:
        """Return the settings for all epochs, or for one epoch after `done` others.

        Raises
        ------
        ValueError, TypeError
            A parameter can't be used.
        """
        planned = check_integer(params["epochs"], "epochs")
        epochs, capacity, patience = planned if whole else 1, params["capacity"], params["patience"]
        patience = None if patience is None else check_integer(patience, "patience")
        return cls(
            epochs=epochs,
            planned=planned,
            batch_size=check_integer(params["batch_size"], "batch_size"),
            learning_rate=check_learning_rate(params["learning_rate"], planned, done + epochs),
            beta=check_beta(params["beta"]),
            capacity=None if capacity is None else check_beta(capacity, "capacity"),
            patience=patience if whole else None,
            verbose=bool(params["verbose"]),
            window=check_window(params["window"]),
        )
