"""Synthetic rows of mixed tables: numbers, categories, dates and missing values."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from . import data
from .mixed import table
from .suite import OURS, Figure, Method, Suite, timed

NAMES = ("adult", "breast_cancer", "rides")
ROWS = 10_000
REFERENCE = "training rows"


def vaefast(train: Any, seed: int) -> Any:
    from vaefast import Synthesizer

    return (
        Synthesizer(random_state=seed, verbose=False)
        .fit(train)
        .sample(len(train), random_state=seed)
    )


def training_rows(train: Any, seed: int) -> Any:
    """Return the training rows themselves: what a perfect copy would score."""
    return train


def gaussian_copula(train: Any, seed: int) -> Any:
    """Draw normal scores with the correlations of the columns, and read the columns back.

    A category becomes a number: its values, by frequency, share the interval from 0 to 1.
    """
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    plain = Plain(train)
    flat = plain.encode(train)
    uniform = np.empty(flat.shape)
    edges: dict[str, Any] = {}
    for j, name in enumerate(flat):
        column = flat[name]
        if name in plain.categories:
            shares = column.value_counts(normalize=True)
            edges[name] = shares.index.to_numpy(), np.concatenate([[0], shares.cumsum()])
            place = column.map({value: i for i, value in enumerate(shares.index)}).to_numpy()
            low, high = edges[name][1][place], edges[name][1][place + 1]
            uniform[:, j] = low + (high - low) * rng.random(len(flat))
        else:
            uniform[:, j] = (column.rank(method="average") - 0.5) / len(flat)
    scores = norm.ppf(np.clip(uniform, 1e-6, 1 - 1e-6))
    drawn = rng.multivariate_normal(
        np.zeros(flat.shape[1]), np.corrcoef(scores, rowvar=False), len(flat), method="eigh"
    )
    answer = flat.copy()
    for j, name in enumerate(flat):
        place = norm.cdf(drawn[:, j])
        if name in edges:
            values, limits = edges[name]
            found = np.searchsorted(limits, place, side="right") - 1
            answer[name] = values[np.clip(found, 0, len(values) - 1)]
        else:
            answer[name] = np.quantile(flat[name], place)
    return plain.decode(answer)


def tvae(train: Any, seed: int) -> Any:
    from ctgan import TVAE

    return _of_ctgan(TVAE(enable_gpu=False), train, seed)


def ctgan(train: Any, seed: int) -> Any:
    from ctgan import CTGAN

    return _of_ctgan(CTGAN(enable_gpu=False), train, seed)


def _of_ctgan(model: Any, train: Any, seed: int) -> Any:
    plain = Plain(train)
    model.set_random_state(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(plain.encode(train), discrete_columns=plain.categories)
        return plain.decode(model.sample(len(train)))


class Plain:
    """Frames of numbers and categories without missing values, which the peers need.

    Dates become days. A missing number becomes the mean, and a category tells that it is missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows that determine the columns.
    """

    def __init__(self, frame: Any) -> None:
        from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

        self.frame = frame.iloc[:0]
        self.dates = [name for name in frame if is_datetime64_any_dtype(frame[name])]
        self.numbers = self.dates + [
            name
            for name in frame
            if is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name])
        ]
        self.flags = {name: f"{name} is missing" for name in self.numbers if frame[name].hasnans}
        self.means = self.in_days(frame)[self.numbers].mean()
        others = [name for name in frame if name not in self.numbers]
        self.categories = [*others, *self.flags.values()]

    def encode(self, frame: Any) -> Any:
        answer = self.in_days(frame)
        for name, flag in self.flags.items():
            answer[flag] = np.where(frame[name].isna(), "yes", "no")
        answer[self.numbers] = answer[self.numbers].fillna(self.means)
        for name in self.categories:
            answer[name] = answer[name].astype(object).fillna("missing").astype(str)
        return answer

    def decode(self, flat: Any) -> Any:
        import pandas as pd

        answer = flat[list(self.frame)].copy()
        for name in self.numbers:
            if name in self.dates:
                answer[name] = pd.to_datetime(flat[name], unit="D").astype(self.frame[name].dtype)
            elif self.frame[name].dtype.kind in "iu":
                answer[name] = flat[name].round().astype(self.frame[name].dtype)
            if name in self.flags:
                answer[name] = answer[name].mask(flat[self.flags[name]] == "yes")
        for name in set(self.categories) - set(self.flags.values()):
            kind = self.frame[name].dtype
            known = answer[name].mask(answer[name] == "missing")
            answer[name] = known == "True" if kind.kind == "b" else known.astype(kind)
        return answer

    def in_days(self, frame: Any) -> Any:
        import pandas as pd

        answer = frame.copy()
        for name in self.dates:
            answer[name] = (frame[name] - pd.Timestamp(0)) / pd.Timedelta(days=1)
        return answer


@lru_cache(maxsize=1)
def _split(name: str, seed: int) -> tuple[Any, Any]:
    mixed = table(name)
    train, test = data.split(mixed.frame[mixed.target], seed)
    train = train[data.at_most(len(train), ROWS, seed)]
    first, second = (mixed.frame.iloc[rows].reset_index(drop=True) for rows in (train, test))
    return first, second


def measure(cell: str, seed: int, method: Method) -> dict[str, float | None]:
    mixed = table(cell)
    train, test = _split(cell, seed)
    _warm_up(method)
    with timed() as figures:
        synthetic = method.run(train, seed)
    return {
        **figures,
        "quality": 100 * quality(train, synthetic),
        "TSTR": 100 * tstr(synthetic, test, mixed.target),
        "nearer to training": nearer(synthetic, train, test, seed),
        "impossible": 100 * float(mixed.impossible(synthetic).mean()),
    }


def quality(real: Any, synthetic: Any) -> float:
    """Return the score of SDMetrics' quality report, 0 to 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sdmetrics.reports.single_table import QualityReport

        plain = Plain(real)
        kinds = dict.fromkeys(real, "categorical")
        kinds |= dict.fromkeys(plain.numbers, "numerical") | dict.fromkeys(plain.dates, "datetime")
        columns = {name: {"sdtype": kind} for name, kind in kinds.items()}
        report = QualityReport()
        report.generate(real, synthetic, {"columns": columns}, verbose=False)
        return float(report.get_score())


