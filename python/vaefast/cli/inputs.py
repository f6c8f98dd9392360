"""The rows that a command works on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import VAE, datasets
from .._input.feature_names import check_names
from .._input.validation import warn_of_scale
from ..datasets import Dataset
from ..datasets.folders import read_image
from ..datasets.idx import find_idx_files
from ..datasets.tables import SUFFIXES as CSV
from ..datasets.tables import read_cells

Array = np.ndarray[Any, np.dtype[Any]]

LABELS = "A .npz file has them as y, a folder of images in the names of its sub-folders."


@dataclass(frozen=True)
class Part:
    """Some rows of a data set, with their labels if it has any."""

    X: Array
    y: Array | None

    def __getitem__(self, rows: Any) -> Part:
        return Part(self.X[rows], None if self.y is None else self.y[rows])


def load_rows(
    vae: VAE, data: str, split: str | None, default: str = "test"
) -> tuple[Dataset, Array, str]:
    """A data set, the rows of the split, and words for which rows they are."""
    image_size = _image_size(vae, data)
    dataset = datasets.load(data, image_size=image_size)
    if image_size is not None:
        dataset = replace(dataset, X=_in_colours_of(vae, dataset.X))
    check_names(dataset.columns, vae.model_.names, data)
    X_test = None if dataset.X_test is None else _in_shape_of(vae, dataset.X_test, data)
    dataset = replace(dataset, X=_in_shape_of(vae, dataset.X, data), X_test=X_test)
    if dataset.X_test is not None:
        split = split or default
        X, where = dataset.X if split == "train" else dataset.X_test, f"{split} rows of {data}"
    elif split == "test":
        raise ValueError(f"{data} has no test rows of its own.")
    else:
        X, where = dataset.X, f"rows of {data}"
    if vae.conditional and labels_of(dataset, X) is None:
        raise ValueError(f"the model is conditional, and {data} has no labels. {LABELS}")
    if vae.likelihood == "gaussian":
        remedy = "standardise them as the rows of the training were, with the same numbers"
        warn_of_scale(X.reshape(len(X), -1), data, remedy)
    return dataset, X, where


def labels_of(dataset: Dataset, X: Array) -> Array | None:
    """The labels of the rows that `load_rows` returned."""
    return dataset.y if X is dataset.X else dataset.y_test


def names_of(vae: VAE, dataset: Dataset | None = None) -> Sequence[str]:
    """Names of the columns of rows of the model: its own, those of the data, or x0, x1, ..."""
    of_data = None if dataset is None else dataset.columns
    return vae.model_.names or of_data or [f"x{i}" for i in range(vae.n_features_in_)]


def is_csv(dataset: Dataset) -> bool:
    """Whether it was read from a CSV file."""
    return Path(dataset.name).suffix.lower() in CSV


def header_of(dataset: Dataset) -> str:
    """Words for a CSV file whose first row counts as data."""
    return " (no header)" if is_csv(dataset) and dataset.columns is None else ""


def filled_cells(dataset: Dataset, gaps: Array, filled: Array) -> Iterator[list[str]]:
    """The rows of a CSV file in its own words, but for the gaps, (n, d) booleans."""
    guesses = filled.reshape(len(filled), -1)
    cells = read_cells(Path(dataset.name))
    for texts, gap, guess in zip(cells, gaps.reshape(guesses.shape), guesses, strict=True):
        yield [str(guess[i]) if gap[i] else text for i, text in enumerate(texts)]


def check_indexes(indexes: Iterable[int], X: Array, where: str) -> None:
    """Raise ValueError unless each is the number of a row of X."""
    for index in indexes:
        if not 0 <= index < len(X):
            raise ValueError(f"There is no row {index}: the {where} are 0 to {len(X) - 1:,}.")


def named_images(vae: VAE, names: Sequence[str], data: str | None, split: str | None) -> Array:
    """The images of `images_among` the rows of DATA, which may be None if all names are files."""
    numbers = [name for name in names if _is_number(name)]
    if not numbers:
        return images_among(np.empty((0, *vae.feature_shape_)), "", vae, names)
    if data is None:
        raise ValueError(
            f"{numbers[0]} is the number of a row: of which data? Add --data mnist, for example, "
            "or name image files."
        )
    _, X, where = load_rows(vae, data, split)
    return images_among(X, where, vae, names)


def images_among(X: Array, where: str, vae: VAE, names: Sequence[str]) -> Array:
    """The images that numbers of rows of X and names of image files stand for, (n, h, w[, c]).

    Files are cropped and resized to the size of the model's images, as a folder of them is.
    """
    check_indexes((int(name) for name in names if _is_number(name)), X, where)
    found = [X[int(name)] if _is_number(name) else _read(vae, Path(name)) for name in names]
    if len({image.dtype for image in found}) > 1:
        found = [image / np.float32(255) if image.dtype == np.uint8 else image for image in found]
    return np.stack(found)


def groups(
    labels: Array | None,
    X: Array,
    where: str,
    by_label: tuple[str | None, str | None],
    by_number: tuple[Sequence[int], Sequence[int]],
) -> tuple[Array, Array]:
    """The numbers of the rows with an attribute, and of those without it.

    Each group is given by a label or by numbers of rows; the second is by default all other rows.
    """
    has = _group(labels, X, where, by_label[0], by_number[0], "with")
    if by_label[1] is None and not by_number[1]:
        return has, np.setdiff1d(np.arange(len(X)), has)
    return has, _group(labels, X, where, by_label[1], by_number[1], "without")


def _group(
    labels: Array | None,
    X: Array,
    where: str,
    label: str | None,
    numbers: Sequence[int],
    option: str,
) -> Array:
    if (label is None) == (not numbers):
        raise ValueError(f"Say which rows: either --{option} LABEL or --{option}-rows 3 14 15.")
    if label is None:
        check_indexes(numbers, X, where)
        return np.array(numbers)
    if labels is None:
        raise ValueError(f"The {where} have no labels: use --{option}-rows 3 14 15.")
    found = np.flatnonzero(labels.astype(str) == label)
    if not len(found):
        present = [str(value) for value in np.unique(labels)]
        there = ", ".join(present[:20]) + (", ..." if len(present) > 20 else "")
        raise ValueError(f"None of the {where} has the label {label!r}. There are {there}.")
    return found


def strange_fills(X: Array, filled: Array) -> list[int]:
    """The columns of X with gaps, most of which are filled with less or more than X ever has."""
    strange = []
    for column, (known, values) in enumerate(zip(_columns(X), _columns(filled), strict=True)):
        gaps = np.isnan(known)
        if gaps.any() and not gaps.all():
            low, high = np.nanmin(known), np.nanmax(known)
            if np.mean((values[gaps] < low) | (values[gaps] > high)) > 0.5:
                strange.append(column)
    return strange


def _columns(X: Array) -> Array:
    return X.reshape(len(X), -1).T


def _is_number(name: str) -> bool:
    return re.fullmatch(r"-?\d+", name) is not None


def _read(vae: VAE, path: Path) -> Array:
    """An image file, in the size and the colours of the model's images."""
    if not path.is_file():
        raise ValueError(f"{path} is neither the number of a row nor an image file.")
    height, width, *_ = vae.feature_shape_
    (image,) = _in_colours_of(vae, read_image(path, (height, width))[None])
    return np.asarray(image)


