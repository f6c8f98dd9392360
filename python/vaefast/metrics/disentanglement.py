"""Disentanglement: how well single latent units represent known factors of the data.

The scores MIG, SAP and DCI take codes, such as `vae.transform(X)`, and the factors from which the
rows were made. A factor of integers, booleans or strings consists of classes; a factor of floats is
continuous. Pass integers that measure something as floats. A score is near 1 if each factor has a
unit of its own, and near 0 if units mix factors or carry no information about them. Scores are
estimates from samples, for which a few thousand rows suffice. Fewer than 100 rows raise an error.

>>> from vaefast import VAE, datasets, metrics
>>> digits = datasets.strokes()
>>> vae = VAE(latent_dim=10, beta=4).fit(digits.X)
>>> metrics.mig(vae.transform(digits.X), digits.factors)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.validation import check_integer

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Known = NDArray[Any]  # a factor: class numbers as int64, or values as float64
Factors = Mapping[str, ArrayLike] | ArrayLike

MIN_ROWS = 100
PENALTIES = np.logspace(0, -3, 16)  # relative to the smallest penalty that zeroes all weights
SWEEPS = 1000  # most sweeps of coordinate descent


class DCI(NamedTuple):
    """Scores of Eastwood & Williams (2018), each from 0 to 1.

    Attributes
    ----------
    disentanglement : float
        1 if each unit that matters is important for a single factor.
    completeness : float
        1 if a single unit is important for each factor.
    informativeness : float
        Share of the variance of the factors that a linear map of the codes explains on held-out
        rows.
    importance : ndarray of shape (latent_dim, n_factors), float64
        Importance of each unit for each factor: the absolute weights of the lasso.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Floats


def mig(codes: ArrayLike, factors: Factors, bins: int = 20) -> float:
    """Return the mutual information gap (Chen et al. 2018).

    Each unit has a mutual information with a factor. The gap of the factor is the largest of these
    minus the second largest, divided by the entropy of the factor. The score is the mean over
    factors. Codes and continuous factors are discretized into bins of equally many rows, so the
    score does not change under monotone maps.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        Codes of at least 100 rows, such as those that `VAE.transform` returns.
    factors : mapping of str to array of shape (n,), or array of shape (n,) or (n, n_factors)
        Factors from which each row was made, such as the `factors` of `datasets.strokes`.
    bins : int, default=20
        Number of bins of each code and of each continuous factor.

    Returns
    -------
    float
        Score from 0 to 1.

    Raises
    ------
    ValueError, TypeError
        There are fewer than 100 rows, codes or factors are not finite, they differ in their number
        of rows, or a factor is constant.
    """
    units, known = _check(codes, factors)
    bins = check_integer(bins, "bins", low=2)
    binned = [_binned(unit, bins) for unit in units.T]
    gaps = []
    for number, factor in enumerate(known):
        classes = factor if factor.dtype == np.int64 else _binned(factor, bins)
        entropy = _information(classes, classes)
        if entropy == 0:
            raise ValueError(
                f"factor {number}, counted from 0, has one value in nearly all rows, so all rows "
                f"fall into the same one of {bins} bins: pass more bins, or integers as classes"
            )
        shared = [_information(unit, classes) for unit in binned]
        gaps.append(_gap(shared) / entropy)
    return float(np.mean(gaps))


def sap(codes: ArrayLike, factors: Factors) -> float:
    """Return the separated attribute predictability (Kumar et al. 2018).

    The gap of a factor is how well the best single unit predicts the factor, minus how well the
    second-best unit does. The score is the mean over factors. A straight line predicts a continuous
    factor, and the share of explained variance measures the prediction. Thresholds predict a class,
    and the balanced accuracy on held-out rows measures the prediction. A unit without information
    reaches an accuracy of 1 / classes, so the gap of a factor of classes is at most
    1 - 1 / classes.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        Codes of at least 100 rows, such as those that `VAE.transform` returns.
    factors : mapping of str to array of shape (n,), or array of shape (n,) or (n, n_factors)
        Factors from which each row was made, such as the `factors` of `datasets.strokes`.

    Returns
    -------
    float
        Score from 0 to 1.

    Raises
    ------
    ValueError, TypeError
        There are fewer than 100 rows, codes or factors are not finite, they differ in their number
        of rows, or a factor is constant.
    """
    units, known = _check(codes, factors)
    scores = []
    for factor in known:
        if factor.dtype == np.int64:
            floor = 1 / (int(factor.max()) + 1)
            scores.append(_gap([_accuracy(unit, factor) for unit in units.T], floor))
        else:
            scores.append(_gap([_explained(unit, factor) for unit in units.T]))
    return float(np.mean(scores))


