"""The built-in recipe of a synthesizer: a VAE for the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schedules import Cosine

# docs/internals/defaults.md has the measurements.
BETA = 0.5
STEPS = 3_000, 16_000  # at least, at most
PASSES = 40  # over the rows, between these limits
OPERATIONS = 4e12  # floating-point operations of a training, at most; forward and backward
LATENT, HIDDEN = 16, 128
DROPOUT = 0.1
WIDE = 512  # encoded columns from which on there are twice as many latent dimensions


def recipe(n: int, width: int) -> dict[str, Any]:
    """Return the parameters of a VAE for n rows of `width` encoded columns.

    They depend on these numbers alone, never on the clock.
    """
    batch = min(n, 2 ** int(np.clip(round(np.log2(n) / 2), 5, 9)))
    latent = min(width, LATENT if width < WIDE else 2 * LATENT)
    weights = HIDDEN * (2 * width + 3 * latent)
    steps = float(np.clip(PASSES * n / batch, *STEPS))
    steps = min(steps, max(1_000, OPERATIONS / (6 * weights * batch)))
    return {
        "latent_dim": latent,
        "hidden_layer_sizes": (HIDDEN,),
        "batch_size": batch,
        "epochs": max(1, round(steps / -(-n // batch))),
        "learning_rate": Cosine(2e-3),
        "beta": BETA,
        "dropout": DROPOUT,
    }
