"""What a peer can do. Names and shapes of the weights are those of tests/reference.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from benchmarks.nets import Net

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Weights = dict[str, Float]

LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # of Adam, for every peer


class Peer(ABC):
    """A VAE with Adam for batches of a fixed size; figures are means over rows, in nats."""

    name: ClassVar[str]
    family: ClassVar[str]  # peers that do it in different ways; the best of a family counts

    @abstractmethod
    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        """Build the net; `seed` is that of the training noise."""

    @staticmethod
    @abstractmethod
    def version() -> str:
        """Name and version of what does the work, and of what it stands on."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Say why it can't run here, although it is installed; None if it can."""
        return None

    @abstractmethod
    def load(self, weights: Weights) -> None:
        """Start afresh from these weights: Adam forgets its moments and its steps."""

    @abstractmethod
    def weights(self) -> Weights:
        """Return copies of the weights by name."""

    @abstractmethod
    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        """Return reconstruction, kl and d (reconstruction + kl) / d weight for one batch."""

    @abstractmethod
    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        """Take one step per batch of ``X[order]``; return the epoch's reconstruction and kl.

        ``len(order)`` is a multiple of the batch size. Row i of `noise` belongs to row
        ``order[i]``; None: the peer draws its own. What depends on the rows is compiled or copied
        once: another epoch on the same `X`, be it longer or shorter, takes no time for that.
        """
