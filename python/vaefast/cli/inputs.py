"""Reading of the rows that a command works on."""

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
from .._input.likelihoods import check_data
from .._input.pixels import decoded_range
from .._input.sources import Source, source_of
from .._input.sparse import is_scipy_sparse, is_sparse, to_sparse
from .._input.validation import REAL_VALUED, warn_of_scale
from ..datasets import Dataset
from ..datasets.idx import find_idx_files
from ..datasets.image_files import read_image
from ..datasets.tables import SUFFIXES as CSV
from ..datasets.tables import read_cells
from . import tables
from .frames import has_header, is_frame
from .sources import open_source

Array = np.ndarray[Any, np.dtype[Any]]

DENSE = "needs dense rows: write numpy.save('rows.npy', X.toarray())."
NO_TEST_ROWS = (
    "--split test needs test rows, but {} has no test rows. Leave --split out to read all rows."
)
LABELS = "A .npz file holds labels as y; in a folder of images, the sub-folders are the labels."


@dataclass(frozen=True)
class Part:
    """Some rows of a data set, with their labels if it has any."""

    X: Any  # an array, or a source
    y: Array | None

    def first(self, n: int) -> Part:
        """Return the first n rows, in memory."""
        X = self.X[:n]
        return Part(X, None if self.y is None else self.y[:n])


def load_dataset(
    data: str, image_size: tuple[int, int] | None, skip_broken: bool = False
) -> Dataset:
    """Load data as `datasets.load` does, with sparse rows in the form that the commands read."""
    dataset = datasets.load(data, image_size=image_size, skip_broken=skip_broken)
    if not is_scipy_sparse(dataset.X):
        return dataset
    rows: Any = to_sparse(dataset.X, data)
    return replace(dataset, X=rows)


def load_rows(
    vae: VAE, data: str, split: str | None, default: str = "test", *, sparse: bool = False
) -> tuple[Dataset, Array, str]:
    """Return a data set, the rows of a split, and a text that names these rows.

    Parameters
    ----------
    vae : VAE
        Fitted model. Images of a folder are resized to the size of the model's images.
    data : str
        Name or path of the data set.
    split : str or None
        train, test, or None for the default.
    default : str, default="test"
        Split of a data set with test rows when `split` is None.
    sparse : bool, default=False
        Whether the command takes sparse rows and rows that are larger than memory.

    Raises
    ------
    ValueError
        The data set does not fit the model, or lacks the split or the labels.
    """
    image_size = _image_size(vae, data)
    streamed = open_source(data, numbers=vae.table_ is None)
    if streamed is not None and sparse:
        return _load_source(vae, streamed, split)
    if vae.table_ is not None and is_frame(data):
        dataset: Dataset = tables.rows_of(vae, vae.table_, data)
    elif streamed is not None:
        dataset = replace(streamed, X=streamed.X[:])
    else:
        dataset = load_dataset(data, image_size)
    if image_size is not None:
        dataset = replace(dataset, X=_in_colours_of(vae, dataset.X))
    check_names(dataset.columns, vae.model_.names, data)
    X_test = None if dataset.X_test is None else _in_shape_of(vae, dataset.X_test, data)
    dataset = replace(dataset, X=_in_shape_of(vae, dataset.X, data), X_test=X_test)
    if dataset.X_test is not None:
        split = split or default
        X, where = dataset.X if split == "train" else dataset.X_test, f"{split} rows of {data}"
    elif split == "test":
        raise ValueError(NO_TEST_ROWS.format(data))
    else:
        X, where = dataset.X, f"rows of {data}"
    if is_sparse(X) and not sparse:
        raise ValueError(f"{data} holds a sparse matrix, but this command {DENSE}")
    if vae.conditional and labels_of(dataset, X) is None:
        raise ValueError(f"MODEL is conditional and needs labels, but {data} has none. {LABELS}")
    standardization = vae.model_.reader.standardization
    matrix = X if is_sparse(X) else X.reshape(len(X), math.prod(X.shape[1:]))
    if is_sparse(X):
        pass  # columns that are mostly 0 have no meaningful scale
    elif standardization is not None:
        standardization.warn_of_shift(matrix, vae.model_.names, data)
    elif not isinstance(dataset, tables.TableRows):  # their table has the scales of the training
        warn_of_scale(
            matrix,
            vae.model_.columns,
            tabular=X.ndim == 2,
            names=vae.model_.names,
            name=data,
            remedy="train the model with --standardize",
        )
    floats = in_units_of(vae, X)
    if X is dataset.X:
        return replace(dataset, X=floats), floats, where
    return replace(dataset, X_test=floats), floats, where


