"""The reader of a fitted model: users' X, y and exposure become rows for the core."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotated import condition_of
from .conditions import Conditions
from .feature_names import FeatureNames, check_names, names_of
from .likelihoods import (
    RATES,
    Columns,
    Limits,
    Totals,
    byte_divisor,
    check_data,
    columns_of,
    limits_of,
    totals_of,
)
from .mapped import check_mapped
from .matrix import Matrix, to_rows_of_numbers
from .rows import RowData, Rows, log_exposures, weighted
from .sparse import SparseMatrix
from .standardization import Standardization
from .validation import REAL_VALUED, check_choice, check_features


@dataclass(frozen=True)
class Reader:
    """The layout of the rows of a fitted model.

    Attributes
    ----------
    shape : tuple of int
        Shape of one row: (d,), or that of an image.
    columns : Columns
        Likelihoods of the features.
    missing : bool
        Whether NaN stands for a missing value.
    conditions : Conditions or None
        How y is encoded, if the model is conditional.
    names : tuple of str or None
        Names of the features, if the rows of the fit had any.
    exposed : bool
        Whether the rows of the fit had an exposure.
    divisor : float
        Divisor of uint8 values: 255 if the fit read bytes as X / 255, else 1.
    standardization : Standardization or None
        Means and scales of the real-valued features, if the model standardizes them.
    totals : Totals
        Quantiles of the totals of the rows of the fit, for each run of multinomial columns.
    """

    shape: tuple[int, ...]
    columns: Columns
    missing: bool
    conditions: Conditions | None = None
    names: FeatureNames | None = None
    exposed: bool = False
    divisor: float = 255.0
    standardization: Standardization | None = None
    totals: Totals = field(default_factory=dict)

    @classmethod
    def learn(
        cls,
        params: Mapping[str, Any],
        X: ArrayLike | Prepared,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> tuple[Reader, Rows]:
        """Return the reader of rows like those of X, and the rows of X, read once.

        Rows of weight 0 are left out before anything is learned. `classes` are the labels of y,
        where y may lack some.

        Raises
        ------
        TypeError, ValueError
            A VAE with these parameters can't be trained on X, y, exposure and sample_weight.
        """
        if isinstance(X, Prepared):
            return X.reader, X.rows
        matrix, shape = to_rows_of_numbers(X, name)
        for flag in ("conditional", "standardize"):
            if not isinstance(params[flag], bool | np.bool_):
                raise TypeError(f"{flag}={params[flag]!r} must be True or False")
        refuse_filling(matrix, params["standardize"], params["denoising"], name)
        y = condition_of(X, y) if params["conditional"] else None
        matrix, y, exposure, weights = weighted(matrix, y, exposure, sample_weight)
        reader = cls.of(params, shape)
        if params["standardize"] and not any(kind in REAL_VALUED for kind, _ in reader.columns):
            raise ValueError(
                f"standardize=True is for columns of the likelihoods {', '.join(REAL_VALUED)}, but "
                f"likelihood={params['likelihood']!r} has none: leave standardize out"
            )
        if params["conditional"]:
            reader = replace(reader, conditions=Conditions.learn(y, len(matrix), classes))
        reader = replace(
            reader,
            names=names_of(X),
            exposed=exposure is not None,
            divisor=byte_divisor(reader.columns, matrix),
        )
        rows = reader._rows(matrix, y, exposure, name, weights)
        reader = replace(reader, totals=totals_of(matrix, reader.columns))
        return (reader.standardizing(rows) if params["standardize"] else reader), rows

    @classmethod
    def of(cls, params: Mapping[str, Any], shape: Sequence[int]) -> Reader:
        """Return the reader of rows of this shape, without conditions, names or exposure."""
        check_choice(params["missing"], "missing", ("error", "mask"))
        columns = columns_of(params["likelihood"], math.prod(shape))
        return cls(
            tuple(shape), columns, params["missing"] == "mask", divisor=byte_divisor(columns)
        )

    @cached_property
    def features(self) -> int:
        """Number of features of one row."""
        return math.prod(self.shape)

    @property
    def width(self) -> int:
        """Number of conditions of one row."""
        return 0 if self.conditions is None else self.conditions.width

    @cached_property
    def limits(self) -> Limits | None:
        """The least and the greatest value, where a core can check floats while it reads them."""
        return limits_of(self.columns, self.missing)

    def standardizing(self, rows: Rows) -> Reader:
        """Return a reader that standardizes real-valued features by their moments in these rows."""
        return replace(self, standardization=Standardization.learn(rows, self.columns))

    def read(
        self,
        X: ArrayLike | Prepared,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
        sample_weight: ArrayLike | None = None,
        checked: bool = True,
    ) -> Rows:
        """Return checked rows for the core, without those of weight 0.

        A model without conditions ignores y. With checked=False, the core must check floats by
        `limits`, unless they are None, and may get float64.

        Raises
        ------
        TypeError, ValueError
            X, y, exposure or sample_weight do not fit the model.
        """
        if not checked and self._reads_in_place(X, exposure, sample_weight):
            check_mapped(X)
            return X  # type: ignore[return-value]
        if isinstance(X, Prepared):
            return X.rows
        matrix, shape = to_rows_of_numbers(X, name, doubles=not checked and self.limits is not None)
        check_names(names_of(X), self.names, name)
        check_features(matrix, shape, self.shape, name)
        refuse_filling(matrix, self.standardization is not None, None, name)
        y = self.condition_of(X, y)
        if self.conditions is not None:
            y = self.conditions.spread(y, len(matrix))
        matrix, y, exposure, weights = weighted(matrix, y, exposure, sample_weight)
        return self._rows(matrix, y, exposure, name, weights, checked)

    def _reads_in_place(self, X: Any, exposure: Any, sample_weight: Any) -> bool:
        """Return whether the core can read X as it is; this saves a small call half of its time."""
        return (
            type(X) is np.ndarray
            and X.dtype in self._types_in_place
            and X.ndim == 2
            and X.shape[1] == self.features
            and X.flags.c_contiguous
            and X.flags.aligned
            and len(X) > 0
            and exposure is None
            and sample_weight is None
        )

    @cached_property
    def _types_in_place(self) -> tuple[np.dtype[Any], ...]:
        """Types of matrices that need nothing but a check by `limits`."""
        if self.limits is None or self.conditions is not None:
            return ()
        floats = np.dtype(np.float32), np.dtype(np.float64)
        return (*floats, np.dtype(np.uint8)) if self.divisor == 255 else floats

    def read_to_score(
        self,
        X: ArrayLike | Prepared,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
        sample_weight: ArrayLike | None = None,
        checked: bool = True,
    ) -> Rows:
        """Return what `read` does, for a likelihood that needs the exposure of the rows.

        Raises
        ------
        TypeError, ValueError
            X, y or exposure do not fit the model; in particular, the model was fitted with
            exposure and there is none here.
        """
        if self.exposed and exposure is None and not isinstance(X, Prepared):
            raise ValueError(
                f"this model was fitted with exposure: {name} needs that of its rows too, by "
                "exposure= or validation=(X, y, exposure); numpy.ones(n) if each is one unit"
            )
        return self.read(X, y, exposure, name, sample_weight, checked)

    def condition_of(self, X: ArrayLike | Prepared, y: ArrayLike | None) -> ArrayLike | None:
        """Return the y of rows X: None without conditions, and the column that y names in AnnData.

        Raises
        ------
        ValueError
            X has no such column.
        """
        return None if self.conditions is None else condition_of(X, y)

    def _rows(
        self,
        matrix: Matrix,
        y: ArrayLike | None,
        exposure: ArrayLike | None,
        name: str,
        weights: NDArray[np.float32] | None,
        checked: bool = True,
    ) -> Rows:
        given = checked or matrix.dtype == np.uint8 or self.limits is None
        if given or isinstance(matrix, SparseMatrix):  # otherwise the core checks as it reads
            check_data(matrix, self.columns, self.missing, name, self.divisor)
        if exposure is not None and not any(likelihood in RATES for likelihood, _ in self.columns):
            raise ValueError(f"exposure is for the likelihoods {' and '.join(RATES)}")
        conditions = None if self.conditions is None else self.conditions.encode(y, len(matrix))
        log_exposure = log_exposures(exposure, len(matrix))
        plain = not self.missing and (self.divisor == 255 or matrix.dtype != np.uint8)
        if conditions is None and log_exposure is None and weights is None and plain:
            return matrix  # the core needs no further settings
        return RowData(matrix, self.divisor, self.missing, conditions, log_exposure, weights)


def refuse_filling(matrix: Matrix, standardize: bool, denoising: Any, name: str) -> None:
    """Raise ValueError if rows are sparse and the model would turn their zeros into numbers."""
    if not isinstance(matrix, SparseMatrix):
        return
    if standardize:
        raise ValueError(
            f"{name} is sparse, and standardize=True would turn its zeros into other numbers: "
            f"scale the columns without centring them, or pass {name}.toarray()"
        )
    kind = denoising[0] if isinstance(denoising, tuple | list) and denoising else "mask"
    if kind in ("gaussian", "salt_and_pepper"):
        raise ValueError(
            f"{name} is sparse, and denoising={denoising!r} would fill its zeros: use "
            "denoising=('mask', p) or ('dropout', p), which set values to 0"
        )


@dataclass(frozen=True)
class Prepared:
    """Rows that a reader has read, passed as X so that they are not read again.

    The command line reads a file as a whole, where row numbers in errors are those of the file, and
    then trains on some of its rows.
    """

    reader: Reader
    rows: Rows
