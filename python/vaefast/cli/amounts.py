"""Reading of a number for each image, which measures an attribute: by file name or CSV file."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Dataset

Array = np.ndarray[Any, np.dtype[Any]]

TABLES = (".csv", ".tsv")


def read(by: str, dataset: Dataset, X: Array, where: str) -> Array:
    """Return a number for each row that `load_rows` returned, float64.

    Parameters
    ----------
    by : str
        Word that precedes the number in the name of a file, or path of a CSV file whose first two
        columns are file names and numbers.
    dataset : Dataset
        Folder of images.
    X : ndarray
        Rows of the folder: the training rows or the test rows.
    where : str
        Name of the rows in error messages.

    Raises
    ------
    ValueError
        The rows have no files, or the number of an image is missing or unreadable.
    """
    files = dataset.files if X is dataset.X else dataset.files_test
    if files is None:
        raise ValueError(
            f"--by needs a folder of images, because it reads numbers from file names, but the "
            f"{where} have none."
        )
    if Path(by).suffix.lower() in TABLES:
        table = _read_table(Path(by))
        found = [_look_up(table, file) for file in files.tolist()]
        lacking = f"{by} has no number for"
        advice = "Its first two columns must be the names of the files and the numbers."
    else:
        # No letter may precede the word: the age of image2_age31.jpg is 31.
        pattern = re.compile(rf"(?<![^\W\d_]){re.escape(by)}[-_=]?(\d+(?:\.\d+)?)", re.IGNORECASE)
        found = [_number_after(pattern, file) for file in files.tolist()]
        lacking = f"no number follows {by!r} in the names of"
        advice = f"Name the files as in anna_{by}31.jpg, or pass a CSV file of names and numbers."
    missing = [file for file, number in zip(files.tolist(), found, strict=True) if number is None]
    if missing:
        raise ValueError(
            f"--by: {lacking} {len(missing):,} of the {len(files):,} {where}; the first one is "
            f"{missing[0]}. {advice}"
        )
    return np.array(found, dtype=np.float64)


def _number_after(pattern: re.Pattern[str], file: str) -> float | None:
    match = pattern.search(Path(file).name)
    return None if match is None else float(match[1])


def _look_up(table: dict[str, float], file: str) -> float | None:
    """Return the number of a file by its path in the folder, by its name, or without its suffix."""
    path = Path(file)
    return next((table[key] for key in (file, path.name, path.stem) if key in table), None)


def _read_table(path: Path) -> dict[str, float]:
    """Return the numbers of a CSV file by name. The first line may be a header."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        separator = next((mark for mark in (";", "\t") if mark in first), ",")
        lines = [line for line in csv.reader(file, delimiter=separator) if line]
    table = {}
    for number, line in enumerate(lines, 1):
        value = _number(line)
        if value is None and number > 1:
            raise ValueError(f"{path}, line {number}: expected a name and a number, got {line}")
        if value is not None:
            table[line[0].strip()] = value
    return table


def _number(cells: Sequence[str]) -> float | None:
    try:
        value = float(cells[1])
    except (IndexError, ValueError):
        return None
    return value if np.isfinite(value) else None
