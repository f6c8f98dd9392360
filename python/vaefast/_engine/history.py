"""The history of a training: one list for each figure, with one entry for each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .container import Part

History = dict[str, list[Any]]

RECORD_KEYS = (
    "epoch", "elbo", "reconstruction", "kl", "bound", "validation", "beta", "learning_rate",
    "kl_per_dimension", "active_units", "seconds",
)  # fmt: skip
INTEGERS = ("epoch", "active_units")
MEASURED = ("elbo", "reconstruction", "kl", "bound", "beta", "learning_rate", "seconds")


def history_part(history: Mapping[str, Sequence[Any]], latent_dim: int) -> Part:
    """Return a history as tensors, whose length is unlimited. None becomes NaN."""
    tensors = {
        key: np.array(history[key], np.int64 if key in INTEGERS else np.float64)
        for key in RECORD_KEYS
    }
    n = len(history["epoch"])
    tensors["kl_per_dimension"] = tensors["kl_per_dimension"].reshape(n, latent_dim)
    return Part(1, tensors=tensors)


def history_from(part: Part, latent_dim: int) -> History:
    """Return the history that `history_part` described.

    Raises
    ------
    ValueError
        Keys, shapes or types differ from those of a history, the epochs are not 1, 2, ..., or a
        figure is impossible.
    """
    tensors = part.tensors
    if set(tensors) != set(RECORD_KEYS):
        raise ValueError(f"the history has the wrong keys: {', '.join(sorted(tensors))}")
    n = len(tensors["epoch"])
    for key, tensor in tensors.items():
        shape = (n, latent_dim) if key == "kl_per_dimension" else (n,)
        if tensor.shape != shape or (tensor.dtype.kind == "i") != (key in INTEGERS):
            raise ValueError(f"the history is not that of {n} epochs: {key} is {tensor.shape}")
    if tensors["epoch"].tolist() != list(range(1, n + 1)):
        raise ValueError(f"the history is not that of {n} epochs")
    for key in MEASURED:
        if not np.isfinite(tensors[key]).all():
            raise ValueError(f"the history holds {key} that are not finite")
    active = tensors["active_units"]
    if (tensors["seconds"] < 0).any() or (active < 0).any() or (active > latent_dim).any():
        raise ValueError("the history holds impossible seconds or active units")
    history: History = {key: tensors[key].tolist() for key in RECORD_KEYS}
    history["validation"] = [None if np.isnan(v) else v for v in history["validation"]]
    return history
