"""A VAE in NumPy, as fast as NumPy can be.

It computes in float32, uses BLAS for every product, allocates all buffers once and works in place.
`benchmarks.run` sets the number of BLAS threads before NumPy is imported. Gradients are sums over
the batch; Adam's factors turn them into means.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.nets import Net
from benchmarks.peers.base import BETA1, BETA2, EPSILON, LEARNING_RATE, Float, Index, Peer, Weights

CHUNK = 1 << 15  # floats: one chunk of each of Adam's four arrays fits 1 MB of second-level cache
ALIGN = 16  # floats of a cache line, where each tensor starts


class Dense:
    """A dense layer for one batch: out = x W + b, and delta = d loss / d out."""

    def __init__(self, rows: int, fan_in: int, fan_out: int) -> None:
        self.fan_in, self.fan_out = fan_in, fan_out
        self.out, self.delta = (np.empty((rows, fan_out), np.float32) for _ in range(2))
        self.ones = np.ones(rows, np.float32)
        self.zeros = np.zeros(fan_out, np.float32)  # np.maximum with a scalar is slower

    @property
    def size(self) -> int:
        """Number of floats of the weight and the bias, including padding."""
        return _aligned(self.fan_in * self.fan_out) + _aligned(self.fan_out)

    def view(self, flat: Float) -> tuple[Float, Float]:
        """Return views of the weight (fan_in, fan_out) and the bias (fan_out,) in `size` floats."""
        n, bias = self.fan_in * self.fan_out, _aligned(self.fan_in * self.fan_out)
        return flat[:n].reshape(self.fan_in, self.fan_out), flat[bias : bias + self.fan_out]

    def bind(self, values: Float, gradient: Float) -> None:
        self.weight, self.bias = self.view(values)
        self.weight_gradient, self.bias_gradient = self.view(gradient)

    def tensors(self, name: str, columns: slice = slice(None)) -> dict[str, tuple[Float, Float]]:
        """Return views of value and gradient of the weight and the bias, by name."""
        return {
            f"{name}.weight": (self.weight[:, columns], self.weight_gradient[:, columns]),
            f"{name}.bias": (self.bias[columns], self.bias_gradient[columns]),
        }

    def forward(self, x: Float) -> None:
        np.matmul(x, self.weight, out=self.out)
        self.out += self.bias

    def backward(self, x: Float, dx: Float | None) -> None:
        np.matmul(x.T, self.delta, out=self.weight_gradient)
        np.matmul(self.ones, self.delta, out=self.bias_gradient)
        if dx is not None:
            np.matmul(self.delta, self.weight.T, out=dx)

    def activate(self, activation: str) -> None:
        if activation == "relu":
            np.maximum(self.out, self.zeros, out=self.out)
        else:
            np.tanh(self.out, out=self.out)

    def through_activation(self, activation: str) -> None:
        """Multiply delta by the slope of the activation, which overwrites `out`."""
        slope = self.out
        if activation == "relu":
            np.greater(slope, 0, out=slope, casting="unsafe")
        else:
            np.square(slope, out=slope)
            np.subtract(1, slope, out=slope)
        self.delta *= slope


class NumpyVAE(Peer):
    name = family = "NumPy"

    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        self.net, self.batch_size = net, batch_size
        self.rng = np.random.default_rng(seed)
        n, k = batch_size, net.latent_dim

        def chain(*widths: int) -> list[Dense]:
            return [Dense(n, *pair) for pair in zip(widths, widths[1:], strict=False)]

        self.encoder = chain(net.features, *net.encoder, 2 * k)  # both heads are one product
        self.decoder = chain(k, *net.decoder, net.features)
        layers = self.encoder + self.decoder
        size = sum(layer.size for layer in layers)
        flat = [_zeros(size) for _ in range(4)]
        self.values, self.gradient, self.m, self.v = flat
        start = 0
        for layer in layers:
            end = start + layer.size
            layer.bind(self.values[start:end], self.gradient[start:end])
            start = end
        self.chunks = [[a[i : i + CHUNK] for a in flat] for i in range(0, size, CHUNK)]
        self.steps = 0

        head = self.encoder[-1]
        self.tensors = head.tensors("mu", slice(0, k)) | head.tensors("logvar", slice(k, 2 * k))
        for part, hidden in (("encoder", self.encoder[:-1]), ("decoder", self.decoder[:-1])):
            for i, layer in enumerate(hidden):
                self.tensors |= layer.tensors(f"{part}.{i}")
        self.tensors |= self.decoder[-1].tensors("output")

        self.mu, self.raw_logvar = head.out[:, :k], head.out[:, k:]
        self.d_mu, self.d_raw = head.delta[:, :k], head.delta[:, k:]
        self.eps, self.z, self.dz, self.logvar, self.sigma, self.scratch = (
            np.empty((n, k), np.float32) for _ in range(6)
        )
        self.x, self.softplus = (np.empty((n, net.features), np.float32) for _ in range(2))
        self.ones = np.ones(net.features, np.float32)

    @staticmethod
    def version() -> str:
        try:
            blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        except (TypeError, KeyError):  # before NumPy 1.26
            return f"NumPy {np.__version__}"
        return f"NumPy {np.__version__} ({blas['name']} {blas['version']})"

    # ---------------------------------------------------------------- interface

    def load(self, weights: Weights) -> None:
        for name, (value, _) in self.tensors.items():
            value[:] = weights[name]
        self.m[:] = 0
        self.v[:] = 0
        self.steps = 0

    def weights(self) -> Weights:
        return {name: value.copy() for name, (value, _) in self.tensors.items()}

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        n = self.batch_size
        self.x[:] = x
        self.eps[:] = eps
        reconstruction, kl = self._forward_and_backward()
        mean = np.float32(1 / n)
        gradients = {name: gradient * mean for name, (_, gradient) in self.tensors.items()}
        return reconstruction / n, kl / n, gradients

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        reconstruction = kl = 0.0
        for first in range(0, len(order), self.batch_size):
            batch = slice(first, first + self.batch_size)
            np.take(X, order[batch], axis=0, out=self.x, mode="clip")  # "raise" would copy
            if noise is None:
                self.rng.standard_normal(dtype=np.float32, out=self.eps)
            else:
                self.eps[:] = noise[batch]
            sums = self._forward_and_backward()
            self._adam()
            reconstruction += sums[0]
            kl += sums[1]
        return reconstruction / len(order), kl / len(order)

    # ---------------------------------------------------------------- one step

    def _forward_and_backward(self) -> tuple[float, float]:
        """From x and eps to the gradient; return reconstruction and kl, sums over the batch."""
        self._forward(self.encoder, self.x)
        kl = self._sample()
        self._forward(self.decoder, self.z)
        reconstruction = self._bernoulli()
        self._backward(self.decoder, self.z, self.dz)
        self._posterior_gradient()
        self._backward(self.encoder, self.x, None)
        return reconstruction, kl

    def _forward(self, layers: list[Dense], x: Float) -> None:
        for layer in layers:
            layer.forward(x)
            if layer is not layers[-1]:
                layer.activate(self.net.activation)
            x = layer.out

    def _backward(self, layers: list[Dense], x: Float, dx: Float | None) -> None:
        for layer, below in zip(layers[:0:-1], layers[-2::-1], strict=True):
            layer.backward(below.out, below.delta)
            below.through_activation(self.net.activation)
        layers[0].backward(x, dx)

    def _sample(self) -> float:
        """Set z = mu + sigma eps and return the KL of the batch."""
        raw, logvar, sigma = self.raw_logvar, self.logvar, self.sigma
        logvar[:] = raw
        np.abs(raw, out=self.scratch)
        self.bent = bool(self.scratch.max() > 10)
        if self.bent:  # rare: beyond +-10, logvar approaches +-20 smoothly
            excess = np.tanh((self.scratch - 10).clip(0, None) / 10)
            self.slope = 1 - excess**2
            np.clip(raw, -10, 10, out=logvar)
            logvar += np.copysign(10 * excess, raw)
        np.multiply(logvar, 0.5, out=sigma)
        np.exp(sigma, out=sigma)
        np.multiply(sigma, self.eps, out=self.z)
        self.z += self.mu
        squares = np.einsum("ij,ij->", self.mu, self.mu) + np.vdot(sigma, sigma)
        return 0.5 * (float(squares) - float(logvar.sum()) - logvar.size)

    def _bernoulli(self) -> float:
        """Set delta = p - x for the logits l, and return -log p(x|z) of the batch.

        With t = tanh(l / 2), p = (1 + t) / 2 and log(1 + exp(-|l|)) = log(2) - log(1 + |t|). This
        form cannot overflow, and NumPy's tanh is faster than its exp.
        """
        output = self.decoder[-1]
        logits, t, s = output.out, output.delta, self.softplus
        np.multiply(logits, 0.5, out=t)
        np.tanh(t, out=t)
        np.abs(t, out=s)
        s += 1
        np.log(s, out=s)
        nll = logits.size * math.log(2) - float((s @ self.ones).sum())
        np.maximum(logits, output.zeros, out=s)
        nll += float((s @ self.ones).sum()) - float(np.vdot(logits, self.x))
        t *= 0.5
        t += 0.5
        t -= self.x
        return nll

    def _posterior_gradient(self) -> None:
        """Set d mu = dz + mu and d logvar = (dz eps sigma + sigma^2 - 1) / 2."""
        np.add(self.dz, self.mu, out=self.d_mu)
        self.dz *= self.eps
        self.dz += self.sigma
        self.dz *= self.sigma
        self.dz -= 1
        np.multiply(self.dz, 0.5, out=self.d_raw)
        if self.bent:
            self.d_raw *= self.slope

    def _adam(self) -> None:
        """Take a step of Adam in few passes.

        m and v are moments of the gradient's sum over the batch, divided by 1 - BETA1 and
        1 - BETA2. `rate` and `epsilon` contain the missing factors.
        """
        self.steps += 1
        c1, c2 = 1 - BETA1**self.steps, math.sqrt((1 - BETA2**self.steps) / (1 - BETA2))
        rate, epsilon = LEARNING_RATE * (1 - BETA1) * c2 / c1, EPSILON * c2 * self.batch_size
        for w, g, m, v in self.chunks:
            m *= BETA1
            m += g
            np.square(g, out=g)
            v *= BETA2
            v += g
            np.sqrt(v, out=g)
            g += epsilon
            np.divide(m, g, out=g)
            g *= rate
            w -= g


def _aligned(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _zeros(n: int) -> Float:
    """Return n zeros that start on a cache line."""
    memory = np.zeros(n + ALIGN, np.float32)
    skip = (-memory.ctypes.data // memory.itemsize) % ALIGN
    return memory[skip : skip + n]


PEERS = (NumpyVAE,)
