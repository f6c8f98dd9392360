"""Exports: ONNX, PyTorch and NumPy compute what the core computes."""

from __future__ import annotations

import dataclasses
import doctest
import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
import vaefast
from commands import fail, names, succeed
from vaefast import VAE, datasets, export, tables
from vaefast._core import ACTIVATIONS, LIKELIHOODS
from vaefast.errors import MissingExtraError, NotFittedError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

N = 40
HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
rng = np.random.default_rng(0)

DETERMINISTIC = {  # every operator that a graph may have
    *("Abs", "Add", "Clip", "Concat", "Div", "Elu", "Erf", "Exp", "Gemm", "Identity", "IsNaN"),
    *("LeakyRelu", "Less", "Log", "Max", "Min", "Mul", "Neg", "Reciprocal", "ReduceSum", "Relu"),
    *("Sigmoid", "Sign", "Softmax", "Softplus", "Split", "Sqrt", "Sub", "Tanh", "Where"),
}

UNIT = rng.random((N, 5))
REAL = rng.standard_normal((N, 5))
COUNTS = rng.poisson([0.5, 3.0, 40.0, 1.0, 2_000.0], (N, 5))
ONE_HOT = np.eye(5)[np.arange(N) % 5]
ROWS = {
    "bernoulli": UNIT,
    "continuous_bernoulli": UNIT,
    "gaussian": REAL,
    "laplace": REAL,
    "student_t": REAL,
    "poisson": COUNTS,
    "negative_binomial": COUNTS,
    "multinomial": COUNTS,
    "categorical": ONE_HOT,
}
MIXED = [("gaussian", 2), ("poisson", 2), ("categorical", 5), ("bernoulli", 1), ("categorical", 5)]
MIXED_ROWS = np.hstack([REAL[:, :2], COUNTS[:, 1:3], ONE_HOT, UNIT[:, :1], ONE_HOT[::-1]])
CITIES = np.array(["Rome", "Oslo", "Lima"])[np.arange(N) % 3]


def with_holes(X: np.ndarray) -> np.ndarray:
    """Return X with missing values, the first block of categories as a whole."""
    holes = X.astype(np.float32)
    holes[rng.random(X.shape) < 0.3] = np.nan
    if X is MIXED_ROWS:
        holes[:, 4:9], holes[:, 10:] = X[:, 4:9], X[:, 10:]
        holes[::4, 4:9] = np.nan
    return holes


Case = tuple[dict[str, Any], np.ndarray, Any]
CASES: dict[str, Case] = {
    **{name: ({"likelihood": name}, ROWS[name], None) for name in LIKELIHOODS},
    **{name: ({"activation": name, "likelihood": "gaussian"}, REAL, None) for name in ACTIVATIONS},
    "several kinds": ({"likelihood": MIXED}, MIXED_ROWS, None),
    "labels": ({"conditional": True}, UNIT, CITIES),
    "a number": ({"conditional": True, "likelihood": "gaussian"}, REAL, REAL[:, 0]),
    "numbers": ({"conditional": True, "likelihood": "poisson"}, COUNTS, REAL[:, :3]),
    "missing": ({"missing": "mask", "likelihood": "gaussian"}, with_holes(REAL), None),
    "missing counts": ({"missing": "mask", "likelihood": "poisson"}, with_holes(COUNTS), None),
    "missing, several kinds": (
        {"missing": "mask", "likelihood": MIXED, "conditional": True},
        with_holes(MIXED_ROWS),
        CITIES == "Rome",
    ),
    "images of bytes": ({}, rng.integers(0, 256, (N, 4, 3, 3), dtype=np.uint8), None),
    "images": ({"likelihood": "gaussian"}, rng.random((N, 4, 3)), None),
    "counts of bytes": ({"likelihood": "poisson"}, COUNTS[:, :4].astype(np.uint8), None),
    "directions": ({"likelihood": "multinomial", "normalize": "l2"}, COUNTS * (COUNTS > 1), None),
    "no hidden layers": ({"hidden_layer_sizes": ()}, UNIT, None),
    "no hidden decoder layers": ({"decoder_layer_sizes": ()}, UNIT, None),
    "two hidden layers": ({"hidden_layer_sizes": (16, 9), "dropout": 0.2}, UNIT, None),
    "autoencoder": ({"objective": "autoencoder"}, UNIT, None),
    "standardized": (
        {"likelihood": "gaussian", "standardize": True, "missing": "mask"},
        with_holes(REAL) * 100 + 50,
        None,
    ),
    "standardized, several kinds": (
        {"likelihood": MIXED, "standardize": True, "conditional": True},
        MIXED_ROWS,
        CITIES,
    ),
    "optimal sigma": ({"likelihood": "gaussian", "sigma": "optimal"}, REAL, None),
}
FITTED: dict[str, VAE] = {}


