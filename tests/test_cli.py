"""The vaefast command, run as a user runs it, on small data."""

from __future__ import annotations

import csv
import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import vaefast
from vaefast import VAE, cli, datasets, images, options, report
from vaefast.files import atomic_write

SMALL = ["--hidden-layer-sizes", "16", "--epochs", "2", "--random-state", "1", "--no-verbose"]
PICTURES = {name for name in report.FILES if name.endswith(".png")}


def vaefast_command(*args: object) -> Result:
    """Run the command; an exception that it doesn't handle fails the test."""
    result = CliRunner().invoke(cli.main, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*args: object) -> str:
    result = vaefast_command(*args)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*args: object, code: int = 1) -> str:
    """The message of a command that must fail in a way that it expects."""
    result = vaefast_command(*args)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled images with test rows."""
    data = datasets.strokes(300, n_test=50)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, X=data.X, y=data.y, x_test=data.X_test, y_test=data.y_test)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of two named columns, without test rows."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = np.random.default_rng(0).normal(size=(200, 2)).round(3)
    path.write_text("length,width\n" + "\n".join(f"{a},{b}" for a, b in rows) + "\n")
    return path


@pytest.fixture(scope="module")
def run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    succeed("train", digits, "--out", folder, *SMALL)
    return folder


@pytest.fixture(scope="module")
def table_run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "table"
    succeed("train", table, "--likelihood", "gaussian", "--out", folder, *SMALL)
    return folder


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


# --- train: what it writes and says ---


def test_train_writes_the_model_its_history_and_pictures(run: Path, digits: Path):
    pytest.importorskip("matplotlib")
    assert names(run) == set(report.FILES)
    assert vaefast.load(run / "model.safetensors").feature_shape_ == (28, 28)
    for name in PICTURES:
        with Image.open(run / name) as picture:
            picture.load()
            assert min(picture.size) > 300, name
    assert len({(run / name).stat().st_mode for name in names(run)}) == 1
    history = read_csv(run / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert float(history[1]["elbo"]) > float(history[0]["elbo"])
    assert all(row["validation"] == "" and float(row["kl"]) > 0 for row in history)
    assert all(float(row["kl_0"]) >= 0 and float(row["kl_1"]) >= 0 for row in history)


def test_train_says_what_it_did(digits: Path, tmp_path: Path):
    output = succeed("train", digits, "--out", tmp_path / "run", "--activation", "tanh", *SMALL)
    assert "300 rows of 28x28 pixels, 50 for the test" in output
    assert "784-16-2-16-784, tanh, bernoulli, adam" in output
    data = datasets.load(digits)
    scores = vaefast.load(tmp_path / "run" / "model.safetensors").evaluate(data.X_test)
    assert f"ELBO {scores['elbo']:.2f}" in output
    assert f"KL {scores['kl']:.2f} nats per row" in output


def test_train_uses_the_same_bits_as_the_python_api(run: Path, digits: Path):
    vae = VAE(hidden_layer_sizes=(16,), epochs=2, random_state=1, verbose=False)
    vae.fit(datasets.load(digits).X)
    elbo = [float(row["elbo"]) for row in read_csv(run / "history.csv")]
    assert elbo == vae.history_["elbo"]


def test_train_holds_a_tenth_out_where_there_are_no_test_rows(tmp_path: Path):
    np.save(tmp_path / "images.npy", datasets.strokes(100).X)
    args = "train", tmp_path / "images.npy", *SMALL
    output = succeed(*args, "--out", tmp_path / "a", "--validation", "0.2")
    assert "72 rows of 28x28 pixels, 18 for validation, 10 for the test" in output
    assert all(float(row["validation"]) < 0 for row in read_csv(tmp_path / "a" / "history.csv"))
    again = succeed(*args, "--out", tmp_path / "b", "--validation", "0.2")
    assert again.replace(str(tmp_path / "b"), str(tmp_path / "a")) == output


def test_train_numbers_fresh_folders(digits: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert f"runs/digits-{number}/" in succeed("train", digits, *SMALL)
    assert names(tmp_path / "runs") == {"digits-1", "digits-2"}


def test_train_on_more_latent_dimensions_leaves_the_map_out(digits: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    output = succeed("train", digits, "--out", tmp_path / "run", "--latent-dim", 3, *SMALL)
    assert names(tmp_path / "run") == set(report.FILES) - {"manifold.png", "map.png"}
    assert "Left out manifold.png, map.png: made with --latent-dim 2 only" in output


def test_train_on_a_table_leaves_out_pictures_of_images(table_run: Path, table: Path, tmp_path):
    pytest.importorskip("matplotlib")
    model_and_curves = {"model.safetensors", "history.csv", "loss.png", "map.png"}
    assert names(table_run) == model_and_curves
    output = succeed("train", table, "--likelihood", "gaussian", "--out", tmp_path / "run", *SMALL)
    assert (
        "Left out reconstructions.png, samples.png, manifold.png: rows of the shape (2,)" in output
    )


def test_train_without_matplotlib_says_how_to_get_the_curves(
    digits: Path, tmp_path: Path, without_matplotlib: None
):
    output = succeed("train", digits, "--out", tmp_path / "run", *SMALL)
    assert names(tmp_path / "run") == set(report.FILES) - {"loss.png", "map.png"}
    assert "Left out loss.png, map.png" in output
    assert "pip install 'vaefast[plot]'" in output


def test_ctrl_c_writes_the_model_trained_so_far(digits: Path, tmp_path: Path, monkeypatch):
    fit = VAE.fit

    def interrupted_fit(self, X, y=None, *, validation=None):
        def press_ctrl_c(vae, record):
            signal.raise_signal(signal.SIGINT)

        return fit(self, X, y, validation=validation, callbacks=[press_ctrl_c])

    monkeypatch.setattr(VAE, "fit", interrupted_fit)
    result = vaefast_command("train", digits, "--out", tmp_path / "run", *SMALL, "--epochs", 50)
    assert result.exit_code == 130
    assert "Interrupted after 1 of 50 epochs" in result.output
    assert vaefast.load(tmp_path / "run" / "model.safetensors").sample(1).shape == (1, 28, 28)
    assert len(read_csv(tmp_path / "run" / "history.csv")) == 1
    assert "samples.png" in names(tmp_path / "run")


# --- train: its options ---


def test_every_parameter_of_vae_is_an_option_of_train():
    own = {"data", "out", "force", "validation", "image_size"}
    parameters = inspect.signature(VAE).parameters
    options = {param.name: param for param in cli.train.params}
    assert set(options) - own == set(parameters)
    documented = " ".join(inspect.getdoc(VAE).replace("`", "").split())
    for name in parameters:
        assert f"--{name.replace('_', '-')}" in options[name].opts
        description = options[name].help.split("  [default")[0]
        assert len(description) > 4
        assert description in documented


def test_options_reach_the_parameters_as_what_they_are(monkeypatch):
    class Stop(ValueError):
        pass

    def catch(**parameters):
        raise Stop(repr(parameters))

    monkeypatch.setattr(cli, "VAE", catch)
    given = {
        "latent_dim": 3,
        "hidden_layer_sizes": (400, 200),
        "decoder_layer_sizes": (50,),
        "activation": "tanh",
        "likelihood": [("gaussian", 3), ("categorical", 5)],
        "sigma": 0.1,
        "conditional": True,
        "beta": 4.0,
        "adam_betas": (0.8, 0.99),
        "learning_rate": 0.01,
        "patience": 3,
        "random_state": 7,
        "verbose": False,
    }
    spelled = "--latent-dim 3 --hidden-layer-sizes 400,200 --decoder-layer-sizes 50 "
    spelled += "--activation tanh --likelihood gaussian:3,categorical:5 --sigma 0.1 --conditional "
    spelled += "--beta 4 --adam-betas 0.8,0.99 --learning-rate 1e-2 "
    spelled += "--patience 3 --random-state 7 --no-verbose"
    message = fail("train", *spelled.split())
    assert message == f"Error: {given!r}"
    assert fail("train", "--sigma", "per_feature") == "Error: {'sigma': 'per_feature'}"
    assert fail("train") == "Error: {}"  # what is not given is left to VAE


def test_help_tells_all_there_is_to_know():
    output = succeed("train", "--help")
    text = " ".join(output.split())
    assert "--hidden-layer-sizes" in text
    assert "[default: 256]" in text
    assert "[default: 0.9,0.999]" in text
    for name in datasets.names():
        assert name in text
    overview = succeed("--help")
    for command in ("train", "reconstruct", "sample", "evaluate", "info"):
        assert command in overview
        assert "Example" in succeed(command, "--help") or command == "info"


# --- train: what can go wrong ---


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--activation", "sine"], "relu"),
        (["--likelihood", "beta"], "bernoulli"),
        (["--optimizer", "sdg"], "adamw"),
        (["--learning-rate", "1e30"], "epoch 1"),
        (["--image-size", "8,8"], "image_size"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(args, message, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fail("train", digits, *SMALL, *args)
    assert message in fail("train", digits, "--out", "deep/run", *SMALL, *args)
    assert names(tmp_path) == set()


def test_errors_speak_of_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.float32([[0.5, 7]] * 20))
    message = fail("train", "wide.npy")
    assert "--likelihood bernoulli needs" in message and "--likelihood gaussian" in message
    np.save("gaps.npy", np.float32([[0.5, np.nan]] * 20))
    assert "with --missing mask" in fail("train", "gaps.npy")
    assert "runs/beta=4/x: there is no such file" in fail("sample", "runs/beta=4/x")
    assert options.as_options("such as image_size=(28, 28)") == "such as --image-size 28,28"


def test_images_with_gaps_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).random((60, 6, 6), dtype=np.float32)
    X[::3, :2, :2] = np.nan
    np.save("gaps.npy", X)
    succeed("train", "gaps.npy", "--missing", "mask", "--epochs", "1", "--out", "run")
    assert "reconstructions.png" in names(tmp_path / "run")
    succeed("reconstruct", "run", "gaps.npy")
    assert "holds nan" in fail("nearest", "run", "gaps.npy")  # there is no distance to a gap


def test_a_conditional_model_is_told_the_labels(digits: Path, tmp_path: Path):
    run = tmp_path / "run"
    output = succeed("train", digits, "--conditional", "--out", run, *SMALL)
    assert "bernoulli, conditional, adam" in output
    assert "manifold.png: a conditional model has one for each label" in output
    assert {"reconstructions.png", "samples.png", "map.png"} <= names(run)
    data, vae = datasets.load(digits), vaefast.load(run / "model.safetensors")
    expected = vae.evaluate(data.X_test, data.y_test)
    assert json.loads(succeed("evaluate", run, digits, "--json")) == expected
    succeed("reconstruct", run, digits, "--out", tmp_path / "reconstruction.png")
    threes = tmp_path / "threes.png"
    succeed("sample", run, "-n", 8, "--label", 3, "--seed", 1, "--out", threes)
    drawn = images.sheet(vae.sample(8, 1, y=3), black_white=(0, 1))
    with Image.open(threes) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(drawn))
    out = ["--out", tmp_path / "none.png"]
    assert "add --label, a label out of 0, 1" in fail("sample", run, *out, code=2)
    assert "'x' is no label of the model" in fail("sample", run, "-y", "x", *out, code=2)
    assert "conditional model" in fail("map", run, digits)
    assert "conditional model" in fail("explore", run, "--no-open", "--out", tmp_path / "e.html")


def test_a_conditional_model_may_be_told_numbers(tmp_path: Path):
    X, y = np.random.default_rng(0).random((2, 40, 2), dtype=np.float32)
    np.savez(tmp_path / "one.npz", X=X, y=y[:, 0])
    run, out = tmp_path / "run", tmp_path / "rows.csv"
    succeed("train", tmp_path / "one.npz", "--conditional", "--out", run, *SMALL)
    succeed("sample", run, "-n", 3, "--label", "0.5", "--out", out)
    assert len(read_csv(out)) == 3
    VAE(2, (4,), conditional=True, epochs=1, verbose=False).fit(X, y).save(run / "two")
    succeed("sample", run / "two", "-n", 3, "--label", "0.5,0.25", "--out", out, "--force")
    assert "2 numbers" in fail("sample", run / "two", "-y", "0.5", "--out", out, "--force")


def test_labels_are_asked_for_where_they_are_needed(run: Path, table: Path, tmp_path: Path):
    message = fail("train", table, "--conditional", "--out", tmp_path / "run")
    assert message.startswith(f"Error: --conditional needs labels, and {table} has none.")
    assert "--conditional" in fail("sample", run, "--label", 3, "--out", tmp_path / "x.png", code=2)
    assert names(tmp_path) == set()


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


def test_a_training_that_diverges_leaves_the_model_of_the_epoch_before(tmp_path: Path):
    X = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    settings = ["--likelihood", "gaussian", "--seed", 0, "--epochs", 60, "--batch-size", 300]
    settings += ["--optimizer", "sgd", "--learning-rate", 3, "--momentum", 0.99]
    settings += ["--hidden-layer-sizes", 16, "--no-verbose"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "loss.png").write_text("of an earlier run")
    out = ["--out", tmp_path / "run", "--force"]
    result = vaefast_command("train", tmp_path / "rows.npy", *settings, *out)
    assert result.exit_code == 1
    assert "--learning-rate 3 may be too large (--max-grad-norm 1 helps" in result.output
    assert names(tmp_path / "run") == {"model.safetensors", "history.csv"}
    vae = vaefast.load(tmp_path / "run" / "model.safetensors")
    assert 1 <= vae.n_iter_ < 60
    assert f"The weights are those of epoch {vae.n_iter_}." in " ".join(result.output.split())
    assert len(read_csv(tmp_path / "run" / "history.csv")) == vae.n_iter_
    assert np.isfinite(vae.evaluate(X)["elbo"])


def test_the_seed_has_one_name(digits: Path, tmp_path: Path):
    for i, option in enumerate(("--seed", "--random-state")):
        options = [*SMALL[:4], option, "7", "--no-verbose"]
        succeed("train", digits, "--out", tmp_path / str(i), *options)
    one, other = (vaefast.load(tmp_path / i).sample(3, random_state=0) for i in "01")
    np.testing.assert_array_equal(one, other)


def test_empty_cells_are_missing_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("gaps.csv").write_text("a,b\n" + "1,\n,0\n0,1\n" * 20)
    assert "holds nan" in fail("train", "gaps.csv")
    succeed("train", "gaps.csv", "--missing", "mask", "--epochs", "1", "--out", "run")
    assert vaefast.load("run").missing == "mask"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--hidden-layer-sizes", "400,x"], "such as 400,200 or 400, got '400,x'"),
        (["--latent-dim", "many"], "'many' is not a valid integer"),
        (["--image-size", "48,64,3"], "64 or 48,64, got '48,64,3'"),
        (["--validation", "1"], "0<x<1"),
        (["--patience", "3"], "add --validation 0.1"),
        (["--activatio", "relu"], "--activation"),
    ],
)
def test_wrong_usage_ends_with_code_2(args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fail("train", *args, code=2)
    assert names(tmp_path) == set()


def test_unknown_data_names_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = fail("train", "minst")
    assert all(name in message for name in ("minst", *datasets.names()))
    assert names(tmp_path) == set()


def test_train_does_not_overwrite_a_run_without_force(digits: Path, tmp_path: Path):
    folder = tmp_path / "run"
    succeed("train", digits, "--out", folder, *SMALL)
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    message = fail("train", "no-such-data", "--out", folder)  # found before the data is read
    assert "holds an earlier run" in message
    assert "--force" in message
    fail("train", digits, "--out", folder, "--force", "--activation", "sine")
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before

    succeed("train", digits, "--out", folder, "--force", "--latent-dim", 3, *SMALL)
    assert vaefast.load(folder / "model.safetensors").latent_dim == 3
    assert not names(folder) & {"manifold.png", "map.png"}  # those were the earlier run's


def test_train_keeps_other_files_in_its_folder(digits: Path, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    succeed("train", digits, "--out", tmp_path, *SMALL)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_found_first(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert "file" in fail("train", "no-such-data", "--out", tmp_path / "file")
    assert "file" in fail("train", "no-such-data", "--out", tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux, where nobody writes to /proc")
def test_a_folder_where_nothing_can_be_written_is_found_first():
    assert "/proc/vaefast-run" in fail("train", "no-such-data", "--out", "/proc/vaefast-run")


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "model.bin"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == {"model.bin"}
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == {"model.bin"}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write into any folder"
)
def test_a_folder_without_permission_is_found_first(tmp_path: Path):
    tmp_path.chmod(0o500)
    try:
        assert "Permission denied" in fail("train", "no-such-data", "--out", tmp_path)
    finally:
        tmp_path.chmod(0o700)


# --- reconstruct, sample, evaluate, info ---


def test_reconstruct_takes_indexes_as_one_writes_them(run: Path, digits: Path, tmp_path: Path):
    outputs = []
    for number, index in enumerate(
        (["--index", 7, 42, 9], ["--index", 7, "--index", 42, 9], ["--index=7", 42, "--index", 9])
    ):
        out = tmp_path / f"{number}.png"
        said = succeed("reconstruct", run, digits, *index, "--out", out)
        assert said == f"Wrote {out}: 7, 42, 9 of the test rows of {digits}\n"
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    succeed("reconstruct", "--index", 7, "--out", tmp_path / "one.png", run, digits)
    with Image.open(tmp_path / "0.png") as three, Image.open(tmp_path / "one.png") as one:
        assert three.width - one.width == 2 * (84 + 2)


def test_reconstruct_reads_the_split_that_is_asked_for(run: Path, digits: Path, tmp_path: Path):
    args = "reconstruct", run / "model.safetensors", digits, "--index", 299
    assert "the test rows of" in fail(*args, "--out", tmp_path / "a.png")
    assert "0 to 49" in fail(*args, "--out", tmp_path / "a.png")
    assert "299 of the train rows" in succeed(
        *args, "--split", "train", "--out", tmp_path / "a.png"
    )
    assert names(tmp_path) == {"a.png"}


@pytest.mark.parametrize("index", [50, -1])
def test_an_index_out_of_range_names_the_range(index, run, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = fail("reconstruct", run, digits, "--index", 7, index)
    assert f"no row {index}" in message
    assert "0 to 49" in message
    assert names(tmp_path) == set()


def test_reconstruct_resizes_a_folder_of_images_to_the_model(run: Path, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("L", (40 + number, 60), 128).save(tmp_path / "photos" / f"{number}.png")
    out = tmp_path / "photos.png"
    said = succeed("reconstruct", run, tmp_path / "photos", "--out", out)
    assert "0, 1, 2 of the rows of" in said


def test_sample_is_the_same_for_the_same_seed(run: Path, tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        succeed("sample", run, "-n", 9, "--seed", seed, "--out", tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (3 * 84 + 4 * 2,) * 2


def test_rows_of_a_table_are_drawn(table_run: Path, tmp_path: Path):
    for option in ([], ["--draw"]):
        out = tmp_path / f"{len(option)}.csv"
        succeed("sample", table_run, "-n", 200, "--seed", 1, *option, "--out", out)
    means, drawn = (
        np.array([float(row["x0"]) for row in read_csv(tmp_path / f"{i}.csv")]) for i in (0, 1)
    )
    assert drawn.std() > means.std()


def test_tables_become_csv(table_run: Path, table: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    succeed("sample", table_run, "-n", 5)
    rows = read_csv(tmp_path / "samples.csv")
    assert len(rows) == 5
    assert list(rows[0]) == ["x0", "x1"]
    succeed("reconstruct", table_run, table, "--index", 3, 199)
    rows = read_csv(tmp_path / "reconstruction.csv")
    expected = vaefast.load(table_run / "model.safetensors").reconstruct(
        datasets.load(table).X[[3, 199]]
    )
    written = np.array([[row["length"], row["width"]] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(written, expected)
    assert ".csv file" in fail("sample", table_run, "--out", "samples.png")


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_files_are_not_overwritten_without_force(command, run, digits, tmp_path):
    args = [command, run] if command == "sample" else [command, run, digits]
    out = tmp_path / "picture.png"
    out.write_text("precious")
    assert "--force" in fail(*args, "--out", out)
    assert out.read_text() == "precious"
    succeed(*args, "--out", out, "--force")
    with Image.open(out) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize("name", ["missing/picture.png", "picture.unknown"])
def test_a_file_that_cannot_be_written_leaves_nothing(name, run, tmp_path):
    fail("sample", run, "--out", tmp_path / name)
    assert names(tmp_path) == set()


def test_evaluate_prints_what_the_model_says(run: Path, digits: Path):
    expected = vaefast.load(run / "model.safetensors").evaluate(datasets.load(digits).X_test)
    assert json.loads(succeed("evaluate", run, digits, "--json")) == expected
    output = succeed("evaluate", run, digits)
    assert f"test rows of {digits}: 50 rows of 28x28 pixels" in output
    assert f"ELBO {expected['elbo']:.2f}" in output


def test_data_that_does_not_fit_the_model_is_an_error(run: Path, table: Path):
    message = fail("evaluate", run, table)
    assert "(28, 28)" in message or "784" in message


def test_a_split_that_is_not_there_is_an_error(table_run: Path, table: Path):
    assert "no test rows" in fail("evaluate", table_run, table, "--split", "test")


def test_a_file_that_is_no_model_is_an_error(digits: Path, tmp_path: Path):
    assert "digits.npz" in fail("sample", digits, "--out", tmp_path / "a.png")
    assert "nothing" in fail("sample", tmp_path / "nothing", "--out", tmp_path / "a.png")
    assert names(tmp_path) == set()


def test_info_and_version():
    output = succeed("info")
    facts = vaefast.info()
    for key in ("version", "isa", "threads", "eigen"):
        assert str(facts[key]) in output
    assert vaefast.__version__ in succeed("--version")


def test_the_command_starts_light():
    heavy = "PIL", "matplotlib", "tqdm", "pooch", "safetensors"
    code = f"import sys, vaefast.cli; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout == "[]\n", loaded.stderr
