"""The classes of the PyTorch modules. Importing this file imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from .._core import COUNTS
from .._input.likelihoods import RATES, Columns
from .networks import BOUND_WIDTH, LARGEST_LOG_RATE, LINEAR_UP_TO, Layer, Networks

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


class Encoder(nn.Module):  # type: ignore[misc]
    """Encoder of a VAE, from x, and y if the model is conditional, to mu and logvar of q(z|x)."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.columns, self.missing = networks.columns, networks.missing
        self.units = Units(networks)
        self.conditions, self.reads_counts = Conditions(networks), networks.reads_counts
        self.normalized = networks.normalized
        self.hidden = _hidden(networks.layers, networks.encoder)
        self.activation = ACTIVATIONS[networks.activation]()
        self.mu = _linear(networks.layers["mu"])
        self.logvar = _linear(networks.layers["logvar"])

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mu and logvar, (n, latent_dim) each, of x (n, features)."""
        x = (x - self.units.means) / self.units.scales
        if self.missing:
            x = torch.where(torch.isnan(x), torch.zeros_like(x), x)
        if self.normalized:
            x = nn.functional.normalize(x)
        elif self.reads_counts:
            x = _by_columns(x, self.columns, dict.fromkeys(COUNTS, torch.log1p))
        h = self.conditions(x, y)
        for layer in self.hidden:
            h = self.activation(layer(h))
        raw = self.logvar(h)
        inner = torch.clamp(raw, -LINEAR_UP_TO, LINEAR_UP_TO)
        return self.mu(h), inner + BOUND_WIDTH * torch.tanh((raw - inner) / BOUND_WIDTH)


class Decoder(nn.Module):  # type: ignore[misc]
    """Decoder of a VAE, from z, and y if the model is conditional, to E[x|z]."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.columns, self.conditions = networks.columns, Conditions(networks)
        self.units = Units(networks)
        self.hidden = _hidden(networks.layers, networks.decoder)
        self.activation = ACTIVATIONS[networks.activation]()
        self.output = _linear(networks.layers["output"])

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return E[x|z], (n, features), of z (n, latent_dim)."""
        h = self.conditions(z, y)
        for layer in self.hidden:
            h = self.activation(layer(h))
        mean = _by_columns(self.output(h), self.columns, MEANS)
        return mean * self.units.scales + self.units.means


def _rates(log_rates: Tensor) -> Tensor:
    return torch.exp(torch.clamp(log_rates, max=LARGEST_LOG_RATE))


def _continuous_bernoulli(a: Tensor) -> Tensor:
    """Return 1 / (1 - exp(-a)) - 1 / a, by the core's series where |a| < 0.5."""
    near, square = torch.abs(a) < 0.5, a * a
    series = a * (1 / 12 + square * (-1 / 720 + square * (1 / 30240)))
    safe = torch.clamp(torch.abs(a), min=0.5)
    far = torch.sign(a) * (1 / (1 - torch.exp(-safe)) - 1 / safe - 0.5)
    return 0.5 + torch.where(near, series, far)


MEANS: dict[str, Callable[[Tensor], Tensor]] = {  # all others use the output itself
    "bernoulli": torch.sigmoid,
    "continuous_bernoulli": _continuous_bernoulli,
    "categorical": lambda a: torch.softmax(a, dim=1),
    **dict.fromkeys(RATES, _rates),
    "multinomial": lambda a: torch.softmax(a, dim=1),
}


def _by_columns(
    x: Tensor, columns: Columns, functions: Mapping[str, Callable[[Tensor], Tensor]]
) -> Tensor:
    """Return x with the function of its likelihood applied to each block of columns."""
    blocks = torch.split(x, [count for _, count in columns], dim=1)
    return torch.cat(
        [
            functions[likelihood](block) if likelihood in functions else block
            for (likelihood, _), block in zip(columns, blocks, strict=True)
        ],
        dim=1,
    )


class Units(nn.Module):  # type: ignore[misc]
    """Means and scales of the features; 0 and 1 for a model that does not standardize."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        known = networks.standardization
        means = torch.zeros(1) if known is None else torch.tensor(known.means)
        scales = torch.ones(1) if known is None else torch.tensor(known.scales)
        self.register_buffer("means", means, persistent=False)
        self.register_buffer("scales", scales, persistent=False)


class Conditions(nn.Module):  # type: ignore[misc]
    """Appends y, standardized if it holds numbers, to x or z."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.width = networks.width
        numbers = (networks.means, networks.scales)
        if not networks.scales.size:
            numbers = (np.zeros(self.width, np.float32), np.ones(self.width, np.float32))
        for name, values in zip(("means", "scales"), numbers, strict=True):
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Return x and y side by side, (n, features + width)."""
        if (y is not None) != (self.width > 0):
            raise TypeError(
                f"the model is conditional: pass y, a tensor of shape (n, {self.width})"
                if self.width
                else "the model is not conditional: leave y out"
            )
        return x if y is None else torch.cat([x, (y - self.means) / self.scales], dim=1)


def _hidden(layers: Mapping[str, Layer], names: Iterable[str]) -> nn.ModuleList:
    return nn.ModuleList([_linear(layers[name]) for name in names])


def _linear(layer: Layer) -> nn.Linear:
    """Return a linear layer of PyTorch, where weights have the shape (out, in)."""
    linear = nn.Linear(*layer.weight.shape, device="meta")  # no random numbers are drawn
    linear.weight = nn.Parameter(torch.tensor(layer.weight.T))
    linear.bias = nn.Parameter(torch.tensor(layer.bias))
    return linear
