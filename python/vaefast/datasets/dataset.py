"""What every reader returns, and the rules for its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows to train on, and what is known about them.

    Attributes
    ----------
    name : str
        The name or the path that was loaded.
    X : ndarray
        Training rows, (n, d), or images, (n, h, w) or (n, h, w, c). uint8 or float32.
    y : ndarray or None
        Labels of `X`, (n,): int64, floats or strings.
    X_test, y_test : ndarray or None
        Rows held back for testing, and their labels.
    factors, factors_test : mapping of str to ndarray, or None
        How each row of `X` and `X_test` was drawn, (n,) each. Only `strokes` has them.
    columns : tuple of str or None
        Names of the columns of `X`, from the header of a CSV file.
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

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                parts.append(f"{field.name}: {value.dtype} {value.shape}")
            elif value is not None:
                parts.append(f"{field.name}: {', '.join(value)}")
        return f"Dataset({'; '.join(parts)})"


def as_rows(array: Array, where: str) -> Array:
    """`array` as uint8 or float32 rows; any other kind of number becomes float32.

    `where` names the array in errors. NaN and infinity pass: the model reports them.
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
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity
        return array.astype(np.float32)


def as_labels(array: Array, n: int, where: str) -> Array:
    """`array` as the labels of n rows: whole numbers become int64."""
    if array.dtype.kind not in "biufU":
        raise ValueError(f"{where}: expected labels (numbers or strings), got {_kind(array)}")
    if array.shape != (n,):
        raise ValueError(
            f"{where}: expected one label for each of {n} rows, shape ({n},), "
            f"got an array of shape {array.shape}"
        )
    return array.astype(np.int64) if array.dtype.kind in "biu" else array


def check_same_features(X: Array, X_test: Array, where: str) -> None:
    """Training and test rows must have the same shape."""
    if X.shape[1:] != X_test.shape[1:]:
        raise ValueError(
            f"{where}: each training row has shape {X.shape[1:]}, each test row {X_test.shape[1:]}"
        )


def _kind(array: Array) -> str:
    kinds = {"U": "strings", "S": "bytes", "O": "Python objects", "c": "complex numbers"}
    return kinds.get(array.dtype.kind, str(array.dtype))
