"""Checkpoints of a training run: written as it goes, and read to continue it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import _core
from .._system.files import atomic_write, file_at
from .._version import __version__
from ..checkpoint import Checkpoint
from .container import pack
from .fitted import FittedModel
from .processes import digest_of
from .state import TrainingState, state_from, state_part
from .storage import UNUSABLE, model_from, parts_of, plain, read_parts

FREE = ("n_threads", "verbose")  # parameters that do not affect the result


class Checkpointer:
    """Writes the state of a training when it is due.

    Parameters
    ----------
    checkpoint : Checkpoint
        Path and interval.

    Raises
    ------
    OSError
        A file can't be written at the path.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        file_at(checkpoint.file)  # raises now rather than after the first epoch
        self.checkpoint = checkpoint
        self.steps = 0  # since the last write
        self.written = time.monotonic()  # time of the last write

    def is_due(self, steps: int) -> bool:
        """Count this many further steps; return whether enough steps or minutes have passed."""
        self.steps += steps
        minutes = (time.monotonic() - self.written) / 60
        passed = {"steps": self.steps, "minutes": minutes}.get(self.checkpoint.unit, 0)
        return passed >= self.checkpoint.every

    def after_epoch(self, model: FittedModel, state: TrainingState) -> None:
        """Write a checkpoint if enough epochs have passed."""
        if self.checkpoint.unit == "epochs" and model.n_iter % self.checkpoint.every == 0:
            self.write(model, state)

    def write(self, model: FittedModel, state: TrainingState) -> None:
        """Write a checkpoint now."""
        parts = parts_of(model, training=True) | {"training": state_part(state)}
        with atomic_write(self.checkpoint.file) as temporary:
            temporary.write_bytes(pack(parts))
        self.steps, self.written = 0, time.monotonic()


def resume(
    data: bytes, path: Path, params: Mapping[str, Any], fingerprint: str
) -> tuple[FittedModel, TrainingState]:
    """Return the model and the state of a training to continue.

    Parameters
    ----------
    data : bytes
        The content of a checkpoint.
    path : path
        Path of the checkpoint, for messages.
    params : mapping
        Parameters of the fit that is to continue.
    fingerprint : str
        Fingerprint of the rows; see `state.fingerprint`.

    Raises
    ------
    ValueError
        The file is not a checkpoint, or belongs to another training run; the message names the
        differences.
    """
    parts = read_parts(data, str(path))
    if "training" not in parts:
        raise ValueError(
            f"{path} is a model, but not a checkpoint: it can't be continued. Choose another path, "
            "or replace the file with Checkpoint(..., resume=False)."
        )
    try:
        model = model_from(parts, {name: params[name] for name in FREE})
        state = state_from(parts["training"])
        if lacking := sorted(params.keys() - model.params.keys()):
            raise ValueError(f"the parameter {lacking[0]} is missing")
        if state.finished and not model.n_iter:
            raise ValueError("the training is finished, but has no epoch")
    except UNUSABLE as error:
        raise ValueError(f"{path} does not hold a usable checkpoint: {error}") from error
    differing = _differences(model, params)
    if model.provenance.isa != _core.ISA:
        differing.append(f"the instruction set was {model.provenance.isa} and is {_core.ISA}")
    if model.provenance.version != __version__:
        differing.append(f"vaefast was {model.provenance.version} and is {__version__}")
    if state.fingerprint != fingerprint:
        differing.append("the rows of X, y, exposure, sample_weight or validation are different")
    if differing:
        raise ValueError(
            f"{path} belongs to another training: {'; '.join(differing)}. Continue with what it "
            "was started with, or start again with Checkpoint(..., resume=False)."
        )
    return model, state


def facts_of(model: FittedModel, fingerprint: str) -> dict[str, str]:
    """Return by name the facts that processes must share to train a model together."""
    provenance, standardization = model.provenance, model.reader.standardization
    facts = {
        "version of vaefast": provenance.version,
        "instruction set": provenance.isa,
        "X": f"{' x '.join(map(str, provenance.data_shape))} of {provenance.data_dtype}",
        "hash of X, y, exposure, sample_weight and validation": fingerprint[:12],
    }
    for name, value in model.params.items():
        if name not in FREE:
            facts[f"parameter {name}"] = repr(_comparable(name, value))
    if standardization is not None:
        facts["hash of the standardization"] = digest_of(vars(standardization))
    return facts | {"hash of the weights at the start": digest_of(model.weights())}


def _comparable(name: str, value: Any) -> Any:
    # A generator and None stand for any seed.
    known = name != "random_state" or isinstance(value, int | np.integer)
    return plain(value) if known else None


def _differences(model: FittedModel, params: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in params.items():
        before, now = _comparable(name, model.params[name]), _comparable(name, value)
        any_seed = name == "random_state" and now is None
        if name not in FREE and not any_seed and before != now:
            found.append(f"{name} was {model.params[name]!r} and is {value!r}")
    return found
