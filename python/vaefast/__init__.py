"""vaefast: variational autoencoders on the CPU.

>>> from vaefast import VAE
>>> vae = VAE(latent_dim=2).fit(X)  # X: (n, features) or images (n, h, w[, c])
>>> vae.sample(16, random_state=0)
"""

from __future__ import annotations

from . import datasets, latent, schedules
from ._version import __version__
from .anomaly import AnomalyDetector
from .environment import info
from .errors import CollapseWarning, DivergenceError, NotFittedError
from .storage import load
from .vae import VAE

__all__ = [
    "VAE",
    "AnomalyDetector",
    "CollapseWarning",
    "DivergenceError",
    "NotFittedError",
    "__version__",
    "datasets",
    "info",
    "latent",
    "load",
    "schedules",
]
