"""NumPy's .npy and .npz files, intact or damaged."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from vaefast import datasets

X = np.arange(12, dtype=np.float32).reshape(4, 3)


class Bomb:
    """An object whose unpickling creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_npy_is_memory_mapped(tmp_path, dtype):
    np.save(tmp_path / "rows.npy", X.astype(dtype))
    data = datasets.load(tmp_path / "rows.npy")
    assert isinstance(data.X, np.memmap)
    assert data.X.dtype == dtype
    np.testing.assert_array_equal(data.X, X)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.int8, bool, ">f4", "<u2"])
def test_other_numbers_become_float32(tmp_path, dtype):
    np.save(tmp_path / "rows.npy", X.astype(dtype))
    data = datasets.load(tmp_path / "rows.npy")
    assert data.X.dtype == np.float32 and data.X.dtype.isnative
    np.testing.assert_array_equal(data.X, X.astype(dtype))


def test_values_that_only_the_model_can_check_are_passed_on(tmp_path):
    np.save(tmp_path / "rows.npy", [[np.nan, np.inf, 1e300]])
    X = datasets.load(tmp_path / "rows.npy").X
    np.testing.assert_array_equal(X, [[np.nan, np.inf, np.inf]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([["a", "b"]]), "expected numbers, got strings"),
        (np.array([[b"a", b"b"]]), "expected numbers, got bytes"),
        (np.ones((2, 2), complex), "expected numbers, got complex numbers"),
        (np.zeros(2, [("a", int), ("b", int)]), "expected numbers, got "),
        (np.array([["2020-01-01"]], "M8[D]"), "expected numbers, got datetime64"),
        (np.arange(3), r"expected rows .* got an array of shape \(3,\)"),
        (np.ones((1, 2, 3, 4, 5)), r"expected rows .* got an array of shape \(1, 2, 3, 4, 5\)"),
        (np.array(1.0), r"expected rows .* got an array of shape \(\)"),
    ],
)
def test_arrays_that_are_not_rows_of_numbers(tmp_path, array, message):
    np.save(tmp_path / "rows.npy", array)
    np.savez(tmp_path / "rows.npz", X=array)
    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(ValueError, match=rf"{name}.*: {message}"):
            datasets.load(tmp_path / name)


def test_objects_are_never_unpickled(tmp_path):
    mark = tmp_path / "mark"
    bomb = np.array([[Bomb(mark)]], object)
    np.save(tmp_path / "rows.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "rows.npz", X=bomb)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Bomb(mark)))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Bomb(mark)))
    for name in ("rows.npy", "rows.npz", "pickle.npy", "pickle.npz"):
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            datasets.load(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "packed.npz"])
def test_truncation_is_an_error_that_names_the_file(tmp_path, name):
    save = {"rows.npy": np.save, "rows.npz": np.savez, "packed.npz": np.savez_compressed}[name]
    path = tmp_path / name
    save(path, X)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 5), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            datasets.load(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_changed_values_in_an_npz_are_found(tmp_path, save):
    path = tmp_path / "rows.npz"
    values = np.random.default_rng(0).random((200, 5))
    save(path, values)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"rows\.npz, array 'arr_0': truncated, corrupt"):
        datasets.load(path)


@pytest.mark.parametrize("name", ["X", "images", "data", "x_train", "X_train", "whatever"])
def test_npz_finds_the_rows(tmp_path, name):
    np.savez(tmp_path / "d.npz", **{name: X})
    data = datasets.load(tmp_path / "d.npz")
    np.testing.assert_array_equal(data.X, X)
    assert data.y is None and data.X_test is None and data.y_test is None


def test_npz_with_labels_and_test_rows(tmp_path):
    labels = np.array(["cat", "dog", "cat", "cow"])
    np.savez(
        tmp_path / "d.npz", x_train=X, y_train=labels, x_test=X[:2], y_test=labels[:2], other=[1]
    )
    data = datasets.load(tmp_path / "d.npz")
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.X_test, X[:2])
    assert data.y.tolist() == labels.tolist()
    assert data.y_test.tolist() == ["cat", "dog"]


@pytest.mark.parametrize("name", ["y", "labels"])
def test_npz_labels_become_int64(tmp_path, name):
    np.savez(tmp_path / "d.npz", **{"images": X, name: np.arange(4, dtype=np.uint8)})
    data = datasets.load(tmp_path / "d.npz")
    assert data.y.dtype == np.int64 and data.y.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X, "b": X}, "no array is named X, images, data or x_train; the file holds a, b"),
        ({"y": X}, "no array is named X.*; the file holds y"),
        ({}, "the file holds no arrays"),
        ({"images": X, "data": X}, "expected one of x, images, data, x_train, got images, data"),
        ({"X": X, "y": X}, r"array 'y': expected one label for each of 4 rows, .* \(4, 3\)"),
        ({"X": X, "y": X[:2, 0]}, r"array 'y': expected one label for each of 4 rows"),
        ({"X": X, "y": np.ones(4, complex)}, "array 'y': expected labels .* complex"),
        ({"X": X, "x_test": X[:, :2]}, r"shape \(3,\), but each test row has shape \(2,\)"),
        ({"X": X, "y_test": X[:, 0]}, "labels of test rows, 'y_test', but no 'x_test'"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, arrays, message):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(ValueError, match=rf"d\.npz.*{message}"):
        datasets.load(tmp_path / "d.npz")
