"""Sampling of new rows, from codes of the prior or of a distribution fitted to training codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input import likelihoods
from .._input.likelihoods import scale_names
from .._input.reader import Reader
from .._input.validation import check_choice, check_integer, check_number
from .config import TrainingConfig
from .fit import Fit
from .fitted import FittedModel, reading
from .priors import Mixture, Posteriors, gaussian, mixture
from .training import train

Floats = NDArray[np.float32]

SECOND_STAGE = {  # parameters of the VAE of codes that replace those of the model
    "hidden_layer_sizes": (128, 128),
    "decoder_layer_sizes": None,
    "activation": "relu",
    "likelihood": "gaussian",
    "sigma": "per_feature",
    "missing": "error",
    "standardize": True,
    "normalize": None,
    "conditional": False,
    "objective": "elbo",
    "n_samples": 1,
    "gradient_estimator": "standard",
    "free_bits": 0.0,
    "capacity": None,
    "dropout": 0.0,
    "denoising": None,
    "optimizer": "adam",
    "max_grad_norm": None,
    "components": None,
    "window": None,
}
SECOND_STAGE_CODES = 8_192  # codes drawn from the kept posteriors
SECOND_STAGE_TRAINING = TrainingConfig(
    epochs=60,
    planned=60,
    batch_size=128,
    learning_rate=1e-3,
    beta=1.0,
    capacity=None,
    patience=None,
    verbose=False,
)


@reading
def sample(
    model: FittedModel,
    n: int,
    rng: np.random.Generator,
    y: ArrayLike | None = None,
    temperature: float = 1.0,
    draw: bool = False,
    prior: str | None = None,
) -> Floats:
    """Return E[x|z], or with `draw` a draw from p(x|z), for n new codes."""
    if y is not None and model.conditions is None:
        raise ValueError("y is for a model that was fitted with conditional=True")
    count, scale = check_integer(n, "n"), check_number(temperature, "temperature", low=0)
    mean = model.decode(draw_codes(model, count, rng, scale, prior), y)
    return draw_rows(model, mean, rng) if draw else mean


def draw_rows(model: FittedModel, mean: Floats, rng: np.random.Generator) -> Floats:
    """Return a draw from p(x|z) for each row of E[x|z]."""
    flat, df = mean.reshape(len(mean), -1), model.params["df"]
    totals = model.reader.totals
    drawn = likelihoods.draw(flat, model.columns, log_scales_of(model), df, rng, totals)
    return drawn.reshape(mean.shape)


def log_scales_of(model: FittedModel) -> dict[int, Floats]:
    """Return the log scales of each run of columns that has scales, in the user's units."""
    tensors = model.weights()
    scales = {i: tensors[name] for i, name in scale_names(model.columns).items()}
    if (standardization := model.reader.standardization) is not None:
        for i, log_scale in scales.items():
            first = sum(count for _, count in model.columns[:i])
            log_scale += standardization.log_scales[first : first + len(log_scale)]
    return scales


def draw_codes(
    model: FittedModel, n: int, rng: np.random.Generator, temperature: float, prior: str | None
) -> Floats:
    """Return n codes, (n, latent_dim).

    Parameters
    ----------
    model : FittedModel
    n : int
    rng : Generator
    temperature : float
        Factor of the distance of codes from the mean, or from the means of a mixture. With
        second_stage, it scales both draws, that of z and that of the code.
    prior : {"prior", "gaussian", "mixture", "second_stage"} or None
        Distribution of the codes. prior is the standard normal. The others are fitted to the codes
        of the fit at their first use, and then kept in the model. None is mixture, or prior if the
        model holds no codes.

    Raises
    ------
    ValueError
        `prior` is unknown, or the model holds no codes of the fit.
    """
    if prior is None:
        prior = "prior" if model.posteriors is None else "mixture"
    check_choice(prior, "prior", ("prior", *FITS))
    if prior == "prior":
        z = rng.standard_normal((n, model.latent_dim), dtype=np.float32)
        return z * np.float32(temperature)
    priors, posteriors = model.priors, model.posteriors
    if prior not in priors:
        if posteriors is None:
            raise ValueError(
                f"prior={prior!r} needs codes of the fit, but this model holds none: an earlier "
                "version of vaefast wrote its file, or its weights were replaced. Use "
                "prior='prior', or fit the model again."
            )
        priors[prior] = FITS[prior](model, posteriors)
    fitted = priors[prior]
    if isinstance(fitted, Mixture):
        return fitted.draw(n, rng, temperature).astype(np.float32)
    mean = fitted.decode(draw_codes(fitted, n, rng, temperature, "prior"))
    spread: Floats = draw_rows(fitted, mean, rng) - mean
    return mean + np.float32(temperature) * spread


def _second_stage(model: FittedModel, posteriors: Posteriors) -> FittedModel:
    """Return a VAE of the codes, with as many latent dimensions (Dai & Wipf 2019, section 4)."""
    params = {**model.params, **SECOND_STAGE, "latent_dim": model.latent_dim, "random_state": 0}
    codes = posteriors.draw(SECOND_STAGE_CODES, np.random.default_rng(0))
    reader, rows = Reader.learn(params, codes.astype(np.float32), name="codes")
    second = FittedModel.start(params, reader, rows, seed=0)
    train(Fit(second, rows, SECOND_STAGE_TRAINING))
    return second


FITS: dict[str, Callable[[FittedModel, Posteriors], Mixture | FittedModel]] = {
    "gaussian": lambda model, posteriors: gaussian(posteriors),
    "mixture": lambda model, posteriors: mixture(posteriors),
    "second_stage": _second_stage,
}
