"""A VAE in PyTorch, in three ways that share the loss and the loop over batches.

The ways are eager with the default Adam, eager with the fused Adam, and the whole step compiled
into one graph. Weights have PyTorch's shape (outputs, inputs). Both heads of the encoder are one
product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.nets import Net
from benchmarks.peers.base import BETA1, BETA2, EPSILON, LEARNING_RATE, Float, Index, Peer, Weights

Tensor = torch.Tensor
OPTIONS = {"cpp_wrapper": True}  # torch.compile calls its kernels from C++, not from Python


class TorchVAE(Peer):
    """Everything but the step.

    `self.parameters` alternates weights and biases, starting with the encoder's.
    """

    family = "PyTorch"
    likelihood = "bernoulli"

    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        torch.set_num_threads(threads)
        self.net, self.batch_size = net, batch_size
        self.generator = torch.Generator().manual_seed(seed)
        # In place, because the slope needs only the output of the activation.
        self.activation = {"relu": torch.relu_, "tanh": torch.tanh_}[net.activation]
        encoder = [net.features, *net.encoder, 2 * net.latent_dim]
        decoder = [net.latent_dim, *net.decoder, net.features]
        shapes = [
            shape
            for widths in (encoder, decoder)
            for fan_in, fan_out in zip(widths, widths[1:], strict=False)
            for shape in ((fan_out, fan_in), (fan_out,))
        ]
        self.parameters = [torch.zeros(shape) for shape in shapes]
        self.in_encoder = 2 * len(net.encoder) + 2  # number of the encoder's parameters

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"

    # ---------------------------------------------------------------- interface

    def load(self, weights: Weights) -> None:
        views = self._views(self.parameters)
        with torch.no_grad():
            for name, view in views.items():
                view.copy_(torch.from_numpy(weights[name]))
        self._forget()

    def weights(self) -> Weights:
        return {name: _copy(view) for name, view in self._views(self.parameters).items()}

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        parameters = [p.detach().requires_grad_() for p in self.parameters]
        reconstruction, kl = self._losses(parameters, torch.from_numpy(x), torch.from_numpy(eps))
        gradients = torch.autograd.grad(reconstruction + kl, parameters)
        named = {name: _copy(view) for name, view in self._views(gradients).items()}
        return reconstruction.item(), kl.item(), named

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        size = self.batch_size
        rows, index = torch.from_numpy(X), torch.from_numpy(order)
        if noise is None:
            eps = torch.randn(len(order), self.net.latent_dim, generator=self.generator)
        else:
            eps = torch.from_numpy(noise)
        sums = torch.zeros(2)  # sums of the batches' means
        for first in range(0, len(order), size):
            batch = slice(first, first + size)
            self._step(rows.index_select(0, index[batch]), eps[batch], sums)
        reconstruction, kl = (sums * size / len(order)).tolist()
        return reconstruction, kl

    # ---------------------------------------------------------------- one step

    def _forget(self) -> None:
        """Reset Adam's moments and number of steps."""
        raise NotImplementedError

    def _step(self, x: Tensor, eps: Tensor, sums: Tensor) -> None:
        """Take one step, and add the batch's reconstruction and kl to `sums`."""
        raise NotImplementedError

    def _losses(self, parameters: Sequence[Tensor], x: Tensor, eps: Tensor) -> list[Tensor]:
        """Return reconstruction and kl, means over the batch, in nats."""
        seen = x if self.likelihood == "bernoulli" else torch.log1p(x)
        heads = self._chain(parameters[: self.in_encoder], seen)
        mu, raw = heads.chunk(2, dim=1)
        logvar = raw
        # Values beyond +-10 are rare. In eager mode this check costs less than the six operations
        # of the bound and their gradients.
        if torch.compiler.is_compiling() or raw.detach().abs().max() > 10:
            bounded = raw.clamp(-10, 10)  # beyond +-10, logvar approaches +-20
            logvar = bounded + 10 * torch.tanh((raw - bounded) / 10)
        sigma = torch.exp(logvar / 2)
        out = self._chain(parameters[self.in_encoder :], torch.addcmul(mu, sigma, eps))
        if self.likelihood == "multinomial":  # without the constant, as people write it
            nll = -(F.log_softmax(out, dim=1) * x).sum()
        elif self.likelihood == "poisson":
            nll = F.poisson_nll_loss(out, x, reduction="sum")
        else:
            nll = F.binary_cross_entropy_with_logits(out, x, reduction="sum")
        kl = (mu.square() + sigma.square() - logvar - 1).sum() / 2
        return [nll / len(x), kl / len(x)]

    def _chain(self, parameters: Sequence[Tensor], h: Tensor) -> Tensor:
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            h = self.activation(F.linear(h, weight, bias))
        return F.linear(h, parameters[-2], parameters[-1])

    def _views(self, parameters: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return views of the parameters or their gradients, (inputs, outputs), by name."""
        k, net = self.net.latent_dim, self.net
        names = [f"encoder.{i}" for i in range(len(net.encoder))] + ["heads"]
        names += [f"decoder.{i}" for i in range(len(net.decoder))] + ["output"]
        views = {}
        for name, weight, bias in zip(names, parameters[::2], parameters[1::2], strict=True):
            if name == "heads":
                views |= {"mu.weight": weight[:k].T, "mu.bias": bias[:k]}
                views |= {"logvar.weight": weight[k:].T, "logvar.bias": bias[k:]}
            else:
                views |= {f"{name}.weight": weight.T, f"{name}.bias": bias}
        return views


class Eager(TorchVAE):
    """The loop that most people write, with the default implementation of torch.optim.Adam."""

    name = "PyTorch eager"
    fused = False

    def _forget(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_()
        self.optimizer = torch.optim.Adam(
            self.parameters,
            lr=LEARNING_RATE,
            betas=(BETA1, BETA2),
            eps=EPSILON,
            fused=self.fused or None,
        )

    def _step(self, x: Tensor, eps: Tensor, sums: Tensor) -> None:
        losses = torch.stack(self._losses(self.parameters, x, eps))
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        self.optimizer.step()
        sums += losses.detach()


class Fused(Eager):
    """The eager loop with the fused Adam, one pass of a C++ kernel."""

    name = "PyTorch fused"
    fused = True


class Compiled(TorchVAE):
    """Gradient, Adam and the number of steps in one graph of `torch.compile`."""

    name = "PyTorch compiled"

    def __init__(self, net: Net, batch_size: int, threads: int, seed: int) -> None:
        super().__init__(net, batch_size, threads, seed)
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]
        self.steps = torch.zeros(())
        torch.compiler.reset()  # drops graphs of other nets: few are kept per function
        self.graph = torch.compile(self._whole_step, dynamic=False, options=OPTIONS)

    @classmethod
    def unavailable(cls) -> str | None:
        try:
            torch.compile(lambda x: x + 1, options=OPTIONS)(torch.ones(1))
        except Exception as error:  # no compiler, no Python headers, a full disk, ...
            return f"torch.compile does not work here: {str(error).strip().splitlines()[0]}"
        return None

    def _forget(self) -> None:
        for tensor in (*self.m, *self.v, self.steps):
            tensor.zero_()

    def _step(self, x: Tensor, eps: Tensor, sums: Tensor) -> None:
        self.graph(self.parameters, self.m, self.v, self.steps, x, eps, sums)

    def _whole_step(
        self,
        parameters: list[Tensor],
        ms: list[Tensor],
        vs: list[Tensor],
        steps: Tensor,
        x: Tensor,
        eps: Tensor,
        sums: Tensor,
    ) -> None:
        def loss(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
            losses = torch.stack(self._losses(parameters, x, eps))
            return losses.sum(), losses

        gradients, (_, losses) = torch.func.grad_and_value(loss, has_aux=True)(parameters)
        sums += losses
        steps += 1
        scale = torch.sqrt(-torch.expm1(steps * math.log(BETA2)))  # 1 - beta^steps, exactly
        rate = LEARNING_RATE * scale / -torch.expm1(steps * math.log(BETA1))
        epsilon = EPSILON * scale
        for w, m, v, g in zip(parameters, ms, vs, gradients, strict=True):
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            w -= rate * m / (torch.sqrt(v) + epsilon)


def _copy(tensor: Tensor) -> Float:
    return np.array(tensor.detach(), order="C")


PEERS = (Eager, Fused, Compiled)
