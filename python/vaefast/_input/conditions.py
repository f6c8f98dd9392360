"""What a conditional VAE is told beside x: labels, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_CLASSES = 1000


@dataclass(frozen=True)
class Conditions:
    """How y becomes numbers: one-hot for labels, as they are for numbers.

    Attributes
    ----------
    width : int
        Numbers for a row.
    classes : tuple or None
        The labels in order; None where y is numbers.
    """

    width: int
    classes: tuple[int | str | bool, ...] | None = None

    @classmethod
    def learn(cls, y: ArrayLike | None, n: int) -> Conditions:
        """Labels (n,) of whole numbers, strings or booleans; or numbers (n,) or (n, width).

        Raises
        ------
        TypeError, ValueError
            y is none of these, or not of n rows.
        """
        if y is None:
            raise ValueError("conditional=True needs y: labels, or numbers, of each row")
        array = _array(y)
        _check_rows(array, n)
        kind = array.dtype.kind
        if array.ndim == 2 and (kind in "US" or (kind != "f" and array.shape[1] == 1)):
            raise ValueError(
                f"y has shape {array.shape} of {array.dtype}: labels are of shape ({n},), such as "
                "y.ravel() or one column of a frame, and numbers are floats"
            )
        if array.ndim == 1 and kind in "iubUS":
            classes = tuple(np.unique(array).tolist())
            if len(classes) > MAX_CLASSES:
                raise ValueError(
                    f"y has {len(classes)} different labels; more than {MAX_CLASSES} are hardly "
                    "classes. Numbers are told as numbers if they are floats."
                )
            return cls(len(classes), classes)
        return cls(1 if array.ndim == 1 else array.shape[1])

    def encode(self, y: ArrayLike | None, n: int) -> NDArray[np.float32]:
        """Return y, or one y for all rows, as (n, width).

        Raises
        ------
        TypeError, ValueError
            y is missing, of another form than the model's, or an unknown label.
        """
        if y is None:
            raise ValueError(f"the model is conditional: pass y, {self.form()}")
        array = _array(y)
        if array.ndim == (0 if self.classes is not None or self.width == 1 else 1):
            array = np.broadcast_to(array, (n, *array.shape))  # one for all
        if self.classes is not None:
            return self._one_hot(array, n)
        if array.size != n * self.width or array.dtype.kind not in "biuf":
            raise self._unlike(array, n)
        _check_rows(array, n)
        with np.errstate(over="ignore"):
            numbers = array.reshape(n, -1).astype(np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError("y holds a value that is NaN or infinite, or beyond 3.4e38")
        return numbers

    def _one_hot(self, labels: NDArray[Any], n: int) -> NDArray[np.float32]:
        assert self.classes is not None
        index = {label: i for i, label in enumerate(self.classes)}
        if labels.shape != (n,):
            raise self._unlike(labels, n)
        out = np.zeros((len(labels), self.width), dtype=np.float32)
        for row, label in enumerate(labels.tolist()):
            if label not in index:
                raise ValueError(f"y has {label!r} in row {row}, expected {self.form()}")
            out[row, index[label]] = 1
        return out

    def _unlike(self, array: NDArray[Any], n: int) -> ValueError:
        return ValueError(
            f"y has shape {array.shape} of {array.dtype}, expected {self.form()}: for each of {n} "
            "rows, or one for all"
        )

    def form(self) -> str:
        """What y is, in words."""
        if self.classes is None:
            return f"{self.width} numbers" if self.width > 1 else "a number"
        shown = ", ".join(map(repr, self.classes[:12]))
        return f"a label out of {shown}" + (", ..." if len(self.classes) > 12 else "")


def _array(y: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(y)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"y is not a rectangular array: {error}") from error
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "biufUS":
        raise TypeError(f"y holds {array.dtype}, expected labels or numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("y holds a value that is NaN or infinite")
    return array


def _check_rows(array: NDArray[Any], n: int) -> None:
    if array.ndim not in (1, 2) or len(array) != n or 0 in array.shape:
        raise ValueError(
            f"y has shape {array.shape}, expected one label or row of numbers for each of {n} rows"
        )
