"""`load`: the reader that it chooses for a source, and its errors."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vaefast import datasets


def test_every_name_is_listed():
    assert datasets.names() == ["strokes", "mnist", "fashion-mnist"]


def test_load_by_name():
    data = datasets.load("strokes")
    assert data.name == "strokes"
    assert data.X.shape == (30_000, 28, 28)
    assert data.X_test.shape == (2_000, 28, 28)
    assert set(data.factors) >= {"slant", "size", "x", "y", "thickness", "wobble"}


@pytest.mark.parametrize("source", ["no-such-data", "no/such/file.npy"])
def test_unknown_source_lists_the_names(source):
    with pytest.raises(FileNotFoundError, match=f"{source}.*strokes, mnist, fashion-mnist"):
        datasets.load(source)


def test_a_source_that_is_neither_name_nor_path():
    with pytest.raises(TypeError, match="expected a name .*strokes.* or a path, got int"):
        datasets.load(3)


def test_a_name_wins_over_a_file_but_a_path_does_not_mean_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strokes").write_bytes(b"\0\0\x08\x02" + b"\0\0\0\x01" * 2 + b"\x07")
    monkeypatch.setitem(datasets._NAMED, "strokes", lambda: datasets.strokes(5))
    assert datasets.load("strokes").X.shape == (5, 28, 28)
    assert datasets.load("./strokes").X.tolist() == [[7]]
    assert datasets.load(tmp_path / "strokes").X.tolist() == [[7]]


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save(tmp_path / "rows.npy", np.ones((2, 3), np.float32))
    assert datasets.load("~/rows.npy").X.shape == (2, 3)


def test_unknown_kind_of_file_lists_the_kinds(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt: unknown type of file.*\.npy.*\.csv.*IDX"):
        datasets.load(path)


def test_a_single_image_is_not_a_data_set(tmp_path):
    path = tmp_path / "cat.PNG"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"cat\.PNG: the file is a single image, expected a f"):
        datasets.load(path)


def test_image_size_is_for_folders_of_images(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((2, 3), np.float32))
    for source in ("strokes", tmp_path / "rows.npy"):
        with pytest.raises(ValueError, match="image_size is for folders of images"):
            datasets.load(source, image_size=(28, 28))


@pytest.mark.parametrize("size", [28, (28,), (28, 0), (28, -1), (28.5, 28), "ab", (1, 2, 3)])
def test_image_size_must_be_two_whole_numbers(tmp_path, size):
    with pytest.raises(ValueError, match="image_size: expected two whole numbers"):
        datasets.load(tmp_path, image_size=size)


def test_repr_tells_shapes_not_values():
    data = datasets.strokes(3, n_test=0)
    assert "X: uint8 (3, 28, 28)" in repr(data)
    assert "slant" in repr(data)
    assert "[" not in repr(data)


def test_importing_it_does_not_import_what_few_readers_need():
    heavy = {"PIL", "pooch", "tqdm", "requests"}
    code = f"import sys, vaefast.datasets; print(*({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []
