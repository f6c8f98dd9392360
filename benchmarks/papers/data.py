"""MNIST as the papers use it: grey, binarised once for all, or binarised anew in each epoch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from vaefast import datasets

from .recipe import Pixels

FIXED = "binarized-mnist"


def grey() -> tuple[Pixels, Pixels]:
    """60,000 training and 10,000 test rows of grey levels."""
    mnist = datasets.load("mnist")
    assert mnist.X_test is not None
    return mnist.X.reshape(-1, 784), mnist.X_test.reshape(-1, 784)


class Binarisation:
    """Draws each pixel: 255 with probability level / 255, else 0.

    Black and white pixels, four of five of MNIST's, need no random number.
    """

    def __init__(self, levels: Pixels) -> None:
        flat = levels.ravel()
        self._where = np.flatnonzero((flat > 0) & (flat < 255)).astype(np.int32)
        self._levels = flat[self._where]
        self._certain = np.where(levels == 255, levels, 0).astype(np.uint8)

    def draw(self, *seed: int) -> Pixels:
        """Rows of 0 and 255, always the same for the same seed."""
        rng = np.random.default_rng(seed)
        thresholds = rng.integers(255, size=len(self._levels), dtype=np.uint8)  # 0 to 254
        rows = self._certain.copy()
        rows.ravel()[self._where] = np.multiply(thresholds < self._levels, 255, dtype=np.uint8)
        return rows


def fixed(part: str) -> Pixels:
    """The fixed binarisation of Larochelle & Murray 2011: train (50,000), valid or test (10,000).

    Rows of 0 and 255.

    Raises
    ------
    FileNotFoundError
        The files are not here.
    """
    from scipy.io import loadmat

    folder = Path(os.environ.get("VAEFAST_DATA", ".")).expanduser() / FIXED
    path = folder / f"binarized_mnist_{part}.mat"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file. Put binarized_mnist_train.mat, _valid.mat and "
            "_test.mat of github.com/mingzhang-yin/ARM-gradient (MIT) into the folder "
            f"{FIXED} of the folder that the environment variable VAEFAST_DATA names."
        )
    rows = loadmat(path)["X"]
    if rows.ndim != 2 or rows.shape[1] != 784 or not np.isin(rows, (0, 1)).all():
        raise ValueError(f"{path} does not hold rows of 784 zeros and ones")
    return np.ascontiguousarray(rows, dtype=np.uint8) * np.uint8(255)