def dci(codes: ArrayLike, factors: Factors) -> DCI:
    """Return disentanglement, completeness and informativeness (Eastwood & Williams 2018).

    A lasso predicts each factor from all codes, where codes and factors are standardized. A factor
    of classes becomes a column of zeros and ones for each class, and results are averaged over
    these columns. Half of the rows train the lasso, a quarter selects the largest penalty within
    one standard error of the best, and a quarter tests it.

    The matrix R of absolute weights gives the first two scores (section 2 of the paper). Each row
    of R, divided by the row sum, is a distribution over factors; each column, divided by the column
    sum, is a distribution over units. H is the entropy of a distribution, divided by that of the
    uniform distribution. Disentanglement is the mean of 1 - H over the rows, weighted by the row
    sums. Completeness is the mean of 1 - H over the columns.

    Informativeness is 1 minus the squared error divided by the variance. The paper reports the
    error itself; here a larger score is better, as for the other two. The lasso is linear, so it
    misses a factor that first rises and then falls as a unit grows.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        Codes of at least 100 rows, such as those that `VAE.transform` returns.
    factors : mapping of str to array of shape (n,), or array of shape (n, n_factors)
        At least two factors from which each row was made, such as the `factors` of
        `datasets.strokes`.

    Returns
    -------
    DCI
        The three scores, and the importance of each unit for each factor.

    Raises
    ------
    ValueError, TypeError
        There are fewer than 100 rows or two factors, codes or factors are not finite, they differ
        in their number of rows, or a factor is constant.
    """
    units, known = _check(codes, factors)
    if len(known) < 2:
        raise ValueError("factors holds one factor, expected two or more")
    columns = [_columns(factor) for factor in known]
    weights, explained = _lasso(units, np.concatenate(columns, axis=1))
    owner = np.repeat(np.arange(len(known)), [column.shape[1] for column in columns])
    importance = np.stack([np.abs(weights[:, owner == j]).mean(1) for j in range(len(known))], 1)
    informative = [explained[owner == j].mean() for j in range(len(known))]
    total = importance.sum()
    parts = importance.sum(1) / total if total > 0 else np.zeros(len(importance))
    return DCI(
        disentanglement=float(parts @ _concentration(importance)),
        completeness=float(_concentration(importance.T).mean()),
        informativeness=float(np.mean(informative)),
        importance=importance,
    )


def _check(codes: ArrayLike, factors: Factors) -> tuple[Floats, list[Known]]:
    """Return the codes, (n, latent_dim), and the factors, (n,) each.

    Raises
    ------
    ValueError, TypeError
        The codes or the factors cannot be scored.
    """
    units = np.asarray(codes)
    if units.ndim != 2 or 0 in units.shape or units.dtype.kind not in "buif":
        raise ValueError(
            f"codes must be numbers of shape (n, latent_dim), got {units.dtype} {units.shape}"
        )
    if len(units) < MIN_ROWS:
        raise ValueError(f"codes has {len(units)} rows, expected at least {MIN_ROWS}")
    if not np.isfinite(units).all():
        raise ValueError("codes must be finite, but contain NaN or infinity")
    if not isinstance(factors, Mapping):
        table = np.asarray(factors)
        if table.ndim not in (1, 2):
            raise ValueError(f"factors must have shape (n, n_factors), got {table.shape}")
        factors = {str(j): column for j, column in enumerate(table.reshape(len(table), -1).T)}
    if not factors:
        raise ValueError("factors is empty, expected at least one factor")
    known = [_check_factor(np.asarray(f), name, len(units)) for name, f in factors.items()]
    return units.astype(np.float64), known


def _check_factor(factor: NDArray[np.generic], name: str, n: int) -> Known:
    """Return a factor as float64, or as int64 numbers of classes.

    Raises
    ------
    ValueError, TypeError
        The factor is not n finite numbers or strings, or is constant.
    """
    if factor.shape != (n,):
        raise ValueError(f"factor {name!r} has shape {factor.shape}, expected {(n,)}")
    if factor.dtype.kind not in "biufU":
        raise TypeError(f"factor {name!r} holds {factor.dtype}, expected numbers or strings")
    if factor.dtype.kind == "f" and not np.isfinite(factor).all():
        raise ValueError(f"factor {name!r} must be finite, but contains NaN or infinity")
    values, classes = np.unique(factor, return_inverse=True)
    if len(values) == 1:
        raise ValueError(f"factor {name!r} is {values[0]} in all rows: leave it out")
    return factor.astype(np.float64) if factor.dtype.kind == "f" else classes.astype(np.int64)


def _gap(scores: list[float], floor: float = 0.0) -> float:
    """Return the best score minus the second best, or minus `floor` if that is larger."""
    *_, second, best = sorted([floor, *scores])
    return best - second


