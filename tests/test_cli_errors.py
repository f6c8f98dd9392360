"""Errors of `vaefast train`: each prints one line and leaves the files as they were."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import vaefast
from commands import SMALL, fail, names, read_csv, succeed, vaefast_command
from cores import python
from vaefast import datasets
from vaefast._system.files import atomic_write
from vaefast.cli import commands


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--activation", "sine"], "relu"),
        (["--likelihood", "beta"], "bernoulli"),
        (["--learning-rate", "1e30"], "epoch 1"),
        (["--image-size", "8,8"], "image_size"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    args, message, digits_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert message in fail("train", digits_file, *SMALL, *args)
    assert message in fail("train", digits_file, "--out", "deep/run", *SMALL, *args)
    assert names(tmp_path) == set()


def test_errors_speak_of_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.float32([[0.5, 7]] * 20))
    message = fail("train", "wide.npy")
    assert "--likelihood bernoulli needs" in message and "--likelihood gaussian" in message
    np.save("gaps.npy", np.float32([[0.5, np.nan]] * 20))
    assert "with --missing mask" in fail("train", "gaps.npy")
    assert "runs/beta=4/x: there is no such file" in fail("sample", "runs/beta=4/x")
    assert commands.as_options("such as image_size=(28, 28)") == "such as --image-size 28,28"


def test_labels_are_asked_for_where_they_are_needed(
    digits_run: Path, table_file: Path, tmp_path: Path
):
    message = fail("train", table_file, "--conditional", "--out", tmp_path / "run")
    assert f"--conditional needs labels, but the rows of {table_file} have none." in message
    assert "--conditional" in fail(
        "sample", digits_run, "--label", 3, "--out", tmp_path / "x.png", code=2
    )
    assert names(tmp_path) == set()


def test_a_training_that_diverges_leaves_the_model_of_the_epoch_before(tmp_path: Path):
    X = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    settings = ["--likelihood", "gaussian", "--seed", 0, "--epochs", 60, "--batch-size", 300]
    settings += ["--optimizer", "sgd:momentum=0.99", "--learning-rate", 3]
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


def test_the_seed_has_one_name(digits_file: Path, tmp_path: Path):
    for i, option in enumerate(("--seed", "--random-state")):
        options = [*SMALL[:4], option, "7", "--no-verbose"]
        succeed("train", digits_file, "--out", tmp_path / str(i), *options)
    one, other = (vaefast.load(tmp_path / i).sample(3, random_state=0) for i in "01")
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--hidden-layer-sizes", "400,x"], "such as 400,200 or 400, got '400,x'"),
        (["--latent-dim", "many"], "'many' is not a valid integer"),
        (["--image-size", "48,64,3"], "64 or 48,64, got '48,64,3'"),
        (["--validation", "1"], "0<x<1"),
        (["--patience", "3", "--epochs", "9"], "add --validation 0.1"),
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


def test_train_does_not_overwrite_a_run_without_force(digits_file: Path, tmp_path: Path):
    folder = tmp_path / "run"
    succeed("train", digits_file, "--out", folder, *SMALL)
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    message = fail("train", "no-such-data", "--out", folder)  # before reading the data
    assert "holds an earlier run" in message
    assert "--force" in message
    fail("train", digits_file, "--out", folder, "--force", "--activation", "sine")
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before

    succeed("train", digits_file, "--out", folder, "--force", *SMALL, "--latent-dim", 3)
    assert vaefast.load(folder / "model.safetensors").latent_dim == 3
    assert not names(folder) & {"manifold.png", "map.png"}  # they belonged to the earlier run


def test_train_keeps_other_files_in_its_folder(digits_file: Path, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    succeed("train", digits_file, "--out", tmp_path, *SMALL)
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


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(0, 500, (60, 3)).astype(np.float32)
    rows[:, 1] = np.nan
    np.savetxt("wild.csv", rows, delimiter=",")
    args = ["--likelihood", "gaussian", "--missing", "mask", "--no-standardize", "--out", "run"]
    result = vaefast_command("train", "wild.csv", *args, *SMALL)
    assert result.exit_code == 0, result.output
    first, second, third = result.stderr.splitlines()
    assert first.startswith("Warning: column 1 of X has no value in any row")
    assert second.startswith("Warning: X has columns far from unit variance")
    assert second.endswith("--standardize does that.")
    assert third.startswith("Warning: only 2 steps: raise epochs from 2")
    assert "3 columns, 6 for the test (no header)" in result.stdout


@pytest.mark.parametrize("args", [["info"], ["--version"], ["train", "strokes"]])
def test_a_core_that_cannot_be_imported_is_one_line(args: list[str]):
    code = f"import sys; sys.argv = {['vaefast', *args]}; import _vaefast_command as c; c.main()"
    done = python(code, VAEFAST_ISA="bogus")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: VAEFAST_ISA='bogus': this machine cannot run that instruction")
    assert done.stdout == ""


def test_the_entry_point_runs_the_command():
    code = "import sys; sys.argv = ['vaefast', '--version']; import _vaefast_command as c; c.main()"
    assert python(code).stdout == f"vaefast {vaefast.__version__}\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path):
    def refuse() -> None:
        with atomic_write(tmp_path / "model.bin"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left.*model.bin"):
        refuse()
    assert names(tmp_path) == set()
