"""Missing values: a share of the values is removed, each method fills them in, and we compare.

The methods are fitted on the table that they fill, and never see what was removed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import data
from .data import Floats
from .suite import OURS, Figure, Method, Suite, timed

Bools = NDArray[np.bool_]
Filler = Callable[[Any, int], Any]  # a frame with missing values, seed -> the same without

SKLEARN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
ADBENCH = (
    "19_landsat", "20_letter", "22_magic.gamma", "27_PageBlocks", "35_SpamBase", "47_yeast",
)  # fmt: skip
TABLES = (*SKLEARN, *ADBENCH, "adult")
MECHANISMS = {
    "completely at random": "random",
    "given a column": "given",
}
SHARES = (10, 30, 50)
ROWS = 10_000


def vaefast(frame: Any, seed: int) -> Any:
    from vaefast import VAEImputer

    return VAEImputer(random_state=seed).fit_transform(frame)


def _encoded(fill: Callable[[Floats, int], Any]) -> Filler:
    """Return a filler of frames by one of matrices.

    Numbers are standardized. A category becomes one column per value, of 0 and 1, without the
    first: a regression on all other columns would only repeat that their sum is 1. The largest is
    read back.
    """

    def run(frame: Any, seed: int) -> Any:
        import pandas as pd

        blocks: list[Floats] = []
        starts: list[tuple[str, int, int]] = []
        for name, column in frame.items():
            if _is_number(column):
                block = ((column - column.mean()) / (column.std() or 1)).to_numpy(float)[:, None]
            else:
                unknown = column.isna().to_numpy()[:, None]
                block = np.where(
                    unknown, np.nan, pd.get_dummies(column, drop_first=True).to_numpy(float)
                )
            starts.append((name, sum(each.shape[1] for each in blocks), block.shape[1]))
            blocks.append(block)
        filled, answer = fill(np.hstack(blocks), seed), frame.copy()
        for name, start, width in starts:
            column, block = frame[name], filled[:, start : start + width]
            if _is_number(column):
                answer[name] = block[:, 0] * (column.std() or 1) + column.mean()
            else:
                each = np.column_stack([1 - block.sum(axis=1), block])
                answer[name] = np.sort(column.dropna().unique())[each.argmax(axis=1)]
        return answer

    return run


def mean(frame: Any, seed: int) -> Any:
    """Fill in the mean of a number and the most frequent category."""
    return frame.fillna(
        {
            name: column.mean() if _is_number(column) else column.mode()[0]
            for name, column in frame.items()
        }
    )


def knn(rows: Floats, seed: int) -> Any:
    from sklearn.impute import KNNImputer

    return KNNImputer().fit_transform(rows)


def iterative(rows: Floats, seed: int) -> Any:
    """Regress each column on the others by BayesianRidge, the default of IterativeImputer."""
    return _iterative(rows, random_state=seed)


def trees(rows: Floats, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(
        20, max_features="sqrt", min_samples_leaf=3, random_state=seed, n_jobs=1
    )
    return _iterative(rows, estimator=forest, random_state=seed, max_iter=5)


def _iterative(rows: Floats, **parameters: Any) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return IterativeImputer(**parameters).fit_transform(rows)


@lru_cache(maxsize=1)
def table(name: str) -> Any:
    """Return a table as a pandas frame without columns that never change, 10,000 rows at most."""
    import pandas as pd
    from sklearn import datasets

    if name == "adult":
        frame = data.adult()
    elif name in SKLEARN:
        frame = getattr(datasets, f"load_{name}")(as_frame=True).data
    else:
        frame = pd.DataFrame(data.adbench(name)[0]).add_prefix("x")
    frame = frame.iloc[data.at_most(len(frame), ROWS, seed=0)].reset_index(drop=True)
    return frame.loc[:, frame.nunique() > 1]


def removed(frame: Any, mechanism: str, share: float, seed: int) -> Bools:
    """Return which values to remove.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n, d)
        The table.
    mechanism : str
        "random" removes every value with the same probability. "given" keeps one number column,
        drawn by the seed, and removes the other values of a row with a probability that grows
        linearly with the rank of the row in that column, from 0 to twice the share.
    share : float
        Expected share of the values that are removed, at most 0.5. With "given", it is the share
        of the columns from which values are removed.
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray of bool, shape (n, d)
        At least one value of each row is kept.
    """
    rng = np.random.default_rng(seed)
    n, d = frame.shape
    probability = np.full((n, d), share)
    if mechanism == "given":
        numbers = [j for j, name in enumerate(frame) if _is_number(frame[name])]
        column = rng.choice(numbers)
        rank = frame.iloc[:, column].rank(method="first").to_numpy()
        probability = np.repeat((2 * share * (rank - 0.5) / n)[:, None], d, axis=1)
        probability[:, column] = 0
    gone = rng.random((n, d)) < probability
    empty = gone.all(axis=1)
    gone[empty, rng.integers(d, size=empty.sum())] = False
    known: Bools = frame.notna().to_numpy()
    return gone & known


def measure(cell: str, seed: int, method: Method) -> dict[str, float | None]:
    name, share, mechanism = cell.split(", ")
    whole = table(name)
    gone = removed(whole, MECHANISMS[mechanism], int(share[:-2]) / 100, seed)
    _warm_up(method)
    numbers = [_is_number(column) for _, column in whole.items()]
    pierced = whole.astype({name: float for name, is_number in zip(whole, numbers, strict=True)
                            if is_number}).mask(gone)  # fmt: skip
    with timed() as figures:
        filled = method.run(pierced, seed)
    return {**figures, **_compared(whole, _framed(filled, whole), gone)}


def _compared(whole: Any, filled: Any, gone: Bools) -> dict[str, float | None]:
    """Return NRMSE and accuracy of the values that were removed."""
    errors, right = [], []
    for j, (name, column) in enumerate(whole.items()):
        truth, guess = column[gone[:, j]], filled[name][gone[:, j]]
        if _is_number(column):
            errors.append((guess.to_numpy(float) - truth.to_numpy(float)) / column.std(ddof=0))
        else:
            right.append(guess.astype(str).to_numpy() == truth.astype(str).to_numpy())
    nrmse = float(np.sqrt(np.mean(np.square(np.concatenate(errors)))))
    if np.isnan(nrmse):
        raise ValueError("values are still missing")
    return {
        "NRMSE": nrmse,
        "accuracy": 100 * float(np.mean(np.concatenate(right))) if right else None,
    }


def _framed(filled: Any, whole: Any) -> Any:
    import pandas as pd

    if isinstance(filled, pd.DataFrame):
        return filled
    return pd.DataFrame(filled, columns=whole.columns, index=whole.index)


@lru_cache
def _warm_up(method: Method) -> None:
    """Let a method import what it needs, so that its first cell is not charged for that."""
    import pandas as pd

    rows = np.random.default_rng(0).standard_normal((50, 4))
    rows[:10, 0] = np.nan
    method.run(pd.DataFrame(rows).add_prefix("x"), 0)


def _is_number(column: Any) -> bool:
    from pandas.api.types import is_numeric_dtype

    return bool(is_numeric_dtype(column))


SUITE = Suite(
    groups={
        f"Missing {mechanism}, {share} %": tuple(
            f"{name}, {share} %, {mechanism}" for name in TABLES
        )
        for mechanism in MECHANISMS
        for share in SHARES
    },
    methods=(
        Method(OURS, vaefast),
        Method("mean", mean),
        Method("KNNImputer", _encoded(knn)),
        Method("IterativeImputer", _encoded(iterative)),
        Method("IterativeImputer, trees", _encoded(trees), seeds=3),
    ),
    figures=(
        Figure("NRMSE", 3, higher=False),
        Figure("accuracy", 1, higher=True),
        Figure("CPU seconds", 2, higher=False),
    ),
    measure=measure,
    notes="NRMSE: root mean squared error of the numbers that were removed, in standard deviations "
    "of their columns. accuracy: percentage of the categories that were removed and filled in "
    "right; only Adult has categories. Tables of more rows: 10,000, drawn once. CPU seconds of "
    "fitting and filling.",
)
