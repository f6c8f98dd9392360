"""The command `train`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import VAE, Checkpoint, DivergenceError, datasets
from .._engine.automatic import AUTO, CHOOSABLE, choose
from .._engine.building import describe_net
from .._engine.components import check_components
from .._engine.processes import Processes
from .._input.reader import Prepared, Reader
from .._input.rows import select
from .._input.sources import Source
from .._input.validation import check_integer
from .._system.files import numbered_folder, output_folder
from ..checkpoint import Unit
from ..datasets import Dataset
from .commands import Command
from .options import force_option
from .processes import together
from .types import height_and_width, interval
from .vae_options import vae_options

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended
TERMINATED = 143  # exit code of a program that SIGTERM ended
EACH_EPOCH: tuple[float, Unit] = (1, "epochs")
CHECKPOINT = "checkpoint.safetensors"  # in the folder of the run until the run is finished


@click.command(cls=Command)
@click.argument("data", default="strokes")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this folder.  [default: a new folder, such as runs/strokes-1]",
)
@force_option
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="FRACTION",
    help="Hold out this fraction of the training rows and measure their ELBO after each epoch. "
    "--patience needs it.",
)
@click.option(
    "--image-size",
    type=height_and_width,
    metavar="SIDE|HEIGHT,WIDTH",
    help="Crop the images of a folder around the centre and resize them to this size in pixels.  "
    "[default: at most 64 a side, unless all have one size of at most 96]",
)
@click.option(
    "--skip-broken", is_flag=True, help="Leave out files of a folder that aren't images; name them."
)
@click.option(
    "--drop",
    multiple=True,
    metavar="COLUMN",
    help="Leave this column of a table out. The option may be repeated.",
)
@click.option(
    "--checkpoint",
    is_flag=True,
    help="Save a checkpoint, the state of the training, to the folder after each epoch. --resume "
    "continues from there.",
)
@click.option(
    "--checkpoint-every",
    type=interval,
    metavar="N|Nsteps|Nmin",
    help="Save the checkpoint every N epochs, steps or minutes instead: 5, 1000steps or 10min.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue a run that was killed or interrupted, in the folder --out. The result has the "
    "same bits as an uninterrupted run.",
)
@vae_options
def train(
    data: str,
    out: Path | None,
    force: bool,
    validation: float | None,
    image_size: tuple[int, int] | None,
    skip_broken: bool,
    drop: tuple[str, ...],
    checkpoint: bool,
    checkpoint_every: tuple[float, Unit] | None,
    resume: bool,
    **parameters: Any,
) -> None:
    """Train a model and write it to a folder, with pictures.

    DATA is the name of a data set (strokes, mnist, fashion-mnist), the path of an IDX, .npy, .npz,
    CSV, Parquet, HDF5 or zarr file, or a folder of images, or of .npy, Parquet or CSV files. A .npz
    file may hold a sparse matrix of SciPy. The default is strokes: digits that vaefast draws
    itself.

    A CSV or Parquet file is a table of mixed columns: numbers, text, dates, booleans and missing
    values. The likelihoods follow from the columns, and sample, impute, encode, score and
    reconstruct read and write the same columns. With --likelihood, such a file is read as a matrix
    of numbers instead.

    Parquet files of numbers, HDF5, zarr and folders of files may be larger than memory: windows of
    rows are read and shuffled one after the other. A .npy file stays on the disk, and all of its
    rows are shuffled together; with --window, it is read in windows, too, which is faster if it is
    larger than memory. file.h5:name chooses one of several arrays.

    After training, the model is scored on the test rows of the data set. If it has none, a tenth of
    the rows is held out for this. Ctrl-C and SIGTERM end training early and write the model trained
    so far. If the loss becomes infinite or NaN, the command writes the model of the epoch before.

    Started by mpiexec, several processes train one model together. This needs mpi4py.

    \b
    Examples:
        vaefast train
        vaefast train mnist --latent-dim 20 --hidden-layer-sizes 400 --out runs/mnist
        vaefast train photos/ --image-size 64 --hidden-layer-sizes 512,256 --latent-dim 32
        vaefast train people.csv --drop name --out runs/people
        vaefast train table.csv --likelihood gaussian --validation 0.1 --patience 5
        vaefast train cells.h5:counts --likelihood poisson
        vaefast train mnist --conditional
        vaefast train mnist --epochs 500 --checkpoint --out runs/long
        vaefast train mnist --epochs 500 --checkpoint --out runs/long --resume
        mpiexec -n 4 vaefast train mnist --out runs/together
    """
    with together() as processes:
        _train(
            processes,
            data,
            out,
            force,
            validation,
            image_size,
            skip_broken,
            drop,
            checkpoint_every or (EACH_EPOCH if checkpoint or resume else None),
            resume,
            parameters,
        )


def _train(
    processes: Processes,
    data: str,
    out: Path | None,
    force: bool,
    validation: float | None,
    image_size: tuple[int, int] | None,
    skip_broken: bool,
    drop: tuple[str, ...],
    checkpoint_every: tuple[float, Unit] | None,
    resume: bool,
    parameters: dict[str, Any],
) -> None:
    """Train in one process or in several, of which the first one writes."""
    from . import image_rows, inputs, outputs, sources, tables
    from .frames import is_frame

    given = {name: value for name, value in parameters.items() if value is not None}
    given |= {name: AUTO for name in CHOOSABLE if name not in given}
    vae = VAE(**given)
    if vae.patience is not None and validation is None and vae.epochs != AUTO:
        raise click.UsageError("--patience needs validation rows: add --validation 0.1.")
    if resume and out is None:
        raise click.UsageError("--resume needs the folder of the run: add --out FOLDER.")
    as_table = parameters["likelihood"] is None and is_frame(data) and image_size is None
    source = None
    if not as_table:
        source = sources.open_source(
            data, numbers=parameters["likelihood"] is not None, window=parameters["window"]
        )
    if drop and not as_table:
        raise click.UsageError(
            "--drop is for tables of mixed columns: CSV and Parquet files, without --likelihood."
        )
    if is_frame(data) and not as_table and not source and Path(data).suffix.lower() == ".parquet":
        raise click.UsageError(f"{data} is a table of mixed columns: leave --image-size out.")
    shared = processes.size > 1
    unfinished = None if out is None else out.expanduser() / CHECKPOINT
    if processes.is_first and resume and unfinished is not None and not unfinished.exists():
        raise click.UsageError(
            f"--resume: {unfinished} does not exist. A run writes it with --checkpoint, and "
            "removes it when it is finished."
        )
    replaced = not (resume or force) and unfinished is not None and unfinished.exists()
    if processes.is_first and unfinished is not None and replaced:
        raise click.UsageError(
            f"{unfinished.parent} holds a run that is not finished ({CHECKPOINT}). Continue it "
            "with --resume, or replace it with --force."
        )
    with (
        _run_folder(out, data, outputs.FILES, force or resume)
        if processes.is_first
        else nullcontext(Path())
    ) as folder:
        dataset: Dataset
        table, gaps = None, ""
        if as_table:
            dataset = learned = tables.learn(data, drop)
            table, gaps = learned.table, tables.describe_gaps(learned.frame)
            vae.set_params(likelihood=table.columns)
            if parameters["missing"] is None and np.isnan(dataset.X).any():
                vae.set_params(missing="mask")
        elif source is not None:
            dataset = source
        else:
            if not processes.is_first and data in datasets.names():
                processes.agree()  # when the first process has downloaded the data
            dataset = image_rows.load_to_train(data, image_size, skip_broken)
            if processes.is_first and data in datasets.names():
                processes.agree()
            vae.set_params(
                **image_rows.recipe_for(
                    dataset, parameters, checkpoint=checkpoint_every is not None or shared
                )
            )
        if vae.conditional and (
            dataset.y is None or (dataset.X_test is not None and dataset.y_test is None)
        ):
            lacking = "rows" if dataset.y is None else "test rows"
            raise click.ClickException(
                f"--conditional needs labels, but the {lacking} of {data} have none. "
                f"{inputs.LABELS}"
            )
        if table is None and parameters["standardize"] is None:
            vae.standardize = inputs.is_measured_table(vae, dataset)
        seed = check_integer(vae.random_state or 0, "random_state", low=0)
        chosen, held_out, test = inputs.split(dataset, validation, seed)
        rows = _Rows.of(vae, dataset, data)
        for_validation = "" if held_out is None else f", {len(held_out):,} for validation"
        size = outputs.describe_rows(dataset.X, len(chosen))
        if table is not None:
            size = f"{len(chosen):,} rows of {len(table.sources)} columns"
        click.echo(
            f"Data  {data}: {size}{for_validation}, {len(test.X):,} for the test"
            f"{inputs.header_of(dataset)}"
        )
        if table is not None:
            click.echo(f"Table {tables.describe(table)}{gaps}")
        params = choose(
            vae.get_params(),
            len(chosen),
            rows.features,
            rows.width,
            has_validation=held_out is not None,
            whole=True,
        ).params
        click.echo(f"Net   {describe_net(params, rows.features)}")
        check_components(params, rows.found, checkpoint_every is not None, processes)
        if params["components"] is not None:
            click.echo(f"Fit   {image_rows.describe_components(params, len(chosen))}")
        rows = rows.standardizing(chosen) if vae.standardize else rows
        validating = None if held_out is None else rows.part(held_out)
        point = None
        if checkpoint_every is not None:
            every, unit = checkpoint_every
            point = Checkpoint(folder / CHECKPOINT, every, unit=unit, resume=resume)
        with _termination() as terminated:
            diverged = _fit(vae, rows.part(chosen), validating, point, processes)
        if not processes.is_first:
            return
        vae.table_ = table
        outputs.write_model(folder, vae)
        if not vae.interrupted_:
            (folder / CHECKPOINT).unlink(missing_ok=True)
        if diverged:
            left_out = outputs.remove_pictures(folder, "training diverged")
        else:
            active = vae.history_["active_units"][-1]
            click.echo(
                f"Test  {outputs.describe_scores(vae.evaluate(test.X, test.y))}, "
                f"{active} of {vae.model_.latent_dim} latent units active"
            )
            some = test.first(outputs.rows_for_pictures(rows.features))
            shown = replace(some, X=inputs.in_units_of(vae, some.X))
            left_out = outputs.write_pictures(folder, vae, shown)
    click.echo(f"Wrote {folder}/")
    for name, text in outputs.FILES.items():
        if name not in left_out:
            click.echo(f"  {name:21}{text}")
    for reason in dict.fromkeys(left_out.values()):
        names = ", ".join(name for name in left_out if left_out[name] == reason)
        click.echo(f"Left out {names}: {reason}")
    if diverged:
        raise diverged
    if vae.interrupted_:
        sys.exit(TERMINATED if terminated else INTERRUPTED)


@dataclass(frozen=True)
class _Rows:
    """The rows of a data set, from which training and validation rows are taken without copies.

    Attributes
    ----------
    found : Source or Rows
        Rows that are read a window at a time, or in memory.
    reader : Reader or None
        The reader of rows in memory, which have been read as a whole.
    """

    found: Any
    reader: Reader | None

    @classmethod
    def of(cls, vae: VAE, dataset: Dataset, data: str) -> _Rows:
        """Return the rows of a data set, all checked, so that no error comes after the training."""
        X: Any = dataset.X
        if isinstance(X, Source):
            return cls(X, None)
        reader, rows = Reader.learn(vae.get_params(), X, dataset.y, name=data)
        reader = replace(reader, names=dataset.columns)
        if dataset.X_test is not None:
            reader.read(dataset.X_test, dataset.y_test, name=f"{data}, test rows,")
        return cls(rows, reader)

    @property
    def features(self) -> int:
        """Number of features of a row."""
        return int(self.found.shape[1]) if self.reader is None else self.reader.features

    @property
    def width(self) -> int:
        """Number of conditions of a row."""
        return 0 if self.reader is None else self.reader.width

    def standardizing(self, chosen: Any) -> _Rows:
        """Return rows that are standardized by the training rows alone."""
        if self.reader is None:  # the fit does this for a stream
            return self
        return replace(self, reader=self.reader.standardizing(select(self.found, chosen)))

    def part(self, chosen: Any) -> Any:
        """Return the rows with these numbers, as `fit` takes them."""
        whole = len(chosen) == len(self.found)
        if self.reader is None:
            return self.found.select(chosen)
        return Prepared(self.reader, self.found if whole else select(self.found, chosen))


@contextmanager
def _termination() -> Iterator[list[int]]:
    """Let SIGTERM end training as Ctrl-C does; yield a list to which the signal is added."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only that one sets handlers
        yield received
        return

    def interrupt(number: int, frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def _fit(
    vae: VAE,
    training: Any,
    validation: Any,
    checkpoint: Checkpoint | None,
    processes: Processes,
) -> DivergenceError | None:
    """Train the model; return the error if training diverged after the first epoch."""
    try:
        vae.fit(training, validation=validation, checkpoint=checkpoint, comm=processes)
    except DivergenceError as error:
        if not vae.n_iter_:
            raise
        return error
    except KeyboardInterrupt:
        if not hasattr(vae, "model_") or not vae.interrupted_:  # before or after training
            raise
    if vae.interrupted_:
        click.echo(f"Interrupted after {vae.n_iter_} of {vae.model_.params['epochs']} epochs.")
    return None


def _run_folder(
    out: Path | None, data: str, names: Iterable[str], force: bool
) -> AbstractContextManager[Path]:
    if out is not None:
        return output_folder(out, names, force)
    stem = Path(data).resolve().name.split(".")[0]  # data/digits.csv -> digits
    return numbered_folder("runs", stem or "data")
