"""The VAE of Rezende & Mohamed 2015, as pythae reproduces it, on fixed binarized MNIST."""

from __future__ import annotations

from vaefast import VAE
from vaefast.schedules import MultiStep

from . import data
from .recipe import Data, Recipe, Training


def _data(seed: int) -> Data:
    train = data.fixed("train")
    return Data(lambda epoch: train, data.fixed("test"), validation=data.fixed("valid"))


def _figures(vae: VAE, rows: Data, samples: int) -> dict[str, float]:
    likelihood = vae.log_likelihood(rows.test, n_samples=samples, verbose=True)
    return {
        "NLL": -likelihood.mean,
        "standard error": likelihood.standard_error,
        "test loss": -vae.evaluate(rows.test)["elbo"],
        "best epoch": vae.n_iter_,
    }


def _training(name: str, *widths: int) -> Training:
    return Training(
        name,
        {
            "latent_dim": 40,
            "hidden_layer_sizes": widths,
            "activation": "relu",
            "batch_size": 100,
            "optimizer": "adam",
            "learning_rate": MultiStep(1e-4, (200, 350, 500), factor=10 ** (-1 / 5)),
        },
        {"NLL": "89.78"},
    )


RECIPE = Recipe(
    source=(
        "github.com/clementchadebec/benchmark_VAE, examples/scripts/reproducibility/vae.py and its "
        "README; the paper (arXiv:1505.05770, table 2) reports 89.9"
    ),
    departures=("one estimate from 200 samples (theirs: the mean of five)",),
    trainings=(
        _training("vae", 400),
        _training("two-layers", 400, 400),  # their script has this layer commented out
    ),
    epochs=500,
    data=_data,
    figures=_figures,
    samples=200,
    keep_best=True,
)
