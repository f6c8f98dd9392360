"""The input of the training loop: a model, its rows, and how to train it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .._input.rows import AnyRows
from .checkpointing import Checkpointer
from .config import TrainingConfig
from .fitted import FittedModel
from .processes import ALONE, Processes
from .state import TrainingState


@dataclass(frozen=True, eq=False)
class Fit:
    """A model, the rows to train it on, and how to train it.

    If several `processes` train the model, the first one has the checkpointer and decides for all.
    """

    model: FittedModel
    rows: AnyRows
    config: TrainingConfig
    validation: AnyRows | None = None
    chosen: NDArray[np.int64] | None = None  # the rows to train on; None is all of them
    whole: bool = False  # from fresh weights to the last epoch, rather than a further epoch
    state: TrainingState = field(default_factory=TrainingState)  # a checkpoint may be its origin
    checkpointer: Checkpointer | None = None
    processes: Processes = ALONE

    @property
    def n(self) -> int:
        """Number of rows to train on."""
        return len(self.rows) if self.chosen is None else len(self.chosen)
