"""Valid files of each kind, from which mutations start."""

from __future__ import annotations

import gzip
import io
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas
from PIL import Image
from scipy import sparse

from vaefast import VAE, AnomalyDetector, Checkpoint, Synthesizer, VAEImputer, from_bytes
from vaefast.anomaly import ensemble
from vaefast.cli.directions import save as save_direction
from vaefast.darkroom import Piece, write_midi
from vaefast.tables import Table

ROWS = np.random.default_rng(0).random((12, 6)).astype(np.float32)
GAPS = np.where(ROWS < 0.2, np.nan, ROWS)
FRAME = {"a": ROWS[:, 0].astype(float), "b": np.array(["x", "y", "z"] * 4)}
OWN: dict[str, Any] = {"epochs": 1, "batch_size": 4, "random_state": 0, "verbose": False}


def _quietly(function: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
    """Return a function that is called once, and warns neither of short nor of poor training."""

    def call() -> list[bytes]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return function()

    return cache(call)


def _saved(*estimators: Any) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.safetensors"
        files = []
        for estimator in estimators:
            estimator.save(path)
            files.append(path.read_bytes())
    return files


# ------------------------------------------------------------------ models


@_quietly
def models() -> list[bytes]:
    plain = VAE(1, (2,), **OWN).fit(ROWS)
    rich = VAE(2, (3,), likelihood="gaussian", standardize=True, conditional=True, **OWN)
    rich.fit(ROWS, y=[0, 1, 2] * 4)
    rich.sample(2, y=0, random_state=0)
    table = Table.learn(FRAME)
    people = VAE(1, (2,), likelihood=table.columns, **OWN)
    people.fit(table.encode(FRAME))
    people.table_ = table
    return [plain.to_bytes(), plain.to_bytes(training=True), rich.to_bytes(), people.to_bytes()]


@_quietly
def detectors() -> list[bytes]:
    with patch.object(ensemble, "MEMBERS", 3):
        own = AnomalyDetector(random_state=0, n_threads=1).fit(ROWS)
    return _saved(own, AnomalyDetector(VAE(1, (2,), **OWN).fit(ROWS)).fit(ROWS))


@_quietly
def imputers() -> list[bytes]:
    own = {"n_samples": 5, "random_state": 0, "n_threads": 1}
    vae = VAE(1, (2,), missing="mask", likelihood="gaussian", **OWN)
    return _saved(
        VAEImputer(**own).fit(GAPS),
        VAEImputer(vae, n_models=2, **own).fit(GAPS),
        VAEImputer(vae, **own).fit(FRAME),
    )


@_quietly
def synthesizers() -> list[bytes]:
    own: dict[str, Any] = {"random_state": 0, "n_threads": 1, "verbose": False}
    one = Synthesizer(constraints=["a <= 1"], **own).fit(FRAME)
    return _saved(one, Synthesizer(VAE(1, (2,), **OWN), codes="rows", **own).fit(FRAME))


def to_continue() -> VAE:
    """Return the unfitted model whose training the checkpoints continue."""
    return VAE(1, (2,), **{**OWN, "epochs": 2})


@_quietly
def checkpoints() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        seen: list[bytes] = []
        point = Checkpoint(path, 1, unit="steps")
        to_continue().fit(
            ROWS, checkpoint=point, callbacks=[lambda *_: seen.append(path.read_bytes())]
        )
        return [*seen, path.read_bytes()]


# ------------------------------------------------------------------ data


@cache
def idx() -> list[bytes]:
    content = bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(range(12))
    return [content, gzip.compress(content)]


@cache
def npy() -> list[bytes]:
    files = []
    for array in (ROWS, ROWS.astype(np.float64), (255 * ROWS).astype(np.uint8).reshape(12, 2, 3)):
        file = io.BytesIO()
        np.save(file, array)
        files.append(file.getvalue())
    return files


@cache
def npz() -> list[bytes]:
    files = [io.BytesIO() for _ in range(5)]
    np.savez(files[0], X=ROWS, y=np.arange(12))
    np.savez_compressed(files[1], X=ROWS, x_test=ROWS[:3])
    with zipfile.ZipFile(files[2], "w") as archive:
        archive.writestr("images.npy", npy()[2])
    sparse.save_npz(files[3], sparse.csr_matrix(np.round(ROWS)), compressed=False)
    sparse.save_npz(files[4], sparse.coo_matrix(np.round(ROWS)), compressed=False)
    return [file.getvalue() for file in files]


@cache
def directions() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "smile.npz"
        save_direction(path, ROWS[0, :1], from_bytes(models()[0]))
        return [path.read_bytes(), npy()[0]]


@cache
def csv() -> list[bytes]:
    return [
        b"a,b,c\n" + b"\n".join(b"%d,%d.5,-%d" % (i, i, i) for i in range(12)) + b"\n",
        b'name,since,price\n"Ann, B.",2020-01-05,3.50\n"Bo",2021-11-30,\n' * 6,
        "größe;x\n1,5;a\n2,5;b\n".encode() * 5,
    ]


@cache
def zipped_csv() -> list[bytes]:
    return [gzip.compress(content) for content in csv()]


@cache
def amounts() -> list[bytes]:
    return [b"file,age\nanna.png,31\nbo.png,7.5\n", b'"anna.png";3\nbo;4\n']


@cache
def parquet() -> list[bytes]:
    file = io.BytesIO()
    days = pandas.to_datetime(["2020-01-05", "2021-11-30", None] * 4)
    pandas.DataFrame({**FRAME, "day": days, "n": range(12)}).to_parquet(file)
    return [file.getvalue()]


@cache
def images() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    pictures = {
        "PNG": Image.fromarray(pixels),
        "JPEG": Image.fromarray(pixels),
        "GIF": Image.fromarray(pixels[..., 0]),
        "BMP": Image.fromarray(pixels),
        "TIFF": Image.fromarray(pixels).convert("CMYK"),
    }
    files = []
    for kind, picture in pictures.items():
        file = io.BytesIO()
        picture.save(file, kind)
        files.append(file.getvalue())
    return files


@cache
def midi() -> list[bytes]:
    notes = np.zeros((32, 128), bool)
    notes[::4, 60] = notes[2:9, 67] = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        write_midi(Piece(notes, notes), path)
        return [path.read_bytes()]


@cache
def calls() -> list[bytes]:
    """Return bytes that `border` turns into calls."""
    return [np.random.default_rng(i).bytes(120) for i in range(200)]
