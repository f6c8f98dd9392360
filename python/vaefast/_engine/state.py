"""The state of a training run between two steps that a resumed run needs beyond the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._input.rows import AnyRows, matrix_of, parts_of
from .._input.stream import Stream
from .._input.validation import check_integer
from .container import Part
from .provenance import sha256_of

Tensors = dict[str, NDArray[np.float32]]


@dataclass
class EpochState:
    """An unfinished epoch."""

    before: Tensors  # weights at its start, which a divergence restores
    taken: int = 0  # number of batches done; the losses are sums over their rows
    reconstruction: float = 0.0
    kl: float = 0.0
    bound: float = 0.0
    seconds: float = 0.0


@dataclass
class TrainingState:
    """Early stopping, and the epoch in progress."""

    best_elbo: float = -np.inf
    best_epoch: int = 0
    best: Tensors | None = None  # weights of the best epoch
    epoch: EpochState | None = None
    finished: bool = False
    fingerprint: str = ""  # identifies the rows; a run continues only on the same ones


def fingerprint(rows: AnyRows, validation: AnyRows | None) -> str:
    """Return a SHA-256 of training and validation rows, with their conditions and exposure."""
    digest = hashlib.sha256()
    for part in (rows, validation):
        if part is None:
            continue
        labels = part.y if isinstance(part, Stream) else None
        for matrix in (matrix_of(part), *parts_of(part), labels):
            if matrix is not None:
                digest.update(f"{matrix.shape} {matrix.dtype} {sha256_of(matrix)}".encode())
    return digest.hexdigest()


def state_part(state: TrainingState) -> Part:
    """Return the state as a part of a file."""
    fields: dict[str, Any] = {
        "best_elbo": state.best_elbo if np.isfinite(state.best_elbo) else None,
        "best_epoch": state.best_epoch,
        "finished": state.finished,
        "fingerprint": state.fingerprint,
        "epoch": None,
    }
    tensors = {f"best/{name}": tensor for name, tensor in (state.best or {}).items()}
    if state.epoch is not None:
        fields["epoch"] = {k: v for k, v in vars(state.epoch).items() if k != "before"}
        tensors |= {f"before/{name}": tensor for name, tensor in state.epoch.before.items()}
    return Part(1, fields, dict(tensors))


def state_from(part: Part) -> TrainingState:
    """Return the state that `state_part` described."""

    def under(prefix: str) -> Tensors:
        found = part.tensors.items()
        return {key.removeprefix(prefix): t for key, t in found if key.startswith(prefix)}

    fields = part.fields
    epoch = fields["epoch"]
    return TrainingState(
        best_elbo=-np.inf if fields["best_elbo"] is None else float(fields["best_elbo"]),
        best_epoch=int(fields["best_epoch"]),
        best=under("best/") or None,
        epoch=None if epoch is None else _epoch_from(epoch, under("before/")),
        finished=fields["finished"] is True,
        fingerprint=str(fields["fingerprint"]),
    )


def _epoch_from(fields: Mapping[str, Any], before: Tensors) -> EpochState:
    sums = {name: float(fields[name]) for name in ("reconstruction", "kl", "bound", "seconds")}
    return EpochState(before, check_integer(fields["taken"], "taken", low=0), **sums)
