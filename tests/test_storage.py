"""Model files: round trips, continued training, and files that are refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import vaefast
from vaefast import VAE, AnomalyDetector, optimizers
from vaefast._engine import building, container
from vaefast._system import files
from vaefast.schedules import Cosine, LinearWarmup, MultiStep, Plateau
from vaefast.tables import Table

N, D = 40, 6


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 2, "batch_size": 16, "random_state": 0}
    return VAE(**{**defaults, "verbose": False, **params})


def spoiled_message(path: Path) -> str:
    """Assert that loading fails and names the file; return the message."""
    with pytest.raises(ValueError) as caught:
        vaefast.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((N, D)).astype(np.float32)


@pytest.fixture(scope="module")
def vae(X: np.ndarray) -> VAE:
    return small(likelihood="gaussian").fit(X, validation=X[:5])


@pytest.fixture(scope="module")
def saved(vae: VAE, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    vae.save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, saved: bytes) -> Path:
    """A model file for the tests to damage."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved)
    return path


# ------------------------------------------------------------------ round trips

MODELS = {
    "defaults": {},
    "gaussian": {"likelihood": "gaussian"},
    "fixed sigma": {"likelihood": "gaussian", "sigma": 0.25},
    "layers": {"hidden_layer_sizes": (9, 5), "decoder_layer_sizes": (3, 4, 5), "latent_dim": 3},
    "linear": {"hidden_layer_sizes": (), "activation": "identity"},
    "sgd": {"optimizer": optimizers.SGD(0.5)},
    "no seed": {"random_state": None, "n_threads": 3},
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_comes_back_to_the_bit(case, X, tmp_path):
    vae = small(**MODELS[case]).fit(X, validation=X[:7])
    vae.save(tmp_path / "model.safetensors")
    twin = vaefast.load(tmp_path / "model.safetensors")
    assert twin.get_params() == vae.get_params()
    assert repr(twin) == repr(vae)
    assert (twin.history_, twin.n_iter_, twin.interrupted_) == (vae.history_, 2, False)
    np.testing.assert_array_equal(twin.transform(X), vae.transform(X))
    np.testing.assert_array_equal(twin.reconstruct(X), vae.reconstruct(X))
    np.testing.assert_array_equal(twin.score_samples(X), vae.score_samples(X))
    np.testing.assert_array_equal(twin.sample(3, 0), vae.sample(3, 0))
    assert twin.partial_fit(X).history_["epoch"] == [1, 2, 3]


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3)])
def test_the_shape_of_images_comes_back(shape, X, tmp_path):
    images = X.reshape(N, *shape)
    small().fit(images).save(tmp_path / "model.safetensors")
    vae = vaefast.load(str(tmp_path / "model.safetensors"))
    assert vae.feature_shape_ == shape
    assert vae.reconstruct(images).shape == images.shape


@pytest.mark.parametrize(
    ("name", "value", "back"),
    [
        ("hidden_layer_sizes", [8, 4], (8, 4)),
        ("hidden_layer_sizes", np.array([8, 4]), (8, 4)),
        ("hidden_layer_sizes", range(3, 5), (3, 4)),
        ("latent_dim", np.int64(3), 3),
        ("learning_rate", np.float32(0.125), 0.125),
        ("random_state", np.random.default_rng(0), None),
        ("random_state", np.random.RandomState(0), None),
    ],
)
def test_parameters_come_back_in_plain_types(name, value, back, X, tmp_path):
    small(**{name: value}).fit(X).save(tmp_path / "model.safetensors")
    found = vaefast.load(tmp_path / "model.safetensors").get_params()[name]
    assert found == back
    assert type(found) is type(back)


def test_the_file_says_what_the_weights_are_whatever_was_set_later(X, tmp_path):
    vae = small().fit(X).set_params(latent_dim=9, activation="tanh")
    vae.save(tmp_path / "model.safetensors")
    assert vaefast.load(tmp_path / "model.safetensors").score(X) == vae.score(X)


