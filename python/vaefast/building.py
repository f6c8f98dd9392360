"""A core from the parameters of a `VAE`: checked, and explained where they cannot be used."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._core import ACTIVATIONS, LIKELIHOODS, OPTIMIZERS, Core
from .threads import MAX_THREADS, default_threads
from .validation import MAX_WIDTH, check_choice, check_integer, check_number, check_sizes

Params = Mapping[str, Any]
Tensors = Mapping[str, NDArray[np.float32]]


def make_core(params: Params, features: int) -> Core:
    """Return a core with zero weights and fresh optimizer moments for rows of so many features."""
    encoder, latent_dim, decoder = _widths(params)
    check_choice(params["activation"], "activation", ACTIVATIONS)
    check_choice(params["likelihood"], "likelihood", LIKELIHOODS)
    sigma = params["sigma"]
    learn_sigma = isinstance(sigma, str)
    if learn_sigma:
        check_choice(sigma, "sigma", ("per_feature",))
    else:
        sigma = check_number(sigma, "sigma", above=0)
    n_threads = default_threads() if params["n_threads"] is None else params["n_threads"]
    n_threads = check_integer(n_threads, "n_threads", high=MAX_THREADS)
    try:
        core = Core(
            features=features,
            encoder=encoder,
            latent_dim=latent_dim,
            decoder=decoder,
            activation=params["activation"],
            columns=[(params["likelihood"], features)],
            scale="per_feature" if learn_sigma else "fixed",
            n_threads=n_threads,
        )
    except MemoryError:
        layers = [features, *encoder, latent_dim, *decoder, features]
        raise MemoryError(f"layers of {layers} units do not fit into memory") from None
    _set_optimizer(core, params)
    tensors = core.tensors()
    if "log_sigma" in tensors and not learn_sigma:
        tensors["log_sigma"][:] = np.log(sigma)
        core.set_tensors(tensors)
    return core


def restore_core(params: Params, features: int, tensors: Tensors) -> Core:
    """Return a core with these weights; ValueError unless they are just those that it needs."""
    encoder, latent_dim, decoder = _widths(params)
    chains = (features, *encoder, 2 * latent_dim), (latent_dim, *decoder, features)
    needed = sum((n + 1) * m for chain in chains for n, m in itertools.pairwise(chain))
    needed += features if "log_sigma" in tensors else 0
    found = sum(tensor.size for tensor in tensors.values())
    if needed != found:  # before any memory is taken for them
        raise ValueError(f"the layers need {needed} weights, but there are {found}")
    core = make_core(params, features)
    if _form(tensors) != _form(core.tensors()):
        raise ValueError("the tensors have other names, shapes or types than the layers need")
    core.set_tensors(tensors)
    return core


def _widths(params: Params) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Widths of the encoder's hidden layers, of the latent space and of the decoder's."""
    encoder = check_sizes(params["hidden_layer_sizes"], "hidden_layer_sizes")
    decoder = params["decoder_layer_sizes"]
    decoder = encoder[::-1] if decoder is None else check_sizes(decoder, "decoder_layer_sizes")
    return encoder, check_integer(params["latent_dim"], "latent_dim", high=MAX_WIDTH), decoder


def _set_optimizer(core: Core, params: Params) -> None:
    check_choice(params["optimizer"], "optimizer", OPTIMIZERS)
    try:
        beta1, beta2 = params["adam_betas"]
    except (TypeError, ValueError):
        raise ValueError(f"adam_betas={params['adam_betas']!r} must be two numbers") from None
    core.set_optimizer(
        params["optimizer"],
        check_number(params["momentum"], "momentum", low=0, below=1),
        check_number(beta1, "adam_betas[0]", low=0, below=1),
        check_number(beta2, "adam_betas[1]", low=0, below=1),
        check_number(params["adam_epsilon"], "adam_epsilon", low=1e-30),
        check_number(params["weight_decay"], "weight_decay", low=0),
    )


def _form(tensors: Tensors) -> dict[str, Any]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
