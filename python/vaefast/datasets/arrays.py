"""NumPy's own files: one array (.npy) or several by name (.npz). Pickles are never read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from .dataset import Array, Dataset, as_labels, as_rows, check_same_features

# What the arrays of a .npz file are for, by their names in lower case.
_ROLES = {
    "X": ("x", "images", "data", "x_train"),
    "y": ("y", "labels", "y_train"),
    "X_test": ("x_test",),
    "y_test": ("y_test",),
}


def load_npy(path: Path) -> Dataset:
    """The rows in a .npy file: uint8 and float32 stay on the disk, as a memory map."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic != b"\x93NUMPY":
        raise ValueError(f"{path}: not a .npy file, or truncated: it lacks the mark of one")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # whatever NumPy makes of damaged bytes
        raise ValueError(
            f"{path}: truncated, corrupt, or not an array of numbers ({error})"
        ) from error
    return Dataset(str(path), as_rows(array, str(path)))


def load_npz(path: Path) -> Dataset:
    """The rows, labels and test rows in a .npz file, by the names of its arrays.

    The training rows are `X`, `images`, `data` or `x_train`, or else the only array there is; their
    labels `y`, `labels` or `y_train`; the test rows `x_test`, their labels `y_test`. Other arrays
    are not read. Upper and lower case are the same.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a .npz file, or truncated or corrupt ({error})") from error
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
        raise ValueError(f"{path}: has labels of test rows, {chosen['y_test']!r}, but no 'x_test'")
    return Dataset(str(path), X, y=y, X_test=X_test, y_test=y_test)


def _by_role(names: list[str], path: Path) -> dict[str, str]:
    """Which array is used for what."""
    chosen = {}
    for role, known in _ROLES.items():
        matches = [name for name in names if name.lower() in known]
        if len(matches) > 1:
            raise ValueError(
                f"{path}: expected one of {', '.join(known)}, got {', '.join(matches)}. "
                "Save the file with one of them."
            )
        if matches:
            chosen[role] = matches[0]
    if "X" not in chosen:
        if len(names) != 1 or chosen:
            raise ValueError(
                f"{path}: no array is named X, images, data or x_train; "
                f"it holds {', '.join(names) or 'no arrays'}"
            )
        chosen["X"] = names[0]
    return chosen


def _read_member(path: Path, name: str) -> Array:
    try:
        with np.load(path, allow_pickle=False) as archive:
            array: Array = archive[name]
    except Exception as error:  # whatever zipfile, zlib and NumPy make of damaged bytes
        raise ValueError(
            f"{path}, array {name!r}: truncated, corrupt, or not an array of numbers or text "
            f"({error})"
        ) from error
    return array
