"""What is fuzzed: readers of files, the seeds that mutations start from, and what may happen."""

from __future__ import annotations

import gzip
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import vaefast
from vaefast import VAE, DivergenceError, datasets
from vaefast._engine.container import Part, pack, parts_from, unpack
from vaefast.cli import tables
from vaefast.datasets.folders import read_image
from vaefast.tables import Table

EXPECTED = ValueError, OSError, DivergenceError, vaefast.NotFittedError
ROWS = np.random.default_rng(0).random((12, 6)).astype(np.float32)


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes
    ----------
    suffix : str
        Suffix of the file that is read.
    seeds : callable
        Returns valid contents, from which mutations start.
    read : callable
        Reads a file. It may return anything, or raise one of `EXPECTED` with a message.
    wrap : callable or None, default=None
        Makes a file of mutated content, such as by signing it again.
    """

    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    wrap: Callable[[bytes], bytes] | None = None


def run(target: Target, content: bytes, path: Path) -> str | None:
    """Read a content; return None, or what went wrong."""
    if target.wrap is not None:
        content = target.wrap(content)
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(path)
    except EXPECTED as error:
        if not str(error).strip():
            return f"{type(error).__name__} without a message"
    except MemoryError:
        return "MemoryError: sizes were not checked first"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


# ------------------------------------------------------------------ readers


def _load(path: Path) -> None:
    datasets.load(path)


def _frame(path: Path) -> None:
    tables.learn(str(path), ())


def _image(path: Path) -> None:
    read_image(path, (8, 8))


def _model(path: Path) -> None:
    """Load a model and use it: a file that loads must work."""
    vae = vaefast.load(path)
    width = vae.n_features_in_
    if width <= 1000 and not vae.conditional:
        vae.transform(vae.sample(2, draw=True, random_state=0))
    vae._repr_html_()
    vae.to_bytes()


# ------------------------------------------------------------------ seeds


@cache
def _models() -> list[bytes]:
    own = {"epochs": 1, "batch_size": 4, "random_state": 0, "verbose": False}
    plain = VAE(1, (2,), **own).fit(ROWS)
    rich = VAE(2, (3,), likelihood="gaussian", standardize=True, conditional=True, **own)
    rich.fit(ROWS, y=[0, 1, 2] * 4)
    rich.sample(2, y=0, random_state=0)
    frame = {"a": ROWS[:, 0].astype(float), "b": np.array(["x", "y", "z"] * 4)}
    table = Table.learn(frame)
    people = VAE(1, (2,), likelihood=table.columns, **own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        people.fit(table.encode(frame))
    people.table_ = table
    return [plain.to_bytes(), plain.to_bytes(training=True), rich.to_bytes(), people.to_bytes()]


def _headers() -> list[bytes]:
    """Return the number of each model in a byte, and its header, for `_signed`."""
    headers = [unpack(data, "seed")[1] for data in _models()]
    return [bytes([i]) + json.dumps(header).encode() for i, header in enumerate(headers)]


def _signed(content: bytes) -> bytes:
    """Return a model file with a mutated header and a checksum that fits."""
    donors = _models()
    _, known, tensors = unpack(donors[(content[:1] or b"\0")[0] % len(donors)], "seed")
    try:
        header = json.loads(content[1:])
        parts = {name: Part(part["version"], part["fields"]) for name, part in header.items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):  # no JSON any more
        parts = parts_from(known, {})
    for name, part in parts.items():
        part.tensors = {
            key.partition("/")[2]: tensor
            for key, tensor in tensors.items()
            if key.partition("/")[0] == name
        }
    return pack(parts)


def _idx() -> list[bytes]:
    content = bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(range(12))
    return [content, gzip.compress(content)]


def _npy() -> list[bytes]:
    files = []
    for array in (ROWS, ROWS.astype(np.float64), (255 * ROWS).astype(np.uint8).reshape(12, 2, 3)):
        file = io.BytesIO()
        np.save(file, array)
        files.append(file.getvalue())
    return files


def _npz() -> list[bytes]:
    stored, packed = io.BytesIO(), io.BytesIO()
    np.savez(stored, X=ROWS, y=np.arange(12))
    np.savez_compressed(packed, X=ROWS, x_test=ROWS[:3])
    by_hand = io.BytesIO()
    with zipfile.ZipFile(by_hand, "w") as archive:
        archive.writestr("images.npy", _npy()[2])
    return [stored.getvalue(), packed.getvalue(), by_hand.getvalue()]


def _csv() -> list[bytes]:
    return [
        b"a,b,c\n" + b"\n".join(b"%d,%d.5,-%d" % (i, i, i) for i in range(12)) + b"\n",
        b'name,since,price\n"Ann, B.",2020-01-05,3.50\n"Bo",2021-11-30,\n' * 6,
        "größe;x\n1,5;a\n2,5;b\n".encode() * 5,
    ]


def _images() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    images = {
        "PNG": Image.fromarray(pixels),
        "JPEG": Image.fromarray(pixels),
        "GIF": Image.fromarray(pixels[..., 0]),
        "BMP": Image.fromarray(pixels),
        "TIFF": Image.fromarray(pixels).convert("CMYK"),
    }
    files = []
    for kind, image in images.items():
        file = io.BytesIO()
        image.save(file, kind)
        files.append(file.getvalue())
    return files


TARGETS: dict[str, Target] = {
    "model": Target(".safetensors", _models, _model),
    "signed-model": Target(".safetensors", _headers, _model, _signed),
    "idx": Target("-idx3-ubyte", _idx, _load),
    "npy": Target(".npy", _npy, _load),
    "npz": Target(".npz", _npz, _load),
    "csv": Target(".csv", lambda: _csv()[:1], _load),
    "table": Target(".csv", _csv, _frame),
    "image": Target(".png", _images, _image),
}


def mutated(target: Target, rng: Any) -> bytes:
    """Return a seed of the target after one to eight random changes."""
    seeds = target.seeds()
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(rng.integers(1, 9)):
        if not data:
            break
        CHANGES[rng.integers(len(CHANGES))](data, rng, seeds)
    return bytes(data)


def _flip(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def _extreme(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    data[rng.integers(len(data))] = (0, 255, 127, 128, 10, 34, 45, 48)[rng.integers(8)]


def _number(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    """Overwrite bytes by an integer at the limit of its type."""
    width = (2, 4, 8)[rng.integers(3)]
    value = (1 << 8 * width) - 1 >> int(rng.integers(3))
    at = int(rng.integers(len(data)))
    data[at : at + width] = value.to_bytes(width, ("little", "big")[rng.integers(2)])


def _digits(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    """Insert text that numbers, JSON and CSV have."""
    texts = (
        b"-1",
        b"1e999",
        b"NaN",
        b"99999999999",
        b"null",
        b"[]",
        b"{}",
        b'"',
        b",",
        b"\n",
        b"\xff",
    )
    at = int(rng.integers(len(data)))
    data[at : at + int(rng.integers(2))] = texts[rng.integers(len(texts))]


def _cut(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.integers(1, 1 + min(64, len(data))))]


def _repeat(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = data[at : at + int(rng.integers(1, 33))]


def _splice(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    other = seeds[rng.integers(len(seeds))]
    data[int(rng.integers(len(data))) :] = other[int(rng.integers(len(other))) :]


CHANGES = (_flip, _flip, _extreme, _number, _digits, _digits, _cut, _repeat, _splice)
