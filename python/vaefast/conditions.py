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
        array = _array(y, n)
        if array.ndim == 1 and array.dtype.kind in "iubUS":
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
            raise ValueError(f"the model is conditional: pass y, {self._form()}")
        one = np.ndim(y) == 0 if self.classes is not None or self.width == 1 else np.ndim(y) == 1
        array = _array(np.broadcast_to(y, (n, *np.shape(y))) if one else y, n)
        if self.classes is not None:
            return self._one_hot(array)
        numbers = array.reshape(n, -1)
        if numbers.shape[1] != self.width or numbers.dtype.kind not in "biuf":
            raise ValueError(f"y has shape {array.shape} of {array.dtype}, expected {self._form()}")
        numbers = np.ascontiguousarray(numbers, dtype=np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError("y holds a value that is NaN or infinite")
        return numbers

    def _one_hot(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        assert self.classes is not None
        index = {label: i for i, label in enumerate(self.classes)}
        if labels.ndim != 1:
            raise ValueError(f"y has shape {labels.shape}, expected {self._form()}")
        out = np.zeros((len(labels), self.width), dtype=np.float32)
        for row, label in enumerate(labels.tolist()):
            if label not in index:
                raise ValueError(f"y has {label!r} in row {row}, expected {self._form()}")
            out[row, index[label]] = 1
        return out

    def _form(self) -> str:
        if self.classes is None:
            return f"{self.width} numbers for each row"
        shown = ", ".join(map(repr, self.classes[:12]))
        return f"labels out of {shown}" + (", ..." if len(self.classes) > 12 else "")


def _array(y: ArrayLike | None, n: int) -> NDArray[Any]:
    if y is None:
        raise ValueError("conditional=True needs y: labels, or numbers, of each row")
    array = np.asarray(y)
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "biufUS":
        raise TypeError(f"y holds {array.dtype}, expected labels or numbers")
    if array.ndim not in (1, 2) or len(array) != n or 0 in array.shape:
        raise ValueError(
            f"y has shape {array.shape}, expected one label or row for each of {n} rows"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("y holds a value that is NaN or infinite")
    return array
