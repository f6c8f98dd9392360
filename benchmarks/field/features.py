"""Features: how well a logistic regression reads the classes from 2, 8 or 32 dimensions.

The encoders see training rows without labels. The regression is fitted on the codes of the
training rows, and judged on the codes of the test rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from . import data
from .data import Floats, Integers
from .suite import OURS, Figure, Method, Suite, timed

IMAGES = ("digits", "mnist")
TABLES = ("breast_cancer", "5_campaign", "17_InternetAds", "19_landsat", "35_SpamBase")
DIMENSIONS = (2, 8, 32)
ROWS = 10_000


@dataclass(frozen=True)
class Task:
    """What an encoder is given. It returns the codes of the training rows and of the test rows.

    Attributes
    ----------
    train, test : ndarray
        Rows: pixels from 0 to 1, or columns in their original units.
    pixels : bool
        Whether the rows are images.
    n_components : int
        Number of dimensions of the codes.
    seed : int
        Seed of the encoder.
    """

    train: Floats
    test: Floats
    pixels: bool
    n_components: int
    seed: int

    def scaled(self) -> tuple[Floats, Floats]:
        """Return the rows with standardized columns, or the pixels as they are."""
        if self.pixels:
            return self.train, self.test
        train, test = data.standardized(self.train, self.test)
        return train, test


def vaefast(task: Task) -> Any:
    from vaefast import VAE

    own: dict[str, Any] = {"epochs": "auto", "random_state": task.seed, "verbose": False}
    if not task.pixels:
        own |= {"likelihood": "gaussian", "standardize": True, "sigma": "global"}
    vae = VAE(task.n_components, **own).fit(task.train)
    return vae.transform(task.train), vae.transform(task.test)


def pca(task: Task) -> Any:
    from sklearn.decomposition import PCA

    train, test = task.scaled()
    fitted = PCA(task.n_components, random_state=task.seed).fit(train)
    return fitted.transform(train), fitted.transform(test)


def nmf(task: Task) -> Any:
    """Factorize the columns, scaled to 0 to 1 by the training rows."""
    import warnings

    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import MinMaxScaler

    scaler = MinMaxScaler(clip=True).fit(task.train)
    fitted = NMF(task.n_components, init="nndsvda", max_iter=500, random_state=task.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        train = fitted.fit_transform(scaler.transform(task.train))
        return train, fitted.transform(scaler.transform(task.test))


def umap(task: Task) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one thread, and the limits of spectral initialization
        from umap import UMAP

        train, test = task.scaled()
        fitted = UMAP(n_components=task.n_components, random_state=task.seed, n_jobs=1).fit(train)
        return fitted.embedding_, fitted.transform(test)


def torch_vae(task: Task) -> Any:
    """Train a VAE with the hidden width that vaefast chooses for this number of rows."""
    from .torch_vae import trained

    train, test = task.scaled()
    hidden = 256 if len(train) < 2000 else 512
    vae = trained(train, task.n_components, hidden, task.pixels, task.seed)
    return vae.encode(train), vae.encode(test)


@lru_cache(maxsize=1)
def _split(name: str, seed: int) -> tuple[Floats, Floats, Integers, Integers]:
    """Return training rows and test rows, and their classes."""
    from sklearn import datasets

    if name == "mnist":
        train, y_train, test, y_test = data.mnist()
        chosen = data.at_most(len(train), ROWS, seed)
        return train[chosen], test, y_train[chosen], y_test
    if name == "digits":
        rows, classes = datasets.load_digits(return_X_y=True)
        rows = rows / 16
    elif name == "breast_cancer":
        rows, classes = datasets.load_breast_cancer(return_X_y=True)
    else:
        rows, classes = data.adbench(name)
    first, second = data.split(classes, seed)
    first = first[data.at_most(len(first), ROWS, seed)]
    return rows[first], rows[second], classes[first], classes[second]


def measure(cell: str, seed: int, method: Method) -> dict[str, float | None]:
    name, n_components = cell.split(", ")
    train, test, y_train, y_test = _split(name, seed)
    _warm_up(method)
    task = Task(train, test, name in IMAGES, int(n_components), seed)
    with timed() as figures:
        codes, new_codes = method.run(task)
    return {**figures, **_read(codes, new_codes, y_train, y_test)}


def _read(train: Floats, test: Floats, y_train: Integers, y_test: Integers) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    train, test = data.standardized(np.asarray(train, float), np.asarray(test, float))
    model = LogisticRegression(class_weight="balanced", max_iter=2000).fit(train, y_train)
    shares = model.predict_proba(test)
    areas = shares[:, 1] if shares.shape[1] == 2 else shares
    return {
        "accuracy": 100 * float(balanced_accuracy_score(y_test, model.predict(test))),
        "ROC AUC": 100 * float(roc_auc_score(y_test, areas, multi_class="ovr")),
    }


@lru_cache
def _warm_up(method: Method) -> None:
    """Let a method import and compile what it needs, so that its first cell is not charged."""
    rows = np.random.default_rng(0).random((200, 4))
    method.run(Task(rows, rows, pixels=False, n_components=2, seed=0))


def _cells(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cells of tables. breast_cancer has 30 columns, so it is not read from 32."""
    return tuple(
        f"{name}, {n}" for n in DIMENSIONS for name in names if (name, n) != ("breast_cancer", 32)
    )


SUITE = Suite(
    groups={"All cells": _cells((*IMAGES, *TABLES))},
    methods=(
        Method(OURS, vaefast),
        Method("PCA", pca),
        Method("NMF", nmf),
        Method("UMAP", umap, packages=("umap-learn",)),
        Method("PyTorch VAE", torch_vae, packages=("torch",)),
    ),
    figures=(
        Figure("accuracy", 2, higher=True),
        Figure("ROC AUC", 2, higher=True),
        Figure("CPU seconds", 1, higher=False),
    ),
    measure=measure,
    notes="accuracy: mean over classes of the percentage of test rows classified right, by a "
    "logistic regression with equal weights of the classes. ROC AUC: each class against the "
    "others, in percent. A cell is a table and a number of dimensions. All methods train on 10,000 "
    "rows at most. CPU seconds of fitting and encoding. breast_cancer has 30 columns and no cell "
    "with 32 dimensions.",
)
