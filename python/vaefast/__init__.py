"""vaefast: variational autoencoders on the CPU.

>>> from vaefast import VAE
>>> vae = VAE(latent_dim=2).fit(X)  # X: (n, features) or images (n, h, w[, c])
>>> vae.sample(16, random_state=0)
"""

from __future__ import annotations

from . import datasets, latent, metrics, optimizers, recipes, schedules
from ._system.environment import info
from ._version import __version__
from .anomaly import AnomalyDetector
from .checkpoint import Checkpoint
from .errors import CollapseWarning, DivergenceError, NotFittedError
from .imputer import VAEImputer
from .synthesizer import Synthesizer
from .vae import VAE, from_bytes, load

__all__ = [
    "VAE",
    "AnomalyDetector",
    "Checkpoint",
    "CollapseWarning",
    "DivergenceError",
    "NotFittedError",
    "Synthesizer",
    "VAEImputer",
    "__version__",
    "datasets",
    "from_bytes",
    "info",
    "latent",
    "load",
    "metrics",
    "optimizers",
    "recipes",
    "schedules",
]
