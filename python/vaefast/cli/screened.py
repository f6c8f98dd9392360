"""The rows that the command `anomalies` screens: numbers, or a frame of mixed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from .._input.sparse import is_scipy_sparse
from ..tables.frames import read as read_columns
from .frames import is_frame, read_frame
from .inputs import DENSE
from .tables import numbers_as_text


@dataclass(frozen=True)
class Screened:
    """Rows of a file.

    Attributes
    ----------
    X : ndarray or pandas.DataFrame
        The rows.
    names : tuple of str or None
        Names of the columns.
    texts : frozenset, default=frozenset()
        Columns of text in a frame.
    day_first : dict, default={}
        Order of day and month in the dates of each column of a frame, or None if it is unknown.
    """

    X: Any
    names: tuple[str, ...] | None
    texts: frozenset[Any] = frozenset()
    day_first: Mapping[Any, bool | None] = field(default_factory=dict)


def read(data: str) -> Screened:
    """Return the rows of DATA: a frame if it is a table of mixed columns, else numbers."""
    if not is_frame(data):
        return _read_numbers(data)
    path = Path(data).expanduser()
    frame, day_first = read_frame(path, lambda name: False, {})
    columns = read_columns(frame)[1]
    kinds = {column.dtype.kind for column in columns.values()}
    if path.suffix.lower() != ".parquet" and kinds <= {"number", "integer", "nothing"}:
        return _read_numbers(data)
    for name, column in columns.items():
        if advice := numbers_as_text(name, column):
            click.echo(f"Note: {data}: {advice}", err=True)
    texts = frozenset(name for name, column in columns.items() if column.dtype.kind == "category")
    return Screened(frame, tuple(map(str, frame)), texts, day_first)


def read_new(data: str, known: Screened) -> Screened:
    """Return the rows of another file, in the types of the known rows."""
    if isinstance(known.X, np.ndarray):
        return _read_numbers(data)
    if not is_frame(data):
        raise click.ClickException(f"{data} must be a CSV or Parquet file, as DATA is.")
    frame, _ = read_frame(Path(data).expanduser(), known.texts.__contains__, known.day_first)
    return Screened(frame, tuple(map(str, frame)))


def _read_numbers(data: str) -> Screened:
    dataset = datasets.load(data)
    if is_scipy_sparse(dataset.X):
        raise click.ClickException(f"{data} holds a sparse matrix, but this command {DENSE}")
    return Screened(dataset.X, dataset.columns)
