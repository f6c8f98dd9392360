"""Rows that a source reads a few at a time, with their conditions, exposure and weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conditions import Conditions
from .rows import LazyRows, Parts, Rows, row_data
from .sources import Source
from .sparse import level_of_caller
from .survey import Survey, Unwatched, survey

WINDOW = 256_000_000  # default size of a window in bytes
BLOCKS = 64  # blocks of a window
OFTEN = 4.0  # most times that an epoch may decode the data without a warning


def default_window(source: Source) -> int:
    """Return the number of rows that are shuffled together by default."""
    return max(1, WINDOW // source.row_bytes)


def warn_of_large_units(source: Source, window: int) -> None:
    """Warn about chunks or row groups that a window decodes as a whole to use a part of them."""
    n, block = len(source), max(1, window // BLOCKS)
    units = -(-n // source.unit)
    share = 1 - (1 - 1 / units) ** min(BLOCKS, window)  # share of the units that a window decodes
    times = n / window * share
    if source.unit > block and times > OFTEN:
        warnings.warn(
            f"{source.name} is stored {min(source.unit, n):,} rows at a time, but a window takes "
            f"{block:,} neighbouring rows from each of {BLOCKS} places, so each epoch decodes the "
            f"data about {times:.0f} times. Store at most {block:,} rows together (the chunks of "
            "an HDF5 or zarr array, the row_group_size of Parquet), or pass a larger window.",
            UserWarning,
            stacklevel=level_of_caller(),
        )


@dataclass(frozen=True, eq=False)
class Stream(LazyRows):
    """Rows of a source.

    Attributes
    ----------
    source : Source
        Source of the rows.
    window : int
        Number of rows that are shuffled together.
    divisor : float
        Divisor of bytes.
    missing : bool
        Whether NaN stands for a missing value.
    check : callable or None
        Function that takes rows as they are read and the number of the first one, and raises
        ValueError if the model can't use them. None trusts the rows.
    encoding : Conditions or None
        Encoding of y as numbers.
    y : ndarray or None
        Condition of each row, as the user passed it.
    log_exposure, weights : ndarray of shape (n,), float32, or None
    learned : Survey or None
        Result of a pass over all rows.
    """

    source: Source
    window: int
    divisor: float
    missing: bool
    check: Callable[[NDArray[Any], int], None] | None = None
    encoding: Conditions | None = None
    y: NDArray[Any] | None = None
    log_exposure: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None
    learned: Survey | None = None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Rows:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            assert step == 1
            return self.with_parts(self.read(start, max(start, stop)), index)
        matrix = self.source.gather(index)
        if self.check is not None:
            self.check(matrix, 0)
        return self.with_parts(matrix, index)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return consecutive rows, checked, as a matrix."""
        matrix = self.source.rows(start, stop)
        if self.check is not None:
            self.check(matrix, start)
        return matrix

    def with_parts(self, matrix: NDArray[Any], index: Any) -> Rows:
        """Return a matrix of the rows at an index with their conditions, exposure and weights."""
        conditions = None
        if self.encoding is not None:
            assert self.y is not None
            conditions = self.encoding.encode(self.y[index], len(matrix))
        return row_data(
            matrix,
            self.divisor,
            self.missing,
            conditions,
            None if self.log_exposure is None else self.log_exposure[index],
            None if self.weights is None else self.weights[index],
        )

    def select(self, numbers: NDArray[np.int64]) -> Stream:
        return replace(
            self,
            source=self.source.select(numbers),
            y=None if self.y is None else self.y[numbers],
            log_exposure=None if self.log_exposure is None else self.log_exposure[numbers],
            weights=None if self.weights is None else self.weights[numbers],
            learned=None,
        )

    def checked(self) -> Stream:
        """Read all rows once, and return a stream that trusts them.

        Raises
        ------
        ValueError
            The model can't use some of the rows.
        """
        return replace(self, check=None, learned=survey(self, (), False, Unwatched))

    @property
    def matrix(self) -> Stream:
        """The rows without conditions, exposure and weights."""
        bare: dict[str, Any] = {"encoding": None, "log_exposure": None, "weights": None}
        return replace(self, divisor=255.0, missing=False, **bare)

    @property
    def parts(self) -> Parts:
        """None in place of conditions, which are encoded as rows are read; exposure; weights."""
        return None, self.log_exposure, self.weights

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and of features."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, float32 or uint8."""
        return self.source.dtype

    @property
    def nbytes(self) -> int:
        """Number of bytes of two windows."""
        return 2 * min(len(self), self.window) * self.source.row_bytes
