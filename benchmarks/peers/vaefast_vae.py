"""vaefast: calls of the core as the training loop makes them, without history and progress bar."""

from __future__ import annotations

import numpy as np

from benchmarks.nets import Net
from benchmarks.peers.base import BETA1, BETA2, EPSILON, LEARNING_RATE, Float, Index, Peer, Weights
from vaefast import _core, info


class VaefastVAE(Peer):
    name = family = "vaefast"
    likelihood = "bernoulli"

    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.core = _core.Core(
            features=net.features,
            encoder=net.encoder,
            latent_dim=net.latent_dim,
            decoder=net.decoder,
            activation=net.activation,
            columns=[(self.likelihood, net.features)],
            scale="fixed",
            n_threads=threads,
        )

    @staticmethod
    def version() -> str:
        about = info()
        return f"vaefast {about['version']} ({about['isa']}, Eigen {about['eigen']})"

    def load(self, weights: Weights) -> None:
        self.core.set_tensors(weights)
        self.core.set_optimizer(
            "adam", momentum=0.0, beta1=BETA1, beta2=BETA2, epsilon=EPSILON, weight_decay=0.0
        )

    def weights(self) -> Weights:
        return self.core.tensors()

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        reconstruction, kl = self.core.score(x, self.seed, eps)
        return float(reconstruction.mean()), float(kl.mean()), self.core.gradients(x, eps, 1.0)

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        core, size = self.core, self.batch_size
        firsts = range(0, len(order), size)
        if noise is None:
            rates, betas = np.full(len(firsts), LEARNING_RATE), np.ones(len(firsts))
            losses = core.steps(X, order, size, rates, betas, self.seed, core.optimizer_steps)
        else:
            batches = [slice(first, first + size) for first in firsts]
            losses = np.array(
                [core.step(X, order[b], LEARNING_RATE, 1.0, 0, 0, noise[b]) for b in batches]
            )
        reconstruction, kl, _ = losses.sum(axis=0) / len(order)
        return float(reconstruction), float(kl)


PEERS = (VaefastVAE,)
