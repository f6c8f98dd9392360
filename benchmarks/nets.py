"""The nets and batch sizes that are measured. Nothing here needs NumPy."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVATIONS = ("relu", "tanh")


@dataclass(frozen=True)
class Net:
    """A dense VAE with the Bernoulli likelihood; its latent space is the narrowest layer."""

    widths: tuple[int, ...]  # features, encoder, latent_dim, decoder, features
    activation: str

    def __post_init__(self) -> None:
        inner = self.widths[1:-1]
        if not inner or min(self.widths) < 1 or self.widths[0] != self.widths[-1]:
            raise ValueError(
                f"{self}: give at least three positive widths, the first and the last the same, "
                "as in 784-256-2-256-784"
            )
        if inner.count(min(inner)) != 1:
            raise ValueError(f"{self}: one inner layer, the latent space, must be the narrowest")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"{self}: the activations here are {' and '.join(ACTIVATIONS)}")

    @classmethod
    def parse(cls, text: str) -> Net:
        """Read ``784-256-2-256-784:relu``; relu may be left out."""
        widths, _, activation = text.strip().partition(":")
        try:
            numbers = tuple(int(width) for width in widths.split("-"))
        except ValueError:
            raise ValueError(f"{text!r} is no net; one reads 784-256-2-256-784:relu") from None
        return cls(numbers, activation or "relu")

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.widths))}:{self.activation}"

    @property
    def _latent(self) -> int:
        return self.widths.index(min(self.widths[1:-1]), 1)

    @property
    def features(self) -> int:
        return self.widths[0]

    @property
    def encoder(self) -> tuple[int, ...]:
        return self.widths[1 : self._latent]

    @property
    def latent_dim(self) -> int:
        return self.widths[self._latent]

    @property
    def decoder(self) -> tuple[int, ...]:
        return self.widths[self._latent + 1 : -1]

    @property
    def layers(self) -> list[tuple[str, int, int]]:
        """Name, inputs and outputs of each dense layer, from the data on."""
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
        """Floating-point operations of the products that a training step needs, for one row.

        A multiplication and an addition for each weight, three times: outputs, weight gradients,
        input gradients. The data's own gradient isn't needed.
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
OTHER_BATCHES = (128,)  # for nets that aren't in the grid


def select(
    nets: list[Net] | None, batches: tuple[int, ...] | None, *, quick: bool = False
) -> list[tuple[Net, int]]:
    """Return the cells to measure: each net, or those of the grid, with `batches` or with its own.

    The `quick` grid is a few cells of the whole one.
    """
    grid = QUICK if quick and not nets else GRID
    return [(net, n) for net in nets or grid for n in batches or grid.get(net, OTHER_BATCHES)]
