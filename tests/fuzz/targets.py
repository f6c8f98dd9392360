"""What is fuzzed: the readers of files, the border of the compiled core, and what may happen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import contents
import numpy as np
from border import border
from signing import headers_of, signer_of

import vaefast
from vaefast import AnomalyDetector, Checkpoint, DivergenceError, Synthesizer, VAEImputer, datasets
from vaefast.cli import amounts, directions, tables
from vaefast.darkroom import read_midi
from vaefast.datasets import Dataset
from vaefast.datasets.folders import read_image

EXPECTED = ValueError, OSError, DivergenceError, vaefast.NotFittedError


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


# ------------------------------------------------------------------ readers, and what they give


def _model(path: Path) -> None:
    vae = vaefast.load(path)
    width = vae.n_features_in_
    if width <= 1000 and not vae.conditional:
        vae.transform(vae.sample(2, draw=True, random_state=0))
    vae._repr_html_()
    vae.to_bytes()


def _detector(path: Path) -> None:
    detector = AnomalyDetector.load(path)
    rows = np.full((2, min(detector.n_features_in_, 1000)), 0.5)
    detector.predict(rows)
    detector.p_values(rows)
    detector.contributions(rows)


def _imputer(path: Path) -> None:
    imputer = VAEImputer.load(path)
    if imputer.table_ is None:
        rows: Any = np.full((2, min(imputer.n_features_in_, 1000)), np.nan)
        rows[:, 0] = 0.5
    else:
        rows = {name: [None, None] for name in imputer.table_.needed}
    imputer.transform(rows)
    imputer.sample(rows, 2, random_state=0)


def _synthesizer(path: Path) -> None:
    Synthesizer.load(path).sample(2, random_state=0)


def _checkpoint(path: Path) -> None:
    contents.to_continue().fit(contents.ROWS, checkpoint=Checkpoint(path))


@cache
def _some_model() -> vaefast.VAE:
    return vaefast.from_bytes(contents.models()[0])


def _direction(path: Path) -> None:
    directions.load(path, _some_model())


def _amounts(path: Path) -> None:
    files = np.array(["anna.png", "bo.png"])
    X = contents.ROWS[:2]
    amounts.read(str(path), Dataset("folder", X, files=files), X, "images")


def _table(path: Path) -> None:
    tables.learn(str(path), ())


def _signed(read: Callable[[Path], object], donors: Callable[[], list[bytes]]) -> Target:
    return Target(".safetensors", headers_of(donors), read, signer_of(donors))


TARGETS: dict[str, Target] = {
    "model": Target(".safetensors", contents.models, _model),
    "signed-model": _signed(_model, contents.models),
    "signed-checkpoint": _signed(_checkpoint, contents.checkpoints),
    "signed-detector": _signed(_detector, contents.detectors),
    "signed-imputer": _signed(_imputer, contents.imputers),
    "signed-synthesizer": _signed(_synthesizer, contents.synthesizers),
    "idx": Target("-idx3-ubyte", contents.idx, datasets.load),
    "npy": Target(".npy", contents.npy, datasets.load),
    "npz": Target(".npz", contents.npz, datasets.load),
    "direction": Target(".npz", contents.directions, _direction),
    "csv": Target(".csv", lambda: contents.csv()[:1], datasets.load),
    "table": Target(".csv", contents.csv, _table),
    "table-gz": Target(".csv.gz", contents.zipped_csv, _table),
    "parquet": Target(".parquet", contents.parquet, _table),
    "amounts": Target(".csv", contents.amounts, _amounts),
    "image": Target(".png", contents.images, lambda path: read_image(path, (8, 8))),
    "midi": Target(".mid", contents.midi, read_midi),
    "border": Target(".bytes", contents.calls, border),
}
