"""Models on disk: a safetensors file of named float32 tensors, all else as JSON in its header.

It is data: loading it executes nothing. A checksum over tensors and header tells an edited file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import schedules
from .conditions import Conditions
from .feature_names import FeatureNames
from .files import atomic_write
from .validation import check_integer

if TYPE_CHECKING:
    from ._core import Core
    from .vae import VAE

FORMAT = "vaefast-model"
VERSION = 1
MOMENTS = {slot: f"optimizer.{slot}." for slot in ("first", "second")}  # prefixes of their names

Tensors = dict[str, NDArray[np.float32]]


def save(vae: VAE, path: str | os.PathLike[str], training: bool = False) -> None:
    """Write a fitted model; `path` is the old file or the whole new one, never half of either.

    `training`: with the optimizer's moments and steps, so that training can go on from the file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    params = dict(vae._fitted)
    if not isinstance(params["random_state"], (int, np.integer, type(None))):
        params["random_state"] = None  # a generator's state is not the model's
    conditions = vae._reader.conditions
    model = {
        "params": params,
        "feature_shape": vae.feature_shape_,
        "conditions": None if conditions is None else asdict(conditions),
        "feature_names": vae._reader.names,
        "exposed": vae._reader.exposed,
        "history": vae.history_,
        "n_iter": vae.n_iter_,
        "seed": vae._seed,
    }
    tensors = vae._core.tensors()
    if training:
        model["optimizer_steps"] = vae._core.optimizer_steps
        for slot, prefix in MOMENTS.items():
            moments = vae._core.tensors(slot)
            tensors |= {prefix + name: tensor for name, tensor in moments.items()}
    header = json.dumps(model, default=_plain, sort_keys=True)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "model": header,
        "sha256": _checksum(header, tensors),
    }
    with atomic_write(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # a full disk, for example
            raise OSError(f"{path} could not be written: {error}") from error


def load(path: str | os.PathLike[str]) -> VAE:
    """Read a model that `VAE.save` wrote.

    Parameters
    ----------
    path : path
        The file, or the folder that `vaefast train` wrote it to.

    Returns
    -------
    VAE
        Fitted, with the parameters and the history that it was saved with. `partial_fit` goes on
        to the same bits as if training had never stopped, if it was saved with training=True; else
        it starts with fresh optimizer moments.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is truncated, edited, of another version, or no model.
    """
    from .vae import VAE

    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is a safetensors file, but not a model that vaefast saved")
    if metadata.get("version") != str(VERSION):
        raise ValueError(
            f"{path} has version {metadata.get('version')} of the format, expected {VERSION}: "
            "it was saved by another version of vaefast"
        )
    header = metadata.get("model", "")
    if metadata.get("sha256") != _checksum(header, tensors):
        raise ValueError(f"{path} was edited or damaged: its checksum does not match its content")
    try:
        model = json.loads(header)
        vae = VAE(**{name: _from_plain(value) for name, value in model["params"].items()})
        moments = _take_moments(tensors) if "optimizer_steps" in model else None
        vae._restore(
            tensors,
            feature_shape=tuple(model["feature_shape"]),
            conditions=_conditions(model["conditions"]),
            names=_feature_names(model.get("feature_names"), model["feature_shape"]),
            exposed=model.get("exposed") is True,
            history=model["history"],
            n_iter=model["n_iter"],
            seed=model["seed"],
        )
        if moments is not None:
            _restore_optimizer(vae._core, moments, model["optimizer_steps"])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a usable model: {error}") from error
    return vae


def _take_moments(tensors: Tensors) -> dict[str, Tensors]:
    """Take the optimizer's moments out of the tensors of a file; return them by slot."""
    return {
        slot: {
            name.removeprefix(prefix): tensors.pop(name)
            for name in [name for name in tensors if name.startswith(prefix)]
        }
        for slot, prefix in MOMENTS.items()
    }


def _restore_optimizer(core: Core, moments: dict[str, Tensors], steps: int) -> None:
    for slot, tensors in moments.items():
        needed = {name: tensor.shape for name, tensor in core.tensors(slot).items()}
        given = {name: tensor.shape for name, tensor in tensors.items()}
        if given != needed or any(tensor.dtype != np.float32 for tensor in tensors.values()):
            raise ValueError(f"the {slot} moments are not those that the optimizer needs")
        core.set_tensors(tensors, slot)
    core.optimizer_steps = check_integer(steps, "optimizer_steps", low=0, high=2**63 - 1)


def _read(path: Path) -> tuple[dict[str, str], Tensors]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is truncated, damaged, or no model; a file that save or vaefast train wrote, "
            f"model.safetensors, was expected ({error})"
        ) from error
    except OSError as error:
        if error.filename is None:  # an empty file cannot be mapped
            raise ValueError(f"{path} cannot be read as a model: {error}") from error
        raise


def _checksum(header: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """What json does not know: NumPy's numbers and arrays, schedules, ranges and the like."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, schedules.BetaSchedule | schedules.RateSchedule):
        return schedules.as_data(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"cannot save {value!r} of type {type(value).__name__}")


def _conditions(data: dict[str, Any] | None) -> Conditions | None:
    if data is None:
        return None
    width, classes = data["width"], data["classes"]
    if classes is not None and (len(classes) != width or not width):
        raise ValueError(f"{len(classes)} classes are not {width} conditions")
    return Conditions(
        check_integer(width, "conditions"), None if classes is None else tuple(classes)
    )


def _feature_names(data: Any, shape: Sequence[int]) -> FeatureNames | None:
    if data is None:
        return None
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise ValueError(f"feature_names={data!r} must be a list of text")
    if [len(data)] != list(shape):
        raise ValueError(f"{len(data)} feature names are not those of rows of shape {shape}")
    return tuple(data)


def _from_plain(value: Any) -> Any:
    """A parameter as `VAE` takes it: JSON knows no tuples, and a schedule is an object there."""
    if isinstance(value, dict):
        return schedules.from_data(value)
    return tuple(map(_from_plain, value)) if isinstance(value, list) else value