def tstr(synthetic: Any, test: Any, target: str) -> float:
    """Return the ROC AUC on real rows of a gradient boosting trained on synthetic rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    values = sorted(test[target].unique())
    known = synthetic[synthetic[target].isin(values)]
    if known[target].nunique() < 2:
        return 0.5
    plain = Plain(test.drop(columns=target))
    codes = {
        name: {value: i for i, value in enumerate(sorted(test[name].dropna().unique()))}
        for name in plain.frame
        if name not in plain.numbers
    }

    def features(frame: Any) -> Any:
        flat = plain.in_days(frame[list(plain.frame)])
        return flat.assign(**{name: frame[name].map(code) for name, code in codes.items()}).astype(
            float
        )

    model = HistGradientBoostingClassifier(
        random_state=0, categorical_features=[name in codes for name in plain.frame]
    )
    model.fit(features(known), known[target] == values[1])
    return float(
        roc_auc_score(test[target] == values[1], model.predict_proba(features(test))[:, 1])
    )


def nearer(synthetic: Any, train: Any, test: Any, seed: int) -> float:
    """Return the share of synthetic rows that lie nearer to a training row than to a held-out one.

    The nearest of as many training rows as held-out rows counts, in standardized numbers and
    categories of 0 and 1; a tie counts half. Rows that copy nothing have 0.5.
    """
    import pandas as pd
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(seed)
    n = min(len(train), len(test))
    drawn = [frame.iloc[rng.permutation(len(frame))[:n]] for frame in (train, test, synthetic)]
    together = pd.concat(drawn, ignore_index=True)
    plain = Plain(together)
    flat = plain.encode(together)
    numbers = flat[plain.numbers].to_numpy(float)
    categories = pd.get_dummies(flat[plain.categories]).to_numpy(float)
    rows = np.hstack([data.standardized(numbers[: 2 * n], numbers)[1], categories])
    first, second = (
        NearestNeighbors(n_neighbors=1).fit(each).kneighbors(rows[2 * n :])[0][:, 0]
        for each in (rows[:n], rows[n : 2 * n])
    )
    return float(np.mean(first < second) + np.mean(first == second) / 2)


@lru_cache
def _warm_up(method: Method) -> None:
    """Let a method import what it needs, so that its first cell is not charged for that."""
    method.run(table("rides").frame.iloc[:600], 0)


SUITE = Suite(
    groups={"Synthetic rows": NAMES},
    methods=(
        Method(OURS, vaefast),
        Method("Gaussian copula", gaussian_copula),
        Method("TVAE", tvae, packages=("ctgan", "torch"), seeds=3),
        Method("CTGAN", ctgan, packages=("ctgan", "torch"), seeds=3),
        Method(REFERENCE, training_rows),
    ),
    figures=(
        Figure("quality", 2, higher=True),
        Figure("TSTR", 2, higher=True),
        Figure("nearer to training", 3),
        Figure("impossible", 2, higher=False),
        Figure("CPU seconds", 1, higher=False),
    ),
    measure=measure,
    notes="quality: SDMetrics' quality report, in percent. TSTR: ROC AUC, in percent, on held-out "
    "rows of a gradient boosting (scikit-learn's HistGradientBoostingClassifier with its defaults) "
    "trained on the synthetic rows. nearer to training: share of the synthetic rows that lie "
    "nearer to a training row than to a held-out one; 0.5 copies nothing. impossible: percentage "
    "of rows that break a rule which all real rows keep, except for three of Adult. Adult has "
    "10,000 training rows. CPU seconds of fitting and sampling. The training rows themselves are "
    "a reference.",
    packages=("sdmetrics",),
)
