"""The nets and batch sizes that the benchmarks measure. This module must not import NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

Activation: TypeAlias = Literal["relu", "tanh"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)


@dataclass(frozen=True)
class Net:
    """A dense VAE with the Bernoulli likelihood. The narrowest inner layer is its latent space."""

    widths: tuple[int, ...]  # features, encoder, latent_dim, decoder, features
    activation: Activation

    def __post_init__(self) -> None:
        inner = self.widths[1:-1]
        if not inner or min(self.widths) < 1 or self.widths[0] != self.widths[-1]:
            raise ValueError(
                f"{self}: expected at least three positive widths, the first and the last the "
                "same, such as 784-256-2-256-784"
            )
        if inner.count(min(inner)) != 1:
            raise ValueError(
                f"{self}: exactly one inner layer, the latent space, must be the narrowest"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"{self}: the activations are {' and '.join(ACTIVATIONS)}")

    @classmethod
    def parse(cls, text: str) -> Net:
        """Return the net of a text such as ``784-256-2-256-784:tanh``; relu is the default."""
        widths, _, activation = text.strip().partition(":")
        try:
            numbers = tuple(int(width) for width in widths.split("-"))
        except ValueError:
            raise ValueError(
                f"{text!r} is not a net; expected a text such as 784-256-2-256-784:relu"
            ) from None
        return cls(numbers, cast(Activation, activation or "relu"))  # checked by __post_init__

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.widths))}:{self.activation}"

    @property
    def _latent(self) -> int:
        return self.widths.index(min(self.widths[1:-1]), 1)

    @property
    def features(self) -> int:
        """Number of features of one row."""
        return self.widths[0]

    @property
    def encoder(self) -> tuple[int, ...]:
        """Widths of the encoder's hidden layers, from the data to the latent space."""
        return self.widths[1 : self._latent]

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions."""
        return self.widths[self._latent]

    @property
    def decoder(self) -> tuple[int, ...]:
        """Widths of the decoder's hidden layers, from the latent space to the data."""
        return self.widths[self._latent + 1 : -1]

    @property
    def layers(self) -> list[tuple[str, int, int]]:
        """Name, number of inputs and number of outputs of each dense layer, from the data on."""
        layers, fan_in = [], self.features
        for i, width in enumerate(self.encoder):
            layers.append((f"encoder.{i}", fan_in, width))
            fan_in = width
        layers += [("mu", fan_in, self.latent_dim), ("logvar", fan_in, self.latent_dim)]
        fan_in = self.latent_dim
        for i, width in enumerate(self.decoder):
            layers.append((f"decoder.{i}", fan_in, width))
            fan_in = width
        return [*layers, ("output", fan_in, self.features)]

    @property
    def flops_per_row(self) -> int:
        """Necessary floating-point operations of a training step, for one row.

        Each weight takes one multiplication and one addition for the outputs, for the weight
        gradients and for the input gradients. The gradient with respect to the data is not needed.
        """
        layers = self.layers
        reading_data = layers[:1] if self.encoder else layers[:2]
        weights = sum(fan_in * fan_out for _, fan_in, fan_out in layers)
        return 2 * (3 * weights - sum(fan_in * fan_out for _, fan_in, fan_out in reading_data))


GRID: dict[Net, tuple[int, ...]] = {
    Net.parse("784-256-2-256-784:relu"): (32, 128, 512),
    Net.parse("784-400-20-400-784:relu"): (128, 512),
    Net.parse("784-200-200-50-200-200-784:tanh"): (20, 100),
    Net.parse("4096-1200-1200-10-1200-1200-1200-4096:tanh"): (64, 512),
    Net.parse("12288-1024-512-128-512-1024-12288:relu"): (64, 512),
    Net.parse("30-64-32-8-32-64-30:relu"): (64, 512),
}
QUICK: dict[Net, tuple[int, ...]] = {
    Net.parse("784-256-2-256-784:relu"): (128,),
    Net.parse("30-64-32-8-32-64-30:relu"): (512,),
}
OTHER_BATCHES = (128,)  # of nets that are not in the grid


def select(
    nets: list[Net] | None, batches: tuple[int, ...] | None, *, quick: bool = False
) -> list[tuple[Net, int]]:
    """Return the cells to measure, pairs of a net and a batch size.

    Parameters
    ----------
    nets : list of Net or None
        Nets to measure. None is the grid.
    batches : tuple of int or None
        Batch sizes of every net. None is the grid's batch sizes of the net, or 128.
    quick : bool, default=False
        Whether None stands for a small part of the grid.
    """
    grid = QUICK if quick and not nets else GRID
    return [(net, n) for net in nets or grid for n in batches or grid.get(net, OTHER_BATCHES)]
