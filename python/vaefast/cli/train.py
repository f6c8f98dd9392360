"""The command `train`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import VAE, Checkpoint, DivergenceError
from .._engine.automatic import AUTO, CHOOSABLE
from .._engine.building import describe_net
from .._engine.components import check_components
from .._engine.processes import Processes
from .._system.files import numbered_folder, output_folder
from ..checkpoint import Unit
from .commands import Command
from .options import force_option
from .processes import together
from .types import height_and_width, interval
from .vae_options import vae_options

if TYPE_CHECKING:
    from .inputs import Part
    from .train_data import Request, TrainingRows

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
        from .train_data import Request  # loads Pillow

        request = Request(data, image_size, skip_broken, drop, parameters)
        checkpoint_every = checkpoint_every or (EACH_EPOCH if checkpoint or resume else None)
        _train(processes, request, out, force, validation, checkpoint_every, resume)


def _train(
    processes: Processes,
    request: Request,
    out: Path | None,
    force: bool,
    validation: float | None,
    checkpoint_every: tuple[float, Unit] | None,
    resume: bool,
) -> None:
    """Train in one process or in several, of which the first one writes."""
    from . import outputs, tables, train_data

    vae = _new_model(request.parameters, validation)
    if resume and out is None:
        raise click.UsageError("--resume needs the folder of the run: add --out FOLDER.")
    source = train_data.open_source(request)
    if processes.is_first and out is not None:
        _check_unfinished(out.expanduser(), resume, force)
    with (
        _run_folder(out, request.data, outputs.FILES, force or resume)
        if processes.is_first
        else nullcontext(Path())
    ) as folder:
        dataset = train_data.load(request, source, processes)
        other_loop = checkpoint_every is not None or processes.size > 1
        train_data.adapt(vae, dataset, request, other_loop=other_loop)
        rows = train_data.TrainingRows.of(vae, dataset, request.data, validation)
        train_data.announce(dataset, rows, request.data)
        _announce_net(vae, rows, checkpoint_every is not None, processes)
        rows = rows.standardizing() if vae.standardize else rows
        watched, checkpoint = rows.validation, None
        if checkpoint_every is not None:
            every, unit = checkpoint_every
            checkpoint = Checkpoint(folder / CHECKPOINT, every, unit=unit, resume=resume)
        with _termination() as terminated:
            diverged = _fit(vae, rows.training, watched, checkpoint, processes)
        if not processes.is_first:
            return
        vae.table_ = dataset.table if isinstance(dataset, tables.TableRows) else None
        left_out = _write(folder, vae, rows.test, diverged)
    _report(folder, left_out)
    if diverged:
        raise diverged
    if vae.interrupted_:
        sys.exit(TERMINATED if terminated else INTERRUPTED)


def _new_model(parameters: Mapping[str, Any], validation: float | None) -> VAE:
    """Return a model in which the data decide on all that the user did not set."""
    given = {name: value for name, value in parameters.items() if value is not None}
    given |= {name: AUTO for name in CHOOSABLE if name not in given}
    vae = VAE(**given)
    if vae.patience is not None and validation is None and vae.epochs != AUTO:
        raise click.UsageError("--patience needs validation rows: add --validation 0.1.")
    return vae


def _check_unfinished(folder: Path, resume: bool, force: bool) -> None:
    """Raise UsageError if there is no run to resume, or one that would be replaced."""
    unfinished = folder / CHECKPOINT
    if resume and not unfinished.exists():
        raise click.UsageError(
            f"--resume: {unfinished} does not exist. A run writes it with --checkpoint, and "
            "removes it when it is finished."
        )
    if not (resume or force) and unfinished.exists():
        raise click.UsageError(
            f"{folder} holds a run that is not finished ({CHECKPOINT}). Continue it "
            "with --resume, or replace it with --force."
        )


def _announce_net(vae: VAE, rows: TrainingRows, has_checkpoint: bool, processes: Processes) -> None:
    """Print what is trained, and check that it can be trained in this way."""
    from . import image_rows

    params = rows.choose(vae)
    click.echo(f"Net   {describe_net(params, rows.features)}")
    check_components(params, rows.found, has_checkpoint, processes)
    if params["components"] is not None:
        click.echo(f"Fit   {image_rows.describe_components(params, len(rows.chosen))}")


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


def _write(folder: Path, vae: VAE, test: Part, diverged: DivergenceError | None) -> dict[str, str]:
    """Write the model and its pictures; return the reason for each file that is left out."""
    from . import inputs, outputs

    outputs.write_model(folder, vae)
    if not vae.interrupted_:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    if diverged:
        return outputs.remove_pictures(folder, "training diverged")
    active = vae.history_["active_units"][-1]
    click.echo(
        f"Test  {outputs.describe_scores(vae.evaluate(test.X, test.y))}, "
        f"{active} of {vae.model_.latent_dim} latent units active"
    )
    some = test.first(outputs.rows_for_pictures(vae.n_features_in_))
    shown = replace(some, X=inputs.in_units_of(vae, some.X))
    return outputs.write_pictures(folder, vae, shown)


def _report(folder: Path, left_out: Mapping[str, str]) -> None:
    """Print which files were written, and why others were left out."""
    from . import outputs

    click.echo(f"Wrote {folder}/")
    for name, text in outputs.FILES.items():
        if name not in left_out:
            click.echo(f"  {name:21}{text}")
    for reason in dict.fromkeys(left_out.values()):
        names = ", ".join(name for name in left_out if left_out[name] == reason)
        click.echo(f"Left out {names}: {reason}")


def _run_folder(
    out: Path | None, data: str, names: Iterable[str], force: bool
) -> AbstractContextManager[Path]:
    if out is not None:
        return output_folder(out, names, force)
    stem = Path(data).resolve().name.split(".")[0]  # data/digits.csv -> digits
    return numbered_folder("runs", stem or "data")
