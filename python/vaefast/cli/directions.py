"""Files of directions: a .npz file that identifies the model, or a .npy file of one vector."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .. import VAE
from .._system.files import atomic_write
from ..datasets.arrays import check_member

SUFFIXES = ".npz", ".npy"
MODEL = "model_sha256"  # entry of a .npz file in addition to the vectors


def check_suffix(path: Path) -> None:
    """Raise click.ClickException unless `save` can write this file."""
    if path.suffix not in SUFFIXES:
        raise click.ClickException(f"--save must name a .npz file or a .npy file, got {path}.")


def save(path: Path, vector: NDArray[np.float32], vae: VAE) -> None:
    """Write a direction, named by the file's stem, with the model's hash; .npy holds no hash."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, vector)
        else:
            entries: dict[str, Any] = {path.stem: vector, MODEL: np.array(_hash(vae))}
            np.savez(file, **entries)


def load(path: Path, vae: VAE) -> dict[str, NDArray[np.float64]]:
    """Return the vectors of a .npz file by name, or the vector of a .npy file by the file's stem.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is not a .npz or .npy file, holds no arrays, or belongs to another model.
    """
    directions = _read(path)
    if MODEL in directions and str(directions.pop(MODEL)) != _hash(vae):
        raise ValueError(
            f"{path} holds a direction of another model: learn it again with vaefast direction"
        )
    if not directions:
        raise ValueError(f"{path}: expected named arrays, but it holds no arrays")
    return directions


def _read(path: Path) -> dict[str, NDArray[np.float64]]:
    with path.open("rb") as opened:
        try:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                return {path.stem: file}
            for name in file.files:
                check_member(path, f"{name}.npy")
            return {name: file[name] for name in file.files}
        except Exception as error:  # NumPy raises many types for damaged or foreign files
            raise ValueError(
                f"{path}: expected a .npz file of named arrays of numbers, such as "
                "np.savez(path, smile=vector) writes, or the .npy file of one direction"
            ) from error


def _hash(vae: VAE) -> str:
    """Return a SHA-256 of the model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.model_.weights().items()):
        digest.update(f"{name} {tensor.shape} ".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
