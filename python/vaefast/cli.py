"""The vaefast command: train, reconstruct, sample, evaluate, explore, info; more in cli_*.py."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import vaefast
from vaefast import VAE, DivergenceError
from vaefast.cli_looking import draw_map, nearest, traverse
from vaefast.cli_making import breed, direction, morph
from vaefast.cli_rows import encode, impute, score
from vaefast.files import numbered_folder, output_folder
from vaefast.options import (
    Command,
    Group,
    IndexCommand,
    condition,
    data_argument,
    force_option,
    free_file,
    height_and_width,
    load_model,
    model_argument,
    output_file,
    seed_option,
    split_option,
    temperature_option,
    vae_options,
)

if TYPE_CHECKING:
    from vaefast.rows import Part

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vaefast.__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Train and use variational autoencoders on the CPU.

    \b
    Start with:
        vaefast train              train on built-in data, write a model and pictures
        vaefast COMMAND --help     all that a command can do
    """


@main.command(cls=Command)
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
    from vaefast import datasets, report, rows
    from vaefast.rowdata import Reader

    vae = VAE(**{name: value for name, value in parameters.items() if value is not None})
    if vae.patience is not None and validation is None:
        raise click.UsageError("--patience needs rows to watch: add --validation 0.1, for example.")
    with _run_folder(out, data, report.FILES, force) as folder:
        dataset = datasets.load(data, image_size=image_size)
        if vae.conditional and (
            dataset.y is None or (dataset.X_test is not None and dataset.y_test is None)
        ):
            raise click.ClickException(
                f"--conditional needs labels, and {data} has none. {rows.LABELS}"
            )
        # checked before rows move
        Reader.learn(vae.get_params(), dataset.X, dataset.y).read(dataset.X, dataset.y, name=data)
        training, watched, test = rows.parts(
            dataset, validation, seed=parameters["random_state"] or 0
        )
        for_validation = "" if watched is None else f", {len(watched.X):,} for validation"
        click.echo(
            f"Data  {data}: {report.describe_rows(training.X)}{for_validation}, "
            f"{len(test.X):,} for the test{rows.header_of(dataset)}"
        )
        click.echo(f"Net   {report.describe_net(vae, math.prod(training.X.shape[1:]))}")
        diverged = _fit(vae, training, watched)
        vae._name_features(dataset.columns)
        report.write_model(folder, vae)
        if diverged:
            left_out = report.remove_pictures(folder, "the training diverged")
        else:
            click.echo(f"Test  {report.describe_scores(vae.evaluate(test.X, test.y))}")
            left_out = report.write_pictures(folder, vae, test)
    click.echo(f"Wrote {folder}/")
    for name, text in report.FILES.items():
        if name not in left_out:
            click.echo(f"  {name:21}{text}")
    for reason in dict.fromkeys(left_out.values()):
        names = ", ".join(name for name in left_out if left_out[name] == reason)
        click.echo(f"Left out {names}: {reason}")
    if diverged:
        raise diverged
    if vae.interrupted_:
        sys.exit(INTERRUPTED)


def _fit(vae: VAE, training: Part, watched: Part | None) -> DivergenceError | None:
    """Train; return the error if it diverged, but not before the first epoch was done."""
    try:
        vae.fit(
            training.X, training.y, validation=None if watched is None else (watched.X, watched.y)
        )
    except DivergenceError as error:
        if not vae.n_iter_:
            raise
        return error
    if vae.interrupted_:
        click.echo(f"Interrupted after {vae.n_iter_} of {vae.epochs} epochs.")
    return None


