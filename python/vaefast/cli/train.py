"""The command that trains a model: train."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import VAE, DivergenceError
from .._input.reader import Prepared, Reader
from .._system.files import numbered_folder, output_folder
from .commands import Command
from .options import force_option
from .types import height_and_width
from .vae_options import vae_options

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


@click.command(cls=Command)
@click.argument("data", default="strokes")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder to write to.  [default: a fresh one, such as runs/strokes-1]",
)
@force_option
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="FRACTION",
    help="Watch this part of the training rows after each epoch instead of training on it. "
    "--patience needs it.",
)
@click.option(
    "--image-size",
    type=height_and_width,
    metavar="SIDE|HEIGHT,WIDTH",
    help="Resize the images of a folder to this size in pixels.",
)
@vae_options
def train(
    data: str,
    out: Path | None,
    force: bool,
    validation: float | None,
    image_size: tuple[int, int] | None,
    **parameters: Any,
) -> None:
    """Train a model; write it and pictures of it into a folder.

    DATA is the name of a data set (strokes, mnist, fashion-mnist) or a path: IDX, .npy, .npz or
    CSV, or a folder of images. By default it is strokes, digits that vaefast draws itself.

    A data set's own test rows, or else a tenth of the rows, are kept for the test. Ctrl-C ends
    training early; the model trained so far is written. If the loss becomes infinite or NaN,
    the model of the epoch before is written.

    \b
    Examples:
        vaefast train
        vaefast train mnist --latent-dim 20 --hidden-layer-sizes 400 --out runs/mnist
        vaefast train photos/ --image-size 64 --hidden-layer-sizes 512,256 --latent-dim 32
        vaefast train table.csv --likelihood gaussian --validation 0.1 --patience 5
        vaefast train mnist --conditional
    """
    from .. import datasets
    from . import inputs, outputs

    vae = VAE(**{name: value for name, value in parameters.items() if value is not None})
    if vae.patience is not None and validation is None:
        raise click.UsageError("--patience needs rows to watch: add --validation 0.1, for example.")
    with _run_folder(out, data, outputs.FILES, force) as folder:
        dataset = datasets.load(data, image_size=image_size)
        if vae.conditional and (
            dataset.y is None or (dataset.X_test is not None and dataset.y_test is None)
        ):
            raise click.ClickException(
                f"--conditional needs labels, and {data} has none. {inputs.LABELS}"
            )
        reader, rows = Reader.learn(vae.get_params(), dataset.X, dataset.y, name=data)
        reader = replace(reader, names=dataset.columns)
        chosen, watched, test = inputs.split(dataset, validation, parameters["random_state"] or 0)
        for_validation = "" if watched is None else f", {len(watched):,} for validation"
        click.echo(
            f"Data  {data}: {outputs.describe_rows(dataset.X, len(chosen))}{for_validation}, "
            f"{len(test.X):,} for the test{inputs.header_of(dataset)}"
        )
        click.echo(f"Net   {outputs.describe_net(vae, reader.features)}")
        training = rows if len(chosen) == len(rows) else rows[chosen]
        validating = None if watched is None else Prepared(reader, rows[watched])
        diverged = _fit(vae, Prepared(reader, training), validating)
        outputs.write_model(folder, vae)
        if diverged:
            left_out = outputs.remove_pictures(folder, "the training diverged")
        else:
            click.echo(f"Test  {outputs.describe_scores(vae.evaluate(test.X, test.y))}")
            left_out = outputs.write_pictures(folder, vae, test)
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
        sys.exit(INTERRUPTED)


def _fit(vae: VAE, training: Any, validation: Any) -> DivergenceError | None:
    """Train; return the error if the training diverged after the first epoch."""
    try:
        vae.fit(training, validation=validation)
    except DivergenceError as error:
        if not vae.n_iter_:
            raise
        return error
    if vae.interrupted_:
        click.echo(f"Interrupted after {vae.n_iter_} of {vae.epochs} epochs.")
    return None


def _run_folder(
    out: Path | None, data: str, names: Iterable[str], force: bool
) -> AbstractContextManager[Path]:
    if out is not None:
        return output_folder(out, names, force)
    stem = Path(data).resolve().name.split(".")[0]  # data/digits.csv -> digits
    return numbered_folder("runs", stem or "data")