def _binned(x: Floats, bins: int) -> Integers:
    """Return the number of the bin of each value. Bins have about equally many rows."""
    edges = np.unique(np.quantile(x, np.arange(1, bins) / bins))
    return np.searchsorted(edges, x, side="right").astype(np.int64)


def _information(a: Integers, b: Integers) -> float:
    """Return the mutual information of two labellings of the rows, nats; the entropy if a is b."""
    width = int(b.max()) + 1
    joint = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width)
    p = joint / joint.sum()
    independent = p.sum(1, keepdims=True) * p.sum(0)
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / independent[seen])).sum())


def _explained(unit: Floats, factor: Floats) -> float:
    """Return the share of the variance of a factor that a line over one unit explains."""
    a, b = unit - unit.mean(), factor - factor.mean()
    variances = (a @ a) * (b @ b)
    return float((a @ b) ** 2 / variances) if variances > 0 else 0.0


def _accuracy(unit: Floats, classes: Integers, bins: int = 20) -> float:
    """Return the balanced accuracy of the best class of each bin, learned on half of the rows."""
    binned = _binned(unit, bins)
    learn, judge = np.array_split(_shuffled(len(unit)), 2)
    counts = np.zeros((binned.max() + 1, classes.max() + 1))
    np.add.at(counts, (binned[learn], classes[learn]), 1)
    best = (counts / np.maximum(counts.sum(0), 1)).argmax(1)  # each class has the same weight
    hits = best[binned[judge]] == classes[judge]
    tried = np.bincount(classes[judge], minlength=counts.shape[1])
    right = np.bincount(classes[judge], weights=hits, minlength=counts.shape[1])
    return float((right[tried > 0] / tried[tried > 0]).mean())


def _columns(factor: Known) -> Floats:
    """Return a factor as columns to predict: (n, 1), or (n, classes) of zeros and ones."""
    if factor.dtype != np.int64:
        return factor[:, None].astype(np.float64)
    return np.asarray(factor[:, None] == np.arange(factor.max() + 1), dtype=np.float64)


def _lasso(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return weights (k, t) that predict y (n, t) from x (n, k), and explained shares (t,).

    Coordinate descent (Friedman et al. 2010, section 2) runs for all columns of y and all penalties
    at once.
    """
    learn, choose, judge = np.split(_shuffled(len(x)), [len(x) // 2, len(x) * 3 // 4])
    x, y = _standardized(x, learn), _standardized(y, learn)
    gram = x[learn].T @ x[learn] / len(learn)  # (k, k)
    moments = x[learn].T @ y[learn] / len(learn)  # (k, t)
    penalties = np.abs(moments).max(0)[:, None] * PENALTIES  # (t, p)
    weights = np.zeros((*moments.shape, len(PENALTIES)))  # (k, t, p)
    for _ in range(SWEEPS):
        change = 0.0
        for k in np.flatnonzero(np.diag(gram) > 0):
            left = moments[k, :, None] - np.tensordot(gram[k], weights, 1) + gram[k, k] * weights[k]
            new = np.sign(left) * np.maximum(np.abs(left) - penalties, 0) / gram[k, k]
            change = max(change, float(np.abs(new - weights[k]).max()))
            weights[k] = new
        if change < 1e-5:
            break
    errors = (y[choose, :, None] - np.tensordot(x[choose], weights, 1)) ** 2  # (rows, t, p)
    mean = errors.mean(0)
    best = mean.argmin(1)
    targets = np.arange(y.shape[1])
    allowed = mean[targets, best] + errors.std(0)[targets, best] / np.sqrt(len(choose))
    chosen = (mean <= allowed[:, None]).argmax(1)  # the first, largest penalty
    weights = weights[:, targets, chosen]
    variance = y[judge].var(0)
    missed = ((y[judge] - x[judge] @ weights) ** 2).mean(0)
    explained = 1 - missed / np.where(variance > 0, variance, np.inf)
    return weights, np.clip(explained, 0, 1)


def _standardized(a: Floats, rows: Integers) -> Floats:
    """Return columns with mean 0 and variance 1 over these rows. A constant column becomes 0."""
    std = a[rows].std(0)
    return np.asarray((a - a[rows].mean(0)) / np.where(std > 1e-9, std, np.inf))


def _concentration(importance: Floats) -> Floats:
    """Return 1 - entropy / log(m) for each row of weights, (r, m); 0 if all weights are 0."""
    total = importance.sum(1, keepdims=True)
    share = importance / np.where(total > 0, total, 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
    return np.where(total[:, 0] > 0, 1 - entropy / max(np.log(importance.shape[1]), 1e-300), 0)


def _shuffled(n: int) -> Integers:
    """Return the numbers of n rows in a random order that is the same for every call."""
    return np.random.default_rng(0).permutation(n)
