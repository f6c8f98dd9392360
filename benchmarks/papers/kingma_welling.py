"""Training speed of the net of Kingma & Welling 2014."""

from __future__ import annotations

from vaefast import VAE

from . import data
from .recipe import Data, Recipe, Training


def _data(seed: int) -> Data:
    train, test = data.grey()
    return Data(lambda epoch: train, test)


def _figures(vae: VAE, rows: Data, samples: int) -> dict[str, float]:
    seconds = sum(vae.history_["seconds"]) / (vae.n_iter_ * len(rows.train(1)))  # per row
    return {
        "rows per second": 1 / seconds,
        "minutes per million rows": seconds * 1e6 / 60,
        "test loss": -vae.evaluate(rows.test)["elbo"],
    }


RECIPE = Recipe(
    source="arXiv:1312.6114, section 5: 20 to 40 minutes per million rows at 40 GFLOP/s (Xeon)",
    departures=(
        "Adam (theirs: Adagrad with a prior on the weights)",
        "vaefast's initial weights (theirs: normal with standard deviation 0.01)",
    ),
    trainings=(
        Training(
            "mnist-20",
            {
                "latent_dim": 20,
                "hidden_layer_sizes": (500,),
                "activation": "tanh",
                "batch_size": 100,
                "optimizer": "adam",
                "learning_rate": 1e-3,
            },
            {"rows per second": "417 to 833", "minutes per million rows": "20 to 40"},
        ),
    ),
    epochs=17,  # 1,020,000 rows
    data=_data,
    figures=_figures,
)
