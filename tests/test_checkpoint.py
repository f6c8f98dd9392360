"""Checkpoints: a training that was killed anywhere continues to the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vaefast
from vaefast import VAE, Checkpoint
from vaefast._engine import checkpointing
from vaefast.schedules import Cosine, LinearWarmup, Plateau

N, D = 50, 6
CASES: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"optimizer": "sgd"},
    "early stopping": {"patience": 1, "learning_rate": 0.1},
    "schedules": {"learning_rate": Cosine(1e-2), "beta": LinearWarmup(2), "capacity": 1.0},
    "plateau": {"learning_rate": Plateau(1e-2, 1, min_delta=100.0)},
    "noise": {"dropout": 0.2, "denoising": ("mask", 0.3), "max_grad_norm": 1.0},
    "iwae": {"objective": "iwae", "n_samples": 3, "gradient_estimator": "dreg"},
    "conditional": {"conditional": True},
    "one thread": {"n_threads": 1},
}


class Killed(BaseException):
    """Ends a fit as a signal would, with nothing tidied up."""


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((N, D)).astype(np.float32)


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.arange(N) % 3


def small(**params: Any) -> VAE:
    defaults = {"latent_dim": 2, "hidden_layer_sizes": (8,), "epochs": 4, "batch_size": 8}
    return VAE(**{**defaults, "random_state": 0, "verbose": False, **params})


def assert_same(one: VAE, other: VAE) -> None:
    for name, tensor in one.model_.weights().items():
        np.testing.assert_array_equal(tensor, other.model_.weights()[name], err_msg=name)
    for slot, tensors in one.model_.moments().items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, other.model_.moments()[slot][name])
    for key, values in one.history_.items():
        if key != "seconds":
            assert values == other.history_[key], key


def kill_at_write(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the fit die right after it has written so many checkpoints."""
    left = [number]
    real = checkpointing.Checkpointer.write

    def write(self: Any, *args: Any) -> None:
        real(self, *args)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr(checkpointing.Checkpointer, "write", write)


@pytest.mark.parametrize("unit", ["steps", "epochs"])
@pytest.mark.parametrize("case", CASES)
def test_a_killed_fit_continues_to_the_same_bits(case, unit, X, y, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    data = {"y": y, "validation": (X[:9], y[:9])}
    whole = small(**CASES[case]).fit(X, **data)
    every = 3 if unit == "steps" else 1
    for write in (1, 2):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at_write(patch, write)
            small(**CASES[case]).fit(X, **data, checkpoint=Checkpoint(path, every, unit=unit))
    assert 0 < vaefast.load(path).n_iter_ + 1 < 5
    again = small(**CASES[case]).fit(X, **data, checkpoint=path)
    assert_same(again, whole)
    assert_same(vaefast.load(path), whole)


def test_a_fit_killed_after_its_last_epoch_restores_the_best_weights(X, tmp_path, monkeypatch):
    path, validation = tmp_path / "run.safetensors", X[:9]
    params = {"patience": 4, "learning_rate": 0.3, "likelihood": "gaussian"}
    whole = small(**params).fit(X, validation=validation)
    assert np.argmax(whole.history_["validation"]) < 3, "the last epoch is not the best"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_write(patch, 4)
        small(**params).fit(X, validation=validation, checkpoint=path)
    assert vaefast.load(path).n_iter_ == 4
    assert_same(small(**params).fit(X, validation=validation, checkpoint=path), whole)
    assert_same(vaefast.load(path), whole)


def test_a_checkpoint_changes_no_bit(X, tmp_path):
    with_one = small().fit(X, checkpoint=tmp_path / "run.safetensors")
    assert_same(with_one, small().fit(X))


def test_a_checkpoint_within_an_epoch_is_a_model(X, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_write(patch, 3)
        small().fit(X, checkpoint=Checkpoint(path, 3, unit="steps"))
    vae = vaefast.load(path)
    assert vae.model_.core.optimizer_steps >= 9
    assert vae.n_iter_ == 1
    assert vae.sample(2).shape == (2, D)


def test_a_finished_training_is_not_done_again(X, tmp_path):
    path = tmp_path / "run.safetensors"
    whole = small().fit(X, checkpoint=path)
    written = path.read_bytes()
    again = small(random_state=None).fit(X, checkpoint=path)  # the seed is that of the file
    assert_same(again, whole)
    assert path.read_bytes() == written


def test_fits_of_a_limited_time_add_up_to_the_same_bits(X, tmp_path):
    path = tmp_path / "run.safetensors"
    params = {"patience": 4, "learning_rate": 0.3, "likelihood": "gaussian"}
    whole = small(**params).fit(X, validation=X[:9])
    for epochs in range(1, 5):
        limited = {"checkpoint": path, "max_time": 1e-9}  # time for one epoch
        part = small(**params).fit(X, validation=X[:9], **limited)
        assert part.n_iter_ == epochs
        assert part.score(X[:9]) == max(part.history_["validation"])
    assert_same(part, whole)
    assert_same(vaefast.load(path), whole)


def test_resume_false_starts_anew(X, tmp_path):
    path = tmp_path / "run.safetensors"
    small(random_state=1).fit(X, checkpoint=path)
    vae = small().fit(X, checkpoint=Checkpoint(path, resume=False))
    assert_same(vae, small().fit(X))


def test_another_number_of_threads_continues(X, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_write(patch, 1)
        small(n_threads=2).fit(X, checkpoint=path)
    vae = small(n_threads=3).fit(X, checkpoint=path)
    assert vae.model_.core.n_threads == 3
    assert_same(vae, small().fit(X))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"latent_dim": 3}, "latent_dim was 2 and is 3"),
        ({"learning_rate": Cosine(1e-3)}, r"learning_rate was 0.001 and is Cosine\("),
        ({"random_state": 1}, "random_state was 0 and is 1"),
        ({"random_state": np.int64(1)}, "random_state was 0 and is .*1"),
        ({"epochs": 9}, "epochs was 4 and is 9"),
    ],
)
def test_another_training_is_refused_by_name(params, message, X, tmp_path):
    path = tmp_path / "run.safetensors"
    small().fit(X, checkpoint=path)
    vae = small(**params)
    with pytest.raises(ValueError, match=f"{path} belongs to another training: {message}"):
        vae.fit(X, checkpoint=path)
    assert not hasattr(vae, "model_")


