"""The interface of a peer. Names and shapes of the weights are those of `vae.model_.weights()`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from benchmarks.nets import Net

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Weights = dict[str, Float]

LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # Adam's constants, for every peer


class Peer(ABC):
    """A VAE that one library trains with Adam, on batches of a fixed size.

    Losses are means over rows, in nats.

    Attributes
    ----------
    name : str
        Name of the peer.
    family : str
        Name of the library. The fastest peer of a family represents it.
    """

    name: ClassVar[str]
    family: ClassVar[str]

    @abstractmethod
    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        """Build the net. `seed` is the seed of the training noise."""

    @staticmethod
    @abstractmethod
    def version() -> str:
        """Return name and version of the library, and of the library that it builds on."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Return the reason why an installed peer cannot run here, or None if it can."""
        return None

    @abstractmethod
    def load(self, weights: Weights) -> None:
        """Start from these weights, and reset Adam's moments and number of steps."""

    @abstractmethod
    def weights(self) -> Weights:
        """Return copies of the weights by name."""

    @abstractmethod
    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        """Return reconstruction, kl and the gradients of their sum, for one batch."""

    @abstractmethod
    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        """Take one step per batch of ``X[order]``; return the epoch's reconstruction and kl.

        A second epoch on the same `X` must not compile or copy anything again, whatever its length.

        Parameters
        ----------
        X : ndarray of shape (n, features)
            All rows.
        order : ndarray of int
            Indices of the rows to train on. Their number is a multiple of the batch size.
        noise : ndarray of shape (len(order), latent_dim) or None, default=None
            Noise of each row, in this order. With None the peer draws its own.
        """
