"""Construction of a core from the parameters of a `VAE`, with checks of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from .._core import ACTIVATIONS, Core
from .._input.likelihoods import Columns, columns_of, count_blocks, scale_names
from .._input.mean_rates import log_rates
from .._input.rows import AnyRows
from .._input.standardization import Standardization
from .._input.stream import Stream
from .._input.validation import (
    MAX_WIDTH,
    check_choice,
    check_integer,
    check_number,
    check_sizes,
)
from .._system.threads import MAX_THREADS, default_threads
from ..optimizers import SGD, Adam, AdamW, check_optimizer
from ..typing import GradientEstimator, Noise, Normalize, Objective, Scale

Params = Mapping[str, Any]
Tensors = Mapping[str, NDArray[np.float32]]

MOST_SAMPLES = 1000  # largest number of samples of z for each row in training
MAX_SAMPLES = 2**31 - 1  # samples of a batch, which the core numbers with 32 bits
MAX_DF = 1e6  # larger values change the density by less than 1e-6 nats per feature
GRADIENTS: dict[str, tuple[GradientEstimator, ...]] = {  # allowed estimators by objective
    "elbo": ("standard", "stl"),
    "iwae": ("standard", "stl", "dreg"),
    "autoencoder": ("standard",),
}


def widths(params: Params) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Return the widths of the encoder's hidden layers, the latent space and the decoder's."""
    encoder = check_sizes(params["hidden_layer_sizes"], "hidden_layer_sizes")
    decoder = params["decoder_layer_sizes"]
    decoder = encoder[::-1] if decoder is None else check_sizes(decoder, "decoder_layer_sizes")
    return encoder, check_integer(params["latent_dim"], "latent_dim", high=MAX_WIDTH), decoder


def count_weights(params: Params, features: int, conditions: int = 0) -> int:
    """Return the number of trained values of a network, including biases and learned scales."""
    encoder, latent_dim, decoder = widths(params)
    chains = (
        (features + conditions, *encoder, 2 * latent_dim),
        (latent_dim + conditions, *decoder, features),
    )
    columns = columns_of(params["likelihood"], features)
    scales = sum(columns[i][1] for i in scale_names(columns))
    return scales + sum((n + 1) * m for chain in chains for n, m in itertools.pairwise(chain))


def describe_net(params: Params, features: int) -> str:
    """Return a text with the layer widths, activation, likelihood and optimizer of a network."""
    encoder, latent_dim, decoder = widths(params)
    sizes = "-".join(map(str, (features, *encoder, latent_dim, *decoder, features)))
    likelihood, optimizer = params["likelihood"], params["optimizer"]
    columns = [(likelihood, "")] if isinstance(likelihood, str) else likelihood
    likelihood = " + ".join(f"{count} {name}".strip() for name, count in columns)
    conditional = ", conditional" if params["conditional"] else ""
    name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__.lower()
    return f"{sizes}, {params['activation']}, {likelihood}{conditional}, {name}"


def make_core(
    params: Params,
    features: int,
    conditions: int = 0,
    standardization: Standardization | None = None,
) -> Core:
    """Return a core with zero weights and fresh optimizer moments.

    Parameters
    ----------
    params : mapping of str to object
        Parameters of a `VAE`, by name.
    features : int
        Number of features of a row.
    conditions : int, default=0
        Number of encoded conditions of a row.
    standardization : Standardization or None, default=None
        Map from the units of the rows to those of the network; None is the identity.

    Raises
    ------
    TypeError, ValueError
        A parameter cannot be used, alone or together with another one.
    MemoryError
        The layers do not fit into memory.
    """
    encoder, latent_dim, decoder = widths(params)
    check_choice(params["activation"], "activation", ACTIVATIONS)
    columns = columns_of(params["likelihood"], features)
    sigma = params["sigma"]
    if isinstance(sigma, str):
        check_choice(sigma, "sigma", get_args(Scale))
    else:
        sigma = check_number(sigma, "sigma", above=0)
    if sigma == "optimal" and [name for name, _ in columns] != ["gaussian"]:
        raise ValueError("sigma='optimal' needs likelihood='gaussian'")
    if sigma == "optimal" and (params["missing"] == "mask" or params["objective"] == "iwae"):
        raise ValueError("sigma='optimal' can't go with missing='mask' or objective='iwae'")
    df = check_number(params["df"], "df", above=0)
    if df > MAX_DF:
        raise ValueError(
            f"df={df:g} must be at most {MAX_DF:g}: beyond that, student_t is gaussian in float32. "
            "Use likelihood='gaussian'."
        )
    normalized = params["normalize"] is not None
    if normalized:
        check_choice(params["normalize"], "normalize", get_args(Normalize))
        if params["standardize"]:
            raise ValueError("normalize and standardize exclude each other: leave one of them out")
    n_threads = default_threads() if params["n_threads"] is None else params["n_threads"]
    n_threads = check_integer(n_threads, "n_threads", high=MAX_THREADS)
    try:
        core = Core(
            features=features,
            encoder=encoder,
            latent_dim=latent_dim,
            decoder=decoder,
            activation=params["activation"],
            columns=columns,
            scale=sigma if isinstance(sigma, str) else "fixed",
            n_threads=n_threads,
            df=df,
            conditions=conditions,
            normalized=normalized,
        )
    except MemoryError:
        layers = [features, *encoder, latent_dim, *decoder, features]
        raise MemoryError(f"layers of {layers} units do not fit into memory") from None
    _set_optimizer(core, params)
    _set_objective(core, params)
    if standardization is not None:
        core.set_standardization(standardization.means, standardization.scales)
    if not isinstance(sigma, str) and (names := scale_names(columns)):
        tensors = core.tensors()
        units = np.zeros(features) if standardization is None else standardization.log_scales
        for i, name in names.items():
            first = sum(count for _, count in columns[:i])
            tensors[name][:] = np.log(sigma) - units[first : first + columns[i][1]]
        core.set_tensors(tensors)
    return core