@pytest.mark.parametrize("change", ["values", "rows", "validation"])
def test_other_rows_are_refused(change, X, tmp_path):
    path = tmp_path / "run.safetensors"
    small().fit(X, validation=X[:9], checkpoint=path)
    rows = {"values": X + np.float32(1e-7), "rows": X[1:]}.get(change, X)
    watched = X[:8] if change == "validation" else X[:9]
    with pytest.raises(ValueError, match="the rows of X, y, .* or validation are different"):
        small().fit(np.clip(rows, 0, 1), validation=watched, checkpoint=path)


def test_another_instruction_set_or_version_is_refused(X, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    small().fit(X, checkpoint=path)
    monkeypatch.setattr(checkpointing, "__version__", "9.9")
    monkeypatch.setattr(checkpointing._core, "ISA", "another")
    with pytest.raises(ValueError, match=r"instruction set was .* and is another; vaefast was"):
        small().fit(X, checkpoint=path)


def test_a_model_is_no_checkpoint(X, tmp_path):
    path = tmp_path / "model.safetensors"
    small().fit(X).save(path, training=True)
    with pytest.raises(ValueError, match="is a model, but not a checkpoint"):
        small().fit(X, checkpoint=path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="truncated, damaged, or not a model"):
        small().fit(X, checkpoint=path)


def test_a_place_for_no_checkpoint_is_found_before_training(X, tmp_path):
    vae = small().fit(X)
    before = vae.model_
    for place, error in ((tmp_path / "nowhere" / "run", FileNotFoundError), (tmp_path, OSError)):
        with pytest.raises(error, match=str(place.parent)):
            vae.fit(X, checkpoint=place)
        assert vae.model_ is before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "path=3 must be the path of a file"),
        (("a", 0), "every=0 must be greater than 0"),
        (("a", 1.5), "every=1.5 must be a whole number of epochs"),
    ],
)
def test_a_bad_checkpoint_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Checkpoint(*arguments)
    with pytest.raises(ValueError, match="unit='hours' is unknown; expected one of epochs"):
        Checkpoint("a", unit="hours")  # type: ignore[arg-type]


SCRIPT = """
import json, sys
import numpy as np
import vaefast
from vaefast import VAE, Checkpoint
X = np.random.default_rng(0).random((400, 20)).astype(np.float32)
vae = VAE(3, (32,), epochs=40, batch_size=8, random_state=0, verbose=False)
print("ready", flush=True)
vae.fit(X, checkpoint=Checkpoint(sys.argv[1], 7, unit="steps"))
print(json.dumps([vae.history_["elbo"], float(vae.transform(X).sum())]))
"""


def test_a_process_that_is_killed_continues_to_the_same_bits(tmp_path: Path):
    def start(path: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole = json.loads(start(tmp_path / "whole.safetensors").communicate()[0].splitlines()[-1])
    path = tmp_path / "run.safetensors"
    for _ in range(3):
        process = start(path)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(timeout=0.15)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads(start(path).communicate()[0].splitlines()[-1]) == whole
