"""The commands that use a model: reconstruct, sample, evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaefast
from commands import SMALL, fail, names, read_csv, succeed
from vaefast import datasets


def test_reconstruct_takes_indexes_as_one_writes_them(
    digits_run: Path, digits_file: Path, tmp_path: Path
):
    outputs = []
    for number, index in enumerate(
        (["--index", 7, 42, 9], ["--index", 7, "--index", 42, 9], ["--index=7", 42, "--index", 9])
    ):
        out = tmp_path / f"{number}.png"
        said = succeed("reconstruct", digits_run, digits_file, *index, "--out", out)
        assert said == f"Wrote {out}: rows 7, 42, 9 (test rows of {digits_file})\n"
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    succeed("reconstruct", "--index", 7, "--out", tmp_path / "one.png", digits_run, digits_file)
    with Image.open(tmp_path / "0.png") as three, Image.open(tmp_path / "one.png") as one:
        assert three.width - one.width == 2 * (84 + 2)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_bytes_that_a_model_takes_as_they_are_are_drawn_as_the_same_floats(likelihood, tmp_path):
    X = np.random.default_rng(0).integers(2 if likelihood == "bernoulli" else 9, size=(60, 6, 6))
    pictures = []
    for kind in (np.uint8, np.float32):
        folder = tmp_path / np.dtype(kind).name
        file = tmp_path / f"{folder.name}.npz"
        np.savez(file, X=X.astype(kind))
        succeed("train", file, "--out", folder, "--likelihood", likelihood, *SMALL)
        succeed("nearest", folder, file, "--seed", 1, "--out", folder / "nearest.png")
        succeed("reconstruct", folder, file, "--out", folder / "rows.png")
        drawn = ("reconstructions.png", "samples.png", "nearest.png", "rows.png")
        pictures.append([(folder / name).read_bytes() for name in drawn])
    assert pictures[0] == pictures[1]


def test_reconstruct_reads_the_split_that_is_asked_for(
    digits_run: Path, digits_file: Path, tmp_path: Path
):
    args = "reconstruct", digits_run / "model.safetensors", digits_file, "--index", 299
    assert "the test rows of" in fail(*args, "--out", tmp_path / "a.png")
    assert "0 to 49" in fail(*args, "--out", tmp_path / "a.png")
    assert "row 299 (train rows of" in succeed(
        *args, "--split", "train", "--out", tmp_path / "a.png"
    )
    assert names(tmp_path) == {"a.png"}


@pytest.mark.parametrize("index", [50, -1])
def test_an_index_out_of_range_names_the_range(
    index, digits_run, digits_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    message = fail("reconstruct", digits_run, digits_file, "--index", 7, index)
    assert f"no row {index}" in message
    assert "0 to 49" in message
    assert names(tmp_path) == set()


def test_reconstruct_resizes_a_folder_of_images_to_the_model(digits_run: Path, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("L", (40 + number, 60), 128).save(tmp_path / "photos" / f"{number}.png")
    out = tmp_path / "photos.png"
    said = succeed("reconstruct", digits_run, tmp_path / "photos", "--out", out)
    assert "rows 0, 1, 2 (rows of" in said


def test_sample_is_the_same_for_the_same_seed(digits_run: Path, tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        succeed("sample", digits_run, "-n", 9, "--seed", seed, "--out", tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (3 * 84 + 4 * 2,) * 2


def test_rows_of_a_table_are_drawn(table_run: Path, tmp_path: Path):
    for option in ([], ["--draw"]):
        out = tmp_path / f"{len(option)}.csv"
        succeed("sample", table_run, "-n", 200, "--seed", 1, *option, "--out", out)
    means, drawn = (
        np.array([float(row["length"]) for row in read_csv(tmp_path / f"{i}.csv")]) for i in (0, 1)
    )
    assert drawn.std() > means.std()


def test_tables_become_csv(table_run: Path, table_file: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    succeed("sample", table_run, "-n", 5)
    rows = read_csv(tmp_path / "samples.csv")
    assert len(rows) == 5
    succeed("reconstruct", table_run, table_file, "--index", 3, 199)
    rows = read_csv(tmp_path / "reconstruction.csv")
    expected = vaefast.load(table_run / "model.safetensors").reconstruct(
        datasets.load(table_file).X[[3, 199]]
    )
    written = np.array([[row["length"], row["width"]] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(written, expected)
    assert ".csv file" in fail("sample", table_run, "--out", "samples.png")


@pytest.mark.parametrize("ending", ["csv", "psd"])  # Pillow reads .psd but cannot write it
def test_pictures_end_as_pictures_do(ending: str, digits_run: Path, tmp_path: Path):
    message = fail("sample", digits_run, "--out", tmp_path / f"x.{ending}")
    assert f"x.{ending}: the name of a picture must end in .png, .jpg, .webp, " in message
    assert "vae.sample" in message


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_files_are_not_overwritten_without_force(command, digits_run, digits_file, tmp_path):
    args = [command, digits_run] if command == "sample" else [command, digits_run, digits_file]
    out = tmp_path / "picture.png"
    out.write_text("precious")
    assert "--force" in fail(*args, "--out", out)
    assert out.read_text() == "precious"
    succeed(*args, "--out", out, "--force")
    with Image.open(out) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize("name", ["missing/picture.png", "picture.unknown"])
def test_a_file_that_cannot_be_written_leaves_nothing(name, digits_run, tmp_path):
    fail("sample", digits_run, "--out", tmp_path / name)
    assert names(tmp_path) == set()


def test_evaluate_prints_what_the_model_says(digits_run: Path, digits_file: Path):
    expected = vaefast.load(digits_run / "model.safetensors").evaluate(
        datasets.load(digits_file).X_test
    )
    assert json.loads(succeed("evaluate", digits_run, digits_file, "--json")) == expected
    output = succeed("evaluate", digits_run, digits_file)
    assert f"test rows of {digits_file}: 50 rows of 28x28 pixels" in output
    assert f"ELBO {expected['elbo']:.2f}" in output


def test_data_that_does_not_fit_the_model_is_an_error(digits_run: Path, table_file: Path):
    message = fail("evaluate", digits_run, table_file)
    assert "(28, 28)" in message or "784" in message


def test_a_split_that_is_not_there_is_an_error(table_run: Path, table_file: Path):
    assert "no test rows" in fail("evaluate", table_run, table_file, "--split", "test")


def test_a_file_that_is_no_model_is_an_error(digits_file: Path, tmp_path: Path):
    assert "digits.npz" in fail("sample", digits_file, "--out", tmp_path / "a.png")
    assert "nothing" in fail("sample", tmp_path / "nothing", "--out", tmp_path / "a.png")
    assert names(tmp_path) == set()
