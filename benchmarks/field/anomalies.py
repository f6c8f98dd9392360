"""Anomalies without labels: ADBench's protocol.

70 % of the rows, stratified by label and anomalies included, train a detector. The others are
scored.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from . import data
from .data import Floats, Integers
from .suite import OURS, Figure, Method, Suite, timed

Detector = Callable[[Floats, Floats, int], Any]  # training rows, test rows, seed -> abnormality
LIMIT = 10_000


def vaefast(train: Floats, test: Floats, seed: int) -> Any:
    from vaefast import AnomalyDetector

    return -AnomalyDetector(random_state=seed).fit(train).score_samples(test)


def _standardized(score: Detector) -> Detector:
    """Return a detector that sees standardized columns, as its documentation advises."""

    def run(train: Floats, test: Floats, seed: int) -> Any:
        known, new = data.standardized(train, test)
        return score(known, new, seed)

    return run


def isolation_forest(train: Floats, test: Floats, seed: int) -> Any:
    from sklearn.ensemble import IsolationForest

    return -IsolationForest(random_state=seed, n_jobs=1).fit(train).score_samples(test)


def knn(train: Floats, test: Floats, seed: int) -> Any:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=5, n_jobs=1).fit(train).kneighbors(test)[0][:, -1]


def lof(train: Floats, test: Floats, seed: int) -> Any:
    from sklearn.neighbors import LocalOutlierFactor

    return -LocalOutlierFactor(novelty=True, n_jobs=1).fit(train).score_samples(test)


def ocsvm(train: Floats, test: Floats, seed: int) -> Any:
    from sklearn.svm import OneClassSVM

    return -OneClassSVM().fit(train).score_samples(test)


def pca(train: Floats, test: Floats, seed: int) -> Any:
    """Return the squared error of a reconstruction that keeps 90 % of the variance."""
    from sklearn.decomposition import PCA

    fitted = PCA(0.9, svd_solver="full").fit(train)
    return np.square(test - fitted.inverse_transform(fitted.transform(test))).sum(axis=1)


def _pyod(module: str, name: str, **parameters: Any) -> Detector:
    """Return one of PyOD's detectors with PyOD's default parameters, and a seed if it has one."""

    def run(train: Floats, test: Floats, seed: int) -> Any:
        kind = getattr(import_module(f"pyod.models.{module}"), name)
        seeded = "random_state" in inspect.signature(kind).parameters
        every = {**parameters, **({"random_state": seed} if seeded else {})}
        return kind(**every).fit(train).decision_function(test)

    return _standardized(run)


def deep_svdd(train: Floats, test: Floats, seed: int) -> Any:
    width = {"n_features": train.shape[1]}
    return _pyod("deep_svdd", "DeepSVDD", verbose=0, **width)(train, test, seed)


@lru_cache
def _warm_up(method: Method) -> None:
    """Let a method import what it needs, so that its first cell is not charged for that."""
    rows = np.random.default_rng(0).standard_normal((100, 4))
    method.run(rows, rows, 0)


@lru_cache(maxsize=1)
def _split(cell: str, seed: int) -> tuple[Floats, Floats, Integers]:
    rows, labels = data.adbench(cell)
    train, test = data.split(labels, seed)
    return rows[train], rows[test], labels[test]


def measure(cell: str, seed: int, method: Method) -> dict[str, float | None]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    train, test, labels = _split(cell, seed)
    if method.limit:
        train = train[data.at_most(len(train), method.limit, seed)]
    _warm_up(method)
    with timed() as figures:
        scores = method.run(train, test, seed)
    figures["ROC AUC"] = 100 * float(roc_auc_score(labels, scores))
    figures["average precision"] = 100 * float(average_precision_score(labels, scores))
    return figures


DEEP: dict[str, Any] = {"packages": ("pyod", "torch"), "seeds": 3, "limit": LIMIT}

SUITE = Suite(
    groups={"Development half": data.DEVELOPMENT, "Held-out half": data.HELD_OUT},
    methods=(
        Method(OURS, vaefast),
        Method("IsolationForest", isolation_forest),
        Method("KNN", _standardized(knn), limit=LIMIT),
        Method("LOF", _standardized(lof), limit=LIMIT),
        Method("OCSVM", _standardized(ocsvm), limit=LIMIT),
        Method("PCA", _standardized(pca)),
        Method("PCA (PyOD)", _pyod("pca", "PCA"), packages=("pyod",)),
        Method("ECOD", _pyod("ecod", "ECOD"), packages=("pyod",)),
        Method("COPOD", _pyod("copod", "COPOD"), packages=("pyod",)),
        Method("HBOS", _pyod("hbos", "HBOS"), packages=("pyod",)),
        Method("AutoEncoder", _pyod("auto_encoder", "AutoEncoder", verbose=0), **DEEP),
        Method("VAE (PyOD)", _pyod("vae", "VAE", verbose=0), **DEEP),
        Method("DeepSVDD", deep_svdd, **DEEP),
    ),
    figures=(
        Figure("ROC AUC", 2, higher=True),
        Figure("average precision", 2, higher=True),
        Figure("CPU seconds", 2, higher=False),
    ),
    measure=measure,
    notes="ROC AUC and average precision in percent, on the same test rows for all methods. "
    "CPU seconds of fitting and scoring.",
)