def fit(case: str) -> VAE:
    """Return the model of a case, trained once."""
    if case not in FITTED:
        params, X, y = CASES[case]
        settings = {"hidden_layer_sizes": (16,), "latent_dim": 3, "epochs": 2, "random_state": 0}
        FITTED[case] = VAE(**{**settings, **params}, batch_size=16, verbose=False).fit(X, y)
    return FITTED[case]


def stretch(vae: VAE, factor: float) -> VAE:
    """Return a copy with larger outputs, such as probabilities close to 0 and 1."""
    copy = vaefast.from_bytes(vae.to_bytes())
    tensors = copy.model_.weights()
    for name in ("logvar.weight", "output.weight"):
        tensors[name] *= np.float32(factor)
    copy.model_.set_weights(tensors)
    return copy


# ------------------------------------------------------------------ the three forms

Encode = Callable[[tuple[np.ndarray, ...]], tuple[np.ndarray, np.ndarray]]
Decode = Callable[[tuple[np.ndarray, ...]], np.ndarray]


def by_onnx(vae: VAE, folder: Path) -> tuple[Encode, Decode, dict[str, Any]]:
    encoder, decoder = map(onnxruntime.InferenceSession, export.to_onnx(vae, folder))

    def run(session: Any, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        keys = [node.name for node in session.get_inputs()]
        return session.run(None, dict(zip(keys, inputs, strict=True)))

    properties = encoder.get_modelmeta().custom_metadata_map
    assert properties == decoder.get_modelmeta().custom_metadata_map
    description = {key: json.loads(value) for key, value in properties.items()}
    return lambda xs: run(encoder, xs), lambda zs: run(decoder, zs)[0], description


def by_torch(vae: VAE, folder: Path) -> tuple[Encode, Decode, dict[str, Any]]:
    import torch

    encoder, decoder = export.to_torch(vae)

    def run(module: Any, inputs: tuple[np.ndarray, ...]) -> Any:
        with torch.no_grad():
            return module(*map(torch.tensor, inputs))

    return (
        lambda xs: tuple(part.numpy() for part in run(encoder, xs)),
        lambda zs: run(decoder, zs).numpy(),
        export.describe(vae),
    )


def by_numpy(vae: VAE, folder: Path) -> tuple[Encode, Decode, dict[str, Any]]:
    export.to_npz(vae, folder / "model.npz")
    with np.load(folder / "model.npz") as file:
        tensors = dict(file)
    about = json.loads(str(tensors.pop("description")))
    params = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    means, scales = params.pop("means", 0.0), params.pop("scales", 1.0)
    activation, likelihood = about["activation"], [tuple(block) for block in about["likelihood"]]

    def standardized(inputs: tuple[np.ndarray, ...]) -> np.ndarray | None:
        if len(inputs) == 1 or not about["condition_scales"]:
            return (*inputs, None)[1]
        return (inputs[1] - about["condition_means"]) / about["condition_scales"]

    def encode(inputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        x, y = (inputs[0] - means) / scales, standardized(inputs)
        seen = reference.seen_by_encoder(
            x.astype(np.float64), likelihood, about["normalize"] == "l2"
        )
        eps = np.zeros((len(x), about["latent_dim"]))
        model = {"activation": activation, "conditions": y}
        t = reference.forward(params, x, eps, corrupted=seen, **model)
        return t["mu"], t["logvar"]

    def decode(inputs: tuple[np.ndarray, ...]) -> np.ndarray:
        z, y = inputs[0], standardized(inputs)
        model = {"activation": activation, "likelihood": likelihood, "conditions": y}
        return reference.decode(params, z.astype(np.float64), **model) * scales + means

    return encode, decode, about


FORMS = [by_onnx, by_numpy, pytest.param(by_torch, marks=needs_torch)]


def inputs_of(about: dict[str, Any], X: np.ndarray, y: Any) -> tuple[np.ndarray, ...]:
    """Return X and y as an export takes them, by the description alone."""
    x = X.reshape(len(X), -1).astype(np.float32)
    if X.dtype == np.uint8:
        x = x / np.float32(about["byte_divisor"])
    if about["condition_width"] == 0:
        return (x,)
    if about["condition_labels"] is not None:
        labels = about["condition_labels"]
        return x, np.array([[label == other for other in labels] for label in y], np.float32)
    return x, y.reshape(len(y), -1).astype(np.float32)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.isfinite(expected).all()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("factor", [1, 20])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_an_export_computes_what_the_model_does(form, case, factor, tmp_path):
    vae, (_, X, y) = fit(case), CASES[case]
    if factor > 1:
        vae = stretch(vae, 1.5 if vae.likelihood in ("poisson", "negative_binomial") else factor)
    encode, decode, about = form(vae, tmp_path)
    x, *condition = inputs_of(about, X, y)
    mu, logvar = vae.encode(X, y)
    found = encode((x, *condition))
    assert_close(found[0], mu)
    assert_close(found[1], logvar)
    mean = vae.inverse_transform(mu, y)
    assert_close(decode((mu, *condition)), mean.reshape(N, -1))
    assert_close(decode((mu[:1], *(part[:1] for part in condition)))[0], mean[0].reshape(-1))


@pytest.mark.parametrize("form", FORMS)
def test_the_log_variance_is_bound(form, tmp_path):
    vae = stretch(fit("gaussian"), 2_000)
    expected = vae.encode(REAL)[1]
    assert expected.min() < -15
    assert expected.max() > 15
    assert np.abs(expected).max() <= 20
    assert_close(form(vae, tmp_path)[0]((REAL.astype(np.float32),))[1], expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_mean_of_a_continuous_bernoulli_is_smooth_around_0(form, tmp_path):
    """The mean is a ratio of small numbers there: 1 / (1 - exp(-a)) - 1 / a."""
    X = np.full((4, 1), 0.5)
    params = {"likelihood": "continuous_bernoulli", "epochs": 1, "random_state": 0}
    vae = VAE(1, (), **params, verbose=False).fit(X)
    tensors = vae.model_.weights()
    tensors["output.weight"][:], tensors["output.bias"][:] = 1, 0
    vae.model_.set_weights(tensors)
    sizes = np.concatenate([np.geomspace(1e-12, 80, 200), [0.4999, 0.5, 0.5001]])
    a = np.concatenate([-sizes, [0], sizes]).astype(np.float32)[:, None]
    expected = vae.inverse_transform(a)
    np.testing.assert_allclose(form(vae, tmp_path)[1]((a,)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", [by_onnx, pytest.param(by_torch, marks=needs_torch)])
def test_rates_stay_finite(form, tmp_path):
    vae = vaefast.from_bytes(fit("poisson").to_bytes())
    tensors = vae.model_.weights()
    tensors["output.bias"][:] = [-200, -50, 80, 87, 500]
    vae.model_.set_weights(tensors)
    z = np.zeros((2, 3), np.float32)
    expected, found = vae.inverse_transform(z), form(vae, tmp_path)[1]((z,))
    np.testing.assert_allclose(found[:, :4], expected[:, :4], rtol=1e-4, atol=1e-30)
    assert np.isfinite(found).all()
    assert (found[:, 4] > 2e38).all()
    assert (expected[:, 4] > 2e38).all()


# ------------------------------------------------------------------ descriptions


def test_the_description_says_how_to_use_the_model():
    frame = {"age": [31, 47, 25, 60], "city": ["Rome", "Oslo", "Rome", "Lima"]}
    table = tables.Table.learn(frame)
    vae = VAE(2, (4,), likelihood=table.columns, conditional=True, epochs=1, verbose=False)
    vae.fit(table.encode(frame), ["b", "a", "b", "b"])
    vae.model_.reader = dataclasses.replace(vae.model_.reader, names=tuple(table.names))
    assert export.describe(vae) == {
        "standardize": False,
        "normalize": None,
        "vaefast_version": vaefast.__version__,
        "latent_dim": 2,
        "feature_shape": [4],
        "feature_names": ["age", "city=Lima", "city=Oslo", "city=Rome"],
        "likelihood": [["gaussian", 1], ["categorical", 3]],
        "activation": "relu",
        "objective": "elbo",
        "missing": "error",
        "df": 4.0,
        "byte_divisor": 1,
        "exposure": False,
        "condition_width": 2,
        "condition_labels": ["a", "b"],
        "condition_means": [],
        "condition_scales": [],
    }


@pytest.mark.parametrize(
    ("case", "shape", "byte_divisor"),
    [("images of bytes", [4, 3, 3], 255), ("counts of bytes", [4], 1), ("several kinds", [15], 1)],
)
def test_the_description_gives_shape_and_divisor(case, shape, byte_divisor):
    about = export.describe(fit(case))
    assert (about["feature_shape"], about["byte_divisor"]) == (shape, byte_divisor)


def test_the_description_tells_of_exposure():
    vae = VAE(1, (4,), likelihood="poisson", epochs=1, verbose=False)
    assert export.describe(vae.fit(COUNTS, exposure=np.ones(N)))["exposure"]


@pytest.mark.parametrize("form", [by_onnx, by_numpy])
@pytest.mark.parametrize("case", ["labels", "numbers", "missing, several kinds"])
def test_exports_carry_the_description(form, case, tmp_path):
    assert form(fit(case), tmp_path)[2] == export.describe(fit(case))


# ------------------------------------------------------------------ ONNX


@pytest.mark.parametrize("case", CASES)
def test_graphs_are_valid_and_deterministic(case, tmp_path):
    for path in export.to_onnx(fit(case), tmp_path):
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(path)
        assert {node.op_type for node in model.graph.node} <= DETERMINISTIC
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
        assert (model.producer_name, model.producer_version) == ("vaefast", vaefast.__version__)


def test_graphs_name_their_inputs_and_outputs(tmp_path):
    found = {}
    for path in export.to_onnx(fit("labels"), tmp_path / "new" / "folder"):
        session = onnxruntime.InferenceSession(path)
        ends = [*session.get_inputs(), *session.get_outputs()]
        found[path.name] = {end.name: (end.shape, end.type) for end in ends}
    floats = "tensor(float)"
    assert found == {
        "encoder.onnx": {
            "x": (["n", 5], floats),
            "y": (["n", 3], floats),
            "mu": (["n", 3], floats),
            "logvar": (["n", 3], floats),
        },
        "decoder.onnx": {
            "z": (["n", 3], floats),
            "y": (["n", 3], floats),
            "mean": (["n", 5], floats),
        },
    }


def test_graphs_run_in_a_process_without_vaefast(tmp_path):
    vae = fit("missing, several kinds")
    _, X, y = CASES["missing, several kinds"]
    export.to_onnx(vae, tmp_path)
    x, condition = inputs_of(export.describe(vae), X, y)
    np.savez(tmp_path / "rows.npz", x=x, y=condition)
    script = """
import sys
sys.modules["vaefast"] = None  # an import of it fails
import numpy as np, onnxruntime
rows = np.load("rows.npz")
encoder, decoder = (onnxruntime.InferenceSession(f"{name}coder.onnx") for name in ("en", "de"))
mu, logvar = encoder.run(["mu", "logvar"], {"x": rows["x"], "y": rows["y"]})
mean, = decoder.run(["mean"], {"z": mu, "y": rows["y"]})
np.savez("results.npz", mu=mu, logvar=logvar, mean=mean)
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    with np.load(tmp_path / "results.npz") as results:
        mu, logvar = vae.encode(X, y)
        assert_close(results["mu"], mu)
        assert_close(results["logvar"], logvar)
        assert_close(results["mean"], vae.reconstruct(X, y))


def test_one_file_is_no_place_for_two_graphs(tmp_path):
    with pytest.raises(ValueError, match=r"encoder\.onnx and decoder\.onnx; name the folder"):
        export.to_onnx(fit("gaussian"), tmp_path / "model.onnx")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        export.to_onnx(fit("gaussian"), tmp_path / "file")
    assert names(tmp_path) == {"file"}


def test_weights_beyond_the_limit_of_protobuf_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("vaefast.export.onnx_files.MOST_BYTES", 100)
    with pytest.raises(ValueError, match="limited to 2 GiB; to_npz has no such limit"):
        export.to_onnx(fit("gaussian"), tmp_path / "onnx")
    assert names(tmp_path) == set()


# ------------------------------------------------------------------ PyTorch


@needs_torch
def test_torch_modules_hold_the_weights_as_trainable_copies():
    import torch

    vae = vaefast.from_bytes(fit("labels").to_bytes())
    before = vae.model_.weights()
    state = torch.random.get_rng_state()
    encoder, decoder = export.to_torch(vae)
    assert torch.equal(state, torch.random.get_rng_state())
    layers = {"encoder.0": "hidden.0", "mu": "mu", "logvar": "logvar"}
    found = encoder.state_dict()
    assert {name.rpartition(".")[0] for name in found} == set(layers.values())
    for name, other in layers.items():
        np.testing.assert_array_equal(found[f"{other}.weight"].T, before[f"{name}.weight"])
        np.testing.assert_array_equal(found[f"{other}.bias"], before[f"{name}.bias"])
    with torch.no_grad():
        for parameter in [*encoder.parameters(), *decoder.parameters()]:
            assert parameter.requires_grad
            assert parameter.dtype == torch.float32
            parameter.zero_()
    for name, tensor in vae.model_.weights().items():
        np.testing.assert_array_equal(tensor, before[name])


@needs_torch
def test_torch_modules_have_gradients():
    import torch

    vae = fit("missing, several kinds")
    _, X, y = CASES["missing, several kinds"]
    encoder, decoder = export.to_torch(vae)
    x, condition = map(torch.tensor, inputs_of(export.describe(vae), X, y))
    mu, logvar = encoder(x, condition)
    decoder(mu + torch.exp(logvar / 2), condition).sum().backward()
    for parameter in [*encoder.parameters(), *decoder.parameters()]:
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0


@needs_torch
def test_torch_modules_become_programs_for_any_number_of_rows():
    import torch

    vae, rows = fit("missing, several kinds"), torch.export.Dim("rows")
    _, X, y = CASES["missing, several kinds"]
    inputs = tuple(map(torch.tensor, inputs_of(export.describe(vae), X, y)))
    program = torch.export.export(
        export.to_torch(vae)[0], inputs, dynamic_shapes=({0: rows}, {0: rows})
    )
    mu = program.module()(*(part[:7] for part in inputs))[0]
    assert_close(mu.detach().numpy(), vae.encode(X[:7], y[:7])[0])


@needs_torch
def test_torch_modules_ask_for_conditions():
    import torch

    encoder, decoder = export.to_torch(fit("labels"))
    with pytest.raises(TypeError, match=r"conditional: pass y, a tensor of shape \(n, 3\)"):
        encoder(torch.zeros(1, 5))
    with pytest.raises(TypeError, match="pass y"):
        decoder(torch.zeros(1, 3))
    with pytest.raises(TypeError, match="not conditional: leave y out"):
        export.to_torch(fit("bernoulli"))[0](torch.zeros(1, 5), torch.zeros(1, 3))


# ------------------------------------------------------------------ NumPy


def test_the_arrays_are_the_weights(tmp_path):
    vae = fit("student_t")
    export.to_npz(vae, tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        weights = vae.model_.weights()
        assert set(file) == {*weights, "description"}
        for name, tensor in weights.items():
            np.testing.assert_array_equal(file[name], tensor)
            assert file[name].dtype == np.float32


def test_an_npz_replaces_a_file_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    export.to_npz(fit("bernoulli"), path)
    before = path.read_bytes()

    def fails(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="No space left"):
        export.to_npz(fit("gaussian"), path)
    assert path.read_bytes() == before
    assert names(tmp_path) == {"model.npz"}


def test_an_npz_needs_its_suffix_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        export.to_npz(fit("bernoulli"), tmp_path / "model.bin")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        export.to_npz(fit("bernoulli"), tmp_path / "none" / "model.npz")


def test_the_example_in_the_documentation_runs():
    example = inspect.getdoc(export).split("Examples\n--------\n")[1]
    test = doctest.DocTestParser().get_doctest(example, {}, "export", None, None)
    assert len(test.examples) > 10
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


# ------------------------------------------------------------------ errors

FUNCTIONS = {
    "describe": export.describe,
    "to_torch": export.to_torch,
    "to_onnx": lambda vae: export.to_onnx(vae, "folder"),
    "to_npz": lambda vae: export.to_npz(vae, "model.npz"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_a_fitted_model_can_be_exported(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFittedError):
        FUNCTIONS[name](VAE())
    with pytest.raises(TypeError, match=rf"{name} needs a fitted VAE, got str; vaefast\.load"):
        FUNCTIONS[name]("model.safetensors")
    assert names(tmp_path) == set()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("onnx", "torch")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "vaefast.export._modules", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'vaefast\[onnx\]'"):
        export.to_onnx(fit("gaussian"), tmp_path / "onnx")
    with pytest.raises(MissingExtraError, match="pip install torch"):
        export.to_torch(fit("gaussian"))
    assert names(tmp_path) == set()


def test_import_brings_in_neither_onnx_nor_torch():
    script = "import sys, vaefast.export; assert not {'onnx', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


# ------------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.safetensors"
    data = datasets.strokes(100)
    VAE(2, (8,), conditional=True, epochs=1, verbose=False).fit(data.X, data.y).save(path)
    return path


def test_the_command_writes_onnx(model, tmp_path):
    out = tmp_path / "onnx"
    assert succeed("export", model, "--to", "onnx", "--out", out) == (
        f"Wrote {out / 'encoder.onnx'}: x (n, 784), y (n, 10) -> mu, logvar\n"
        f"Wrote {out / 'decoder.onnx'}: z (n, 2), y (n, 10) -> mean\n"
    )
    assert names(out) == {"encoder.onnx", "decoder.onnx"}
    assert "already exists" in fail("export", model, "--to", "onnx", "--out", out)
    (out / "decoder.onnx").write_bytes(b"")
    succeed("export", model, "--to", "onnx", "--out", out, "--force")
    onnxruntime.InferenceSession(out / "decoder.onnx")


def test_the_command_writes_npz(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = succeed("export", model, "--to", "npz")
    assert said == "Wrote model.npz: 10 arrays, and a description\n"
    assert "already exists" in fail("export", model, "--to", "npz")
    succeed("export", model, "--to", "npz", "--force")
    assert "must name a .npz file for --to npz" in fail(
        "export", model, "--to", "npz", "--out", "model.pt"
    )
    assert names(tmp_path) == {"model.npz"}


@needs_torch
def test_the_command_writes_torch(model, tmp_path):
    import torch

    out = tmp_path / "model.pt"
    succeed("export", model, "--to", "torch", "--out", out)
    content = torch.load(out, weights_only=True)
    assert content.keys() == {"encoder", "decoder", "description"}
    assert json.loads(content["description"]) == export.describe(vaefast.load(model))
    for module, name in zip(
        export.to_torch(vaefast.load(model)), ("encoder", "decoder"), strict=True
    ):
        module.load_state_dict(content[name])


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_the_command_says_that_torch_is_missing(model, tmp_path):
    message = fail("export", model, "--to", "torch", "--out", tmp_path / "model.pt")
    assert "pip install torch" in message
    assert names(tmp_path) == set()


def test_the_command_needs_a_form(model):
    assert "--to" in fail("export", model, code=2)
