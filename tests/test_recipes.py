"""The recipes of the training guide, run with the libraries that they write to."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test_docs import ROOT, parse
from vaefast import VAE, datasets, load

FIGURES = ("elbo", "reconstruction", "kl", "validation")


def run_recipe(library: str) -> VAE:
    """Run the one example of the training guide that imports a library; return its model."""
    _, fences = parse(ROOT / "docs" / "guide" / "training.md")
    (recipe,) = (code for _, _, code in fences if library in code)
    X = datasets.strokes(300, random_state=0).X
    fitted: list[VAE] = []

    class Kept(VAE):
        def fit(self, *args: Any, **kwargs: Any) -> VAE:
            fitted.append(self)
            return super().fit(*args, **kwargs)

    exec(compile(recipe, library, "exec"), {"VAE": Kept, "X": X[:200], "X_val": X[200:]})
    return fitted[0]


def events(path: Path) -> Iterator[Any]:
    """Yield the events of a file of TensorBoard: length, checksum, content, checksum, and again."""
    from tensorboardX.proto.event_pb2 import Event

    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[12 + length + 4 :]


def test_tensorboard_gets_the_figures_and_samples_of_each_epoch(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    vae = run_recipe("tensorboardX")
    (file,) = Path("runs/digits").iterdir()
    found = {(value.tag, e.step): value for e in events(file) for value in e.summary.value}
    for epoch in range(1, vae.n_iter_ + 1):
        for name in FIGURES:
            expected = pytest.approx(vae.history_[name][epoch - 1], rel=1e-6)
            assert found[name, epoch].simple_value == expected
        assert found["samples", epoch].image.encoded_image_string.startswith(b"\x89PNG")


def test_mlflow_gets_parameters_figures_and_the_model(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    vae = run_recipe("mlflow")
    run = mlflow.last_active_run()
    assert run.data.params["latent_dim"] == "8"
    for name in FIGURES:
        metrics = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
        assert {m.step: m.value for m in metrics} == dict(enumerate(vae.history_[name], 1))
    (file,) = tmp_path.glob("mlruns/**/digits.safetensors")
    rows = datasets.strokes(9, random_state=1).X
    np.testing.assert_array_equal(load(file).transform(rows), vae.transform(rows))
