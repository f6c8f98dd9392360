"""IDX files, the format of MNIST: http://yann.lecun.com/exdb/mnist/.

A file begins with two zero bytes, the code of the type and the number of dimensions. The dimensions
follow as big-endian uint32, and then the values, also big-endian. The first four bytes are the
magic number, which is 2051 for images and 2049 for labels.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .dataset import Array, Dataset, as_labels, as_rows, check_same_features
from .limits import DEFLATE_RATIO, check_fits

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 20  # bytes

# The four files of MNIST and of data sets like it, by the field of `Dataset` that each one fills.
FILES = {
    "X": "train-images-idx3-ubyte",
    "y": "train-labels-idx1-ubyte",
    "X_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Return the array of an IDX file, gzipped or not, in the byte order of this machine.

    Raises
    ------
    ValueError
        The file is not an IDX file, is truncated or corrupt, or is longer than the header says.
    OSError
        The file cannot be opened.
    """
    with open(path, "rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if zipped else file
        most = os.fstat(file.fileno()).st_size * (DEFLATE_RATIO if zipped else 1)
        try:
            return _parse(stream, path, most)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: truncated or corrupt gzip data ({error})") from error


def _parse(stream: BinaryIO | gzip.GzipFile, path: str | os.PathLike[str], most: int) -> Array:
    """Return the array that the bytes of a stream describe.

    Error messages name `path`. The stream holds at most `most` bytes.
    """
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 32:
        raise ValueError(
            f"{path}: not an IDX file: expected two zero bytes, the code of a type and the number "
            "of dimensions at the start (00 00 08 03 for images), "
            + (f"got {magic.hex(' ')}" if magic else "but the file is empty")
        )
    dtype, ndim = np.dtype(_TYPES[magic[2]]), magic[3]
    header = stream.read(4 * ndim)
    if len(header) < 4 * ndim:
        raise ValueError(f"{path}: truncated: the header of {4 + 4 * ndim} bytes is incomplete")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    expected = math.prod(shape) * dtype.itemsize

    announced = (
        f"the header says {' x '.join(map(str, shape))} values of {dtype.itemsize} bytes, "
        f"{expected} bytes in all"
    )
    if expected > most:
        raise ValueError(f"{path}: truncated: {announced}, but the file is too small for that")
    check_fits(expected, f"{path}: {announced}")

    # Reads block by block, because a damaged header may announce far more data than there are, and
    # reads to the end, where gzip verifies the checksum.
    data = bytearray()
    while len(data) <= expected and (block := stream.read(_BLOCK)):
        data += block
    if len(data) != expected:
        state = "truncated" if len(data) < expected else "too long"
        got = f"{len(data)}" if len(data) < expected else "more"
        raise ValueError(f"{path}: {state}: {announced}, but {got} follow")
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # without values, but with dimensions beyond the limits of NumPy
        raise ValueError(f"{path}: an array of shape {shape} is too large ({error})") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def load_idx(path: Path) -> Dataset:
    """Return the rows or images of one IDX file."""
    return Dataset(str(path), as_rows(read_idx(path), str(path)))


def find_idx_files(folder: Path) -> dict[str, Path]:
    """Return those of the four `FILES` that are in a folder, by role.

    Files may be gzipped, and a dot may replace a dash, as in train-images.idx3-ubyte. The files may
    be in the sub-folders raw/ or MNIST/raw/, where torchvision puts them.
    """
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        found = {}
        for role, name in FILES.items():
            for spelled in (name, name.replace("-idx", ".idx")):
                for path in (place / spelled, place / f"{spelled}.gz"):
                    if role not in found and path.is_file():
                        found[role] = path
        if found:
            return found
    return {}


def load_idx_files(files: dict[str, Path], name: str) -> Dataset:
    """Return the training and test images of four IDX files, with their labels."""
    arrays = {role: read_idx(path) for role, path in files.items()}
    X = as_rows(arrays["X"], str(files["X"]))
    X_test = as_rows(arrays["X_test"], str(files["X_test"]))
    check_same_features(X, X_test, str(files["X_test"]))
    y = as_labels(arrays["y"], len(X), str(files["y"]))
    y_test = as_labels(arrays["y_test"], len(X_test), str(files["y_test"]))
    return Dataset(name, X, y=y, X_test=X_test, y_test=y_test)