def test_any_safetensors_reader_finds_the_weights_by_name(vae, path):
    tensors = load_file(path)
    assert tensors["weights/encoder.0.weight"].shape == (D, 8)
    assert tensors["weights/log_sigma"].shape == (D,)
    for name, tensor in vae.model_.weights().items():
        np.testing.assert_array_equal(tensors[f"weights/{name}"], tensor)


# ------------------------------------------------------------------ training that goes on


RESUMED = {
    "adam": {},
    "sgd": {"optimizer": optimizers.SGD(0.5), "learning_rate": 1e-2},
    "adamw": {"optimizer": "adamw", "likelihood": "gaussian", "max_grad_norm": 1.0},
    "cosine and warm-up": {"learning_rate": Cosine(1e-2, warmup=1), "beta": LinearWarmup(3)},
    "plateau": {"learning_rate": Plateau(1e-2, patience=1, min_delta=100.0)},
    "steps": {"learning_rate": MultiStep(1e-2, (1, 3)), "capacity": LinearWarmup(4, 0, end=5)},
    "noise": {"dropout": 0.2, "denoising": ("mask", 0.3)},
    "iwae": {"objective": "iwae", "n_samples": 3, "gradient_estimator": "dreg"},
    "a fresh seed": {"random_state": None},
}


def stopped_after(epochs: int) -> Callable[[VAE, Any], bool]:
    return lambda vae, record: bool(record["epoch"] == epochs)


def without_time(vae: VAE) -> dict[str, list[Any]]:
    return {key: values for key, values in vae.history_.items() if key != "seconds"}


def assert_same_training(one: VAE, other: VAE) -> None:
    assert without_time(one) == without_time(other)
    assert one.model_.core.optimizer_steps == other.model_.core.optimizer_steps
    for slot in ("value", "m", "v"):
        tensors, others = one.model_.core.tensors(slot), other.model_.core.tensors(slot)
        assert tensors.keys() == others.keys()
        for name in tensors:
            np.testing.assert_array_equal(tensors[name], others[name], err_msg=f"{slot} {name}")


@pytest.mark.parametrize("case", RESUMED)
def test_training_goes_on_from_a_file_to_the_same_bits(case, X, tmp_path):
    path = tmp_path / "model.safetensors"
    vae = small(epochs=4, **RESUMED[case])
    vae.fit(X, validation=X[:7], callbacks=[stopped_after(2)]).save(path, training=True)
    vae.partial_fit(X, validation=X[:7]).partial_fit(X, validation=X[:7])
    again = vaefast.load(path).partial_fit(X, validation=X[:7])
    again.save(path, training=True)
    assert_same_training(vaefast.load(path).partial_fit(X, validation=X[:7]), vae)
    if RESUMED[case].get("random_state", 0) is not None:
        whole = small(epochs=4, **RESUMED[case]).fit(X, validation=X[:7])
        assert_same_training(vae, whole)


def test_another_process_goes_on_to_the_same_bits(X, tmp_path):
    path = tmp_path / "model.safetensors"
    np.save(tmp_path / "X.npy", X)
    small(epochs=4).fit(X, callbacks=[stopped_after(2)]).save(path, training=True)
    code = (
        "import numpy, sys, vaefast\n"
        "vae, X = vaefast.load(sys.argv[1]), numpy.load(sys.argv[2])\n"
        "vae.partial_fit(X).partial_fit(X).save(sys.argv[1], training=True)"
    )
    subprocess.run([sys.executable, "-c", code, path, tmp_path / "X.npy"], check=True)
    assert_same_training(vaefast.load(path), small(epochs=4).fit(X))


def test_without_its_moments_training_goes_on_afresh(X, tmp_path):
    path = tmp_path / "model.safetensors"
    vae = small().fit(X)
    vae.save(path)
    assert not any(name.startswith("optimizer/") for name in load_file(path))
    core = vaefast.load(path).model_.core
    assert core.optimizer_steps == 0
    assert not any(tensor.any() for tensor in core.tensors("m").values())


# ------------------------------------------------------------------ whole or not at all


