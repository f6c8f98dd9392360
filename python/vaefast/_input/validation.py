"""Checks of data and parameters, with messages for users. The core relies on these checks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._core import value_range
from .matrix import Dense, Matrix
from .sparse import SparseMatrix

Function = TypeVar("Function", bound=Callable[..., object])

MAX_WIDTH = 1 << 20  # largest width of a layer; keeps sizes in the core from overflow
ROUNDING = 1e-6  # scalers in float32 exceed [0, 1] by about 1e-7
FAR = 5.0  # a larger mean or sd, or an sd below 1 / FAR, was not standardized
DARK = 64  # largest byte of images for which X / 255 is probably wrong
SCALE_ROWS = 1_000  # rows from which the scale of columns is estimated
REAL_VALUED = ("gaussian", "laplace", "student_t")
STANDARDIZE = "standardize=True does that"
_CHUNK = 1 << 22  # numbers that one call checks; Python polls for Ctrl-C between calls


def check_values(
    rows: Matrix, likelihood: str | None = None, name: str = "X", start: int = 0
) -> None:
    """Raise ValueError unless every value is finite and, if the likelihood needs it, in [0, 1].

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32 or uint8
        Rows that `to_matrix` returned. uint8 passes without a check.
    likelihood : str or None, default=None
        Likelihood whose values must lie within [0, 1]. None allows any finite values.
    name : str, default="X"
        Name of the rows in error messages.
    start : int, default=0
        Number of the first row in error messages.
    """
    if rows.dtype == np.uint8:
        return
    stored = rows.values[:, None] if isinstance(rows, SparseMatrix) else rows
    low, high = _range(stored)
    if math.isnan(low):  # a value is NaN or infinite
        at = row, column = _first_not_finite(stored)
        if isinstance(rows, SparseMatrix):
            row, column = rows.row_of(row), int(rows.indices[row])
        raise ValueError(
            f"{name} holds {stored[at]} in row {start + row}, column {column} (counted from 0), "
            "the first value that is NaN, infinite or beyond 3.4e38. Drop or fill such values; a "
            "model with missing='mask' accepts NaN in X."
        )
    if isinstance(rows, SparseMatrix):  # absent values are 0
        low, high = min(low, 0.0), max(high, 0.0)
    if likelihood is not None and (low < -ROUNDING or high > 1 + ROUNDING):
        raise ValueError(
            f"{name} ranges from {low:.7g} to {high:.7g}, but likelihood={likelihood!r} needs "
            "values within [0, 1]. Scale the data, pass bytes from 0 to 255 as uint8 (read as "
            "x / 255), or use likelihood='gaussian'."
        )


def warn_of_scale(
    rows: Matrix,
    columns: Iterable[tuple[str, int]],
    *,
    tabular: bool,
    names: Sequence[str] | None = None,
    name: str = "X",
    remedy: str = STANDARDIZE,
) -> None:
    """Warn about real-valued columns whose scale is far from that of a fresh model.

    The scale of a fresh model is 1, and its weights expect inputs near unit variance.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32 or uint8
        Rows that `to_matrix` returned, of which about 1,000 are checked. uint8 never causes a
        warning.
    columns : iterable of (str, int)
        Likelihoods of the features, with their numbers of columns.
    tabular : bool
        Whether the rows are those of a table. Only in a table is a small standard deviation
        suspicious.
    names : sequence of str or None, default=None
        Names of the columns.
    name : str, default="X"
        Name of the rows in the warning.
    remedy : str, default=STANDARDIZE
        Advice at the end of the warning.

    Warns
    -----
    UserWarning
        The standard deviation or the mean of a column is above 5, or the standard deviation of a
        column of a table is below 1/5 and not 0. The message names the worst columns.
    """
    if rows.dtype == np.uint8 or isinstance(rows, SparseMatrix) or not len(rows):
        return  # most values of a sparse column are 0, whatever its scale
    kinds = list(columns)
    likelihoods = np.repeat([kind for kind, _ in kinds], [count for _, count in kinds])
    real = np.isin(likelihoods, REAL_VALUED)
    if not real.any():
        return
    some = rows[:: max(1, len(rows) // SCALE_ROWS)].astype(np.float64)
    some[~np.isfinite(some)] = np.nan
    means, deviations = moments_of_known(some)
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(means), deviations)
        badness = np.maximum(size, np.where(tabular & (deviations > 0), 1 / deviations, 0))
    badness = np.where(real & np.isfinite(badness), badness, 0)
    far = np.flatnonzero(badness > FAR)
    if not len(far):
        return
    worst = far[np.argsort(-badness[far], kind="stable")]
    shown = ", ".join(
        f"{names[i] if names else f'column {i}'} (mean {means[i]:.3g}, sd {deviations[i]:.3g})"
        for i in worst[:3]
    )
    more = f" and {len(worst) - 3:,} more" if len(worst) > 3 else ""
    warnings.warn(
        f"{name} has columns far from unit variance: {shown}{more}. "
        f"likelihood={str(likelihoods[worst[0]])!r} trains best on columns with mean 0 and "
        f"standard deviation 1: {remedy}.",
        UserWarning,
        stacklevel=4,
    )


def moments_of_known(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column, ignoring NaN; NaN without values.

    numpy.nanmean warns about columns without values, and catching its warning is not thread-safe.
    """
    known = ~np.isnan(values)
    with np.errstate(all="ignore"):
        counts = known.sum(axis=0)
        means = np.where(known, values, 0).sum(axis=0) / counts
        squares = np.where(known, np.square(values - means), 0).sum(axis=0)
        return means, np.sqrt(squares / counts)