def _load_source(vae: VAE, dataset: Dataset, split: str | None) -> tuple[Dataset, Any, str]:
    """Return the results of `load_rows` for rows that are read a few at a time."""
    if split == "test":
        raise ValueError(NO_TEST_ROWS.format(dataset.name))
    if vae.conditional:
        raise ValueError(f"MODEL is conditional and needs labels, but {dataset.name} has none")
    check_names(dataset.columns, vae.model_.names, dataset.name)
    return dataset, dataset.X, f"rows of {dataset.name}"


def is_measured_table(vae: VAE, dataset: Dataset) -> bool:
    """Return whether the rows come from a table with real-valued columns."""
    kinds = [vae.likelihood] if isinstance(vae.likelihood, str) else dict(vae.likelihood)
    X: Any = dataset.X
    rank = len(X.row_shape) if isinstance(X, Source) else X.ndim - 1
    is_table = rank == 1 and X.dtype != np.uint8 and not is_sparse(X)
    return is_table and any(kind in REAL_VALUED for kind in kinds)


def in_units_of(vae: VAE, X: Array) -> Array:
    """Return rows in the form that pictures and distances need, which divide bytes by 255.

    Bytes become floats if the model does not divide them by 255.
    """
    reader = vae.model_.reader
    if X.dtype != np.uint8 or reader.divisor == 255 or is_sparse(X):
        return X
    rows = X.reshape(len(X), -1)
    check_data(rows, reader.columns, reader.missing, divisor=reader.divisor)
    return X.astype(np.float32)


def levels_of(vae: VAE, images: Array) -> tuple[float, float]:
    """Return the values of decoded images to draw as black and as white."""
    return decoded_range(images, vae.model_.reader.divisor)


def labels_of(dataset: Dataset, X: Array) -> Array | None:
    """Return the labels of the rows that `load_rows` returned, or None."""
    return dataset.y if X is dataset.X else dataset.y_test


def names_of(vae: VAE, dataset: Dataset | None = None) -> Sequence[str]:
    """Return the column names of the model, or those of the data, or x0, x1, ..."""
    columns = None if dataset is None else dataset.columns
    return vae.model_.names or columns or [f"x{i}" for i in range(vae.n_features_in_)]


def is_csv(dataset: Dataset) -> bool:
    """Return whether the data set was read from a CSV file."""
    return datasets.suffix_of(Path(dataset.name)) in CSV


def header_of(dataset: Dataset) -> str:
    """Return the remark " (no header)" for a CSV file whose first row is data, or an empty text."""
    nameless = is_csv(dataset) and not has_header(Path(dataset.name).expanduser())
    return " (no header)" if nameless else ""


def filled_cells(dataset: Dataset, missing: Array, filled: Array) -> Iterator[list[str]]:
    """Yield the rows of a CSV file with missing cells filled and all other cells unchanged.

    Parameters
    ----------
    dataset : Dataset
        Data set that was read from a CSV file.
    missing : ndarray of shape (n, d), bool
        Whether a value is missing.
    filled : ndarray of shape (n, d), float32
        Rows without missing values.
    """
    values = filled.reshape(len(filled), -1)
    cells = read_cells(Path(dataset.name))
    for texts, holes, row in zip(cells, missing.reshape(values.shape), values, strict=True):
        yield [str(row[i]) if holes[i] else text for i, text in enumerate(texts)]


def check_indexes(indexes: Iterable[int], X: Array, where: str) -> None:
    """Raise ValueError unless every index is the number of a row of X."""
    for index in indexes:
        if not 0 <= index < len(X):
            raise ValueError(
                f"There is no row {index}: the {where} are numbered 0 to {len(X) - 1:,}."
            )


def named_images(vae: VAE, names: Sequence[str], data: str | None, split: str | None) -> Array:
    """Return images as `images_among` does; DATA may be None if every name is an image file."""
    numbers = [name for name in names if _is_number(name)]
    if not numbers:
        return images_among(np.empty((0, *vae.feature_shape_)), "", vae, names)
    if data is None:
        raise ValueError(
            f"Row {numbers[0]} needs a data set: add --data mnist, for example, or name image "
            "files instead of rows."
        )
    _, X, where = load_rows(vae, data, split)
    return images_among(X, where, vae, names)


