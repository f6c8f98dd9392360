"""The data set that every reader returns, and checks of the arrays in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows to train on, with labels and test rows where the source has them.

    Attributes
    ----------
    name : str
        Name or path that was loaded.
    X : ndarray of shape (n, d), (n, h, w) or (n, h, w, c), uint8 or float32
        Training rows or images. A file of `scipy.sparse.save_npz` gives a CSR matrix of SciPy.
    y : ndarray of shape (n,) or None, default=None
        Labels of `X`: int64, floats or strings.
    X_test : ndarray or None, default=None
        Rows or images held out for testing, in the form of `X`.
    y_test : ndarray or None, default=None
        Labels of `X_test`, in the form of `y`.
    factors : mapping of str to ndarray of shape (n,), or None, default=None
        Factors from which each row of `X` was drawn. Only `strokes` sets them.
    factors_test : mapping of str to ndarray, or None, default=None
        Factors of `X_test`, in the form of `factors`.
    columns : tuple of str or None, default=None
        Names of the columns of `X`, from the header of a CSV file.
    files : ndarray of str, shape (n,), or None, default=None
        File of each image of `X`, as a path within the folder that was loaded.
    files_test : ndarray of str or None, default=None
        Files of `X_test`, in the form of `files`.
    """

    name: str
    X: Array
    _: KW_ONLY
    y: Array | None = None
    X_test: Array | None = None
    y_test: Array | None = None
    factors: Mapping[str, Array] | None = None
    factors_test: Mapping[str, Array] | None = None
    columns: tuple[str, ...] | None = None
    files: Array | None = None
    files_test: Array | None = None

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if hasattr(value, "dtype"):
                parts.append(f"{field.name}: {value.dtype} {value.shape}")
            elif value is not None:
                parts.append(f"{field.name}: {', '.join(value)}")
        return f"Dataset({'; '.join(parts)})"


def as_rows(array: Array, where: str) -> Array:
    """Return an array as uint8 or float32 rows. Numbers of other types become float32.

    NaN and infinity pass, because the model checks for them.

    Parameters
    ----------
    array : ndarray
        Rows or images.
    where : str
        Name of the array in error messages.

    Raises
    ------
    ValueError
        The array does not hold numbers, or does not have the shape of rows or images.
    """
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{where}: expected numbers, got {_kind(array)}")
    if array.ndim not in (2, 3, 4):
        raise ValueError(
            f"{where}: expected rows (n, d) or images (n, h, w) or (n, h, w, c), "
            f"got an array of shape {array.shape}"
        )
    if array.dtype in (np.uint8, np.float32) and array.dtype.isnative:
        return array
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite
        return array.astype(np.float32)


def as_labels(array: Array, n: int, where: str) -> Array:
    """Return an array as the labels of n rows. Integers and booleans become int64.

    Raises
    ------
    ValueError
        The array does not hold one number or string for each row. The message begins with `where`.
    """
    if array.dtype.kind not in "biufU":
        raise ValueError(f"{where}: expected labels (numbers or strings), got {_kind(array)}")
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.shape != (n,):
        raise ValueError(
            f"{where}: expected one label for each of {n} rows, shape ({n},), "
            f"got an array of shape {array.shape}"
        )
    return array.astype(np.int64) if array.dtype.kind in "biu" else array


def check_same_features(X: Array, X_test: Array, where: str) -> None:
    """Raise ValueError unless training and test rows have the same shape."""
    if X.shape[1:] != X_test.shape[1:]:
        raise ValueError(
            f"{where}: each training row has shape {X.shape[1:]}, but each test row has shape "
            f"{X_test.shape[1:]}"
        )


def _kind(array: Array) -> str:
    """Return what an array holds, for an error message."""
    kinds = {"U": "strings", "S": "bytes", "O": "Python objects", "c": "complex numbers"}
    return kinds.get(array.dtype.kind, str(array.dtype))
