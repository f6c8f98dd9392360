"""How well single latent units stand for the known factors of the data: MIG, SAP and DCI.

All three take codes, such as `vae.transform(X)`, and the factors that made the rows. A factor of
whole numbers, booleans or strings is one of classes, any other is continuous: pass whole numbers
that measure something as floats. Scores are near 1 where each factor has a unit of its own, and
near 0 where units mix the factors or say nothing of them. They are estimates from samples: some
thousands of rows are good, and fewer than 100 are refused.

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
Known = NDArray[Any]  # a factor: int64 numbers its classes, float64 measures
Factors = Mapping[str, ArrayLike] | ArrayLike

MIN_ROWS = 100
PENALTIES = np.logspace(0, -3, 16)  # of the lasso, shares of the smallest one without any weight
SWEEPS = 1000  # of coordinate descent, at most


class DCI(NamedTuple):
    """Scores of Eastwood & Williams (2018), each from 0 to 1.

    Attributes
    ----------
    disentanglement : float
        1 if each unit that matters is important for one factor only.
    completeness : float
        1 if for each factor only one unit is important.
    informativeness : float
        Share of the factors' variance that the codes explain by a linear map, on rows held out.
    importance : ndarray of shape (latent_dim, n_factors)
        Of each unit for each factor: absolute weights of the lasso.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Floats


def mig(codes: ArrayLike, factors: Factors, bins: int = 20) -> float:
    """Return the mutual information gap (Chen et al. 2018).

    For each factor: the mutual information with the unit that has most of it, less that with the
    second, as a share of the factor's entropy; then the mean over factors. Information is counted
    in bins of equally many rows: it does not change under monotone maps, and nor do such bins.

    Parameters
    ----------
    codes : array-like of shape (n, latent_dim)
        Codes of n rows, such as `VAE.transform` returns.
    factors : mapping of name to array of shape (n,), or array of shape (n,) or (n, n_factors)
        What made each row, such as `factors` of `datasets.strokes`.
    bins : int
        Bins of a code and of a continuous factor.

    Raises
    ------
    ValueError, TypeError
        Codes or factors are not finite numbers of at least 100 rows, or a factor is constant.
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
                f"factor {number}, counted from 0, has one value in nearly all rows, so that they "
                f"fall into one of {bins} bins: pass more bins, or whole numbers as classes"
            )
        shared = [_information(unit, classes) for unit in binned]
        gaps.append(_gap(shared) / entropy)
    return float(np.mean(gaps))


def sap(codes: ArrayLike, factors: Factors) -> float:
    """Return the separated attribute predictability (Kumar et al. 2018).

    For each factor: how well the best single unit predicts it, less how well the second does; then
    the mean over factors. A continuous factor is predicted by a line, and the score is the share
    of its variance that is explained. A class is predicted by thresholds, and the score is the
    balanced accuracy on rows held out. A unit that knows nothing has one of 1 / classes, so for a
    factor of classes the difference is at most 1 - 1 / classes.

    Parameters and errors are those of `mig`.
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

    A lasso predicts each factor from all codes, everything standardised; a factor of classes is
    one column of zeros and ones for each class, of which the mean counts. With R the absolute
    weights, disentanglement is the mean over units, weighted by their part of R, of 1 - H of the
    unit's shares of R in the factors; completeness is the mean over factors of 1 - H of the shares
    of the units; H is the entropy, as a share of that of equal shares (section 2). Half of the
    rows train the lasso, a quarter chooses the largest penalty within one standard error of the
    best, a quarter judges.

    The informativeness is 1 less the squared error over the variance where the paper has the error
    itself, so that more is better for all three. The lasso is linear: what a unit says of a factor
    in a way that bends back, it does not see.

    Parameters and errors are those of `mig`; there must be two factors or more.
    """
    units, known = _check(codes, factors)
    if len(known) < 2:
        raise ValueError("factors holds one factor, expected two or more to tell apart")
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
    """Codes (n, latent_dim) and the factors, (n,) each."""
    units = np.asarray(codes)
    if units.ndim != 2 or 0 in units.shape or units.dtype.kind not in "buif":
        raise ValueError(
            f"codes must be numbers of shape (n, latent_dim), got {units.dtype} {units.shape}"
        )
    if len(units) < MIN_ROWS:
        raise ValueError(f"codes has {len(units)} rows, expected at least {MIN_ROWS}")
    if not np.isfinite(units).all():
        raise ValueError("codes must be finite, but holds NaN or infinity")
    if not isinstance(factors, Mapping):
        table = np.asarray(factors)
        if table.ndim not in (1, 2):
            raise ValueError(f"factors must have the shape (n, n_factors), got {table.shape}")
        factors = {str(j): column for j, column in enumerate(table.reshape(len(table), -1).T)}
    if not factors:
        raise ValueError("factors holds none")
    known = [_check_factor(np.asarray(f), name, len(units)) for name, f in factors.items()]
    return units.astype(np.float64), known


def _check_factor(factor: NDArray[np.generic], name: str, n: int) -> Known:
    if factor.shape != (n,):
        raise ValueError(f"factor {name!r} has the shape {factor.shape}, expected {(n,)}")
    if factor.dtype.kind not in "biufU":
        raise TypeError(f"factor {name!r} holds {factor.dtype}, expected numbers or strings")
    if factor.dtype.kind == "f" and not np.isfinite(factor).all():
        raise ValueError(f"factor {name!r} must be finite, but holds NaN or infinity")
    values, classes = np.unique(factor, return_inverse=True)
    if len(values) == 1:
        raise ValueError(f"factor {name!r} is {values[0]} in all rows: leave it out")
    return factor.astype(np.float64) if factor.dtype.kind == "f" else classes.astype(np.int64)


def _gap(scores: list[float], floor: float = 0.0) -> float:
    """The best score less the second best, or less that of a unit that knows nothing."""
    *_, second, best = sorted([floor, *scores])
    return best - second


def _binned(x: Floats, bins: int) -> Integers:
    """Numbers of bins of about as many rows each; equal values share one."""
    edges = np.unique(np.quantile(x, np.arange(1, bins) / bins))
    return np.searchsorted(edges, x, side="right").astype(np.int64)


def _information(a: Integers, b: Integers) -> float:
    """Mutual information of two numberings of the same rows, nats; of one with itself: entropy."""
    width = int(b.max()) + 1
    joint = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width)
    p = joint / joint.sum()
    independent = p.sum(1, keepdims=True) * p.sum(0)
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / independent[seen])).sum())


def _explained(unit: Floats, factor: Floats) -> float:
    """Share of the factor's variance that a line over one unit explains: R squared."""
    a, b = unit - unit.mean(), factor - factor.mean()
    variances = (a @ a) * (b @ b)
    return float((a @ b) ** 2 / variances) if variances > 0 else 0.0


