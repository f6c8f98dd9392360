"""The commands that learn an attribute and change it: direction, edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np

from .. import VAE, latent
from ..datasets import Dataset
from . import directions
from .commands import Command, IndexCommand
from .options import (
    data_argument,
    data_option,
    force_option,
    free_file,
    load_image_model,
    model_argument,
    out_option,
    split_option,
)

if TYPE_CHECKING:
    from PIL.Image import Image

FEW = 5  # smaller groups of rows give a noisy direction
FEW_NUMBERS = 50  # fewer numbers give a noisy direction
STEPS_OF_AMOUNT = 4  # images from no change to the full amount

Array = np.ndarray[Any, np.dtype[Any]]
Function = TypeVar("Function", bound=Callable[..., Any])


def amount_option(text: str, required: bool = False) -> Callable[[Function], Function]:
    """Return the option for how far to go along a direction."""
    return click.option(
        "--amount",
        "--years",
        "amount",
        type=float,
        required=required,
        help=text + "The unit is that of the numbers of --by, or the standard deviation of the "
        "codes along a direction between two groups. Negative numbers go back.",
    )


@click.command(cls=IndexCommand)
@model_argument
@data_argument
@click.option(
    "--with", "with_label", metavar="LABEL", help="Name the label of rows with the attribute."
)
@click.option(
    "--without",
    "without_label",
    metavar="LABEL",
    help="Name the label of rows without the attribute.  [default: all other rows]",
)
@click.option(
    "--with-rows",
    type=int,
    multiple=True,
    metavar="N [N ...]",
    help="Instead of a label, list the rows with the attribute, counted from 0.",
)
@click.option(
    "--without-rows",
    type=int,
    multiple=True,
    metavar="N [N ...]",
    help="Instead of a label, list the rows without the attribute, counted from 0.",
)
@click.option(
    "--by",
    metavar="NAME|FILE",
    help="Instead of two groups, take a number for each image: the one that follows NAME in the "
    "name of its file, as in anna_age31.jpg for age, or that of a CSV file of names and numbers.",
)
@click.option(
    "--image",
    "examples",
    multiple=True,
    metavar="ROW|FILE",
    help="Change this image: a row of DATA or an image file. The option may be repeated.  "
    "[default: the first five rows, or those without the attribute]",
)
@click.option(
    "--strength",
    type=click.FloatRange(min=0, min_open=True),
    help="Go this far to either side: for two groups, in standard deviations of the codes along "
    "the direction; with --by, in standard deviations of the numbers.  [default: 2; 1 with --by]",
)
@amount_option("Show the images changed by this much instead, and keep their detail. ")
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    help="Make this many images of each row.  [default: 7, or 4 with --amount]",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Also write the direction to this .npz file, or .npy file.",
)
@split_option("train")
@out_option("direction.png")
@force_option
def direction(
    model: Path,
    data: str,
    with_label: str | None,
    without_label: str | None,
    with_rows: tuple[int, ...],
    without_rows: tuple[int, ...],
    by: str | None,
    examples: tuple[str, ...],
    strength: float | None,
    amount: float | None,
    steps: int | None,
    save: Path | None,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Learn the direction of an attribute, and show images with less and with more of it.

    Two groups of rows of DATA show the attribute: rows with it and rows without it. Choose each
    group by a label, such as a sub-folder, or by row numbers. With --by, a number for each image
    measures the attribute, such as an age. MODEL is a file that train wrote, or its folder.

    \b
    Examples:
        vaefast direction runs/mnist mnist --with 3 --without 8
        vaefast direction runs/faces faces/ --with smile --without plain --save smile.npz
        vaefast direction runs/faces faces/ --with-rows 3 14 15 --without-rows 9 26 --image me.jpg
        vaefast direction runs/faces faces/ --by age --years 20 --save age.npz
        vaefast direction runs/faces faces/ --by ages.csv --years 20 --image me.jpg
    """
    from .. import pictures
    from . import inputs

    vae = load_image_model(model, "direction")
    out = free_file(out or Path("direction.png"), force)
    if save is not None:
        directions.check_suffix(save)
        free_file(save, force)
    if by is not None and (with_label or without_label or with_rows or without_rows):
        raise click.UsageError("Choose either --by or two groups of rows, not both.")
    if amount is not None and strength is not None:
        raise click.UsageError("Choose either --amount or --strength, not both.")
    dataset, X, where = inputs.load_rows(vae, data, split, default="train")
    if by is None:
        by_label, by_number = (with_label, without_label), (with_rows, without_rows)
        found = _between_groups(vae, dataset, X, where, by_label, by_number)
    else:
        found = _along_numbers(vae, dataset, X, where, by)
    shown = inputs.images_among(X, where, vae, examples) if examples else X[found.without[:5]]
    if amount is not None:
        strengths = _up_to(amount, steps or STEPS_OF_AMOUNT)
    else:
        most = strength or (2.0 if by is None else 1.0)
        strengths = np.linspace(-most, most, steps or 7) * found.unit
    if by is None and amount is None:
        results = latent.shift(vae, shown, found.vector, strengths)
    else:
        results = _edited(vae, shown, found.vector, strengths)
    pictures.save(_strips(shown, results, strengths, pictures.value_range(X)), out)
    if save is not None:
        directions.save(save, found.vector, vae)
    click.echo(f"Wrote {out}: the direction {found.text}")
    if found.few:
        click.echo(f"{found.few} in other ways. Use more rows for a cleaner direction.")
    if save is not None:
        click.echo(f"Wrote {save}: the direction, {len(found.vector)} numbers")


