"""Tables of the suites: ADBench's and its two halves, Adult, MNIST, and fixed splits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# ADBench's tables in two halves, fixed before anything was measured. Tables from the same source
# are in the same half: landsat with satellite, http with smtp, and the four breast cancer tables.
# The other tables alternate by number: those of at most 12,000 rows, and then those of more.
DEVELOPMENT = (
    "2_annthyroid",
    "17_InternetAds",
    "19_landsat",
    "21_Lymphography",
    "25_musk",
    "29_Pima",
    "30_satellite",
    "39_vertebral",
    "45_wine",
    "1_ALOI",
    "8_celeba",
    "11_donors",
    "16_http",
    "32_shuttle",
    "34_smtp",
)
HELD_OUT = (
    "4_breastw",
    "14_glass",
    "20_letter",
    "24_mnist",
    "27_PageBlocks",
    "35_SpamBase",
    "41_Waveform",
    "42_WBC",
    "43_WDBC",
    "46_WPBC",
    "47_yeast",
    "5_campaign",
    "10_cover",
    "22_magic.gamma",
    "33_skin",
)
TEST_SHARE = 0.3


def adbench(name: str) -> tuple[Floats, Integers]:
    """Return the rows of a table of ADBench, and 1 for each anomaly.

    Parameters
    ----------
    name : str
        Number and name, such as "45_wine".
    """
    with np.load(_file(f"adbench/{name}.npz", "ADBench (github.com/Minqi824/ADBench)")) as file:
        return file["X"].astype(np.float64), file["y"].astype(np.int64)


def adult() -> Any:
    """Return the census income table of UCI as a pandas frame: 32,561 rows, 15 columns."""
    import pandas as pd

    path = _file("adult/adult.csv.gz", "the UCI table Adult, with a header, as a gzipped CSV")
    frame = pd.read_csv(path, skipinitialspace=True, na_values="?")
    texts = frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]
    return frame.astype(dict.fromkeys(texts, object))


def mnist() -> tuple[Floats, Integers, Floats, Integers]:
    """Return MNIST's 60,000 training and 10,000 test rows, each with labels; pixels are 0 to 1."""
    from vaefast import datasets

    found = datasets.load("mnist")
    assert found.y is not None and found.X_test is not None and found.y_test is not None
    train, test = (rows.reshape(-1, 784) / 255.0 for rows in (found.X, found.X_test))
    return train, found.y.astype(np.int64), test, found.y_test.astype(np.int64)


def split(labels: Any, seed: int) -> tuple[Integers, Integers]:
    """Return the indices of 70 % of the rows and of the others, stratified by label.

    Parameters
    ----------
    labels : array-like of shape (n,)
        One label per row.
    seed : int
        Seed of the split.
    """
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_SHARE, random_state=seed, stratify=labels
    )
    return train, test


def at_most(n_rows: int, limit: int, seed: int) -> Integers:
    """Return the indices of at most `limit` rows, drawn without labels and in ascending order."""
    if n_rows <= limit:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, limit, replace=False))


def standardized(train: Floats, *others: Floats) -> list[Floats]:
    """Return tables with the mean and standard deviation of the training rows taken out."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    return [(rows - mean) / deviation for rows in (train, *others)]


def _file(name: str, what: str) -> Path:
    folder = os.environ.get("VAEFAST_DATA")
    if not folder:
        raise FileNotFoundError(
            f"this table needs {what}: set the environment variable VAEFAST_DATA to the folder "
            f"that contains {name}"
        )
    path = Path(folder).expanduser() / name
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; it holds {what}")
    return path
