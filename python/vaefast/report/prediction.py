"""Prediction of a column: training on synthetic rows, testing on real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        from sklearn import ensemble
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise MissingExtraError(
            "a prediction needs scikit-learn: pip install scikit-learn"
        ) from error
    features = [name for name in names if name != target]
    X, X_made = _numbers(real, features, real), _numbers(synthetic, features, real)
    y, y_made = real[target], synthetic[target]
    if held_out is None:
        apart = np.random.default_rng(0).permutation(len(X)) < len(X) // 4
        X_test, test = X[apart], y.values[apart]
        X, y_values, known = X[~apart], y.values[~apart], ~y.missing[~apart]
        test_known = ~y.missing[apart]
    else:
        X_test, test = _numbers(held_out, features, real), held_out[target].values
        y_values, known, test_known = y.values, ~y.missing, ~held_out[target].missing
    X, y_values, X_test, test = X[known], y_values[known], X_test[test_known], test[test_known]
    X_made, y_made_values = X_made[~y_made.missing], y_made.values[~y_made.missing]
    if min(len(y_values), len(test), len(y_made_values)) < 2:
        raise ValueError(f"target={target!r} has too few known values")
    if not is_discrete(y) and len(np.unique(y_values)) > FEW:
        model = ensemble.HistGradientBoostingRegressor(random_state=0)
        scores = [
            float(model.fit(A, b.astype(float)).score(X_test, test.astype(float)))
            for A, b in ((X, y_values), (X_made, y_made_values))
        ]
        return Prediction(target, "R²", scores[0], scores[1], 0.0)
    classes, codes = np.unique(y_values.astype(str), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"target={target!r} has one value only")
    test_text, made_text = test.astype(str), y_made_values.astype(str)
    shares = np.bincount(codes) / len(codes)
    if len(classes) == 2:
        rare = classes[shares.argmin()]
        scores = [
            _auc(ensemble, roc_auc_score, A, b == rare, X_test, test_text == rare)
            for A, b in ((X, classes[codes]), (X_made, made_text))
        ]
        return Prediction(target, "AUC", scores[0], scores[1], 0.5)
    scores = []
    for A, b in ((X, classes[codes]), (X_made, made_text)):
        if len(set(b)) < 2:
            scores.append(float((test_text == b[0]).mean()))
            continue
        model = ensemble.HistGradientBoostingClassifier(random_state=0).fit(A, b)
        scores.append(float((model.predict(X_test) == test_text).mean()))
    baseline = float((test_text == classes[shares.argmax()]).mean())
    return Prediction(target, "accuracy", scores[0], scores[1], baseline)


def _auc(ensemble: Any, measure: Any, X: Array, y: Array, X_test: Array, test: Array) -> float:
    if not 0 < y.mean() < 1 or not 0 < test.mean() < 1:
        return 0.5
    model = ensemble.HistGradientBoostingClassifier(random_state=0).fit(X, y)
    return float(measure(test, model.predict_proba(X_test)[:, 1]))


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