@click.command(cls=Command)
@model_argument
@click.argument("names", metavar="PICTURES...", nargs=-1, required=True)
@data_option
@split_option("test")
@click.option(
    "--along",
    type=click.Path(path_type=Path),
    required=True,
    help="Go along this direction: a file that vaefast direction --save wrote.",
)
@amount_option("Change the pictures by this much. ", required=True)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=STEPS_OF_AMOUNT,
    show_default=True,
    help="Show this many steps up to the amount.",
)
@out_option(
    "edited.png",
    "A name without a suffix is a folder, which gets the changed pictures, one file for each.",
)
@force_option
def edit(
    model: Path,
    names: tuple[str, ...],
    data: str | None,
    split: str | None,
    along: Path,
    amount: float,
    steps: int,
    out: Path | None,
    force: bool,
) -> None:
    """Change one attribute of pictures: make a portrait older, or make it smile.

    PICTURES are images. Each is the number of a row of --data, or an image file. The command adds
    the change along the direction to the picture itself, which keeps all detail that MODEL does not
    explain. MODEL is a file that train wrote, or its folder.

    \b
    Examples:
        vaefast edit runs/faces me.jpg --along age.npz --years 20
        vaefast edit runs/faces anna.jpg ben.jpg --along smile.npz --amount 2 --out smiling
    """
    from .. import pictures
    from . import inputs, outputs

    vae = load_image_model(model, "edit")
    out = out or Path("edited.png")
    as_folder = not out.suffix
    files = [out / f"{Path(name).stem}.png" for name in names] if as_folder else [out]
    if len(set(files)) < len(files):
        raise click.ClickException("Two of the pictures have the same name: edit them separately.")
    if out.is_dir() or not as_folder:
        files = [free_file(file, force) for file in files]
    vectors = list(directions.load(along, vae).values())
    if len(vectors) != 1:
        raise click.ClickException(f"{along} holds {len(vectors)} directions, expected one.")
    given = inputs.named_images(vae, names, data, split)
    strengths = _up_to(amount, steps)
    results, levels = _edited(vae, given, vectors[0], strengths), pictures.value_range(given)
    if as_folder:
        out.mkdir(exist_ok=True)
        for file, image in zip(files, results[:, -1], strict=True):
            pictures.save(outputs.image_of(image, levels), file)
    else:
        pictures.save(_strips(given, results, strengths, levels), out)
    count = "1 picture" if len(names) == 1 else f"{len(names):,} pictures"
    click.echo(f"Wrote {out}: {count}, changed by {amount:+g}")


@dataclass(frozen=True)
class _Direction:
    """A direction that rows of DATA show."""

    vector: Array
    unit: float  # of strengths along the direction
    without: Array  # numbers of the rows that are changed by default
    text: str  # of which rows
    few: str  # the beginning of a remark on too few rows, or an empty text


def _between_groups(
    vae: VAE,
    dataset: Dataset,
    X: Array,
    where: str,
    by_label: tuple[str | None, str | None],
    by_number: tuple[Sequence[int], Sequence[int]],
) -> _Direction:
    """Return the direction from rows without an attribute to rows with it; see `inputs.groups`."""
    from . import inputs

    labels = inputs.labels_of(dataset, X)
    with_it, without = inputs.groups(labels, X, where, by_label, by_number)
    if set(with_it) == set(without):
        raise click.ClickException(
            "--with and --without name the same rows: choose two different groups."
        )
    text = (
        f"between two groups of {where}, {len(with_it):,} with the attribute and "
        f"{len(without):,} without it"
    )
    smallest = min(len(with_it), len(without))
    few = f"A group of fewer than {FEW} rows also differs" if smallest < FEW else ""
    return _Direction(latent.direction(vae, X[with_it], X[without]), 1.0, without, text, few)


def _along_numbers(vae: VAE, dataset: Dataset, X: Array, where: str, by: str) -> _Direction:
    """Return the direction in which a number of each row grows."""
    from . import amounts

    numbers = amounts.read(by, dataset, X, where)
    vector, unit = latent.direction(vae, X, y=numbers), float(np.std(numbers))
    text = f"along {by} for {len(X):,} {where}, from {numbers.min():g} to {numbers.max():g}"
    few = f"Fewer than {FEW_NUMBERS} rows also differ" if len(X) < FEW_NUMBERS else ""
    return _Direction(vector, unit, np.arange(len(X)), text, few)


def _up_to(amount: float, steps: int) -> Array:
    """Return equal steps from no change to the full amount, without no change itself."""
    return np.linspace(0, amount, steps + 1)[1:]


def _edited(vae: VAE, X: Array, vector: Array, amounts: Array) -> Array:
    """Return images, (n, h, w[, c]), edited by each amount, (n, k, h, w[, c])."""
    return np.stack([latent.edit(vae, X, vector, amount) for amount in amounts], axis=1)


def _strips(X: Array, results: Array, amounts: Array, levels: tuple[float, float]) -> Image:
    """Return a picture of each image and its changed versions."""
    from .. import pictures

    heads = [
        f"{value:+.3g}" if abs(value) > 1e-9 * abs(amounts).max() else "0" for value in amounts
    ]
    return pictures.strips(
        [[image, *changed] for image, changed in zip(X, results, strict=True)],
        heads=["original", *heads],
        breaks=[1],
        black_white=levels,
    )
