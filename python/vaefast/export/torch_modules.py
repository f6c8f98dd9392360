"""A model as two PyTorch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingExtraError
from ..vae import VAE
from .networks import Networks, fitted

if TYPE_CHECKING:
    from torch.nn import Module


def to_torch(vae: VAE) -> tuple[Module, Module]:
    """Return the encoder and the decoder as PyTorch modules with the weights as parameters.

    The parameters are copies on the CPU, float32, and can be trained. The modules have neither
    dropout nor noise.

    Parameters
    ----------
    vae : VAE
        A fitted model.

    Returns
    -------
    encoder : torch.nn.Module
        ``encoder(x)`` returns mu and logvar, (n, latent_dim) each. x is a tensor (n, features).
    decoder : torch.nn.Module
        ``decoder(z)`` returns E[x|z], (n, features). z is a tensor (n, latent_dim).

        If the model is conditional, the calls are ``encoder(x, y)`` and ``decoder(z, y)`` with y
        of shape (n, width). See `vaefast.export` for units and the order of labels.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    MissingExtraError
        PyTorch is not installed.
    TypeError
        `vae` is not a VAE.
    """
    networks = Networks.of(fitted(vae, "to_torch"))
    try:
        from ._modules import Decoder, Encoder
    except ImportError as error:
        raise MissingExtraError("to_torch needs PyTorch: pip install torch") from error
    return Encoder(networks), Decoder(networks)
