"""The built-in recipe of a synthesizer: a VAE for the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schedules import Cosine

# docs/internals/defaults.md has the measurements behind these values.
BETA = 0.5
FEW_ROWS = 2_000  # rows up to which dropout makes synthetic rows worse
PASSES = 40  # passes over the rows
FEWEST_STEPS, MOST_STEPS = 3_000, 16_000
STEPS_FOR_FEW = 4_000
OPERATIONS = 4e12  # most floating-point operations of a training run, forward and backward
LATENT = 16
WIDE = 512  # encoded columns from which the latent dimensions double


def recipe(n: int, width: int) -> dict[str, Any]:
    """Return the parameters of a VAE for n rows of `width` encoded columns.

    They depend on these numbers alone, never on the clock.
    """
    batch = min(n, 2 ** int(np.clip(round(np.log2(n) / 2), 5, 9)))
    latent = min(width, LATENT if width < WIDE else 2 * LATENT)
    few = n <= FEW_ROWS
    hidden = 256 if few else 128
    weights = hidden * (2 * width + 3 * latent)
    steps = float(np.clip(PASSES * n / batch, STEPS_FOR_FEW if few else FEWEST_STEPS, MOST_STEPS))
    steps = min(steps, max(1_000, OPERATIONS / (6 * weights * batch)))
    return {
        "latent_dim": latent,
        "hidden_layer_sizes": (hidden,),
        "batch_size": batch,
        "epochs": max(1, round(steps / -(-n // batch))),
        "learning_rate": Cosine(2e-3),
        "beta": BETA,
        "dropout": 0.0 if few else 0.1,
    }