def start_at_mean_rates(core: Core, rows: AnyRows, columns: Columns) -> None:
    """Set the output biases of counts to the log rates of the data.

    Outputs for counts are log rates. With small initial weights alone, rates would start at 1,
    which is far from large counts.
    """
    blocks = count_blocks(columns)
    if not blocks:
        return
    biases = core.tensors()["output.bias"]
    known = rows.learned if isinstance(rows, Stream) else None
    found = log_rates(rows, blocks) if known is None else known.log_rates
    for block, logs in zip(blocks, found, strict=True):
        biases[block] = logs
    core.set_tensors({**core.tensors(), "output.bias": biases})


def restore_core(
    params: Params,
    features: int,
    tensors: Tensors,
    conditions: int = 0,
    standardization: Standardization | None = None,
) -> Core:
    """Return a core with these weights; raise ValueError if they do not match the layers."""
    needed = count_weights(params, features, conditions)
    found = sum(tensor.size for tensor in tensors.values())
    if needed != found:  # checked before memory is allocated for the layers
        raise ValueError(f"expected {needed} weights for these layers, got {found}")
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise ValueError(f"the tensor {name!r} has the type {tensor.dtype}, expected float32")
    core = make_core(params, features, conditions, standardization)
    core.set_tensors(tensors)
    return core


def _set_optimizer(core: Core, params: Params) -> None:
    """Pass the optimizer with its settings to the core."""
    optimizer = check_optimizer(params["optimizer"])
    adam = optimizer if isinstance(optimizer, Adam | AdamW) else Adam()
    core.set_optimizer(
        {Adam: "adam", AdamW: "adamw", SGD: "sgd"}[type(optimizer)],
        momentum=optimizer.momentum if isinstance(optimizer, SGD) else 0.0,
        beta1=adam.betas[0],
        beta2=adam.betas[1],
        epsilon=adam.epsilon,
        weight_decay=optimizer.weight_decay if isinstance(optimizer, AdamW) else 0.0,
    )


def _set_objective(core: Core, params: Params) -> None:
    """Check the parameters of the objective and pass them to the core."""
    objective, gradient = params["objective"], params["gradient_estimator"]
    check_choice(objective, "objective", get_args(Objective))
    check_choice(gradient, "gradient_estimator", get_args(GradientEstimator))
    if gradient not in GRADIENTS[objective]:
        raise ValueError(
            f"gradient_estimator={gradient!r} does not go with objective={objective!r}, which "
            f"allows {', '.join(GRADIENTS[objective])}"
        )
    n_samples = check_integer(params["n_samples"], "n_samples", high=MOST_SAMPLES)
    if objective == "autoencoder" and n_samples > 1:
        raise ValueError("n_samples needs samples of z, but objective='autoencoder' draws none")
    check_held(params)
    kind, amount = _noise(params["denoising"])
    max_norm = params["max_grad_norm"]
    core.set_objective(
        objective,
        gradient,
        n_samples,
        check_number(params["free_bits"], "free_bits", low=0),
        dropout=check_number(params["dropout"], "dropout", low=0, below=1),
        corruption=kind,
        corruption_amount=amount,
        max_norm=0.0 if max_norm is None else check_number(max_norm, "max_grad_norm", above=0),
    )


def check_held(params: Params) -> None:
    """Raise ValueError unless free_bits and capacity go with the other parameters."""
    free_bits = check_number(params["free_bits"], "free_bits", low=0)
    held = free_bits > 0 or params["capacity"] is not None
    if held and (params["objective"], params["gradient_estimator"]) != ("elbo", "standard"):
        name = "free_bits" if free_bits > 0 else "capacity"
        raise ValueError(f"{name} needs objective='elbo' and gradient_estimator='standard'")
    if free_bits > 0 and params["capacity"] is not None:
        raise ValueError("free_bits and capacity exclude each other: set one of them")


def check_batch(params: Params, n: int) -> None:
    """Raise ValueError or TypeError if a batch of n rows has more samples than the core numbers."""
    size = min(check_integer(params["batch_size"], "batch_size"), n)
    samples = check_integer(params["n_samples"], "n_samples", high=MOST_SAMPLES)
    if size * samples > MAX_SAMPLES:
        raise ValueError(
            f"batch_size={size} times n_samples={samples} must be at most {MAX_SAMPLES}"
        )


def _noise(denoising: Any) -> tuple[str, float]:
    """Return the kind and the amount of noise on the encoder's input in training."""
    if denoising is None:
        return "none", 0.0
    try:
        kind, amount = denoising
    except (TypeError, ValueError):
        raise TypeError(
            f"denoising={denoising!r} must be a kind of noise and an amount, such as ('mask', 0.3)"
        ) from None
    check_choice(kind, "denoising[0]", get_args(Noise))
    if kind == "gaussian":
        return kind, check_number(amount, "denoising[1]", low=0)
    return kind, check_number(amount, "denoising[1]", low=0, below=1)


def form_of(tensors: Tensors) -> dict[str, Any]:
    """Return the shape and the dtype of each tensor by name."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
