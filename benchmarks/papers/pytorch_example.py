"""PyTorch's VAE example, and the same recipe with the net of a blog: grey digits, test ELBO."""

from __future__ import annotations

from vaefast import VAE

from . import data
from .recipe import Data, Recipe, Training

ADAM = {"activation": "relu", "optimizer": "adam", "learning_rate": 1e-3}


def _data(seed: int) -> Data:
    train, test = data.grey()
    return Data(lambda epoch: train, test, validation=test)  # for the log only


def _figures(vae: VAE, rows: Data, samples: int) -> dict[str, float]:
    found = vae.evaluate(rows.test)
    return {"test loss": -found["elbo"], "test KL": found["kl"]}


EXAMPLE = Recipe(
    source="github.com/pytorch/examples, vae/main.py: printed test loss after 10 epochs",
    departures=(),
    trainings=(
        Training(
            "example",
            {"latent_dim": 20, "hidden_layer_sizes": (400,), "batch_size": 128, **ADAM},
            {"test loss": "105.6"},
        ),
    ),
    epochs=10,
    data=_data,
    figures=_figures,
    seeds=(0, 1, 2),
)

BLOG = Recipe(
    source="our runs of PyTorch's example with the blog's net 784-256-2-256-784, 10 epochs",
    departures=(),
    trainings=tuple(
        Training(
            f"batch-{size}",
            {"latent_dim": 2, "hidden_layer_sizes": (256,), "batch_size": size, **ADAM},
            {"test loss": loss},
        )
        for size, loss in ((128, "156.6"), (32, "152.5"))
    ),
    epochs=10,
    data=_data,
    figures=_figures,
    seeds=(0, 1, 2),
)