def warn_of_dark_bytes(largest: int, divisor: float) -> None:
    """Warn about bytes that are read as X / 255 although none is near 255."""
    if divisor != 1 and 1 < largest <= DARK:
        warnings.warn(
            f"X holds bytes up to {largest}, and bytes are read as X / 255, so no value "
            f"exceeds {largest / 255:.2f}. If {largest} is white, pass X / {largest}.",
            UserWarning,
            stacklevel=4,
        )


def brightest(rows: Any) -> int:
    """Return the largest byte of rows if it may be at most `DARK`, or 0 if rows are not bytes."""
    if rows.dtype != np.uint8:
        return 0
    values = rows.values if isinstance(rows, SparseMatrix) else rows
    largest = int(values[:: max(1, len(values) // SCALE_ROWS)].max(initial=0))
    if largest > DARK:
        return largest
    step = max(1, _CHUNK // math.prod(values.shape[1:]))
    return max((int(values[i : i + step].max()) for i in range(0, len(values), step)), default=0)


def empty_columns(rows: Any) -> list[int]:
    """Return the columns of dense rows in which every value is missing."""
    if rows.dtype == np.uint8 or isinstance(rows, SparseMatrix) or not np.isnan(rows[0]).any():
        return []
    step = max(1, _CHUNK // rows.shape[1])
    gaps = (np.isnan(rows[i : i + step]).all(axis=0) for i in range(0, len(rows), step))
    found: list[int] = np.flatnonzero(np.logical_and.reduce(list(gaps))).tolist()
    return found


def warn_of_empty_columns(empty: Sequence[int], names: Sequence[str] | None) -> None:
    """Warn about columns with missing values only, from which nothing can be learned."""
    if empty:
        first = f"column {empty[0]}" + (f" ({names[empty[0]]})" if names else "")
        more = f" and {len(empty) - 1:,} more" if len(empty) > 1 else ""
        have, them = ("have", "them") if more else ("has", "it")
        warnings.warn(
            f"{first}{more} of X {have} no value in any row, so what the model returns for {them} "
            f"is noise. Drop {them}.",
            UserWarning,
            stacklevel=4,
        )


def _range(rows: NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest number, or NaN twice if any number is not finite."""
    if rows.size <= _CHUNK:
        return value_range(rows)
    step = max(1, _CHUNK // rows.shape[1])
    ranges = np.array([value_range(rows[i : i + step]) for i in range(0, len(rows), step)])
    return float(ranges[:, 0].min()), float(ranges[:, 1].max())  # NaN if one of the chunks has NaN


def _first_not_finite(rows: Dense) -> tuple[int, int]:
    """Return the row and the column of the first number that is not finite."""
    step = max(1, _CHUNK // rows.shape[1])
    chunks = (
        (first, ~np.isfinite(rows[first : first + step])) for first in range(0, len(rows), step)
    )
    first, bad = next((first, bad) for first, bad in chunks if bad.any())
    row, column = np.argwhere(bad)[0]
    return first + int(row), int(column)


def check_features(
    rows: Matrix,
    shape: tuple[int, ...],
    expected: tuple[int, ...],
    name: str = "X",
    estimator: str = "VAE",
) -> None:
    """Raise ValueError unless rows of `shape` have as many features as rows of `expected`."""
    features = math.prod(expected)
    flat = len(shape) == 1 and rows.shape[1] == features
    if shape == expected or flat or (len(expected) == 1 and rows.shape[1] == features):
        return
    if len(shape) == len(expected) == 1:  # in the words that scikit-learn's checks expect
        raise ValueError(
            f"{name} has {shape[0]} features, but {estimator} is expecting {features} features as "
            "input"
        )
    what = f"{features} features" if len(expected) == 1 else f"images of shape {expected}"
    one = f"; for a single image pass {name}[None]" if (len(rows), *shape) == expected else ""
    raise ValueError(f"{name} has rows of shape {shape}, but the model was fitted on {what}{one}")


def check_choice(value: object, name: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of the names in `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r} is unknown; expected one of {', '.join(choices)}")


def check_integer(value: object, name: str, low: int = 1, high: int | None = None) -> int:
    """Return `value` as an int from `low` to `high`. None sets no upper limit.

    Raises
    ------
    TypeError, ValueError
        `value` is not an integer, or is outside the limits. The message calls it `name`.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}={value!r} must be a whole number")
    if value < low:
        raise ValueError(f"{name}={value!r} must be at least {low}")
    if high is not None and value > high:
        raise ValueError(f"{name}={value!r} must be at most {high}")
    return int(value)


def check_number(
    value: object,
    name: str,
    *,
    above: float | None = None,
    low: float | None = None,
    below: float | None = None,
) -> float:
    """Return `value` as a finite float that is > `above`, >= `low` and < `below`.

    Raises
    ------
    TypeError, ValueError
        `value` is not a number, or is outside a limit that is set. The message calls it `name`.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"{name}={value!r} must be a number")
    try:
        number = float(value)
    except OverflowError:  # an int beyond 1.8e308, the largest float64
        number = np.inf
    if not np.isfinite(number):
        raise ValueError(f"{name}={value!r} must be finite")
    if above is not None and not number > above:
        raise ValueError(f"{name}={value!r} must be greater than {above:g}")
    if low is not None and number < low:
        raise ValueError(f"{name}={value!r} must be at least {low:g}")
    if below is not None and not number < below:
        raise ValueError(f"{name}={value!r} must be less than {below:g}")
    return number


def check_sizes(value: object, name: str) -> tuple[int, ...]:
    """Return the widths of hidden layers as a tuple. A single int is one layer.

    Raises
    ------
    TypeError, ValueError
        `value` is not a sequence of positive integers. The message calls it `name`.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value,)
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"{name}={value!r} must be a sequence of layer widths, such as (256,)")
    return tuple(check_integer(v, f"{name}[{i}]", high=MAX_WIDTH) for i, v in enumerate(value))


def check_callbacks(value: Iterable[Function]) -> list[Function]:
    """Return callbacks as a list of functions.

    Raises
    ------
    TypeError
        `value` is not an iterable of functions.
    """
    if not isinstance(value, Iterable):
        raise TypeError(f"callbacks={value!r} must be a sequence of functions, such as [function]")
    functions = list(value)
    for i, function in enumerate(functions):
        if not callable(function):
            raise TypeError(f"callbacks[{i}]={function!r} must be a function of (vae, record)")
    return functions
