"""Conditions of a conditional VAE: labels or numbers, encoded for encoder and decoder."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LABELS = "iubUS"  # kinds of dtypes that hold labels: integers, booleans, text
MAX_CLASSES = 1000
LABELLED = 100_000  # labels checked at a time


@dataclass(frozen=True)
class Conditions:
    """Encoding of y: labels become one-hot, and numbers are standardized.

    Attributes
    ----------
    width : int
        Number of encoded values for each row.
    classes : tuple of int, str or bool, or None, default=None
        Labels in ascending order. None means that y holds numbers.
    means : tuple of float, default=()
        Means of the numbers in the fit. Empty stands for zeros.
    scales : tuple of float, default=()
        Standard deviations of the numbers in the fit, or 1 for a constant. Empty stands for ones.
    """

    width: int
    classes: tuple[int | str | bool, ...] | None = None
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()

    @classmethod
    def learn(cls, y: ArrayLike | None, n: int, classes: ArrayLike | None = None) -> Conditions:
        """Return the encoding of y.

        Parameters
        ----------
        y : array-like of shape (n,) or (n, width)
            Labels of shape (n,), which are integers, strings or booleans; or numbers of shape (n,)
            or (n, width).
        n : int
            Number of rows.
        classes : array-like, default=None
            All labels that y may have. None takes those that it has.

        Raises
        ------
        TypeError, ValueError
            y is missing, has another form or another number of rows, has more than 1,000 labels, or
            holds a label that is not among the classes.
        """
        if y is None:
            raise ValueError("conditional=True needs y: a label, or numbers, for each row")
        array = _array(y)
        _check_rows(array, n)
        kind = array.dtype.kind
        if array.shape == (n, 1) and kind in LABELS:
            array = array[:, 0]
        if array.ndim == 2 and kind in "US":
            raise ValueError(
                f"y has shape {array.shape} and dtype {array.dtype}, expected labels of shape "
                f"({n},), such as y.ravel() or one column of a frame; numbers must be floats"
            )
        if array.ndim == 1 and kind in LABELS:
            known = tuple(np.unique(array if classes is None else _array(classes)).tolist())
            if unknown := set(np.unique(array).tolist()) - set(known):
                raise ValueError(f"y holds {min(unknown)!r}, which is not among the classes")
            if len(known) > MAX_CLASSES:
                raise ValueError(
                    f"y has {len(known)} different labels, expected at most {MAX_CLASSES}. To "
                    "condition on numbers, pass floats."
                )
            return cls(len(known), known)
        numbers = array.reshape(n, -1).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # encode refuses such numbers
            means, scales = numbers.mean(axis=0), numbers.std(axis=0)
        varied = (numbers != numbers[:1]).any(axis=0)  # rounding errors alone may make scales > 0
        usable = np.isfinite(scales) & (scales > 0) & varied
        means, scales = np.where(usable, means, 0.0), np.where(usable, scales, 1.0)
        return cls(numbers.shape[1], None, tuple(means.tolist()), tuple(scales.tolist()))

    def spread(self, y: ArrayLike | None, n: int) -> NDArray[Any] | None:
        """Return y as an array; a single condition for all rows is repeated n times."""
        if y is None:
            return None
        array = _rectangular(y)
        alone = array.ndim == (0 if self.classes is not None or self.width == 1 else 1)
        return np.broadcast_to(array, (n, *array.shape)) if alone else array

    def labels_of(self, y: ArrayLike | None, n: int) -> NDArray[Any]:
        """Return y as an array of n entries, of which `encode` takes all or some.

        Raises
        ------
        TypeError, ValueError
            y is missing, has another form than in the fit, or holds an unknown label.
        """
        array = self.spread(y, n)
        if array is None or len(array) != n:
            self.encode(y, n)  # raises
            raise AssertionError
        for first in range(0, n, LABELLED):
            self.encode(array[first : first + LABELLED], min(LABELLED, n - first))
        return array

    def encode(self, y: ArrayLike | None, n: int) -> NDArray[np.float32]:
        """Return y as numbers, (n, width).

        Parameters
        ----------
        y : label, number or array-like
            Condition of each of the n rows, or one condition for all rows.
        n : int
            Number of rows.

        Raises
        ------
        TypeError, ValueError
            y is missing, has another form than in the fit, or holds an unknown label.
        """
        array = self.spread(y, n)
        if array is None:
            raise ValueError(f"the model is conditional: pass y, {self.form()}")
        array = _array(array)
        if self.classes is not None:
            return self._one_hot(array[:, 0] if array.shape == (n, 1) else array, n)
        if array.size != n * self.width or array.dtype.kind not in "biuf":
            raise self._unlike(array, n)
        _check_rows(array, n)
        with np.errstate(over="ignore"):
            numbers = array.reshape(n, -1).astype(np.float32)
            if self.scales:
                exact = array.reshape(n, -1).astype(np.float64)
                numbers = ((exact - self.means) / self.scales).astype(np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError("y holds a value that is NaN or infinite, or beyond 3.4e38")
        return numbers

    def _one_hot(self, labels: NDArray[Any], n: int) -> NDArray[np.float32]:
        """Return labels as one-hot rows, (n, width); ValueError if one of them is unknown."""
        assert self.classes is not None
        index = {label: i for i, label in enumerate(self.classes)}
        if labels.shape != (n,):
            raise self._unlike(labels, n)
        out = np.zeros((len(labels), self.width), dtype=np.float32)
        for row, label in enumerate(labels.tolist()):
            if label not in index:
                raise ValueError(f"y holds {label!r} in row {row}, expected {self.form()}")
            out[row, index[label]] = 1
        return out

    def _unlike(self, array: NDArray[Any], n: int) -> ValueError:
        """Return the error for a y whose form differs from that of the fit."""
        return ValueError(
            f"y has shape {array.shape} and dtype {array.dtype}, expected {self.form()} for each "
            f"of {n} rows, or once for all rows"
        )

    def form(self) -> str:
        """Return a description of y, such as "one of the labels 0, 1" or "2 numbers"."""
        if self.classes is None:
            return f"{self.width} numbers" if self.width > 1 else "a number"
        shown = ", ".join(map(repr, self.classes[:12]))
        return f"one of the labels {shown}" + (", ..." if len(self.classes) > 12 else "")


def _rectangular(y: ArrayLike) -> NDArray[Any]:
    """Return y as an array; ValueError if its rows have different lengths."""
    try:
        return np.asarray(y)
    except ValueError as error:
        raise ValueError(f"y is not a rectangular array: {error}") from error


def _array(y: ArrayLike) -> NDArray[Any]:
    """Return y as an array of labels or finite numbers; ValueError or TypeError otherwise."""
    array = _rectangular(y)
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype == object:  # such as a missing label
        index, odd = next((i, v) for i, v in np.ndenumerate(array) if not isinstance(v, str))
        where = f" in row {index[0]}" if index else ""
        raise TypeError(f"y holds {reprlib.repr(odd)}{where}, expected labels or numbers")
    if array.dtype.kind not in "biufUS":
        raise TypeError(f"y holds {array.dtype}, expected labels or numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("y holds a value that is NaN or infinite")
    return array


def _check_rows(array: NDArray[Any], n: int) -> None:
    """Raise ValueError unless y has n rows and one or two dimensions."""
    if array.ndim not in (1, 2) or len(array) != n or 0 in array.shape:
        raise ValueError(
            f"y has shape {array.shape}, expected one label or row of numbers for each of {n} rows"
        )
