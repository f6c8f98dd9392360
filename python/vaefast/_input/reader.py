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
from .rows import AnyRows, log_exposures, row_data, weighted
from .sources import Source, is_chunks, is_in_place, source_of
from .sparse import SparseMatrix
from .standardization import Standardization
from .stream import Stream, default_window, warn_of_large_units
from .survey import Unwatched, Watch, survey
from .validation import REAL_VALUED, check_choice, check_features, check_integer


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
        Encoding of y, if the model is conditional.
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
        X: Any,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        watch: Watch | None = None,
    ) -> tuple[Reader, AnyRows]:
        """Return a reader for rows like those of X, and the rows of X, which are read once.

        Rows of weight 0 are left out before anything is learned. `classes` lists all labels, of
        which y may lack some. `watch` shows the progress of the pass over a stream.

        Raises
        ------
        TypeError, ValueError
            A VAE with these parameters can't be trained on X, y, exposure and sample_weight.
        """
        if isinstance(X, Prepared):
            return X.reader, X.rows
        for flag in ("conditional", "standardize"):
            if not isinstance(params[flag], bool | np.bool_):
                raise TypeError(f"{flag}={params[flag]!r} must be True or False")
        given = _Given.of(X, y, exposure, sample_weight, name, check_window(params["window"]))
        X, y, exposure, sample_weight = given.X, given.y, given.exposure, given.sample_weight
        matrix, shape = given.matrix(name)
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
            names=given.names,
            exposed=exposure is not None,
            divisor=byte_divisor(reader.columns, matrix),
        )
        rows = reader._rows(matrix, y, exposure, name, weights, window=given.window)
        if isinstance(rows, Stream):
            return reader._learn_stream(rows, bool(params["standardize"]), watch or Unwatched)
        reader = replace(reader, totals=totals_of(matrix, reader.columns))
        return (reader.standardizing(rows) if params["standardize"] else reader), rows

    def _learn_stream(self, rows: Stream, standardize: bool, watch: Watch) -> tuple[Reader, Stream]:
        """Return a reader for a stream, and the stream after one pass over it."""
        warn_of_large_units(rows.source, rows.window)
        found = survey(rows, self.columns, standardize, watch)
        divisor = self.divisor
        if rows.dtype == np.uint8 and divisor == 255 and found.brightest <= 1:
            divisor = 1.0
        reader = replace(self, divisor=divisor, totals=found.totals)
        if found.moments is not None:
            learned = Standardization.of(found.moments, self.columns, divisor)
            reader = replace(reader, standardization=learned)
        return reader, replace(rows, divisor=divisor, check=None, learned=found)

    @classmethod
    def of(cls, params: Mapping[str, Any], shape: Sequence[int]) -> Reader:
        """Return a reader for rows of this shape, without conditions, names or exposure."""
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
        """The least and the greatest value, or None if a core can't check floats as it reads."""
        return limits_of(self.columns, self.missing)

    def standardizing(self, rows: AnyRows) -> Reader:
        """Return a reader that standardizes real-valued features by their moments in these rows."""
        learned = Standardization.learn(rows, self.columns, self.divisor)
        return replace(self, standardization=learned)

    def read(
        self,
        X: Any,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
        sample_weight: ArrayLike | None = None,
        checked: bool = True,
        window: int | None = None,
        weigh: bool = False,
    ) -> AnyRows:
        """Return checked rows for the core, without those of weight 0.

        A model without conditions ignores y. With checked=False, the core must check floats against
        `limits`, unless they are None, and may receive float64. If there are more rows than a
        window holds, they become a stream, which checks rows as it reads them. Weights that come
        with the chunks of X are used if `weigh` is True.

        Raises
        ------
        TypeError, ValueError
            X, y, exposure or sample_weight do not fit the model.
        """
        if not checked and self._reads_in_place(X, exposure, sample_weight):
            check_mapped(X)
            in_place: AnyRows = X
            return in_place
        if isinstance(X, Prepared):
            return X.rows
        given = _Given.of(X, y, exposure, sample_weight, name, window)
        X, y, exposure = given.X, given.y, given.exposure
        sample_weight = given.sample_weight if weigh else sample_weight
        matrix, shape = given.matrix(name, doubles=not checked and self.limits is not None)
        check_names(given.names, self.names, name)
        check_features(matrix, shape, self.shape, name)
        refuse_filling(matrix, self.standardization is not None, None, name)
        y = self.condition_of(X, y)
        if self.conditions is not None:
            y = self.conditions.spread(y, len(matrix))
        matrix, y, exposure, weights = weighted(matrix, y, exposure, sample_weight)
        return self._rows(matrix, y, exposure, name, weights, checked, given.window)

    def _reads_in_place(self, X: Any, exposure: Any, sample_weight: Any) -> bool:
        """Return whether the core can read X as it is, which halves the time of a small call."""
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
        """Types of matrices that only need a check against `limits`."""
        if self.limits is None or self.conditions is not None:
            return ()
        floats = np.dtype(np.float32), np.dtype(np.float64)
        return (*floats, np.dtype(np.uint8)) if self.divisor == 255 else floats

    def read_to_score(
        self,
        X: Any,
        y: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str = "X",
        sample_weight: ArrayLike | None = None,
        checked: bool = True,
        window: int | None = None,
        weigh: bool = False,
    ) -> AnyRows:
        """Return the rows as `read` does, for a likelihood that needs their exposure.

        Raises
        ------
        TypeError, ValueError
            X, y or exposure do not fit the model; for example, the model was fitted with exposure,
            and none is passed.
        """
        X = source_of(X, name) if is_chunks(X) else X  # the exposure is known after a pass
        own = X.exposure if isinstance(X, Source) else None
        if self.exposed and exposure is None and own is None and not isinstance(X, Prepared):
            raise ValueError(
                f"this model was fitted with exposure, so {name} needs that of its rows: pass "
                "exposure= or validation=(X, y, exposure); numpy.ones(n) is one unit for each row"
            )
        return self.read(X, y, exposure, name, sample_weight, checked, window, weigh)

    def condition_of(self, X: Any, y: ArrayLike | None) -> ArrayLike | None:
        """Return y for the rows X: None without conditions, or the column that y names in AnnData.

        Raises
        ------
        ValueError
            X has no such column.
        """
        return None if self.conditions is None else condition_of(X, y)

    def _rows(
        self,
        matrix: Any,
        y: ArrayLike | None,
        exposure: ArrayLike | None,
        name: str,
        weights: NDArray[np.float32] | None,
        checked: bool = True,
        window: int = 0,
    ) -> AnyRows:
        if exposure is not None and not any(likelihood in RATES for likelihood, _ in self.columns):
            raise ValueError(f"exposure is for the likelihoods {' and '.join(RATES)}")
        if isinstance(matrix, Source):
            return self._stream(matrix, y, exposure, weights, window)
        given = checked or matrix.dtype == np.uint8 or self.limits is None
        if given or isinstance(matrix, SparseMatrix):  # otherwise, the core checks as it reads
            check_data(matrix, self.columns, self.missing, name, self.divisor)
        conditions = None if self.conditions is None else self.conditions.encode(y, len(matrix))
        log_exposure = log_exposures(exposure, len(matrix))
        return row_data(matrix, self.divisor, self.missing, conditions, log_exposure, weights)

    def _stream(
        self,
        source: Source,
        y: ArrayLike | None,
        exposure: ArrayLike | None,
        weights: NDArray[np.float32] | None,
        window: int,
    ) -> Stream:
        def check(matrix: NDArray[Any], start: int) -> None:
            check_data(matrix, self.columns, self.missing, source.name, self.divisor, start)

        labels = None
        if self.conditions is not None:
            labels = self.conditions.labels_of(y, len(source))
        return Stream(
            source,
            window,
            self.divisor,
            self.missing,
            check,
            self.conditions,
            labels,
            log_exposures(exposure, len(source)),
            weights,
        )


