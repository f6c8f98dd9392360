"""A model as one .npz file, for NumPy and for readers in other languages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .._system.files import atomic_write
from ..vae import VAE
from .networks import describe, fitted


def to_npz(vae: VAE, path: str | os.PathLike[str]) -> None:
    """Write the weights and the description of a model to one .npz file.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    path : path
        The file. Its name must end in .npz, and its folder must exist. An existing file is
        replaced.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError, TypeError
        The name of the file does not end in .npz, or `vae` is not a VAE.
    OSError
        The file can't be written.

    Notes
    -----
    The arrays have the names of ``vae.model_.weights()``, such as ``encoder.0.weight``. Weights are
    float32 of shape (in, out). `means` and `scales`, of shape (features,), exist if the model
    standardizes its rows. `description` is text, the JSON of `describe`. `numpy.load` reads the
    file without pickle. The example of `vaefast.export` shows how to run the model.
    """
    model = fitted(vae, "to_npz")
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path}: the name of the file must end in .npz")
    arrays: dict[str, Any] = {"description": np.array(json.dumps(describe(vae)))}
    arrays.update(model.weights())
    if (standardization := model.reader.standardization) is not None:
        arrays.update(vars(standardization))
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
