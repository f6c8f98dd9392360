"""The file format: a safetensors file of named, versioned parts.

A part has a version, fields (JSON) and tensors. New kinds of content become new parts, so the
version of the container itself need not change. The tensors of a part are stored under "PART/NAME".
A checksum over the content reveals edited files. Reading a file executes no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "vaefast-model"
VERSION = 2

Tensors = dict[str, NDArray[Any]]

DTYPES: dict[str, np.dtype[Any]] = {  # by their names in safetensors; models need no others
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
}


@dataclass
class Part:
    """A part of a file, with fields that JSON can hold and named tensors."""

    version: int
    fields: dict[str, Any] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)


def pack(parts: Mapping[str, Part]) -> bytes:
    """Return the bytes of a file with these parts, always the same bytes for the same parts."""
    tensors = {
        f"{name}/{key}": np.ascontiguousarray(tensor)
        for name, part in parts.items()
        for key, tensor in part.tensors.items()
    }
    described = {
        name: {"version": part.version, "fields": part.fields} for name, part in parts.items()
    }
    header = json.dumps(described, sort_keys=True)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "parts": header,
        "sha256": checksum(header, tensors),
    }
    return _write_safetensors(tensors, metadata)


def unpack(data: bytes, source: str) -> tuple[int, dict[str, Any], Tensors]:
    """Return version, header and tensors of a file, with the checksum verified.

    Raises
    ------
    ValueError
        The content is truncated or edited, comes from a later version, or is not a model.
    """
    metadata, tensors = _read_safetensors(data, source)
    version = metadata.get("version")
    if version not in ("1", str(VERSION)):
        raise ValueError(
            f"{source} has version {version} of the format, expected at most {VERSION}: "
            "a later version of vaefast saved it"
        )
    header = metadata.get("model" if version == "1" else "parts", "")
    if metadata.get("sha256") != checksum(header, tensors):
        raise ValueError(f"{source} was edited or damaged: its checksum does not match its content")
    try:
        return int(version), json.loads(header), tensors
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} does not hold a usable model: {error}") from error


def parts_from(header: Mapping[str, Any], tensors: Tensors) -> dict[str, Part]:
    """Return the parts that a header and the tensors of a file describe."""
    parts = {name: Part(part["version"], part["fields"]) for name, part in header.items()}
    for key, tensor in tensors.items():
        name, _, rest = key.partition("/")
        parts[name].tensors[rest] = tensor
    return parts


def checksum(header: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a header and of names, types, shapes and values of tensors."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _write_safetensors(tensors: Tensors, metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file, with ordered metadata, unlike the writer of safetensors."""
    kinds = {dtype: kind for kind, dtype in DTYPES.items()}
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))  # aligns all tensors
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.nbytes
        kind, shape = kinds[tensor.dtype], tensor.shape
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    values = (tensors[name].tobytes() for name in names)
    return b"".join([len(text).to_bytes(8, "little"), text, *values])


def _read_safetensors(data: bytes, source: str) -> tuple[dict[str, str], Tensors]:
    from safetensors import SafetensorError, deserialize

    try:
        found = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(
            f"{source} is truncated, damaged, or not a model: expected a file that save or vaefast "
            f"train wrote, such as model.safetensors ({error})"
        ) from error
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    if metadata.get("format") != FORMAT:  # tensors of other programs may have any type
        raise ValueError(f"{source} is a safetensors file, but not a model that vaefast saved")
    tensors: Tensors = {}
    for name, tensor in found:
        kind = str(tensor["dtype"])
        if kind not in DTYPES:
            raise ValueError(
                f"{source} does not hold a usable model: the tensor {name!r} has the type "
                f"{kind}, expected one of {', '.join(DTYPES)}"
            )
        flat: NDArray[Any] = np.frombuffer(tensor["data"], dtype=DTYPES[kind])
        tensors[name] = flat.reshape(tensor["shape"])
    return metadata, tensors
