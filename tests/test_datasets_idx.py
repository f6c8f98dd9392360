"""IDX files, gzipped or not, intact or damaged."""

from __future__ import annotations

import gzip
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vaefast import datasets
from vaefast.datasets.idx import read_idx

CODES = {">u1": 8, ">i1": 9, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def encode(array):
    """Encode an array as an IDX file, by the description of the format."""
    code = next(code for t, code in CODES.items() if np.dtype(t) == array.dtype.newbyteorder(">"))
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "x-idx3-ubyte"


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(list(CODES)).flatmap(
        lambda t: hnp.arrays(
            np.dtype(t).newbyteorder("="), hnp.array_shapes(max_dims=4, max_side=5, min_side=0)
        )
    ),
    st.booleans(),
)
def test_round_trip(path, array, zipped):
    path.write_bytes(gzip.compress(encode(array)) if zipped else encode(array))
    read = read_idx(path)
    assert read.dtype == array.dtype and read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_magic_numbers_of_mnist(tmp_path):
    assert encode(IMAGES)[:4] == struct.pack(">I", 2051)
    assert encode(IMAGES[:, 0, 0])[:4] == struct.pack(">I", 2049)


@pytest.mark.parametrize("zipped", [False, True])
def test_truncation_at_every_byte_is_an_error_that_names_the_file(path, zipped):
    whole = gzip.compress(encode(IMAGES)) if zipped else encode(IMAGES)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="x-idx3-ubyte: (truncated|not an IDX)"):
            read_idx(path)


def test_a_changed_byte_of_a_gzipped_file_is_never_accepted_silently(path):
    whole = gzip.compress(encode(IMAGES), mtime=0)
    for i in range(10, len(whole)):  # after gzip's header, which has no checksum
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :])
        with pytest.raises(ValueError, match="x-idx3-ubyte: "):
            read_idx(path)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_give_an_array_or_a_value_error(path, data):
    path.write_bytes(data)
    try:
        assert isinstance(read_idx(path), np.ndarray)
    except ValueError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file: .* the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file: .* got 89 50 4e 47"),
        (b"\0\0\x07\x01" + bytes(8), "not an IDX file: .* got 00 00 07 01"),
        (b"\0\0\x08\0" + bytes(8), "not an IDX file: .* got 00 00 08 00"),
        (b"\0\0\x08\x03" + bytes(8), "truncated: the header of 16 bytes is incomplete"),
        (encode(IMAGES)[:-1], "truncated: the header says 2 x 3 x 4 values .*, 24 bytes.* but 23"),
        (encode(IMAGES) + b"\0", "too long: the header says 2 x 3 x 4 .*, 24 bytes .* more follow"),
        (
            b"\0\0\x08\x03" + b"\xff" * 12,
            "truncated: .* the file is too small",
        ),
        (b"\0\0\x08\x04" + bytes(4) + b"\xff" * 12, "is too large"),
        (gzip.compress(encode(IMAGES)) + b"junk", "corrupt gzip"),
        (gzip.compress(encode(IMAGES) + b"\0"), "too long"),
    ],
)
def test_errors_say_what_is_wrong(path, data, message):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: .*{message}|{message}"):
        read_idx(path)


def test_load_keeps_bytes_and_makes_other_numbers_float32(tmp_path):
    for dtype, expected in [(np.uint8, np.uint8), (np.int16, np.float32), (">f8", np.float32)]:
        path = tmp_path / "data.gz"
        path.write_bytes(gzip.compress(encode(IMAGES.astype(dtype))))
        data = datasets.load(path)
        assert data.X.dtype == expected and data.X.shape == (2, 3, 4)
        np.testing.assert_array_equal(data.X, IMAGES)
        assert data.y is None


def test_labels_alone_are_not_rows(tmp_path):
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(encode(np.arange(5, dtype=np.uint8)))
    with pytest.raises(ValueError, match=r"labels-idx1-ubyte: expected rows .* shape \(5,\)"):
        datasets.load(path)


@pytest.fixture
def folder(tmp_path):
    files = {
        "train-images-idx3-ubyte": IMAGES,
        "train-labels-idx1-ubyte": np.array([3, 1], np.uint8),
        "t10k-images-idx3-ubyte": IMAGES[:1],
        "t10k-labels-idx1-ubyte": np.array([4], np.uint8),
    }
    for i, (name, array) in enumerate(files.items()):
        if i % 2:
            (tmp_path / name).write_bytes(encode(array))
        else:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(encode(array)))
    return tmp_path


def test_folder_of_the_four_files(folder):
    data = datasets.load(folder)
    assert data.name == str(folder)
    np.testing.assert_array_equal(data.X, IMAGES)
    np.testing.assert_array_equal(data.X_test, IMAGES[:1])
    assert data.y.tolist() == [3, 1] and data.y.dtype == np.int64
    assert data.y_test.tolist() == [4]


def test_folder_without_one_of_the_files(folder):
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="holds IDX files, but not train-labels-idx1-ubyte"):
        datasets.load(folder)


def test_folder_whose_files_disagree(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(encode(np.array([1, 2, 3], np.uint8)))
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte: expected one label for each"):
        datasets.load(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(encode(np.array([1, 2], np.uint8)))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(encode(IMAGES[:1, :, :2]))
    with pytest.raises(ValueError, match=r"training row has shape \(3, 4\), but each test row"):
        datasets.load(folder)


def test_image_size_does_not_apply_to_idx(folder):
    with pytest.raises(ValueError, match="image_size is for folders of images"):
        datasets.load(folder, image_size=(2, 2))