@main.command(cls=IndexCommand)
@model_argument
@data_argument
@click.option(
    "--index",
    "indexes",
    type=int,
    multiple=True,
    metavar="N [N ...]",
    help="The rows, counted from 0: --index 7 42 99.  [default: the first ten]",
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show N interpretations of each row, drawn from its posterior.  [default: one, at the "
    "mean of the posterior]",
)
@seed_option
@split_option("test")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: reconstruction.png, for a table reconstruction.csv]",
)
@force_option
def reconstruct(
    model: Path,
    data: str,
    indexes: tuple[int, ...],
    draws: int | None,
    seed: int | None,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Show rows of DATA and what MODEL makes of them.

    MODEL is a file that train wrote, or its folder. Images become a picture, the originals above
    and the results below, or with --draws beside; rows of a table become a CSV file of the results.

    \b
    Examples:
        vaefast reconstruct runs/mnist mnist --index 7 42 99 --out reconstruction.png
        vaefast reconstruct runs/mnist mnist --index 7 42 99 --draws 8 --out draws.png
    """
    from vaefast import images, report, rows

    vae = load_model(model, conditional=True)
    out = output_file(out, "reconstruction", vae, force)
    dataset, X, where = rows.load_rows(vae, data, split)
    rows.check_indexes(indexes, X, where)
    chosen = list(indexes) or list(range(min(10, len(X))))
    originals, labels = X[chosen], rows.labels_of(dataset, X)
    y = None if labels is None else labels[chosen]
    results = vae.reconstruct(originals, y, n=draws, random_state=seed)
    if images.is_image_shape(vae.feature_shape_):
        levels = images.value_range(originals)
        if draws is None:
            picture = images.comparison(originals, results, black_white=levels)
        else:
            picture = images.strips(
                [[original, *drawn] for original, drawn in zip(originals, results, strict=True)],
                names=[f"row {index}" for index in chosen],
                heads=["original", "draws"],
                breaks=[1],
                black_white=levels,
            )
        report.save_picture(picture, out)
    else:
        flat = results.reshape(-1, vae.n_features_in_)  # with --draws several rows of one
        report.write_rows(out, flat, rows.names_of(vae, dataset))
    click.echo(f"Wrote {out}: {', '.join(map(str, chosen))} of the {where}")


@main.command(cls=Command)
@model_argument
@click.option(
    "-n", "n", type=click.IntRange(min=1), default=64, show_default=True, help="How many rows."
)
@temperature_option
@click.option(
    "--draw",
    is_flag=True,
    help="Draw the rows from p(x|z) too, instead of showing its mean: for tables and counts.",
)
@click.option(
    "-y",
    "--label",
    metavar="LABEL|X,X,...",
    help="What the rows are to be, of a conditional model: a label, or numbers.",
)
@seed_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: samples.png, for a table samples.csv]",
)
@force_option
def sample(
    model: Path,
    n: int,
    temperature: float,
    draw: bool,
    label: str | None,
    seed: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Draw new rows from MODEL.

    MODEL is a file that train wrote, or its folder. Images become a picture, rows of a table
    a CSV file.

    \b
    Examples:
        vaefast sample runs/mnist -n 64 --seed 1 --out samples.png
        vaefast sample runs/by-class -n 8 --label 3
    """
    from vaefast import images, report, rows

    vae = load_model(model, conditional=True)
    out = output_file(out, "samples", vae, force)
    y = condition(vae, label)
    drawn = vae.sample(n, random_state=seed, y=y, temperature=temperature, draw=draw)
    if images.is_image_shape(vae.feature_shape_):
        report.save_picture(images.sheet(drawn, black_white=images.value_range(drawn)), out)
    else:
        report.write_rows(out, drawn, rows.names_of(vae))
    click.echo(f"Wrote {out}: {n:,} samples")
    if not draw and not images.is_image_shape(vae.feature_shape_):
        click.echo("They are means of p(x|z); --draw draws the values too, as the data have them.")


@main.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def evaluate(model: Path, data: str, split: str | None, as_json: bool) -> None:
    """Print the ELBO of DATA under MODEL.

    With the ELBO go its two parts, the reconstruction and the KL, all in nats per row.
    MODEL is a file that train wrote, or its folder.

    \b
    Example:
        vaefast evaluate runs/mnist mnist
    """
    from vaefast import report, rows

    vae = load_model(model, conditional=True)
    dataset, X, where = rows.load_rows(vae, data, split)
    scores = vae.evaluate(X, rows.labels_of(dataset, X))
    if as_json:
        click.echo(json.dumps(scores))
    else:
        click.echo(f"Data  {where}: {report.describe_rows(X)}")
        click.echo(f"Score {report.describe_scores(scores)}")


@main.command(cls=Command)
@model_argument
@click.option("--data", help="Show where these rows lie in the latent space.")
@split_option("test")
@click.option(
    "--directions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A .npy file that vaefast direction --save wrote, or a .npz file of named directions: "
    "each becomes a slider. May be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="explore.html",
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--open/--no-open", "show", default=True, help="Open it in a browser.  [default: open]"
)
@force_option
def explore(
    model: Path,
    data: str | None,
    split: str | None,
    directions: tuple[Path, ...],
    out: Path,
    show: bool,
    force: bool,
) -> None:
    """Write a page to walk through MODEL's latent space; open it.

    The page is one HTML file with the decoder inside: it needs no network and no server. A map
    develops the picture under the pointer; sliders, morphs and breeding are beside it.
    MODEL is a file that train wrote, or its folder.

    \b
    Example:
        vaefast explore runs/mnist --data mnist --out mnist.html
    """
    from vaefast.explore.command import open_page, write_page_of

    free_file(out, force)
    write_page_of(model, data, split, directions, out)
    click.echo(f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    if show and not open_page(out):
        click.echo(f"No browser was found here. Open {out.resolve()} in one yourself.")


@main.command(cls=Command)
@click.argument("model", required=False, type=click.Path(path_type=Path))
def info(model: Path | None) -> None:
    """Print what vaefast runs on, or what MODEL is.

    Without MODEL: version, instruction set, threads and Eigen. MODEL is a file that train wrote, or
    its folder.
    """
    if model is None:
        known = vaefast.info()
    else:
        from vaefast import report

        known = report.describe_model(load_model(model, conditional=True))
    for name, value in known.items():
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        click.echo(f"{name.replace('_', ' '):18}{text}")


def _run_folder(
    out: Path | None, data: str, names: Iterable[str], force: bool
) -> AbstractContextManager[Path]:
    if out is not None:
        return output_folder(out, names, force)
    stem = Path(data).resolve().name.split(".")[0]  # data/digits.csv -> digits
    return numbered_folder("runs", stem or "data")


for command in (encode, score, impute, morph, direction, breed, nearest, traverse, draw_map):
    main.add_command(command)


if __name__ == "__main__":
    main()