@pytest.mark.parametrize("moment", ["amid writing", "before replacing"])
def test_a_failure_while_saving_leaves_the_old_file(moment, vae, path, saved, monkeypatch):
    def fail(*args: Any) -> None:
        if moment == "amid writing":
            args[0].touch()
        raise OSError("no space left on device")

    target = "pathlib.Path.write_bytes" if moment == "amid writing" else "os.replace"
    monkeypatch.setattr(target, fail)
    with pytest.raises(OSError, match="no space left"):
        vae.save(path)
    assert path.read_bytes() == saved
    assert list(path.parent.iterdir()) == [path]


def test_saving_replaces_an_old_file(vae, path, X):
    path.write_bytes(b"an old one")
    vae.save(path)
    assert vaefast.load(path).score(X) == vae.score(X)
    assert list(path.parent.iterdir()) == [path]


def test_places_where_nothing_can_be_saved_are_named(vae, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        vae.save(tmp_path / "nowhere" / "model.safetensors")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        vae.save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced(vae, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match=r"is a device or a pipe, not a file: .*pipe"):
        vae.save(path)
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


def test_a_home_folder_is_spelled_as_the_shell_does(vae, X, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    vae.save("~/model.safetensors")
    assert (tmp_path / "model.safetensors").exists()
    assert vaefast.load("~/model.safetensors").score(X) == vae.score(X)


def test_a_symbolic_link_is_written_through(vae, X, tmp_path):
    target, link = tmp_path / "target.safetensors", tmp_path / "link.safetensors"
    target.write_bytes(b"an old one")
    link.symlink_to(target)
    vae.save(link)
    assert link.is_symlink()
    assert vaefast.load(target).score(X) == vae.score(X)


def test_a_stream_takes_and_gives_a_model(vae, X, tmp_path):
    stream = io.BytesIO()
    vae.save(stream)
    stream.seek(0)
    assert vaefast.load(stream).score(X) == vae.score(X)
    with pytest.raises(ValueError, match="the stream is truncated"):
        vaefast.load(io.BytesIO(b"half"))
    with (tmp_path / "model.safetensors").open("wb") as file:
        vae.save(file)
    assert vaefast.load(tmp_path / "model.safetensors").score(X) == vae.score(X)


def test_what_a_killed_process_left_is_removed(vae, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    prefix = files.temporary_prefix()
    stale = tmp_path / f"{prefix}{ended.pid}-0123.safetensors"
    kept = [
        tmp_path / f"{prefix}{os.getpid()}-0123.safetensors",  # its process runs
        tmp_path / f".vaefast-0-{ended.pid}-0123.safetensors",  # of another host
        tmp_path / f"{prefix}notes.txt",
        tmp_path / ".vaefast",
    ]
    for path in (stale, *kept):
        path.touch()
        os.utime(path, (0, 0))
    kept.append(tmp_path / f"{prefix}{ended.pid}-4567.safetensors")  # perhaps being written
    kept[-1].touch()
    vae.save(tmp_path / "model.safetensors")
    assert not stale.exists()
    assert all(path.exists() for path in kept)


# ------------------------------------------------------------------ damage


def test_a_truncated_file_is_refused_at_any_length(path, saved):
    header = 8 + int.from_bytes(saved[:8], "little")
    lengths = {*range(0, 20), *range(20, len(saved), 97), header - 1, header, header + 1}
    for length in lengths | {len(saved) - 1}:
        path.write_bytes(saved[:length])
        spoiled_message(path)


def test_bytes_too_many_are_refused(path, saved):
    path.write_bytes(saved + b"\0")
    spoiled_message(path)


@given(st.data())
@settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_one_flipped_bit_anywhere_is_refused(path, saved, data):
    header = 8 + int.from_bytes(saved[:8], "little")
    part = data.draw(st.sampled_from([(0, 8), (8, header), (header, len(saved))]))
    at, bit = data.draw(st.integers(part[0], part[1] - 1)), data.draw(st.integers(0, 7))
    spoiled = bytearray(saved)
    spoiled[at] ^= 1 << bit
    path.write_bytes(spoiled)
    spoiled_message(path)


# ------------------------------------------------------------------ other files


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.safetensors"):
        vaefast.load(tmp_path / "nothing.safetensors")


def test_a_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises((OSError, ValueError), match=tmp_path.name):
        vaefast.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"\0" * 100, b"latent_dim = 2\n" * 50, b"{}", b"\xff" * 64, b"PK\x03\x04" * 20],
    ids=["empty", "one byte", "zeros", "text", "JSON", "ones", "zip"],
)
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    spoiled_message(path)


class Bomb:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    path, trace = tmp_path / "model.pkl", tmp_path / "executed"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    spoiled_message(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists(), "the bomb works"


def test_another_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": np.zeros(3, np.float32)}, path, metadata)
        assert "not a model that vaefast saved" in spoiled_message(path)


# ------------------------------------------------------------------ forged files, right checksum


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the parts in the header, and the tensors."""
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return json.loads(header["__metadata__"]["parts"]), load_file(path)


def forge(path: Path, parts: Any, tensors: dict[str, np.ndarray], **metadata: str) -> None:
    """Write a file as `save` does, with these parts in the header."""
    text = parts if isinstance(parts, str) else json.dumps(parts, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    known = {"format": "vaefast-model", "version": "2", "parts": text, "sha256": digest.hexdigest()}
    save_file(tensors, path, known | metadata)


def test_forging_works(path, vae, X):
    forge(path, *read(path))
    assert vaefast.load(path).score(X) == vae.score(X)


def test_the_same_model_gives_the_same_bytes(vae, saved):
    again = vaefast.from_bytes(saved)
    assert {vae.to_bytes() for _ in range(5)} | {again.to_bytes()} == {saved}


@pytest.mark.parametrize("version", ["0", "3", "2.0", ""])
def test_another_version_is_refused_by_number(path, version):
    forge(path, *read(path), version=version)
    assert f"version {version} of the format, expected at most 2" in spoiled_message(path)


def test_an_edited_header_or_tensor_fails_the_checksum(path):
    parts, tensors = read(path)
    forge(path, parts, tensors, sha256=hashlib.sha256().hexdigest())
    assert "checksum" in spoiled_message(path)
    forge(path, parts, tensors, sha256="")
    assert "checksum" in spoiled_message(path)


WILD_PARAMS = [
    {"latent_dim": 10**9},
    {"latent_dim": 2**20},
    {"latent_dim": 10**30},
    {"latent_dim": -1},
    {"latent_dim": 2.5},
    {"latent_dim": None},
    {"latent_dim": 3},
    {"hidden_layer_sizes": [10**9]},
    {"hidden_layer_sizes": [2**20, 2**20]},
    {"hidden_layer_sizes": [8, 8]},
    {"hidden_layer_sizes": {"0": 8}},
    {"decoder_layer_sizes": [[8]]},
    {"likelihood": "bernoulli"},
    {"likelihood": "poisson"},
    {"activation": ["relu"]},
    {"sigma": -1},
    {"optimizer": "__import__('os')"},
    {"n_threads": 10**9},
    {"optimizer": {"optimizer": "adam", "betas": [2, 3]}},
    {"optimizer": {"optimizer": "adam", "more": 2}},
    {"optimizer": {"schedule": "cosine", "learning_rate": 1}},
    {"nonsense": 1},
    {"self": 1},
]
WILD_MODELS = [
    {"feature_shape": [10**9]},
    {"feature_shape": [2**40, 2**40]},
    {"feature_shape": [-2, -3]},
    {"feature_shape": [2.0, 3.0]},
    {"feature_shape": ["6"]},
    {"feature_shape": "6"},
    {"feature_shape": 6},
    {"feature_shape": []},
    {"feature_shape": [7]},
    {"feature_shape": None},
    {"seed": -1},
    {"seed": 2**70},
    {"seed": "0"},
    {"params": []},
    {"params": None},
]


@pytest.mark.parametrize("change", [{"params": p} for p in WILD_PARAMS] + WILD_MODELS, ids=str)
def test_wild_values_in_a_header_are_refused_without_taking_memory(change, path, monkeypatch):
    parts, tensors = read(path)
    fields = parts["model"]["fields"]
    if isinstance(change.get("params"), dict):
        change = {"params": {**fields["params"], **change["params"]}}
    fields.update(change)
    forge(path, parts, tensors)
    sizes: list[int] = []

    def core(**shape: Any) -> Any:
        sizes.append(max(shape["features"], shape["latent_dim"], *shape["encoder"]))
        return real(**shape)

    real = building.Core
    monkeypatch.setattr(building, "Core", core)
    tracemalloc.start()
    try:
        assert "does not hold a usable model" in spoiled_message(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert max(sizes, default=0) <= 8, "no core of wild sizes is made"


@pytest.mark.parametrize("text", ["", "3", "[]", "null", "{", "[" * 100_000, '"' + "x" * 9, "{}"])
def test_a_header_that_is_no_model_is_refused(text, path):
    _, tensors = read(path)
    forge(path, text, tensors)
    spoiled_message(path)


def test_tensors_of_other_shapes_names_or_types_are_refused(path):
    parts, tensors = read(path)
    name = "weights/encoder.0.weight"
    weight = tensors[name]
    without = {key: tensor for key, tensor in tensors.items() if key != name}
    for changed in (
        without,
        without | {f"{name}s": weight},
        without | {name: np.ascontiguousarray(weight.T)},
        without | {name: weight.ravel()},
        without | {name: weight[:, :, None]},
        without | {name: weight[:, :7].copy()},
        without | {name: weight.astype(np.float64)},
        without | {name: weight.astype(np.int32)},
        without | {name: weight.astype(bool)},
        {**tensors, "weights/more": np.zeros(3, np.float32)},
        {**tensors, "more": np.zeros(3, np.float32)},
        {**tensors, "weights/more": np.zeros(0, np.float32)},
        {},
    ):
        forge(path, parts, changed)
        assert "does not hold a usable model" in spoiled_message(path)


def test_moments_that_the_optimizer_does_not_need_are_refused(path, vae):
    vae.save(path, training=True)
    parts, tensors = read(path)
    assert parts["optimizer"]["fields"] == {"steps": 6}
    name = "optimizer/v/mu.bias"
    without = {key: tensor for key, tensor in tensors.items() if key != name}
    for changed in (
        without,
        without | {"optimizer/w/mu.bias": tensors[name]},
        without | {name: tensors[name][:1].copy()},
        without | {name: tensors[name].astype(np.float64)},
        tensors | {"optimizer/m/more": np.zeros(3, np.float32)},
        {key: tensor for key, tensor in tensors.items() if not key.startswith("optimizer/")},
    ):
        forge(path, parts, changed)
        assert "does not hold a usable model" in spoiled_message(path)
    for steps in (-1, 2**63, 1.5, "6", None):
        forge(path, parts | {"optimizer": {"version": 1, "fields": {"steps": steps}}}, tensors)
        assert "does not hold a usable model" in spoiled_message(path)
    forge(path, {key: parts[key] for key in parts if key != "optimizer"}, tensors)
    assert "does not hold a usable model" in spoiled_message(path)
    forge(path, parts, tensors)
    assert_same_training(vaefast.load(path), vae)


def test_a_history_that_is_none_is_refused(path):
    parts, tensors = read(path)
    for name, wild in {
        "history/epoch": np.array([1, 3]),
        "history/elbo": np.zeros(3),
        "history/kl": np.zeros(2, np.int64),
        "history/kl_per_dimension": np.zeros((2, 3)),
        "history/active_units": np.zeros(2),
        "history/more": np.zeros(2),
    }.items():
        forge(path, parts, tensors | {name: wild})
        assert "does not hold a usable model" in spoiled_message(path)
    without = {name: tensor for name, tensor in tensors.items() if name != "history/kl"}
    forge(path, parts, without)
    assert "does not hold a usable model" in spoiled_message(path)


def test_a_part_of_a_later_version_is_refused_by_name(path):
    parts, tensors = read(path)
    for later in (
        {"graph": {"version": 1, "fields": {}}},
        {"graph": {"version": 0, "fields": {}}},
        {"table": {"version": 2, "fields": {}}},
        {"model": {"version": 2, "fields": {}}},
    ):
        forge(path, parts | later, tensors)
        message = spoiled_message(path)
        assert "a later version of vaefast" in message
        assert repr(next(iter(later))) in message


PEOPLE = {
    "age": [31, 47, 25, 60] * 10,
    "city": ["Rome", "Oslo", None, "Rome"] * 10,
    "since": np.array(["2020-01-31", "2021-05-05", "NaT", "2019-12-24"] * 10, "datetime64[D]"),
    "price": [1.25, 2.5, 3.0, 1.99] * 10,
}


@pytest.fixture(scope="module")
def people() -> VAE:
    """Return a fitted model with the table of its rows."""
    table = Table.learn(PEOPLE)
    model = small(likelihood=table.columns, missing="mask").fit(table.encode(PEOPLE))
    model.table_ = table
    return model


def test_a_model_keeps_the_table_of_its_rows(people: VAE, vae: VAE, tmp_path: Path):
    path = tmp_path / "people.safetensors"
    people.save(path)
    loaded = vaefast.load(path)
    assert loaded.table_ == people.table_
    assert pickle.loads(pickle.dumps(loaded)).table_ == people.table_
    loaded.save(path, training=True)
    assert vaefast.load(path).table_ == people.table_
    AnomalyDetector(people).fit(people.table_.encode(PEOPLE)).save(path)
    assert AnomalyDetector.load(path).vae_.table_ == people.table_
    assert vae.table_ is None


def test_a_table_that_does_not_fit_the_model_is_refused(people: VAE, tmp_path: Path):
    features = people.n_features_in_
    message = f"encodes a frame as 1 columns, but the rows of the model have {features} features"
    with pytest.raises(ValueError, match=message):
        people.table_ = Table.learn({"x": [1, 2]})
    path = tmp_path / "people.safetensors"
    people.save(path)
    parts, tensors = read(path)
    for fields in ({}, {"library": "dict", "columns": []}, Table.learn({"x": [1, 2]}).to_dict()):
        forge(path, parts | {"table": {"version": 1, "fields": fields}}, tensors)
        assert "does not hold a usable model" in spoiled_message(path)
    del parts["table"]
    forge(path, parts, tensors)
    assert vaefast.load(path).table_ is None


def test_a_new_fit_forgets_the_table(people: VAE, X: np.ndarray):
    again = vaefast.from_bytes(people.to_bytes())
    rows = people.table_.encode(PEOPLE)
    assert again.partial_fit(rows).table_ == people.table_
    assert again.fit(rows).table_ is None


def test_a_file_names_the_format_that_save_writes(path):
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert header["format"] == container.FORMAT
    assert header["version"] == str(container.VERSION)


def test_a_disk_that_is_full_loses_no_file(vae: VAE, tmp_path: Path):
    path = tmp_path / "model.safetensors"
    vae.save(path)
    before = path.read_bytes()
    script = f"""
import resource, signal, vaefast
vae = vaefast.load({str(path)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    vae.save({str(path)!r})
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# ------------------------------------------------------------------ provenance, bytes and pickles


def test_a_model_knows_where_it_comes_from(vae, path, X):
    found = vaefast.load(path).model_.provenance
    assert found == vae.model_.provenance
    assert (found.version, found.isa) == (vaefast.__version__, vaefast.info()["isa"])
    assert found.data_sha256 == hashlib.sha256(X.tobytes()).hexdigest()
    assert (found.data_shape, found.data_dtype) == ((N, D), "float32")
    assert datetime.fromisoformat(found.date).tzinfo is not None
    assert vaefast.load(path).model_.seed == 0


def test_a_history_has_no_limit(X):
    vae = small(epochs=1).fit(X)
    for key, values in vae.history_.items():
        vae.history_[key] = list(range(1, 200_001)) if key == "epoch" else values * 200_000
    again = vaefast.from_bytes(vae.to_bytes())
    assert again.n_iter_ == 200_000
    assert again.history_ == vae.history_


def test_a_model_goes_through_bytes(vae, X):
    again = vaefast.from_bytes(vae.to_bytes())
    np.testing.assert_array_equal(again.transform(X), vae.transform(X))
    with pytest.raises(ValueError, match="truncated, damaged, or not a model"):
        vaefast.from_bytes(b"half of it")


class Sub(VAE):
    """A model of a user's own."""


def test_a_pickle_refers_to_public_names_alone(vae):
    data = pickle.dumps(vae)
    found = {name for name in re.findall(rb"vaefast[.\w]*", data) if b"." in name}
    assert found <= {b"vaefast.vae", b"vaefast.safetensors"}, found


def test_a_pickle_keeps_class_parameters_and_moments(X):
    vae = Sub(2, (8,), epochs=2, random_state=0, verbose=False, beta=LinearWarmup(3)).fit(X)
    vae.set_params(batch_size=7)
    vae.note = "mine"
    again = pickle.loads(pickle.dumps(vae))
    assert (type(again), again.batch_size, again.note) == (Sub, 7, "mine")
    assert again.get_params() == vae.get_params()
    assert_same_training(again.partial_fit(X), vae.partial_fit(X))


# ------------------------------------------------------------------ files of version 1

VERSION_1 = Path(__file__).parent / "files" / "version_1"


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    return dict(np.load(VERSION_1 / "rows.npz"))


def rows_of(name: str, rows: dict[str, np.ndarray]) -> tuple[np.ndarray, Any]:
    """X and y that a file of version 1 was fitted on."""
    X = rows[{"numbers": "N", "names": "N", "exposure": "C", "columns": "T"}.get(name, "X")]
    y = {"labels": np.repeat(["a", "b", "c"], 20), "numbers": rows["N"][:, :2]}.get(name)
    return X, y


@pytest.mark.parametrize("path", sorted(VERSION_1.glob("*.safetensors")), ids=lambda p: p.stem)
def test_a_file_of_version_1_loads_and_works_as_it_did(path, rows, tmp_path):
    X, y = rows_of(path.stem, rows)
    exposure = np.full(len(X), 2.0) if path.stem == "exposure" else None
    for vae in (vaefast.load(path), vaefast.from_bytes(vaefast.load(path).to_bytes(True))):
        scores = vae.score_samples(X, y, exposure=exposure)
        np.testing.assert_allclose(scores, rows[path.stem], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(vae.transform(X, y), rows[f"{path.stem}.codes"], atol=1e-4)
        assert vae.n_iter_ == 2
        if (after := rows.get(f"{path.stem}.next")) is not None:
            np.testing.assert_allclose(vae.partial_fit(X).transform(X), after, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("sgd", "optimizer", optimizers.SGD(0.8)),
        ("adamw", "optimizer", optimizers.AdamW((0.8, 0.99), 1e-6, weight_decay=0.1)),
        ("plain", "optimizer", "adam"),
        ("schedules", "beta", LinearWarmup(1)),
        ("schedules", "learning_rate", MultiStep(1e-3, (1,))),
        ("columns", "likelihood", (("gaussian", 4), ("categorical", 3))),
        ("names", "denoising", ("mask", 0.2)),
    ],
)
def test_parameters_of_version_1_become_those_of_today(name, parameter, value):
    assert getattr(vaefast.load(VERSION_1 / f"{name}.safetensors"), parameter) == value


def test_a_forged_file_of_version_1_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    raw = (VERSION_1 / "plain.safetensors").read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    model, tensors = json.loads(metadata["model"]), load_file(VERSION_1 / "plain.safetensors")
    for change in ({"n_iter": 7}, {"history": {}}, {"history": []}, {"params": {}}, {"seed": "0"}):
        text = json.dumps(model | change, sort_keys=True)
        digest = container.checksum(text, tensors)
        save_file(tensors, path, metadata | {"model": text, "sha256": digest})
        assert "does not hold a usable model" in spoiled_message(path)