def images_among(X: Array, where: str, vae: VAE, names: Sequence[str]) -> Array:
    """Return images, (n, h, w) or (n, h, w, c), by their names.

    A name is the number of a row of X or the path of an image file. Files are cropped and resized
    to the size of the model's images, as the images of a folder are.
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
    """Return the numbers of the rows with an attribute, and of the rows without it.

    Each group is given by a label or by row numbers. By default the second group is all other rows.
    """
    with_it = _group(labels, X, where, by_label[0], by_number[0], "with")
    if by_label[1] is None and not by_number[1]:
        return with_it, np.setdiff1d(np.arange(len(X)), with_it)
    return with_it, _group(labels, X, where, by_label[1], by_number[1], "without")


def _group(
    labels: Array | None,
    X: Array,
    where: str,
    label: str | None,
    numbers: Sequence[int],
    option: str,
) -> Array:
    if (label is None) == (not numbers):
        raise ValueError(
            f"Choose the rows {option} the attribute: either --{option} LABEL or "
            f"--{option}-rows 3 14 15, not both."
        )
    if label is None:
        check_indexes(numbers, X, where)
        return np.array(numbers)
    if labels is None:
        raise ValueError(
            f"--{option} needs labels, but the {where} have no labels: use "
            f"--{option}-rows 3 14 15 instead."
        )
    found = np.flatnonzero(labels.astype(str) == label)
    if not len(found):
        present = [str(value) for value in np.unique(labels)]
        shown = ", ".join(present[:20]) + (", ..." if len(present) > 20 else "")
        raise ValueError(f"None of the {where} has the label {label!r}. The labels are {shown}.")
    return found


def columns_filled_out_of_range(X: Array, filled: Array) -> list[int]:
    """Return the columns in which most filled values lie outside the range of the known values."""
    found = []
    for column, (known, values) in enumerate(zip(_columns(X), _columns(filled), strict=True)):
        missing = np.isnan(known)
        if missing.any() and not missing.all():
            low, high = np.nanmin(known), np.nanmax(known)
            if np.mean((values[missing] < low) | (values[missing] > high)) > 0.5:
                found.append(column)
    return found


def _columns(X: Array) -> Array:
    return X.reshape(len(X), -1).T


def _is_number(name: str) -> bool:
    return re.fullmatch(r"-?\d+", name) is not None


def _read(vae: VAE, path: Path) -> Array:
    """Return an image file in the size and the colours of the model's images."""
    if not path.is_file():
        raise ValueError(
            f"Expected a row number or an image file, got {path}, which is not a file."
        )
    height, width, *_ = vae.feature_shape_
    (image,) = _in_colours_of(vae, read_image(path, (height, width))[None])
    return np.asarray(image)


def _in_shape_of(vae: VAE, X: Array, data: str) -> Array:
    """Return rows in the shape of the model's rows; flat rows become images."""
    expected = vae.feature_shape_
    flat = X.ndim == 2 or len(expected) == 1
    if X.shape[1:] == expected or (flat and math.prod(X.shape[1:]) == math.prod(expected)):
        return X if is_sparse(X) else X.reshape(len(X), *expected)
    are_images = len(expected) > 1 and X.ndim > 2
    hint = " Resize them; the images of a folder are resized for you." if are_images else ""
    raise ValueError(
        f"{data} has rows of shape {X.shape[1:]}, but the model was fitted on rows of shape "
        f"{expected}.{hint}"
    )


def _in_colours_of(vae: VAE, X: Array) -> Array:
    """Return uint8 images, (n, h, w) or (n, h, w, 3), in grey or colour to suit the model."""
    channels = vae.feature_shape_[2:]
    if X.ndim == 4 and channels in ((), (1,)):
        luma = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as in Pillow
        X = np.stack([np.rint(image @ luma).astype(np.uint8) for image in X])
    if X.ndim == 3 and channels in ((1,), (3,)):
        X = np.repeat(X[..., None], channels[0], axis=-1)
    return X


def split(
    dataset: Dataset, validation: float | None, seed: int
) -> tuple[Array, Array | None, Part]:
    """Return the numbers of the training rows and of the validation rows, and the test rows.

    If a data set has no test rows, a tenth of its rows are held out for the test.
    """
    chosen = np.arange(len(dataset.X))
    if dataset.X_test is not None:
        test = Part(dataset.X_test, dataset.y_test)
    else:
        chosen, held = _split(len(chosen), 0.1, seed)
        X: Any = dataset.X
        if isinstance(X, np.memmap):  # which may be larger than memory
            X = source_of(X, dataset.name)
        X = X.select(held) if isinstance(X, Source) else X[held]
        test = Part(X, None if dataset.y is None else dataset.y[held])
    if validation is None:
        return chosen, None, test
    rest, held = _split(len(chosen), validation, seed)
    return chosen[rest], chosen[held], test


def _image_size(vae: VAE, data: str) -> tuple[int, int] | None:
    """Return the height and width of the model's images if DATA is a folder of images, or None."""
    folder = Path(data)
    is_table = len(vae.feature_shape_) == 1
    if is_table or data in datasets.names() or not folder.is_dir() or find_idx_files(folder):
        return None
    height, width, *_ = vae.feature_shape_
    return height, width


def _split(n: int, fraction: float, seed: int) -> tuple[Array, Array]:
    """Return the numbers of the remaining and of the held-out rows; neither is empty."""
    if n < 2:
        raise ValueError(f"expected at least 2 rows, because some must be held out, got {n}.")
    order = np.random.default_rng(seed).permutation(n)
    held = min(max(1, round(n * fraction)), n - 1)
    return np.sort(order[held:]), np.sort(order[:held])
