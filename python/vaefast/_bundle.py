"""Files of objects that consist of fitted models and plain data, such as a detector."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ._engine.container import Part, Tensors, pack
from ._engine.storage import UNUSABLE, check_known, parts_of, read_parts
from ._system.files import atomic_write
from .vae import VAE, from_bytes

Result = TypeVar("Result")


@dataclass
class Bundle:
    """The content of a file of models and plain data.

    Attributes
    ----------
    models : sequence of VAE
        The fitted models.
    fields : dict
        Data that JSON can hold.
    tensors : dict of str to ndarray
        Arrays of float32, float64, int64 or uint8.
    """

    models: Sequence[VAE]
    fields: dict[str, Any] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)


def write_bundle(
    path: str | os.PathLike[str],
    kind: str,
    bundle: Bundle,
    build: Callable[[Bundle], object],
    *,
    leading: bool = True,
) -> None:
    """Write the file of an object of this kind, such as "detector", if `build` can read it.

    With `leading`, `vaefast.load` reads the first model from the file. All other models are files
    within the file.

    Raises
    ------
    ValueError
        The file could not be loaded again. Nothing is written, and an existing file stays as it
        was.
    OSError
        The file can't be written.
    """
    parts = parts_of(bundle.models[0].model_, training=False) if leading else {}
    parts[kind] = Part(1, bundle.fields, bundle.tensors)
    members = [np.frombuffer(vae.to_bytes(), np.uint8) for vae in bundle.models[leading:]]
    if members:
        parts["members"] = Part(1, tensors={str(i): file for i, file in enumerate(members)})
    data = pack(parts)
    _build(data, "the file that would be saved", kind, build)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def read_bundle(
    path: str | os.PathLike[str], kind: str, build: Callable[[Bundle], Result]
) -> Result:
    """Return what `build` makes of the content of a file that `write_bundle` wrote.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The file is truncated or edited, comes from a later version, or is of another kind. An error
        of `build`, such as a KeyError for a missing field, becomes one that names the file.
    """
    return _build(Path(path).expanduser().read_bytes(), str(path), kind, build)


def _build(data: bytes, source: str, kind: str, build: Callable[[Bundle], Result]) -> Result:
    parts = read_parts(data, source)
    if kind not in parts:
        raise ValueError(f"{source} is a model, but no {kind}: vaefast.load reads it")
    try:
        check_known(parts)
        models = [from_bytes(data)] if "model" in parts else []
        files = parts["members"].tensors if "members" in parts else {}
        models += [from_bytes(files[str(i)].tobytes()) for i in range(len(files))]
        return build(Bundle(models, parts[kind].fields, parts[kind].tensors))
    except UNUSABLE as error:
        raise ValueError(f"{source} does not hold a usable {kind}: {error}") from error