def _accuracy(unit: Floats, classes: Integers, bins: int = 20) -> float:
    """Balanced accuracy of the best class of each bin, learned on half of the rows."""
    binned = _binned(unit, bins)
    learn, judge = np.array_split(_shuffled(len(unit)), 2)
    counts = np.zeros((binned.max() + 1, classes.max() + 1))
    np.add.at(counts, (binned[learn], classes[learn]), 1)
    best = (counts / np.maximum(counts.sum(0), 1)).argmax(1)  # each class weighs the same
    hits = best[binned[judge]] == classes[judge]
    tried = np.bincount(classes[judge], minlength=counts.shape[1])
    right = np.bincount(classes[judge], weights=hits, minlength=counts.shape[1])
    return float((right[tried > 0] / tried[tried > 0]).mean())


def _columns(factor: Known) -> Floats:
    """A factor as what a linear map can predict, (n, 1), or (n, classes) of zeros and ones."""
    if factor.dtype != np.int64:
        return factor[:, None].astype(np.float64)
    return np.asarray(factor[:, None] == np.arange(factor.max() + 1), dtype=np.float64)


def _lasso(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Weights (k, t) that predict y (n, t) from x (n, k), and the share explained (t,).

    Coordinate descent (Friedman et al. 2010, section 2) for all columns and penalties at a time.
    """
    learn, choose, judge = np.split(_shuffled(len(x)), [len(x) // 2, len(x) * 3 // 4])
    x, y = _standardised(x, learn), _standardised(y, learn)
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
    chosen = (mean <= allowed[:, None]).argmax(1)  # the first one: penalties fall
    weights = weights[:, targets, chosen]
    variance = y[judge].var(0)
    missed = ((y[judge] - x[judge] @ weights) ** 2).mean(0)
    explained = 1 - missed / np.where(variance > 0, variance, np.inf)
    return weights, np.clip(explained, 0, 1)


def _standardised(a: Floats, rows: Integers) -> Floats:
    """Columns of mean 0 and variance 1 over these rows; a constant column becomes 0."""
    std = a[rows].std(0)
    return np.asarray((a - a[rows].mean(0)) / np.where(std > 1e-9, std, np.inf))


def _concentration(importance: Floats) -> Floats:
    """For each row of weights (r, m): 1 - entropy / log(m); 0 where there is no weight."""
    total = importance.sum(1, keepdims=True)
    share = importance / np.where(total > 0, total, 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
    return np.where(total[:, 0] > 0, 1 - entropy / max(np.log(importance.shape[1]), 1e-300), 0)


def _shuffled(n: int) -> Integers:
    """The numbers of n rows in an order that is always the same."""
    return np.random.default_rng(0).permutation(n)
