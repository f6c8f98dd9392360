"""Table 1 of Burda, Grosse & Salakhutdinov 2016: VAE and IWAE with one stochastic layer."""

from __future__ import annotations

import itertools

import numpy as np

from vaefast import VAE
from vaefast._engine.fitted import FittedModel
from vaefast._input.reader import Reader
from vaefast.optimizers import Adam
from vaefast.schedules import MultiStep

from . import data
from .recipe import Data, Pixels, Recipe, Training

STAGES = tuple(3**i for i in range(8))  # epochs of each stage: 3,280 in total
ENDS = tuple(itertools.accumulate(STAGES))
HELD_BACK = 400  # training images that the authors' code sets aside
TEST_SEED = 2016  # seed of the one binarization of the test images that evaluates all models
GLOROT = 1  # separates the random numbers of the initial weights from those of the pixels


def _train_rows() -> Pixels:
    return data.grey()[0][:-HELD_BACK]


def _data(seed: int) -> Data:
    train = data.Binarization(_train_rows())
    test = data.Binarization(data.grey()[1]).draw(TEST_SEED)
    return Data(lambda epoch: train.draw(seed, epoch), test)


def _start(vae: VAE, seed: int) -> None:
    """Set the initial weights of a VAE.

    Weights are Glorot's uniform ones and biases are 0, except for the bias of the output, which is
    the logit of the mean of each pixel.
    """
    train, params = _train_rows(), vae.get_params()
    reader, rows = Reader.learn(params, train)
    model = FittedModel.start(params, reader, rows, seed)
    rng = np.random.default_rng((seed, 0, GLOROT))
    tensors = model.weights()
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            bound = np.sqrt(6 / sum(tensor.shape))
            tensors[name] = rng.uniform(-bound, bound, tensor.shape).astype(np.float32)
        else:
            tensors[name] = np.zeros_like(tensor)
    mean = np.clip(train.mean(axis=0) / 255, 0.001, 0.999)
    tensors["output.bias"] = np.log(mean / (1 - mean)).astype(np.float32)
    model.set_weights(tensors)
    vae.model_ = model


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
        # Their epsilon of 1e-4 goes with the sum of the gradients of 20 rows, ours with the mean.
        "optimizer": Adam(betas=(0.9, 0.999), epsilon=1e-4 / 20),
        "learning_rate": MultiStep(1e-3, ENDS[:-1], factor=10 ** (-1 / 7)),
    }
    return Training(name, parameters, {"NLL": nll, "active units": active})


RECIPE = Recipe(
    source="arXiv:1509.00519, table 1, and the authors' code, github.com/yburda/iwae",
    departures=(
        "follows the paper where the code differs: beta1 = 0.9 (code: 0.99), second moments from 0 "
        "(code: 1)",
        "shuffles the rows in each epoch (code: always in one order)",
        "vae-5 and vae-1-closed-kl use the KL in closed form (code: sampled)",
        "counts active units on all test rows (code: 500 training rows)",
    ),
    trainings=(
        # The IWAE bound of one sample is the ELBO with a sampled KL, as in their code.
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
