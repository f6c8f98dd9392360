"""The command on files that are read a window at a time, and on maps larger than its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import SMALL, fail, succeed
from test_streams import write_csv, write_parquet
from vaefast import load

N, D = 300, 6
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, D)).astype(np.float32)
TRAIN = [*SMALL, "--likelihood", "gaussian", "--window", "96"]


def write_npy(path: Path, rows: np.ndarray) -> Path:
    np.save(path, rows)
    return path


def write_hdf5(path: Path, rows: np.ndarray) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("group/X", data=rows, chunks=(10, D))
    return path


def write_zarr(path: Path, rows: np.ndarray) -> Path:
    zarr = pytest.importorskip("zarr")
    array = zarr.open(path, mode="w", shape=rows.shape, dtype=rows.dtype, chunks=(40, D))
    array[:] = rows
    return path


def write_parts(path: Path, rows: np.ndarray, write: Any) -> Path:
    path.mkdir()
    for i, part in enumerate(np.array_split(rows, 3)):
        write(path / f"{i}.{write.__name__.removeprefix('write_')}", part)
    return path


DATA = {
    ".npy": lambda folder: write_npy(folder / "rows.npy", X),
    ".npy of float64": lambda folder: write_npy(folder / "rows.npy", X.astype(np.float64)),
    ".h5": lambda folder: write_hdf5(folder / "rows.h5", X),
    ".h5 and a name": lambda folder: f"{write_hdf5(folder / 'rows.h5', X)}:group/X",
    ".zarr": lambda folder: write_zarr(folder / "rows.zarr", X),
    ".parquet": lambda folder: write_parquet(folder / "rows.parquet", X),
    "folder of .npy": lambda folder: write_parts(folder / "parts", X, write_npy),
    "folder of .parquet": lambda folder: write_parts(folder / "parts", X, write_parquet),
    "folder of .csv": lambda folder: write_parts(folder / "parts", X, write_csv),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, Any]:
    """Return what the command makes of the rows in a .npz file, which it reads into memory."""
    folder = tmp_path_factory.mktemp("memory")
    np.savez(folder / "rows.npz", X=X)
    succeed("train", folder / "rows.npz", *TRAIN, "--out", folder / "run", "--validation", "0.2")
    succeed("score", folder / "run", folder / "rows.npz", "--out", folder / "scores.npy")
    succeed("encode", folder / "run", folder / "rows.npz", "--out", folder / "codes.npy")
    return {
        "weights": load(folder / "run").model_.weights(),
        "scores": np.load(folder / "scores.npy"),
        "codes": np.load(folder / "codes.npy"),
        "evaluation": succeed("evaluate", folder / "run", folder / "rows.npz", "--json"),
    }


@pytest.mark.parametrize("kind", DATA)
def test_every_file_gives_the_model_and_the_scores_of_rows_in_memory(kind, tmp_path, expected):
    data, run = DATA[kind](tmp_path), tmp_path / "run"
    text = succeed("train", data, *TRAIN, "--out", run, "--validation", "0.2")
    assert "216 rows of 6 columns, 54 for validation, 30 for the test" in text
    for name, tensor in load(run).model_.weights().items():
        np.testing.assert_array_equal(tensor, expected["weights"][name], err_msg=name)
    succeed("score", run, data, "--out", tmp_path / "scores.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), expected["scores"])
    succeed("encode", run, data, "--out", tmp_path / "codes.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), expected["codes"])
    assert succeed("evaluate", run, data, "--json") == expected["evaluation"]
    succeed("reconstruct", run, data, "--index", 299, 0, "--out", tmp_path / "rows.csv")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 3


def test_columns_keep_their_names(tmp_path):
    data = write_parts(tmp_path / "parts", X, write_csv)
    succeed("train", data, *TRAIN, "--out", tmp_path / "run")
    assert load(tmp_path / "run").feature_names_in_.tolist() == [f"x{i}" for i in range(D)]
    other = write_npy(tmp_path / "rows.npy", X[:, :5].astype(np.float64))
    assert "5 features" in fail("score", tmp_path / "run", other, "--out", tmp_path / "s.csv")


def test_images_in_parts_are_drawn(tmp_path):
    images = RNG.integers(0, 256, (N, 8, 8)).astype(np.uint8)
    data = write_parts(tmp_path / "parts", images, write_npy)
    text = succeed("train", data, *SMALL, "--window", "96", "--out", tmp_path / "run")
    assert "270 rows of 8x8 pixels" in text
    assert (tmp_path / "run" / "reconstructions.png").exists()


def test_a_file_of_several_arrays_is_one_line(tmp_path):
    path = write_hdf5(tmp_path / "rows.h5", X)
    with pytest.importorskip("h5py").File(path, "a") as file:
        file["labels"] = np.arange(N)
    message = fail("train", path, *TRAIN, "--out", tmp_path / "run")
    assert "holds 2 arrays: choose one by" in message
    assert "group/X (300, 6), labels (300,)" in message


def test_conditional_training_needs_labels_in_the_file(tmp_path):
    path = write_hdf5(tmp_path / "rows.h5", X)
    message = fail("train", path, *TRAIN, "--conditional", "--out", tmp_path / "run")
    assert "--conditional needs labels" in message


def test_the_help_names_the_files():
    text = succeed("train", "--help")
    assert "HDF5 or zarr" in text and "--window" in text


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of allocated memory")
def test_a_map_trains_under_a_limit_that_is_smaller_than_a_copy_of_it(tmp_path):
    import resource

    path, limit = tmp_path / "rows.npy", 280_000_000
    rows = np.lib.format.open_memmap(path, "w+", np.uint8, (30_000, 10_000))  # 300 MB
    rows[::7, 3] = 255
    del rows
    options = ["--hidden-layer-sizes", "8", "--latent-dim", "2", "--epochs", "1"]
    options += ["--batch-size", "512", "--n-threads", "1", "--no-verbose"]
    done = subprocess.run(
        [sys.executable, "-m", "vaefast", "train", path, *options, "--out", tmp_path / "run"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "27,000 rows of 10,000 columns, 3,000 for the test" in done.stdout
