"""MNIST as the papers use it: grey, binarized once, or binarized anew in each epoch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from vaefast import datasets

from .recipe import Pixels

FIXED = "binarized-mnist"


def grey() -> tuple[Pixels, Pixels]:
    """Return 60,000 training and 10,000 test rows of grey levels, uint8."""
    mnist = datasets.load("mnist")
    assert mnist.X_test is not None
    return mnist.X.reshape(-1, 784), mnist.X_test.reshape(-1, 784)


class Binarization:
    """Random binarization of grey levels: a pixel is 255 with probability level / 255, else 0.

    Black and white pixels take no random number. They are four fifths of MNIST.

    Parameters
    ----------
    levels : ndarray of uint8
        Grey levels, 0 to 255.
    """

    def __init__(self, levels: Pixels) -> None:
        flat = levels.ravel()
        self._where = np.flatnonzero((flat > 0) & (flat < 255)).astype(np.int32)
        self._levels = flat[self._where]
        self._certain = np.where(levels == 255, levels, 0).astype(np.uint8)

    def draw(self, *seed: int) -> Pixels:
        """Return rows of 0 and 255. Equal seeds give equal rows."""
        rng = np.random.default_rng(seed)
        thresholds = rng.integers(255, size=len(self._levels), dtype=np.uint8)  # 0 to 254
        rows = self._certain.copy()
        rows.ravel()[self._where] = np.multiply(thresholds < self._levels, 255, dtype=np.uint8)
        return rows


def fixed(part: str) -> Pixels:
    """Return rows of the fixed binarization of Larochelle & Murray 2011, 0 or 255.

    Parameters
    ----------
    part : str
        "train" (50,000 rows), "valid" (10,000) or "test" (10,000).

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The file does not hold rows of 784 zeros and ones.
    """
    from scipy.io import loadmat

    folder = Path(os.environ.get("VAEFAST_DATA", ".")).expanduser() / FIXED
    path = folder / f"binarized_mnist_{part}.mat"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Put binarized_mnist_train.mat, binarized_mnist_valid.mat and "
            "binarized_mnist_test.mat of github.com/mingzhang-yin/ARM-gradient (MIT license) into "
            f"the folder {FIXED} within the folder of the environment variable VAEFAST_DATA."
        )
    rows = loadmat(path)["X"]
    if rows.ndim != 2 or rows.shape[1] != 784 or not np.isin(rows, (0, 1)).all():
        raise ValueError(f"{path} does not hold rows of 784 zeros and ones; download it again")
    return np.ascontiguousarray(rows, dtype=np.uint8) * np.uint8(255)