@dataclass(frozen=True)
class _Given:
    """The user's X and its companions; a source whose rows fit in a window is read.

    Attributes
    ----------
    X : object
        Rows in memory, or a source.
    y, exposure, sample_weight : array-like or None
        The user's arguments, or the values from the source.
    names : tuple of str or None
        Names of the features.
    window : int
        Number of rows that are shuffled together, for a source.
    """

    X: Any
    y: Any
    exposure: Any
    sample_weight: Any
    names: FeatureNames | None
    window: int = 0

    @classmethod
    def of(
        cls, X: Any, y: Any, exposure: Any, sample_weight: Any, name: str, window: int | None
    ) -> _Given:
        """Return the user's arguments, with the source that X stands for, if any.

        Raises
        ------
        ValueError
            An argument was passed, and the source has it, too.
        """
        in_place = isinstance(X, np.memmap) and is_in_place(X)
        in_place = in_place and (window is None or window >= len(X))
        source = None if in_place else source_of(X, name)
        if source is None:
            return cls(X, y, exposure, sample_weight, names_of(X))
        beside = {"y": y, "exposure": exposure, "sample_weight": sample_weight}
        for what, value in beside.items():
            if (own := getattr(source, what)) is None:
                continue
            if value is not None:
                raise ValueError(f"{what} was passed, but the chunks of {name} have it too")
            beside[what] = own
        window = default_window(source) if window is None else window
        X = source
        if len(source) <= window:
            X = source[:]
        y, exposure, sample_weight = beside.values()
        return cls(X, y, exposure, sample_weight, source.names, window)

    def matrix(self, name: str, doubles: bool = False) -> tuple[Any, tuple[int, ...]]:
        """Return the rows as a matrix, or the source, and the shape of one row."""
        if isinstance(self.X, Source):
            return self.X, self.X.row_shape
        return to_rows_of_numbers(self.X, name, doubles)


def check_window(window: Any) -> int | None:
    """Return the parameter `window`; raise an error unless it is a number of rows or None."""
    return None if window is None else check_integer(window, "window")


def refuse_filling(matrix: Matrix, standardize: bool, denoising: Any, name: str) -> None:
    """Raise ValueError if rows are sparse and the model would replace their zeros."""
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
    """Rows that a reader has read, which are passed as X so that they are not read again.

    The command line reads a file as a whole, where row numbers in errors are those of the file, and
    then trains on some of its rows.
    """

    reader: Reader
    rows: AnyRows