def _in_shape_of(vae: VAE, X: Array, data: str) -> Array:
    """Rows as the model takes them: flat ones as images where it was fitted on images."""
    expected = vae.feature_shape_
    flat = X.ndim == 2 or len(expected) == 1
    if X.shape[1:] == expected or (flat and math.prod(X.shape[1:]) == math.prod(expected)):
        return X.reshape(len(X), *expected)
    of_images = len(expected) > 1 and X.ndim > 2
    hint = " Resize them; the images of a folder are resized for you." if of_images else ""
    raise ValueError(
        f"{data} has rows of shape {X.shape[1:]}, but the model was fitted on rows of shape "
        f"{expected}.{hint}"
    )


def _in_colours_of(vae: VAE, X: Array) -> Array:
    """Images of bytes, (n, h, w) or (n, h, w, 3), as grey or RGB images, whatever the model has."""
    channels = vae.feature_shape_[2:]
    if X.ndim == 4 and channels in ((), (1,)):
        luma = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow
        X = np.stack([np.rint(image @ luma).astype(np.uint8) for image in X])
    if X.ndim == 3 and channels in ((1,), (3,)):
        X = np.repeat(X[..., None], channels[0], axis=-1)
    return X


def split(
    dataset: Dataset, validation: float | None, seed: int
) -> tuple[Array, Array | None, Part]:
    """Return the numbers of the rows to train on and of those to watch, and the test rows.

    A data set without test rows of its own loses a tenth of its rows to the test.
    """
    chosen = np.arange(len(dataset.X))
    if dataset.X_test is not None:
        test = Part(dataset.X_test, dataset.y_test)
    else:
        chosen, held = _split(len(chosen), 0.1, seed)
        test = Part(dataset.X, dataset.y)[held]
    if validation is None:
        return chosen, None, test
    rest, held = _split(len(chosen), validation, seed)
    return chosen[rest], chosen[held], test


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
