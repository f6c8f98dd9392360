"""Rows with what belongs to them, as the core takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import COUNTS, Data
from .conditions import Conditions
from .feature_names import FeatureNames, check_names, names_of
from .likelihoods import Columns, check_data, columns_of, divisor
from .validation import Rows, check_choice, check_features, check_rows


class RowData(Data):
    """Rows (n, features), and beside each its conditions and its exposure, where there are any.

    Parameters
    ----------
    x : ndarray of shape (n, features), float32 or uint8
    divisor : float
        Of bytes.
    missing : bool
        Whether NaN stands for a missing value.
    conditions : ndarray of shape (n, width), optional
    log_exposure : ndarray of shape (n,), optional
    """

    def __init__(
        self,
        x: Rows,
        divisor: float,
        missing: bool,
        conditions: NDArray[np.float32] | None,
        log_exposure: NDArray[np.float32] | None,
    ) -> None:
        super().__init__(x, divisor, missing, conditions, log_exposure)
        self.x, self.conditions, self.log_exposure = x, conditions, log_exposure
        self.divisor, self.missing = divisor, missing

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> RowData:
        """Those rows, with what belongs to them."""
        parts = (self.conditions, self.log_exposure)
        return RowData(
            np.ascontiguousarray(self.x[index]),
            self.divisor,
            self.missing,
            *(None if part is None else np.ascontiguousarray(part[index]) for part in parts),
        )


def log_exposures(exposure: ArrayLike | None, n: int) -> NDArray[np.float32] | None:
    """Return the logarithm of each row's exposure, (n,).

    Raises
    ------
    ValueError
        There isn't one positive number for each row.
    """
    if exposure is None:
        return None
    array = np.asarray(exposure)
    if array.shape != (n,) or array.dtype.kind not in "iuf":
        raise ValueError(
            f"exposure has shape {array.shape}, expected a number for each of {n} rows"
        )
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(bad):
        raise ValueError(
            f"exposure holds {array[bad[0]]:g} in row {bad[0]}, expected positive numbers: hours, "
            "or the size of a library"
        )
    logs: NDArray[np.float32] = np.log(array).astype(np.float32)
    return logs


@dataclass(frozen=True)
class Reader:
    """What the rows of a fitted model look like, and how users' arrays become such rows.

    Attributes
    ----------
    shape : tuple of int
        Of one row: (d,) or that of an image.
    columns : Columns
        The likelihoods of its features.
    missing : bool
        Whether NaN stands for a missing value.
    conditions : Conditions or None
        What y is, if the model is conditional.
    names : tuple of str or None
        Of the features, where the rows came with any.
    exposed : bool
        Whether the rows of the fit had an exposure.
    """

    shape: tuple[int, ...]
    columns: Columns
    missing: bool
    conditions: Conditions | None
    names: FeatureNames | None
    exposed: bool

    @classmethod
    def learn(
        cls,
        params: Mapping[str, Any],
        X: ArrayLike,
        y: ArrayLike | None,
        exposure: ArrayLike | None = None,
    ) -> Reader:
        """The reader of rows like those of X, for a VAE with these parameters."""
        rows, shape = check_rows(X)
        if not isinstance(params["conditional"], bool | np.bool_):
            raise TypeError(f"conditional={params['conditional']!r} must be True or False")
        conditions = Conditions.learn(y, len(rows)) if params["conditional"] else None
        return cls.of(params, shape, conditions, names_of(X), exposure is not None)

    @classmethod
    def of(
        cls,
        params: Mapping[str, Any],
        shape: tuple[int, ...],
        conditions: Conditions | None,
        names: FeatureNames | None,
        exposed: bool,
    ) -> Reader:
        """The reader of rows of this shape, for a VAE with these parameters."""
        check_choice(params["missing"], "missing", ("error", "mask"))
        features = int(np.prod(shape))
        columns = columns_of(params["likelihood"], features)
        return cls(shape, columns, params["missing"] == "mask", conditions, names, exposed)

    @property
    def width(self) -> int:
        """Conditions of a row."""
        return 0 if self.conditions is None else self.conditions.width

    def read(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
    ) -> Rows | RowData:
        """Return X, checked, with what belongs to its rows. Without conditions y is not looked at.

        Raises
        ------
        TypeError, ValueError
            X, y or exposure are not what the model takes.
        """
        rows, shape = check_rows(X, name)
        check_names(names_of(X), self.names, name)
        check_features(rows, shape, self.shape, name)
        check_data(rows, self.columns, self.missing, name)
        if exposure is not None and not any(likelihood in COUNTS for likelihood, _ in self.columns):
            raise ValueError(f"exposure is for the likelihoods {' and '.join(COUNTS)}")
        conditions = None if self.conditions is None else self.conditions.encode(y, len(rows))
        log_exposure = log_exposures(exposure, len(rows))
        if conditions is None and log_exposure is None and self._plain:
            return rows
        by = divisor(self.columns)
        return RowData(rows, by, self.missing, conditions, log_exposure)

    def read_to_score(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
    ) -> Rows | RowData:
        """Return what `read` does, where a likelihood needs to know the exposure of the rows.

        Raises
        ------
        TypeError, ValueError
            As for `read`; the model was fitted with exposure, and there is none here.
        """
        if self.exposed and exposure is None:
            raise ValueError(
                f"this model was fitted with exposure: {name} needs that of its rows too, by "
                "exposure= or validation=(X, y, exposure); numpy.ones(n) if each is one unit"
            )
        return self.read(X, y, exposure, name)

    @cached_property
    def _plain(self) -> bool:
        """Whether the core takes rows as they are."""
        return not self.missing and divisor(self.columns) == 255
