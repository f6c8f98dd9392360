"""The data of the command `train`: how it is read, what follows for the model, and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import VAE, datasets
from .._engine.automatic import choose
from .._engine.processes import Processes
from .._input.reader import Prepared, Reader
from .._input.rows import select
from .._input.sources import Source
from .._input.validation import check_integer
from ..datasets import Dataset
from . import image_rows, inputs, outputs, sources, tables
from .frames import is_frame
from .tables import TableRows

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Request:
    """DATA, and the options that say how to read it.

    Attributes
    ----------
    data : str
        Name or path.
    image_size : tuple of int or None
        Height and width of the images of a folder.
    skip_broken : bool
        Whether to leave out files of a folder that are not images.
    drop : tuple of str
        Columns of a table to leave out.
    parameters : mapping
        Parameters of the `VAE`, by name. None stands for one that the user did not set.
    """

    data: str
    image_size: tuple[int, int] | None
    skip_broken: bool
    drop: tuple[str, ...]
    parameters: Mapping[str, Any]

    @property
    def is_table(self) -> bool:
        """Whether DATA is read as a table of mixed columns."""
        as_it_is = self.parameters["likelihood"] is None and self.image_size is None
        return as_it_is and is_frame(self.data)


def open_source(request: Request) -> Dataset | None:
    """Return DATA that is read a window at a time, or None for all other data.

    Raises
    ------
    UsageError
        The options do not go with the kind of data.
    """
    if request.is_table:
        return None
    numbers, window = request.parameters["likelihood"] is not None, request.parameters["window"]
    source = sources.open_source(request.data, numbers=numbers, window=window)
    if request.drop:
        raise click.UsageError(
            "--drop is for tables of mixed columns: CSV and Parquet files, without --likelihood."
        )
    is_parquet = Path(request.data).suffix.lower() == ".parquet"
    if is_frame(request.data) and not source and is_parquet:
        raise click.UsageError(
            f"{request.data} is a table of mixed columns: leave --image-size out."
        )
    return source


def load(request: Request, source: Dataset | None, processes: Processes) -> Dataset:
    """Return DATA, of which `source` is what `open_source` returned."""
    if request.is_table:
        return tables.learn(request.data, request.drop)
    if source is not None:
        return source
    is_name = request.data in datasets.names()
    if is_name and not processes.is_first:
        processes.agree()  # when the first process has downloaded the data
    dataset = image_rows.load_to_train(request.data, request.image_size, request.skip_broken)
    if is_name and processes.is_first:
        processes.agree()
    return dataset


def adapt(vae: VAE, dataset: Dataset, request: Request, *, other_loop: bool) -> None:
    """Set the parameters of a model that follow from the data, except those that the user set.

    With `other_loop`, the training has a checkpoint or several processes, which rules out
    principal components.

    Raises
    ------
    ClickException
        A conditional model lacks labels.
    """
    given = request.parameters
    if isinstance(dataset, TableRows):
        vae.set_params(likelihood=dataset.table.columns)
        if given["missing"] is None and np.isnan(dataset.X).any():
            vae.set_params(missing="mask")
    elif not sources.is_source(dataset):
        vae.set_params(**image_rows.recipe_for(dataset, given, checkpoint=other_loop))
    lacks_test_labels = dataset.X_test is not None and dataset.y_test is None
    if vae.conditional and (dataset.y is None or lacks_test_labels):
        lacking = "rows" if dataset.y is None else "test rows"
        raise click.ClickException(
            f"--conditional needs labels, but the {lacking} of {request.data} have none. "
            f"{inputs.LABELS}"
        )
    if not isinstance(dataset, TableRows) and given["standardize"] is None:
        vae.standardize = inputs.is_measured_table(vae, dataset)


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a data set, and which of them are for training, for validation and for the test.

    Attributes
    ----------
    found : Source or Rows
        Rows that are read a window at a time, or in memory.
    reader : Reader or None
        The reader of rows in memory, which have been read as a whole.
    chosen : ndarray of int64
        Numbers of the training rows.
    held_out : ndarray of int64 or None
        Numbers of the validation rows.
    test : Part
        The test rows.
    """

    found: Any
    reader: Reader | None
    chosen: Array
    held_out: Array | None
    test: inputs.Part

    @classmethod
    def of(cls, vae: VAE, dataset: Dataset, data: str, validation: float | None) -> TrainingRows:
        """Return the rows of a data set, all checked, so that no error comes after the training."""
        seed = check_integer(vae.random_state or 0, "random_state", low=0)
        parts = inputs.split(dataset, validation, seed)
        X: Any = dataset.X
        if isinstance(X, Source):
            return cls(X, None, *parts)
        reader, rows = Reader.learn(vae.get_params(), X, dataset.y, name=data)
        reader = replace(reader, names=dataset.columns)
        if dataset.X_test is not None:
            reader.read(dataset.X_test, dataset.y_test, name=f"{data}, test rows,")
        return cls(rows, reader, *parts)

    @property
    def features(self) -> int:
        """Number of features of a row."""
        return int(self.found.shape[1]) if self.reader is None else self.reader.features

    def choose(self, vae: VAE) -> dict[str, Any]:
        """Return the parameters of a fit on these rows, without any "auto"."""
        width = 0 if self.reader is None else self.reader.width
        return choose(
            vae.get_params(),
            len(self.chosen),
            self.features,
            width,
            has_validation=self.held_out is not None,
            whole=True,
        ).params

    def standardizing(self) -> TrainingRows:
        """Return rows that are standardized by the training rows alone."""
        if self.reader is None:  # the fit does this for a stream
            return self
        return replace(self, reader=self.reader.standardizing(select(self.found, self.chosen)))

    @property
    def training(self) -> Any:
        """The training rows, as `fit` takes them."""
        return self._part(self.chosen)

    @property
    def validation(self) -> Any:
        """The validation rows, as `fit` takes them, or None."""
        return None if self.held_out is None else self._part(self.held_out)

    def _part(self, chosen: Array) -> Any:
        whole = len(chosen) == len(self.found)
        if self.reader is None:
            return self.found.select(chosen)
        return Prepared(self.reader, self.found if whole else select(self.found, chosen))


def announce(dataset: Dataset, rows: TrainingRows, data: str) -> None:
    """Print how many rows and columns the data have, and how many are held out."""
    n = len(rows.chosen)
    size = outputs.describe_rows(dataset.X, n)
    if isinstance(dataset, TableRows):
        size = f"{n:,} rows of {len(dataset.table.sources)} columns"
    held_out = "" if rows.held_out is None else f", {len(rows.held_out):,} for validation"
    click.echo(
        f"Data  {data}: {size}{held_out}, {len(rows.test.X):,} for the test"
        f"{inputs.header_of(dataset)}"
    )
    if isinstance(dataset, TableRows):
        click.echo(f"Table {tables.describe(dataset.table)}{tables.describe_gaps(dataset.frame)}")
