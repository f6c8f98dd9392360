"""Table 1 of Burda, Grosse & Salakhutdinov 2016: VAE and IWAE with one stochastic layer."""

from __future__ import annotations

import itertools

import numpy as np

from vaefast import VAE
from vaefast.building import make_core
from vaefast.schedules import MultiStep
from vaefast.training import RECORD_KEYS

from . import data
from .recipe import Data, Pixels, Recipe, Training

STAGES = tuple(3**i for i in range(8))  # epochs: 3,280 in all
ENDS = tuple(itertools.accumulate(STAGES))
HELD_BACK = 400  # training images that the authors' code sets aside
TEST_SEED = 2016  # names the one binarisation of the test images that all models are judged on
GLOROT = 1  # tells the random numbers of the first weights from those of the pixels: epoch 0


def _train_rows() -> Pixels:
    return data.grey()[0][:-HELD_BACK]


def _data(seed: int) -> Data:
    train = data.Binarisation(_train_rows())
    test = data.Binarisation(data.grey()[1]).draw(TEST_SEED)
    return Data(lambda epoch: train.draw(seed, epoch), test)


def _start(vae: VAE, seed: int) -> None:
    """Glorot's uniform weights, biases 0; that of the output the logit of the pixels' mean."""
    rng = np.random.default_rng((seed, 0, GLOROT))
    tensors = make_core(vae.get_params(), 784).tensors()
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            bound = np.sqrt(6 / sum(tensor.shape))
            tensors[name] = rng.uniform(-bound, bound, tensor.shape).astype(np.float32)
    mean = np.clip(_train_rows().mean(axis=0) / 255, 0.001, 0.999)
    tensors["output.bias"] = np.log(mean / (1 - mean)).astype(np.float32)
    vae._restore(  # VAE has no parameter for other first weights
        tensors,
        feature_shape=(784,),
        conditions=None,
        names=None,
        exposed=False,
        history={key: [] for key in RECORD_KEYS},
        n_iter=0,
        seed=seed,
    )


def _figures(vae: VAE, rows: Data, samples: int) -> dict[str, float]:
    likelihood = vae.log_likelihood(rows.test, n_samples=samples, verbose=True)
    return {
        "NLL": -likelihood.mean,
        "standard error": likelihood.standard_error,
        "active units": vae.diagnose(rows.test).active_units,
        "test loss": -vae.evaluate(rows.test)["elbo"],
    }


def _training(name: str, objective: str, k: int, nll: str, active: str) -> Training:
    parameters = {
        "latent_dim": 50,
        "hidden_layer_sizes": (200, 200),
        "activation": "tanh",
        "objective": objective,
        "n_samples": k,
        "batch_size": 20,
        "optimizer": "adam",
        "adam_betas": (0.9, 0.999),
        "adam_epsilon": 1e-4 / 20,  # theirs is beside the sum of a batch's gradients
        "learning_rate": MultiStep(1e-3, ENDS[:-1], 10 ** (-1 / 7)),
    }
    return Training(name, parameters, {"NLL": nll, "active units": active})


RECIPE = Recipe(
    source="arXiv:1509.00519, table 1, and the authors' code, github.com/yburda/iwae",
    departures=(
        "where paper and code differ, the paper: beta1 0.9 (code 0.99), second moments from 0 "
        "(code: 1)",
        "rows are shuffled in each epoch (code: always in one order)",
        "vae-5: the KL in closed form (code: sampled)",
        "active units from all test rows (code: 500 training rows)",
    ),
    trainings=(
        # The bound of one sample is the ELBO, with its KL sampled, as their code has it.
        _training("vae-1", "iwae", 1, "86.76", "19"),
        _training("vae-1-closed-kl", "elbo", 1, "86.76", "19"),
        _training("vae-5", "elbo", 5, "86.47", "20"),
        _training("iwae-5", "iwae", 5, "85.54", "22"),
        _training("iwae-50", "iwae", 50, "84.78", "25"),
    ),
    epochs=ENDS[-1],
    data=_data,
    figures=_figures,
    samples=5000,
    start=_start,
    stages=STAGES,
)
