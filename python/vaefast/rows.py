"""The rows that a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vaefast import VAE, datasets
from vaefast.datasets import Dataset
from vaefast.datasets.idx import find_idx_files

Array = np.ndarray[Any, np.dtype[Any]]


def load_rows(vae: VAE, data: str, split: str | None) -> tuple[Dataset, Array, str]:
    """A data set, the rows of the split, and words for which rows they are."""
    dataset = datasets.load(data, image_size=_image_size(vae, data))
    if dataset.X_test is not None:
        split = split or "test"
        return dataset, dataset.X if split == "train" else dataset.X_test, f"{split} rows of {data}"
    if split == "test":
        raise ValueError(f"{data} has no test rows of its own.")
    return dataset, dataset.X, f"rows of {data}"


def parts(
    dataset: Dataset, validation: float | None, seed: int
) -> tuple[Array, Array | None, Array, Array | None]:
    """The rows to train on, those to watch, those for the test, and the labels of the test."""
    X, X_test, labels = dataset.X, dataset.X_test, dataset.y_test
    if X_test is None:
        rest, held = _split(len(X), 0.1, seed)
        labels = None if dataset.y is None else dataset.y[held]
        X, X_test = X[rest], X[held]
    if validation is None:
        return X, None, X_test, labels
    rest, held = _split(len(X), validation, seed)
    return X[rest], X[held], X_test, labels


def _image_size(vae: VAE, data: str) -> tuple[int, int] | None:
    """The height and width that the model needs, where DATA is a folder of images."""
    folder = Path(data)
    is_table = len(vae.feature_shape_) == 1
    if is_table or data in datasets.names() or not folder.is_dir() or find_idx_files(folder):
        return None
    height, width, *_ = vae.feature_shape_
    return height, width


def _split(n: int, fraction: float, seed: int) -> tuple[Array, Array]:
    """The numbers of the rows that stay, and of a fraction held out: at least one of each."""
    if n < 2:
        raise ValueError(f"rows must be held out of the data, but it has only {n}.")
    order = np.random.default_rng(seed).permutation(n)
    held = min(max(1, round(n * fraction)), n - 1)
    return np.sort(order[held:]), np.sort(order[:held])
