"""The values that each likelihood accepts, and draws from it. The core computes the densities.

The features of a model are divided into runs of consecutive columns, each with one likelihood. Most
models have a single run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import COUNTS, LIKELIHOODS, SCALES
from .matrix import Dense, Matrix
from .sources import Source
from .sparse import SparseMatrix
from .validation import ROUNDING, check_choice, check_integer, check_values

Columns = tuple[tuple[str, int], ...]
Array = NDArray[Any]
Totals = Mapping[int, tuple[int, ...]]

Limits = tuple[float, float]
LARGEST = float(np.finfo(np.float32).max)
LARGEST_RATE = 9e18  # largest rate of a draw, because NumPy returns int64
RATES = tuple(name for name in COUNTS if name != "multinomial")  # an exposure multiplies the mean
WHOLE = ("categorical", "multinomial")  # all columns of a run form one variable
TOTALS = 101  # number of quantiles of row totals that a model keeps
UNIT = ("bernoulli", "continuous_bernoulli")  # for values in [0, 1]

# Likelihoods without an entry accept any finite value.
_VALUES: dict[str, tuple[Callable[[Array], Array], str]] = {
    **dict.fromkeys(UNIT, (lambda x: (x >= 0) & (x <= 1), "values within [0, 1]")),
    **dict.fromkeys(COUNTS, (lambda x: (x >= 0) & (x == np.floor(x)), "counts: 0, 1, 2, ...")),
    "categorical": (lambda x: (x == 0) | (x == 1), "one-hot columns: one 1, all others 0"),
}
_FINITE: tuple[Callable[[Array], Array], str] = (np.isfinite, "finite values")


def columns_of(likelihood: str | Sequence[tuple[str, int]], features: int) -> Columns:
    """Return a likelihood as pairs (name, number of columns) from left to right.

    Parameters
    ----------
    likelihood : str or sequence of (str, int)
        The parameter of `VAE`.
    features : int
        Number of features of a row.

    Raises
    ------
    TypeError, ValueError
        A name is unknown, or the numbers of columns do not add up to the features.
    """
    if isinstance(likelihood, str):
        check_choice(likelihood, "likelihood", LIKELIHOODS)
        return ((likelihood, features),)
    try:
        columns = tuple((name, count) for name, count in likelihood)
    except (TypeError, ValueError):
        raise ValueError(
            f"likelihood={likelihood!r} is unknown; expected one of {', '.join(LIKELIHOODS)}, or "
            "(name, number of columns) pairs such as [('gaussian', 3), ('categorical', 5)]"
        ) from None
    for i, (name, count) in enumerate(columns):
        check_choice(name, f"likelihood[{i}]", LIKELIHOODS)
        check_integer(count, f"likelihood[{i}][1]")
    total = sum(count for _, count in columns)
    if total != features:
        raise ValueError(f"likelihood has {total} columns in all, but the rows have {features}")
    return tuple((name, int(count)) for name, count in columns)


def scale_names(columns: Columns) -> dict[int, str]:
    """Return the name of the tensor of log scales for each run of columns that has one."""
    alone = len(columns) == 1
    return {
        i: SCALES[name] if alone else f"columns.{i}.{SCALES[name]}"
        for i, (name, _) in enumerate(columns)
        if name in SCALES
    }


def count_blocks(columns: Columns) -> list[slice]:
    """Return the columns of each run of counts."""
    runs = _runs(columns)
    return [slice(first, last) for _, name, first, last in runs if name in COUNTS]


def byte_divisor(columns: Columns, matrix: Matrix | Source | None = None) -> float:
    """Return the divisor of uint8 values.

    Parameters
    ----------
    columns : Columns
        Likelihoods of the features.
    matrix : ndarray of shape (n, features), Source or None, default=None
        Rows of the fit. None, and bytes that are not read yet, stand for bytes from 0 to 255.

    Returns
    -------
    float
        255 for images of bytes; 1 for counts, categories and tables, for bytes that are all 0 or 1,
        and for a fit on floats, after which bytes are ordinary numbers.
    """
    if len(columns) > 1 or columns[0][0] in (*COUNTS, "categorical"):
        return 1.0
    if matrix is None:
        return 255.0
    if matrix.dtype != np.uint8:
        return 1.0
    if isinstance(matrix, Source):
        return 255.0
    if isinstance(matrix, SparseMatrix):
        return 255.0 if largest_byte(matrix) > 1 else 1.0
    step = max(1, (1 << 22) // matrix.shape[1])  # the first rows nearly always decide
    bright = any((matrix[i : i + step] > 1).any() for i in range(0, len(matrix), step))
    return 255.0 if bright else 1.0


def limits_of(columns: Columns, missing: bool) -> Limits | None:
    """Return the least and the greatest allowed float, for a core that checks while it reads.

    None means that limits do not suffice, and that `check_data` must check the values.
    """
    likelihood = columns[0][0]
    if len(columns) > 1 or missing or (likelihood in _VALUES and likelihood not in UNIT):
        return None
    return (-ROUNDING, 1 + ROUNDING) if likelihood in UNIT else (-LARGEST, LARGEST)


def check_data(
    rows: Matrix,
    columns: Columns,
    missing: bool,
    name: str = "X",
    divisor: float = 255.0,
    start: int = 0,
) -> None:
    """Raise ValueError unless the likelihoods have a density at every value.

    Parameters
    ----------
    rows : Matrix
        (n, features), float32 or uint8.
    columns : tuple of (str, int)
        Likelihoods of the features, with their numbers of columns.
    missing : bool
        Whether NaN stands for a missing value.
    name : str, default="X"
        Name of the rows in error messages.
    divisor : float, default=255.0
        Divisor of uint8 values.
    start : int, default=0
        Number of the first row in error messages.
    """
    likelihood = columns[0][0]
    if rows.dtype == np.uint8 and divisor == 1 and len(columns) == 1 and likelihood in UNIT:
        if (largest := largest_byte(rows)) > 1:
            raise ValueError(
                f"{name} holds bytes up to {largest}, but the model was fitted on values within "
                f"[0, 1] and takes bytes as they are: pass {name} / 255 if they are grey levels"
            )
        return
    by_range = len(columns) == 1 and (likelihood in UNIT or likelihood not in _VALUES)
    if by_range and (not missing or rows.dtype == np.uint8):
        return check_values(rows, likelihood if likelihood in UNIT else None, name, start)
    if isinstance(rows, SparseMatrix):
        return _check_sparse(rows, columns, missing, name)
    for _, likelihood, first, block in _blocks(rows, columns):
        _check_block(block, likelihood, missing, name, (start, first))


def _check_sparse(rows: SparseMatrix, columns: Columns, missing: bool, name: str) -> None:
    """Raise ValueError unless the likelihoods have a density at every value, including absent ones.

    The stored values are read a few at a time. Every likelihood has a density at 0, except that a
    category needs a 1.
    """
    for start, part in rows.chunks():
        in_rows = part.row_numbers()
        for _, likelihood, first, last in _runs(columns):
            inside = (part.indices >= first) & (part.indices < last)
            values = part.values[inside]
            known = ~np.isnan(values) if missing else np.ones(1, dtype=bool)
            for holds, what in (_FINITE, _VALUES.get(likelihood, _FINITE)):
                if (bad := np.flatnonzero(~holds(values) & known)).size:
                    at = np.flatnonzero(inside)[bad[0]]
                    row, column = start + int(in_rows[at]), int(part.indices[at])
                    raise _refusal(name, part.values[at], row, column, likelihood, what)
            if likelihood in WHOLE:
                of = in_rows[inside]
                gaps = np.bincount(of[np.isnan(values)], minlength=len(part))
                _check_variable(
                    np.bincount(of, values, minlength=len(part)),
                    (gaps > 0) & (gaps < last - first),
                    likelihood,
                    missing,
                    name,
                    (start, first, last),
                )


def _runs(columns: Columns) -> Iterator[tuple[int, str, int, int]]:
    """Yield the number, the likelihood, the first column and the end of each run of columns."""
    first = 0
    for i, (likelihood, count) in enumerate(columns):
        yield i, likelihood, first, first + count
        first += count


def _blocks(rows: Dense, columns: Columns) -> Iterator[tuple[int, str, int, Array]]:
    """Yield the number, the likelihood, the first column and the values of each run of columns."""
    for i, likelihood, first, last in _runs(columns):
        yield i, likelihood, first, rows[:, first:last]


def _check_block(
    block: Array, likelihood: str, missing: bool, name: str, corner: tuple[int, int]
) -> None:
    """Raise ValueError unless the likelihood has a density at every value of a block.

    `corner` holds the numbers of the first row and the first column of the block.
    """
    start, first = corner
    known = ~np.isnan(block) if missing and block.dtype != np.uint8 else np.ones(1, dtype=bool)
    for holds, what in (_FINITE, _VALUES.get(likelihood, _FINITE)):
        bad = ~holds(block) & known
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value = block[row, column]
            raise _refusal(name, value, start + row, first + column, likelihood, what)
    if likelihood in WHOLE:
        unknown = np.isnan(block)
        _check_variable(
            block.sum(axis=1, dtype=np.float64),
            np.asarray(unknown.any(axis=1) & ~unknown.all(axis=1)),
            likelihood,
            missing,
            name,
            (start, first, first + block.shape[1]),
        )


def _refusal(
    name: str, value: Any, row: int, column: int, likelihood: str, what: str
) -> ValueError:
    """Return the error for a value without a density."""
    hint = ""
    if np.isnan(value):
        hint = "; missing='mask' accepts NaN as a missing value"
    elif likelihood in UNIT:
        hint = ". Scale the data, or use likelihood='gaussian'"
    return ValueError(
        f"{name} holds {value:g} in row {row}, column {column} (the first such value), but "
        f"likelihood={likelihood!r} needs {what}{hint}"
    )


def _check_variable(
    sums: Array,
    partly: Array,
    likelihood: str,
    missing: bool,
    name: str,
    place: tuple[int, int, int],
) -> None:
    """Raise ValueError unless the columns of a run form one variable in each row.

    `sums` holds the sum of each row, `partly` tells whether only a part of each row is NaN, and
    `place` holds the numbers of the first row, of the first column, and of the column after the
    last one.
    """
    start, first, last = place
    where = f"columns {first} to {last - 1}"
    if partly.any():
        raise ValueError(
            f"{name} holds NaN in only a part of row {start + np.flatnonzero(partly)[0]}, {where}, "
            f"which form one variable of likelihood={likelihood!r}: set all of them or none to NaN"
        )
    wrong = np.flatnonzero(~((sums == 1) | (np.isnan(sums) & missing)))
    if likelihood == "categorical" and len(wrong):
        raise ValueError(
            f"{name} has {sums[wrong[0]]:g} ones in row {start + wrong[0]}, {where}, but "
            "likelihood='categorical' needs exactly one"
        )


def largest_byte(rows: Matrix) -> int:
    """Return the largest number in rows of bytes."""
    values = rows.values if isinstance(rows, SparseMatrix) else rows
    return int(values.max(initial=0))


def expose(mean: Array, columns: Columns, log_exposure: Array) -> None:
    """Multiply the mean rates of counts, (n, features), by the exposure of each row, in place."""
    for _, likelihood, _, m in _blocks(mean, columns):
        if likelihood in RATES:
            m *= np.exp(log_exposure)[:, None]


def draw(
    mean: NDArray[np.float32],
    columns: Columns,
    log_scales: Mapping[int, NDArray[np.float32]],
    df: float,
    rng: np.random.Generator,
    totals: Totals | None = None,
) -> NDArray[np.float32]:
    """Draw x from p(x|z).

    Parameters
    ----------
    mean : ndarray of shape (n, features), float32
        E[x|z].
    columns : tuple of (str, int)
        Likelihoods of the features, with their numbers of columns.
    log_scales : mapping of int to ndarray of shape (count,), float32
        Log scales of each run of columns that has scales, by the number of the run.
    df : float
        Degrees of freedom of student_t.
    rng : Generator
        Source of randomness.
    totals : Totals or None, default=None
        Totals of rows, which the draws of multinomial columns need.

    Returns
    -------
    ndarray of shape (n, features), float32
    """
    out = np.empty_like(mean)
    for i, likelihood, first, m in _blocks(mean, columns):
        scale = np.exp(log_scales[i].astype(np.float64)) if i in log_scales else 1.0
        if likelihood == "multinomial":
            assert totals is not None
            drawn = _multinomial(m.astype(np.float64), rng.choice(totals[i], len(m)), rng)
        else:
            drawn = _DRAWS[likelihood](m.astype(np.float64), scale, df, rng)
        out[:, first : first + m.shape[1]] = drawn
    return out


def totals_of(rows: Matrix, columns: Columns) -> Totals:
    """Return quantiles of the totals of rows for each multinomial run, by the number of the run.

    Rows with missing values are ignored.
    """
    return {i: quantiles_of_totals(sums) for i, sums in row_totals(rows, columns).items()}


def row_totals(rows: Matrix, columns: Columns) -> dict[int, Array]:
    """Return the total of each row for each multinomial run, by the number of the run."""
    runs = _runs(columns)
    return {
        i: _row_sums(rows, first, last) for i, name, first, last in runs if name == "multinomial"
    }


def quantiles_of_totals(sums: Array) -> tuple[int, ...]:
    """Return `TOTALS` quantiles of the totals of rows. NaN is ignored."""
    known = sums[~np.isnan(sums)] if not np.isnan(sums).all() else np.ones(1)
    quantiles = np.quantile(known, np.linspace(0, 1, TOTALS), method="nearest")
    return tuple(int(total) for total in quantiles)


def _row_sums(rows: Matrix, first: int, last: int) -> Array:
    """Return the sum of columns first to last - 1 of each row, (n,), float64."""
    sums: Array
    if not isinstance(rows, SparseMatrix):
        sums = rows[:, first:last].sum(axis=1, dtype=np.float64)
        return sums
    parts = []
    for _, part in rows.chunks():
        inside = (part.indices >= first) & (part.indices < last)
        of = part.row_numbers()[inside]
        parts.append(np.bincount(of, part.values[inside], minlength=len(part)))
    return np.concatenate(parts)


def _multinomial(m: Array, totals: Array, rng: np.random.Generator) -> Array:
    """Draw rows of counts with probabilities m, (n, features), that add up to the totals, (n,)."""
    drawn: Array = rng.multinomial(totals, m / m.sum(axis=1, keepdims=True))
    return drawn


def _categorical(m: Array, _: Any, __: float, rng: np.random.Generator) -> Array:
    """Draw one-hot rows with probabilities m, by the Gumbel-max trick."""
    with np.errstate(divide="ignore"):  # a probability of 0 is never the largest
        chosen = np.argmax(np.log(m) + rng.gumbel(size=m.shape), axis=1)
    one_hot: Array = np.eye(m.shape[1])[chosen]
    return one_hot


def _continuous_bernoulli(m: Array, _: Any, __: float, rng: np.random.Generator) -> Array:
    """Draw values with mean m, by the inverse distribution function log1p(u expm1(l)) / l.

    Bisection finds the natural parameter l from the mean (Loaiza-Ganem & Cunningham 2019).
    """
    far = np.maximum(m, 1 - m)  # by symmetry, because -l gives 1 - x if l gives x
    low, high = np.zeros(m.shape), np.full(m.shape, 1e8)
    for _ in range(80):  # the mean 1 / (1 - exp(-l)) - 1 / l increases with l
        size = (low + high) / 2
        safe = np.maximum(size, 1e-3)
        at = np.where(size < 1e-3, 0.5 + size / 12, 1 / -np.expm1(-safe) - 1 / safe)
        low, high = np.where(at < far, size, low), np.where(at < far, high, size)
    size = np.maximum(low, 1e-6)
    u = rng.random(m.shape)
    x = 1 + np.log(u + (1 - u) * np.exp(-size)) / size
    drawn: Array = np.where(m < 0.5, 1 - x, x)
    return drawn


_DRAWS: dict[str, Callable[[Array, Any, float, np.random.Generator], Array]] = {
    "bernoulli": lambda m, _, __, rng: rng.random(m.shape) < m,
    "continuous_bernoulli": _continuous_bernoulli,
    "gaussian": lambda m, s, _, rng: rng.normal(m, s),
    "laplace": lambda m, s, _, rng: rng.laplace(m, s),
    "student_t": lambda m, s, df, rng: m + s * rng.standard_t(df, m.shape),
    "poisson": lambda m, _, __, rng: rng.poisson(np.minimum(m, LARGEST_RATE)),
    "negative_binomial": lambda m, s, _, rng: rng.poisson(
        np.minimum(rng.gamma(s, m / s), LARGEST_RATE)
    ),
    "categorical": _categorical,
}
