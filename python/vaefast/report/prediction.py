"""Prediction of a column: training on synthetic rows, testing on real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import MissingExtraError
from ..tables.series import Array, Name, Series
from .columns import is_discrete

FEW = 20  # most different values of a number that are classes


@dataclass(frozen=True)
class Prediction:
    """How well a column is predicted for real rows.

    Attributes
    ----------
    target : str or int
        Column that is predicted.
    measure : str
        AUC for two classes, accuracy for several, or R² for numbers.
    real, synthetic : float
        The measure of a model trained on real rows, and of one trained on synthetic rows.
    baseline : float
        The measure of a model without inputs: 0.5, the share of the largest class, or 0.
    """

    target: Name
    measure: str
    real: float
    synthetic: float
    baseline: float

    def __str__(self) -> str:
        return (
            f"{self.measure} of {self.target} on real rows: {self.real:.3f} trained on real rows, "
            f"{self.synthetic:.3f} on synthetic rows, {self.baseline:.3f} without columns"
        )


def predict(
    real: Mapping[Name, Series],
    synthetic: Mapping[Name, Series],
    held_out: Mapping[Name, Series] | None,
    target: Name,
    names: list[Name],
) -> Prediction:
    """Return how well gradient-boosted trees predict `target` for real rows.

    Raises
    ------
    ValueError
        `target` is not a column that can be predicted.
    MissingExtraError
        scikit-learn is not installed.
    """
    if target not in names or len(names) < 2:
        listed = ", ".join(map(str, names))
        raise ValueError(f"target={target!r} is not one of the columns to compare: {listed}")
    try:
        from sklearn import ensemble, metrics  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "a prediction needs scikit-learn: pip install scikit-learn"
        ) from error
    features = [name for name in names if name != target]
    train, made, test = _rows(real, synthetic, held_out, target, features)
    if min(len(train.y), len(test.y), len(made.y)) < 2:
        raise ValueError(f"target={target!r} has too few known values")
    if not is_discrete(real[target]) and len(np.unique(train.y)) > FEW:
        scores = [_r2(rows, test) for rows in (train, made)]
        return Prediction(target, "R²", scores[0], scores[1], 0.0)
    train, made, test = (_Rows(rows.X, rows.y.astype(str)) for rows in (train, made, test))
    classes, counts = np.unique(train.y, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"target={target!r} has one value only")
    if len(classes) == 2:
        rare = classes[counts.argmin()]
        scores = [_auc(rows, test, rare) for rows in (train, made)]
        return Prediction(target, "AUC", scores[0], scores[1], 0.5)
    scores = [_accuracy(rows, test) for rows in (train, made)]
    baseline = float((test.y == classes[counts.argmax()]).mean())
    return Prediction(target, "accuracy", scores[0], scores[1], baseline)


class _Rows(NamedTuple):
    """The other columns of rows as numbers, and the values of the target."""

    X: Array
    y: Array


def _rows(
    real: Mapping[Name, Series],
    synthetic: Mapping[Name, Series],
    held_out: Mapping[Name, Series] | None,
    target: Name,
    features: list[Name],
) -> tuple[_Rows, _Rows, _Rows]:
    """Return the real and the synthetic rows to train on, and those to test on.

    Without rows that were held out, a quarter of the real rows are for the test.
    """
    X, X_made = _numbers(real, features, real), _numbers(synthetic, features, real)
    y, y_made = real[target], synthetic[target]
    made = _known(X_made, y_made.values, y_made.missing)
    if held_out is not None:
        X_test, y_test = _numbers(held_out, features, real), held_out[target]
        test = _known(X_test, y_test.values, y_test.missing)
        return _known(X, y.values, y.missing), made, test
    apart = np.random.default_rng(0).permutation(len(X)) < len(X) // 4
    train, test = (_known(X[part], y.values[part], y.missing[part]) for part in (~apart, apart))
    return train, made, test


def _known(X: Array, y: Array, missing: Array) -> _Rows:
    return _Rows(X[~missing], y[~missing])


def _r2(train: _Rows, test: _Rows) -> float:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=0).fit(train.X, train.y.astype(float))
    return float(model.score(test.X, test.y.astype(float)))


def _auc(train: _Rows, test: _Rows, positive: str) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    y, y_test = train.y == positive, test.y == positive
    if not 0 < y.mean() < 1 or not 0 < y_test.mean() < 1:
        return 0.5
    model = HistGradientBoostingClassifier(random_state=0).fit(train.X, y)
    return float(roc_auc_score(y_test, model.predict_proba(test.X)[:, 1]))


def _accuracy(train: _Rows, test: _Rows) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier

    if len(set(train.y)) < 2:
        return float((test.y == train.y[0]).mean())
    model = HistGradientBoostingClassifier(random_state=0).fit(train.X, train.y)
    return float((model.predict(test.X) == test.y).mean())


def _numbers(
    columns: Mapping[Name, Series], names: list[Name], real: Mapping[Name, Series]
) -> Array:
    """Return columns as numbers, with the index of each real category and NaN where missing."""
    found = []
    for name in names:
        series = columns[name]
        if real[name].dtype.kind == "category":
            known = sorted({str(v) for v in real[name].values[~real[name].missing]})
            of = {value: float(i) for i, value in enumerate(known)}
            codes = [
                np.nan if gap else of.get(str(value), -1.0)
                for value, gap in zip(series.values, series.missing, strict=True)
            ]
            found.append(np.array(codes))
        else:
            found.append(series.values.astype(np.float64))
    return np.stack(found, axis=1)
