"""`vaefast train`: files, output, options and kinds of data; and the `vaefast` command itself."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaefast
from commands import SMALL, fail, names, read_csv, succeed, vaefast_command
from vaefast import VAE, cli, datasets, optimizers, pictures
from vaefast.cli import outputs
from vaefast.cli.vae_options import GROUPS, PARAMETERS

PICTURES = {name for name in outputs.FILES if name.endswith(".png")}


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


# --- Files and output ---


def test_train_writes_the_model_its_history_and_pictures(digits_run: Path, digits_file: Path):
    pytest.importorskip("matplotlib")
    assert names(digits_run) == set(outputs.FILES)
    assert vaefast.load(digits_run / "model.safetensors").feature_shape_ == (28, 28)
    for name in PICTURES:
        with Image.open(digits_run / name) as picture:
            picture.load()
            assert min(picture.size) > 300, name
    assert len({(digits_run / name).stat().st_mode for name in names(digits_run)}) == 1
    history = read_csv(digits_run / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert float(history[1]["elbo"]) > float(history[0]["elbo"])
    assert all(row["validation"] == "" and float(row["kl"]) > 0 for row in history)
    assert all(float(row["kl_0"]) >= 0 and float(row["kl_1"]) >= 0 for row in history)


def test_train_says_what_it_did(digits_file: Path, tmp_path: Path):
    output = succeed(
        "train", digits_file, "--out", tmp_path / "run", "--activation", "tanh", *SMALL
    )
    assert "300 rows of 28x28 pixels, 50 for the test" in output
    assert "784-16-2-16-784, tanh, bernoulli, adam" in output
    data = datasets.load(digits_file)
    scores = vaefast.load(tmp_path / "run" / "model.safetensors").evaluate(data.X_test)
    assert f"ELBO {scores['elbo']:.2f}" in output
    assert f"KL {scores['kl']:.2f} nats per row" in output


def test_train_uses_the_same_bits_as_the_python_api(digits_run: Path, digits_file: Path):
    vae = VAE(hidden_layer_sizes=(16,), epochs=2, random_state=1, verbose=False)
    vae.fit(datasets.load(digits_file).X)
    elbo = [float(row["elbo"]) for row in read_csv(digits_run / "history.csv")]
    assert elbo == vae.history_["elbo"]


def test_train_holds_a_tenth_out_where_there_are_no_test_rows(tmp_path: Path):
    np.save(tmp_path / "images.npy", datasets.strokes(100).X)
    args = "train", tmp_path / "images.npy", *SMALL
    output = succeed(*args, "--out", tmp_path / "a", "--validation", "0.2")
    assert "72 rows of 28x28 pixels, 18 for validation, 10 for the test" in output
    assert all(float(row["validation"]) < 0 for row in read_csv(tmp_path / "a" / "history.csv"))
    again = succeed(*args, "--out", tmp_path / "b", "--validation", "0.2")
    assert again.replace(str(tmp_path / "b"), str(tmp_path / "a")) == output


def test_train_numbers_fresh_folders(digits_file: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert f"runs/digits-{number}/" in succeed("train", digits_file, *SMALL)
    assert names(tmp_path / "runs") == {"digits-1", "digits-2"}


def test_train_on_more_latent_dimensions_leaves_the_map_out(digits_file: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    output = succeed("train", digits_file, "--out", tmp_path / "run", *SMALL, "--latent-dim", 3)
    assert names(tmp_path / "run") == set(outputs.FILES) - {"manifold.png", "map.png"}
    assert "Left out manifold.png, map.png: only for --latent-dim 2" in output


def test_train_on_a_table_leaves_out_pictures_of_images(
    table_run: Path, table_file: Path, tmp_path
):
    pytest.importorskip("matplotlib")
    model_and_curves = {"model.safetensors", "history.csv", "loss.png", "map.png"}
    assert names(table_run) == model_and_curves
    output = succeed(
        "train", table_file, "--likelihood", "gaussian", "--out", tmp_path / "run", *SMALL
    )
    assert (
        "Left out reconstructions.png, samples.png, manifold.png: rows of the shape (2,)" in output
    )


def test_train_without_matplotlib_says_how_to_get_the_curves(
    digits_file: Path, tmp_path: Path, without_matplotlib: None
):
    output = succeed("train", digits_file, "--out", tmp_path / "run", *SMALL)
    assert names(tmp_path / "run") == set(outputs.FILES) - {"loss.png", "map.png"}
    assert "Left out loss.png, map.png" in output
    assert "pip install 'vaefast[plot]'" in output


def test_ctrl_c_writes_the_model_trained_so_far(digits_file: Path, tmp_path: Path, monkeypatch):
    fit = VAE.fit

    def interrupted_fit(self, X, y=None, *, validation=None, **others):
        def press_ctrl_c(vae, record):
            signal.raise_signal(signal.SIGINT)

        return fit(self, X, y, validation=validation, callbacks=[press_ctrl_c])

    monkeypatch.setattr(VAE, "fit", interrupted_fit)
    result = vaefast_command(
        "train", digits_file, "--out", tmp_path / "run", *SMALL, "--epochs", 50
    )
    assert result.exit_code == 130
    assert "Interrupted after 1 of 50 epochs" in result.output
    assert vaefast.load(tmp_path / "run" / "model.safetensors").sample(1).shape == (1, 28, 28)
    assert len(read_csv(tmp_path / "run" / "history.csv")) == 1
    assert "samples.png" in names(tmp_path / "run")


# --- Options ---


def test_every_parameter_of_vae_is_an_option_of_train():
    own = {"data", "out", "force", "validation", "image_size", "skip_broken"}
    own |= {"checkpoint", "checkpoint_every", "resume", "drop"}
    parameters = inspect.signature(VAE).parameters
    options = {param.name: param for param in cli.main.commands["train"].params}
    assert set(options) - own == set(parameters)
    documented = " ".join(inspect.getdoc(VAE).replace("`", "").split())
    for name in parameters:
        assert f"--{name.replace('_', '-')}" in options[name].opts
        description = options[name].help.split("  [default")[0]
        assert len(description) > 4
        assert description in documented


def test_every_parameter_has_one_section_of_the_help():
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(PARAMETERS)


def test_options_reach_the_parameters_with_their_types(monkeypatch):
    class Stop(ValueError):
        pass

    def catch(**parameters):
        raise Stop(repr(parameters))

    monkeypatch.setattr("vaefast.cli.train.VAE", catch)
    given = {
        "latent_dim": 3,
        "hidden_layer_sizes": (400, 200),
        "decoder_layer_sizes": (50,),
        "activation": "tanh",
        "likelihood": [("gaussian", 3), ("categorical", 5)],
        "sigma": 0.1,
        "conditional": True,
        "beta": 4.0,
        "optimizer": optimizers.Adam((0.8, 0.99)),
        "learning_rate": 0.01,
        "patience": 3,
        "random_state": 7,
        "verbose": False,
    }
    spelled = "--latent-dim 3 --hidden-layer-sizes 400,200 --decoder-layer-sizes 50 "
    spelled += "--activation tanh --likelihood gaussian:3,categorical:5 --sigma 0.1 --conditional "
    spelled += "--beta 4 --optimizer adam:betas=0.8,0.99 --learning-rate 1e-2 "
    spelled += "--patience 3 --random-state 7 --no-verbose"
    message = fail("train", *spelled.split())
    automatic = {"batch_size": "auto", "epochs": "auto"}  # VAE supplies all other defaults
    assert message == f"Error: {given | automatic!r}"
    assert "'epochs': 4" in fail("train", "--epochs", "4")
    assert "'epochs': 'auto'" in fail("train", "--epochs", "auto")
    assert "'hidden_layer_sizes': 'auto'" in fail("train")


def test_help_is_complete():
    output = succeed("train", "--help")
    text = " ".join(output.split())
    assert "--hidden-layer-sizes" in text
    assert "[default: auto]" in text
    assert "[default: relu]" in text
    assert all(f"{title}:" in output for title in GROUPS)
    for name in datasets.names():
        assert name in text
    overview = succeed("--help")
    for command in (
        "train",
        "reconstruct",
        "sample",
        "evaluate",
        "encode",
        "score",
        "anomalies",
        "impute",
        "info",
    ):
        assert command in overview
        assert "Example" in succeed(command, "--help") or command == "info"


# --- Kinds of data ---


def test_images_with_missing_values_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).random((60, 6, 6), dtype=np.float32)
    X[::3, :2, :2] = np.nan
    np.save("gaps.npy", X)
    succeed("train", "gaps.npy", "--missing", "mask", "--epochs", "1", "--out", "run")
    assert "reconstructions.png" in names(tmp_path / "run")
    succeed("reconstruct", "run", "gaps.npy")
    assert "holds nan" in fail("nearest", "run", "gaps.npy")  # a missing value has no distance


def test_a_conditional_model_is_conditioned_on_the_labels(digits_file: Path, tmp_path: Path):
    run = tmp_path / "run"
    output = succeed("train", digits_file, "--conditional", "--out", run, *SMALL)
    assert "bernoulli, conditional, adam" in output
    assert "manifold.png: a conditional model has a different manifold for each label" in output
    assert {"reconstructions.png", "samples.png", "map.png"} <= names(run)
    data, vae = datasets.load(digits_file), vaefast.load(run / "model.safetensors")
    expected = vae.evaluate(data.X_test, data.y_test)
    assert json.loads(succeed("evaluate", run, digits_file, "--json")) == expected
    succeed("reconstruct", run, digits_file, "--out", tmp_path / "reconstruction.png")
    threes = tmp_path / "threes.png"
    succeed("sample", run, "-n", 8, "--label", 3, "--seed", 1, "--out", threes)
    drawn = pictures.sheet(vae.sample(8, 1, y=3), black_white=(0, 1))
    with Image.open(threes) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(drawn))
    out = ["--out", tmp_path / "none.png"]
    assert "add --label, one of the labels 0, 1" in fail("sample", run, *out, code=2)
    assert "expected one of the labels 0, 1" in fail("sample", run, "-y", "x", *out, code=2)
    assert "conditional model" in fail("map", run, digits_file)
    assert "conditional model" in fail("explore", run, "--no-open", "--out", tmp_path / "e.html")


def test_a_conditional_model_may_be_conditioned_on_numbers(tmp_path: Path):
    X, y = np.random.default_rng(0).random((2, 40, 2), dtype=np.float32)
    np.savez(tmp_path / "one.npz", X=X, y=y[:, 0])
    run, out = tmp_path / "run", tmp_path / "rows.csv"
    succeed("train", tmp_path / "one.npz", "--conditional", "--out", run, *SMALL)
    succeed("sample", run, "-n", 3, "--label", "0.5", "--out", out)
    assert len(read_csv(out)) == 3
    VAE(2, (4,), conditional=True, epochs=1, verbose=False).fit(X, y).save(run / "two")
    succeed("sample", run / "two", "-n", 3, "--label", "0.5,0.25", "--out", out, "--force")
    assert "2 numbers" in fail("sample", run / "two", "-y", "0.5", "--out", out, "--force")


def test_columns_of_several_kinds_are_named_on_the_command_line(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = np.hstack([rng.normal(size=(60, 2)), np.eye(3)[rng.integers(3, size=60)]])
    np.save(tmp_path / "rows.npy", rows.astype(np.float32))
    run = tmp_path / "run"
    args = "train", tmp_path / "rows.npy", "--out", run, *SMALL, "--likelihood"
    assert "2 gaussian + 3 categorical" in succeed(*args, "gaussian:2,categorical:3")
    likelihood = vaefast.load(run / "model.safetensors").likelihood
    assert list(likelihood) == [("gaussian", 2), ("categorical", 3)]
    assert "gaussian:3,categorical:5" in fail(*args, "gaussian:two,categorical:3", code=2)
    assert "3 columns in all" in fail(*args, "gaussian:2,categorical:1", "--force")


def test_empty_cells_are_missing_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("gaps.csv").write_text("a,b\n" + "1,\n,0\n0,1\n" * 20)
    args = "train", "gaps.csv", "--likelihood", "bernoulli"
    assert "holds nan" in fail(*args)
    succeed(*args, "--missing", "mask", "--epochs", "1", "--out", "run")
    assert vaefast.load("run").missing == "mask"


# --- The command itself ---


def test_info_and_version():
    output = succeed("info")
    facts = vaefast.info()
    lines = [line.split(maxsplit=1) for line in output.splitlines()]
    for key in ("version", "isa", "threads", "eigen"):
        assert [key, str(facts[key])] in lines
    assert vaefast.__version__ in succeed("--version")


def test_the_package_runs_as_a_module():
    args = [sys.executable, "-m", "vaefast", "--version"]
    result = subprocess.run(args, capture_output=True, text=True)
    assert result.stdout == f"python -m vaefast {vaefast.__version__}\n", result.stderr


def test_the_command_starts_light():
    heavy = "PIL", "matplotlib", "tqdm", "pooch", "safetensors"
    code = f"import sys, vaefast.cli; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout == "[]\n", loaded.stderr


def test_test_rows_that_do_not_fit_are_found_before_training(tmp_path):
    X, y, file = np.eye(20, dtype=np.float32), np.arange(20) % 3, tmp_path / "rows.npz"
    options = ["--out", tmp_path / "run", "--conditional", *LONG]
    np.savez(file, X=X, y=y, x_test=X[:4], y_test=y[:4] + 1)
    assert "y holds 3 in row 2, expected one of the labels" in fail("train", file, *options)
    np.savez(file, X=X, y=y, x_test=X[:4] * np.nan, y_test=y[:4])
    assert "rows.npz, test rows, holds nan in row 0" in fail("train", file, *options)
    assert not (tmp_path / "run").exists()


# --- Checkpoints and signals ---

LONG = ["--hidden-layer-sizes", "64", "--batch-size", "8", "--random-state", "1", "--no-verbose"]


def start(*args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vaefast", "train", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("every", [["--checkpoint"], ["--checkpoint-every", "50steps"]])
def test_a_killed_run_is_resumed_to_the_same_model(every, digits_file, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    options = [*LONG, "--epochs", 12, *every]
    succeed("train", digits_file, "--out", whole, *LONG, "--epochs", 12)
    process = start(digits_file, "--out", run, *options)
    wait_for(run / "checkpoint.safetensors", process)
    process.kill()
    process.communicate()
    output = succeed("train", digits_file, "--out", run, *options, "--resume")
    assert "Wrote" in output
    one, other = (vaefast.load(folder).model_ for folder in (run, whole))
    for name, tensor in one.weights().items():
        np.testing.assert_array_equal(tensor, other.weights()[name])
    assert not (run / "checkpoint.safetensors").exists()
    message = fail("train", digits_file, "--out", run, *options, "--resume", code=2)
    assert "removes it when it is finished" in message


def test_a_run_that_is_not_finished_is_not_replaced_by_mistake(digits_file, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(b"weeks of work")
    options = ["--out", tmp_path, *LONG, "--epochs", 1]
    message = fail("train", digits_file, *options, "--checkpoint", code=2)
    assert "holds a run that is not finished" in message and "--resume" in message
    assert checkpoint.read_bytes() == b"weeks of work"
    succeed("train", digits_file, *options, "--force")
    assert not checkpoint.exists(), "it belongs to the run that was replaced"


def test_a_home_folder_of_a_run_is_spelled_as_the_shell_does(digits_file, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    assert "is truncated" in fail("train", digits_file, "--out", "~", *LONG, "--resume")


def test_resume_needs_a_folder(digits_file):
    assert "add --out FOLDER" in fail("train", digits_file, "--resume", code=2)
    for text in ("5hours", ".", "1.2.3"):
        message = fail("train", digits_file, "--checkpoint-every", text, code=2)
        assert f"expected 5, 1000steps or 10min, got {text!r}" in message


def test_sigterm_writes_the_model_so_far(digits_file, tmp_path):
    run = tmp_path / "run"
    process = start(digits_file, "--out", run, *LONG, "--epochs", 100_000, "--checkpoint")
    wait_for(run / "checkpoint.safetensors", process)
    process.terminate()
    output, error = process.communicate()
    assert process.returncode == 143, error
    assert "Interrupted after" in output
    assert vaefast.load(run).n_iter_ >= 1
    assert (run / "checkpoint.safetensors").exists()
