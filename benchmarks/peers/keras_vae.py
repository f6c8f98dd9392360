"""A VAE of Keras layers with Keras' Adam, on TensorFlow: an epoch is one function compiled by XLA.

This hand-written loop is faster than `fit` with a `train_step`, even with `jit_compile` and any
`steps_per_execution`. Both heads of the encoder are one layer. All noise of an epoch is drawn at
its start. The number of batches is an argument of the compiled function, so an epoch of another
length on the same rows compiles nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "tensorflow"  # read when Keras is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # silences TensorFlow's start-up messages

import keras
import tensorflow as tf

from benchmarks.nets import Net
from benchmarks.peers.base import (
    BETA1,
    BETA2,
    EPSILON,
    LEARNING_RATE,
    Float,
    Index,
    Peer,
    Weights,
)

Tensor = tf.Tensor
tf.get_logger().setLevel("ERROR")  # TensorFlow warns that every net is compiled anew


class Adam(keras.optimizers.Adam):
    """Adam with epsilon added after the bias correction of v, as in the other peers.

    Keras adds epsilon before that correction, so epsilon is scaled here by the same factor.
    """

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        steps = tf.cast(self.iterations + 1, tf.float32)
        self.epsilon = EPSILON * tf.sqrt(-tf.math.expm1(steps * math.log(BETA2)))
        super().update_step(gradient, variable, learning_rate)


class KerasVAE(Peer):
    name = family = "Keras"

    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        tf.config.set_visible_devices([], "GPU")
        for pool in ("intra", "inter"):  # TensorFlow accepts one number per process
            getattr(tf.config.threading, f"set_{pool}_op_parallelism_threads")(threads)
        self.net, self.batch_size = net, batch_size
        self.encoder = _chain(net.features, net.encoder, 2 * net.latent_dim, net.activation)
        self.decoder = _chain(net.latent_dim, net.decoder, net.features, net.activation)
        self.variables = self.encoder.trainable_variables + self.decoder.trainable_variables
        self.optimizer = Adam(LEARNING_RATE, BETA1, BETA2)
        self.optimizer.build(self.variables)
        self.generator = keras.random.SeedGenerator(seed)
        self.epoch = tf.function(self._epoch, jit_compile=True)
        self.rows: tuple[Float, Tensor] | None = None  # rows of the last epoch, in both forms

    @staticmethod
    def version() -> str:
        return f"Keras {keras.__version__} (TensorFlow {tf.__version__})"

    # ---------------------------------------------------------------- interface

    def load(self, weights: Weights) -> None:
        joined = dict(weights)
        for kind in ("weight", "bias"):
            heads = (weights[f"mu.{kind}"], weights[f"logvar.{kind}"])
            joined[f"heads.{kind}"] = np.concatenate(heads, axis=-1)
        for name, variable in zip(self._names(), self.variables, strict=True):
            variable.assign(joined[name])
        for variable in self.optimizer.variables:  # moments and number of steps
            if variable.name != "learning_rate":
                variable.assign(tf.zeros_like(variable))

    def weights(self) -> Weights:
        return self._named(self.variables)

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        losses, gradients = self._losses_and_gradients(tf.constant(x), tf.constant(eps))
        reconstruction, kl = losses.numpy().tolist()
        return reconstruction, kl, self._named(gradients)

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        if self.rows is None or self.rows[0] is not X:
            self.rows = X, tf.constant(X)
        # Padded to a full epoch, because the shape is a constant of the compiled function.
        indices = np.zeros(max(len(X), len(order)), np.int32)
        indices[: len(order)] = order
        n = tf.constant(len(order) // self.batch_size)
        eps = None if noise is None else tf.constant(noise)
        sums = self.epoch(self.rows[1], tf.constant(indices), n, eps)
        reconstruction, kl = (sums.numpy() * self.batch_size / len(order)).tolist()
        return reconstruction, kl

    # ---------------------------------------------------------------- compiled

    def _epoch(self, X: Tensor, order: Tensor, n: Tensor, noise: Tensor | None) -> Tensor:
        """Take n steps; return the sums of the batches' reconstruction and kl."""
        if noise is None:
            shape = (order.shape[0], self.net.latent_dim)
            noise = keras.random.normal(shape, seed=self.generator)

        def step(i: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            first, size = i * self.batch_size, self.batch_size
            x = tf.gather(X, tf.slice(order, [first], [size]))
            eps = tf.slice(noise, [first, 0], [size, self.net.latent_dim])
            losses, gradients = self._losses_and_gradients(x, eps)
            self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
            return i + 1, sums + losses

        return tf.while_loop(lambda i, _: i < n, step, (0, tf.zeros(2)))[1]

    def _losses_and_gradients(self, x: Tensor, eps: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return reconstruction and kl (means over the batch, in nats) and their sum's gradient."""
        with tf.GradientTape() as tape:
            mu, raw = tf.split(self.encoder(x), 2, axis=1)
            bounded = tf.clip_by_value(raw, -10, 10)  # beyond +-10, logvar approaches +-20
            logvar = bounded + 10 * tf.tanh((raw - bounded) / 10)
            sigma = tf.exp(logvar / 2)
            logits = self.decoder(mu + sigma * eps)
            nll = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
            # XLA would sum the whole batch at once, which is too inexact for wide rows. A product
            # with ones gives each row a sum of its own, at no cost.
            nll = tf.reduce_mean(tf.linalg.matvec(nll, tf.ones(self.net.features)))
            kl = tf.reduce_sum(tf.square(mu) + tf.square(sigma) - logvar - 1) / (
                2 * self.batch_size
            )
            losses = tf.stack([nll, kl])
            loss = tf.reduce_sum(losses)
        return losses, tape.gradient(loss, self.variables)

    # ---------------------------------------------------------------- names

    def _names(self) -> list[str]:
        """Return the names of the variables, in their order."""
        net = self.net
        layers = [f"encoder.{i}" for i in range(len(net.encoder))] + ["heads"]
        layers += [f"decoder.{i}" for i in range(len(net.decoder))] + ["output"]
        return [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]

    def _named(self, tensors: Sequence[Tensor]) -> Weights:
        """Return copies of the variables, or of their gradients, by name."""
        k = self.net.latent_dim
        named = {}
        for name, tensor in zip(self._names(), tensors, strict=True):
            layer, kind = name.rsplit(".", 1)
            value = np.array(tensor)
            if layer == "heads":
                named |= {f"mu.{kind}": value[..., :k], f"logvar.{kind}": value[..., k:]}
            else:
                named[name] = value
        return named


def _chain(inputs: int, hidden: tuple[int, ...], outputs: int, activation: str) -> keras.Sequential:
    layers = [keras.layers.Dense(width, activation=activation) for width in hidden]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(outputs)])


PEERS = (KerasVAE,)
