"""NumPy files: one array (.npy), several named arrays (.npz), or a sparse matrix of SciPy (.npz).

Pickles are never read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Array, Dataset, as_labels, as_rows, check_same_features
from .limits import DEFLATE_RATIO, check_fits

# Accepted names of the arrays of a .npz file, in lower case, by role.
_ROLES = {
    "X": ("x", "images", "data", "x_train"),
    "y": ("y", "labels", "y_train"),
    "X_test": ("x_test",),
    "y_test": ("y_test",),
}


def load_npy(path: Path) -> Dataset:
    """Return the rows of a .npy file. Arrays of uint8 and float32 are memory-mapped.

    Raises
    ------
    ValueError
        The file is truncated or corrupt, or does not hold rows of numbers.
    """
    with path.open("rb") as file:
        magic = file.read(6)
    if magic != b"\x93NUMPY":
        raise ValueError(f"{path}: not a .npy file, or truncated: the signature is missing")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many types for damaged bytes
        raise ValueError(
            f"{path}: truncated, corrupt, or not an array of numbers ({error})"
        ) from error
    return Dataset(str(path), as_rows(array, str(path)))


def load_npz(path: Path) -> Dataset:
    """Return the rows, the labels and the test rows of a .npz file.

    The training rows are `X`, `images`, `data` or `x_train`, or the only array in the file. Their
    labels are `y`, `labels` or `y_train`. The test rows are `x_test`, with the labels `y_test`.
    Names are not case-sensitive. Other arrays are ignored. A file of `scipy.sparse.save_npz` holds
    sparse rows.

    Raises
    ------
    ImportError
        The file holds a sparse matrix, and SciPy is not installed.
    ValueError
        The file is truncated or corrupt, its arrays have other names or two names for one role, or
        an array does not hold rows of numbers or one label for each row.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except OSError:
        raise
    except Exception as error:  # zipfile raises many types for damaged bytes
        raise ValueError(f"{path}: not a .npz file, or truncated or corrupt ({error})") from error
    if {"format", "shape", "data"} <= set(names):
        return Dataset(str(path), _read_sparse(path, names))
    chosen = _by_role(names, path)
    arrays = {role: _read_member(path, name) for role, name in chosen.items()}
    where = {role: f"{path}, array {name!r}" for role, name in chosen.items()}

    X = as_rows(arrays["X"], where["X"])
    y = as_labels(arrays["y"], len(X), where["y"]) if "y" in arrays else None
    X_test = y_test = None
    if "X_test" in arrays:
        X_test = as_rows(arrays["X_test"], where["X_test"])
        check_same_features(X, X_test, str(path))
        if "y_test" in arrays:
            y_test = as_labels(arrays["y_test"], len(X_test), where["y_test"])
    elif "y_test" in arrays:
        raise ValueError(
            f"{path}: there are labels of test rows, {chosen['y_test']!r}, but no 'x_test'"
        )
    return Dataset(str(path), X, y=y, X_test=X_test, y_test=y_test)


def _read_sparse(path: Path, names: list[str]) -> Any:
    """Return the matrix of a file of `scipy.sparse.save_npz` with these arrays, as CSR."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise ImportError(
            f"{path} holds a sparse matrix, which SciPy reads: pip install scipy"
        ) from error
    for name in names:
        check_member(path, f"{name}.npy")
    shape = _read_member(path, "shape")
    check_fits(8 * (1 + int(shape.flat[0])), f"{path}: a matrix of the shape {shape.tolist()}")
    try:
        return sparse.load_npz(path).tocsr()
    except Exception as error:  # SciPy, zipfile and NumPy raise many types for damaged bytes
        raise ValueError(f"{path}: truncated, corrupt, or not a sparse matrix ({error})") from error


def _by_role(names: list[str], path: Path) -> dict[str, str]:
    """Return the name of the array for each role."""
    chosen = {}
    for role, known in _ROLES.items():
        matches = [name for name in names if name.lower() in known]
        if len(matches) > 1:
            raise ValueError(
                f"{path}: expected one of {', '.join(known)}, got {', '.join(matches)}. "
                "Save the file again with only one of them."
            )
        if matches:
            chosen[role] = matches[0]
    if "X" not in chosen:
        if len(names) != 1 or chosen:
            raise ValueError(
                f"{path}: no array is named X, images, data or x_train; "
                f"the file holds {', '.join(names) or 'no arrays'}"
            )
        chosen["X"] = names[0]
    return chosen


def check_member(path: Path, member: str) -> None:
    """Raise ValueError if an array can't have the size that its header gives, or is too large."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    if info.file_size > DEFLATE_RATIO * info.compress_size:
        raise ValueError(f"{path}, {member}: corrupt: {info.compress_size} bytes can't hold it")
    check_fits(info.file_size, f"{path}, {member}: {info.file_size:,} bytes when unpacked")


def _read_member(path: Path, name: str) -> Array:
    """Return one array of a .npz file; ValueError if it cannot be read."""
    check_member(path, f"{name}.npy")
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[name]
    except Exception as error:  # zipfile, zlib and NumPy raise many types for damaged bytes
        raise ValueError(
            f"{path}, array {name!r}: truncated, corrupt, or not an array of numbers or text "
            f"({error})"
        ) from error
    if not isinstance(array, np.ndarray):  # NumPy returns the bytes of other members
        raise ValueError(f"{path}, array {name!r}: not an array in the .npy format")
    return array
