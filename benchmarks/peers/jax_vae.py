"""A VAE in JAX: an epoch is one jitted loop that reuses the buffers of the previous epoch.

Both heads of the encoder are one product. All noise of an epoch is drawn at its start, which takes
less time than one draw per step. The number of batches is an argument of the compiled loop, so an
epoch of another length on the same rows compiles nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.nets import Net
from benchmarks.peers.base import BETA1, BETA2, EPSILON, LEARNING_RATE, Float, Index, Peer, Weights

Array = jax.Array
Layers = list[tuple[Array, Array]]  # weight (inputs, outputs) and bias (outputs,)
Parameters = dict[str, Layers]  # "encoder", the heads included, and "decoder"
State = tuple[Parameters, Parameters, Parameters]  # weights, m and v

jax.config.update("jax_platforms", "cpu")


class JaxVAE(Peer):
    name = family = "JAX"
    likelihood = "bernoulli"

    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        self.net, self.batch_size, self.threads = net, batch_size, threads
        self.activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[net.activation]
        _start(threads)
        self.key = jax.random.key(seed)
        self.epoch = jax.jit(self._epoch, donate_argnums=0)
        self.gradients = jax.jit(jax.grad(self._loss, has_aux=True))
        self.rows: tuple[Float, Array] | None = None  # rows of the last epoch, in NumPy and in JAX

    @staticmethod
    def version() -> str:
        unlimited = "" if hasattr(os, "sched_setaffinity") else " (on all CPUs, ignoring --threads)"
        return f"JAX {jax.__version__}{unlimited}"

    # ---------------------------------------------------------------- interface

    def load(self, weights: Weights) -> None:
        def layer(name: str) -> tuple[Array, Array]:
            return jnp.array(weights[f"{name}.weight"]), jnp.array(weights[f"{name}.bias"])

        both = zip(layer("mu"), layer("logvar"), strict=True)
        heads = tuple(jnp.concatenate(pair, axis=-1) for pair in both)
        parameters = {
            "encoder": [*(layer(f"encoder.{i}") for i in range(len(self.net.encoder))), heads],
            "decoder": [
                *(layer(f"decoder.{i}") for i in range(len(self.net.decoder))),
                layer("output"),
            ],
        }
        zeros = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
        self.state = jax.block_until_ready((parameters, *zeros))

    def weights(self) -> Weights:
        return self._named(self.state[0])

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        with _limited(self.threads):
            gradients, losses = self.gradients(self.state[0], x, eps)
            reconstruction, kl = losses.tolist()
        return reconstruction, kl, self._named(gradients)

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        if self.rows is None or self.rows[0] is not X:
            self.rows = X, jnp.asarray(X)
        # Padded to a full epoch, because the shape is a constant of the compiled loop.
        indices = np.zeros(max(len(X), len(order)), np.int32)
        indices[: len(order)] = order
        self.key, key = jax.random.split(self.key)
        with _limited(self.threads):
            self.state, sums = jax.block_until_ready(
                self.epoch(
                    self.state, self.rows[1], indices, len(order) // self.batch_size, key, noise
                )
            )
        reconstruction, kl = (sums * self.batch_size / len(order)).tolist()
        return reconstruction, kl

    # ---------------------------------------------------------------- compiled

    def _epoch(
        self, state: State, X: Array, order: Array, n: int, key: Array, noise: Array | None
    ) -> tuple[State, Array]:
        """Take n steps; return the new state, and the batches' sums of reconstruction and kl."""
        size = self.batch_size
        if noise is None:
            noise = jax.random.normal(key, (len(order), self.net.latent_dim), jnp.float32)

        def step(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            (parameters, m, v), sums = carry
            rows = lax.dynamic_slice_in_dim(order, i * size, size)
            x = jnp.take(X, rows, axis=0, mode="clip")  # the default mode checks indices
            eps = lax.dynamic_slice_in_dim(noise, i * size, size)
            g, losses = jax.grad(self._loss, has_aux=True)(parameters, x, eps)
            return _adam(parameters, m, v, g, i + 1), sums + losses

        return lax.fori_loop(0, n, step, (state, jnp.zeros(2)))

    def _loss(self, parameters: Parameters, x: Array, eps: Array) -> tuple[Array, Array]:
        """Return the loss, and an array of its parts, reconstruction and kl, in nats."""
        seen = x if self.likelihood == "bernoulli" else jnp.log1p(x)
        heads = self._chain(parameters["encoder"], seen)
        mu, raw = jnp.split(heads, 2, axis=1)
        bounded = jnp.clip(raw, -10, 10)  # beyond +-10, logvar approaches +-20 smoothly
        logvar = bounded + 10 * jnp.tanh((raw - bounded) / 10)
        sigma = jnp.exp(logvar / 2)
        logits = self._chain(parameters["decoder"], mu + sigma * eps)
        nll = self._negative_log_likelihood(x, logits)
        kl = jnp.sum(mu**2 + sigma**2 - logvar - 1) / 2
        losses = jnp.stack([nll, kl]) / len(x)
        return losses.sum(), losses

    def _negative_log_likelihood(self, x: Array, logits: Array) -> Array:
        if self.likelihood == "multinomial":  # without the constant, as people write it
            return -jnp.sum(x * jax.nn.log_softmax(logits))
        if self.likelihood == "poisson":
            return jnp.sum(jnp.exp(logits) - x * logits)
        softplus = jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        return jnp.sum(softplus - x * logits)

    def _chain(self, layers: Layers, h: Array) -> Array:
        for weight, bias in layers[:-1]:
            h = self.activation(h @ weight + bias)
        weight, bias = layers[-1]
        return h @ weight + bias

    def _named(self, parameters: Parameters) -> Weights:
        """Return copies of the parameters, or of their gradients, by name."""
        *encoder, heads = parameters["encoder"]
        *decoder, output = parameters["decoder"]
        k = self.net.latent_dim
        layers: dict[str, Any] = {
            "mu": [tensor[..., :k] for tensor in heads],
            "logvar": [tensor[..., k:] for tensor in heads],
            "output": output,
        }
        layers |= {f"encoder.{i}": layer for i, layer in enumerate(encoder)}
        layers |= {f"decoder.{i}": layer for i, layer in enumerate(decoder)}
        return {
            f"{name}.{kind}": np.array(tensor)
            for name, layer in layers.items()
            for kind, tensor in zip(("weight", "bias"), layer, strict=True)
        }


def _adam(w: Parameters, m: Parameters, v: Parameters, g: Parameters, steps: Array) -> State:
    scale = jnp.sqrt(-jnp.expm1(steps * math.log(BETA2)))  # 1 - beta^steps without cancellation
    rate = LEARNING_RATE * scale / -jnp.expm1(steps * math.log(BETA1))
    epsilon = EPSILON * scale
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
    w = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + epsilon), w, m, v)
    return w, m, v


# --- Threads --------------------------------------------------------------------------------------
# XLA starts one thread per CPU that the process may use at that moment, once per process. To limit
# it to `threads`, JAX starts and runs on that many CPUs. All other code keeps its CPUs.

_started_with: int | None = None


def _start(threads: int) -> None:
    global _started_with
    if _started_with is None:
        with _limited(threads):
            jax.block_until_ready(jnp.ones((64, 64)) @ jnp.ones((64, 64)))
        _started_with = threads
    elif threads != _started_with:
        raise ValueError(
            f"JAX already runs with {_started_with} threads and cannot change to {threads}: "
            "use another process"
        )


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):  # macOS and Windows lack it
        yield
        return
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cpus)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


PEERS = (JaxVAE,)
