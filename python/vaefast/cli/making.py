"""The commands that make new images in a latent space: morph, direction, breed."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from .. import latent
from .commands import Command, IndexCommand
from .options import (
    condition,
    data_argument,
    force_option,
    free_file,
    load_model,
    load_of_images,
    model_argument,
    out_option,
    output_file,
    seed_option,
    signed,
    split_option,
    temperature_option,
)

FEW = 5  # rows of a group

data_option = click.option("--data", help="The data set whose rows the numbers mean.")


@click.command(cls=Command)
@model_argument
@click.argument("stops", metavar="PICTURES...", nargs=-1, required=True)
@data_option
@split_option("test")
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    help="Images from one picture to the next.  [default: 10, of an animation 24]",
)
@click.option(
    "--how",
    type=click.Choice(["linear", "spherical"]),
    default="linear",
    show_default=True,
    help="Straight through the latent space, or turning around its middle.",
)
@out_option("morph.png; with .gif or .webp it becomes an animation")
@force_option
def morph(
    model: Path,
    stops: tuple[str, ...],
    data: str | None,
    split: str | None,
    steps: int | None,
    how: str,
    out: Path | None,
    force: bool,
) -> None:
    """Change one image smoothly into another.

    MODEL is a file that train wrote, or its folder. Each of PICTURES, at least two, is the number
    of a row of --data, or an image file.

    \b
    Examples:
        vaefast morph runs/mnist 7 42 --data mnist
        vaefast morph runs/mnist 7 42 18 --data mnist --how spherical --out morph.gif
        vaefast morph runs/faces anna.jpg ben.jpg
    """
    from .. import pictures
    from . import inputs

    vae = load_of_images(model, "morph")
    if len(stops) < 2:
        raise click.UsageError("A morph needs at least two pictures.")
    out = free_file(out or Path("morph.png"), force)
    moving = out.suffix.lower() in pictures.SUFFIXES
    steps = steps or (24 if moving else 10)
    a, *through, b = given = inputs.named_images(vae, stops, data, split)
    results = latent.morph(vae, a, b, steps, through=through, how=how)
    levels = pictures.value_range(given)
    if moving:
        held = range(0, len(results), steps - 1)
        pictures.save_animation(results, out, hold=held, black_white=levels)
    else:
        legs = [
            [given[i], *results[i * (steps - 1) :][:steps], given[i + 1]]
            for i in range(len(given) - 1)
        ]
        heads = ["from", *[""] * steps, "to"]
        pictures.save(
            pictures.strips(legs, heads=heads, breaks=[1, steps + 1], black_white=levels), out
        )
    click.echo(f"Wrote {out}: {' to '.join(stops)} in {len(results)} images, {how}")


@click.command(cls=IndexCommand)
@model_argument
@data_argument
@click.option("--with", "with_label", metavar="LABEL", help="The label of the rows that have it.")
@click.option(
    "--without",
    "without_label",
    metavar="LABEL",
    help="The label of the rows that do not.  [default: all others]",
)
@click.option(
    "--with-rows",
    type=int,
    multiple=True,
    metavar="N [N ...]",
    help="Instead of a label: the rows that have it, counted from 0.",
)
@click.option(
    "--without-rows",
    type=int,
    multiple=True,
    metavar="N [N ...]",
    help="Instead of a label: the rows that do not.",
)
@click.option(
    "--image",
    "examples",
    multiple=True,
    metavar="ROW|FILE",
    help="An image to change: a row of DATA or an image file; may be given again.  "
    "[default: five of the rows that do not have it]",
)
@click.option(
    "--strength",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="How far to go to either side, in standard deviations of the codes along the direction.",
)
@click.option(
    "--steps", type=click.IntRange(min=2), default=7, show_default=True, help="Images of each row."
)
@click.option(
    "--save", type=click.Path(path_type=Path), help="A .npy file to write the direction to as well."
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
    examples: tuple[str, ...],
    strength: float,
    steps: int,
    save: Path | None,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Give images more and less of an attribute.

    The attribute is what the rows of DATA with it have in common and those without it have not: say
    which by their label, or by their numbers. MODEL is a file that train wrote, or its folder.

    \b
    Examples:
        vaefast direction runs/mnist mnist --with 3 --without 8
        vaefast direction runs/faces faces/ --with-rows 3 14 15 --without-rows 9 26 --image me.jpg
    """
    from .. import pictures
    from . import inputs, outputs

    vae = load_of_images(model, "direction")
    out = free_file(out or Path("direction.png"), force)
    if save is not None:
        if save.suffix != ".npy":
            raise click.ClickException(f"A direction is saved to a .npy file, not {save}.")
        free_file(save, force)
    dataset, X, where = inputs.load_rows(vae, data, split, default="train")
    labels = inputs.labels_of(dataset, X)
    has, lacks = inputs.groups(
        labels, X, where, (with_label, without_label), (with_rows, without_rows)
    )
    if set(has) == set(lacks):
        raise click.ClickException("--with and --without name the same rows: choose two groups.")
    way = latent.direction(vae, X[has], X[lacks])
    shown = inputs.images_among(X, where, vae, examples) if examples else X[lacks[:5]]
    strengths = np.linspace(-strength, strength, steps)
    results = latent.shift(vae, shown, way, strengths)
    picture = pictures.strips(
        [[image, *moved] for image, moved in zip(shown, results, strict=True)],
        heads=["original", *(signed(value) for value in strengths)],
        breaks=[1],
        black_white=pictures.value_range(X),
    )
    pictures.save(picture, out)
    if save is not None:
        outputs.write_rows(save, way)
    click.echo(f"Wrote {out}: from {len(has):,} and {len(lacks):,} of the {where}")
    if min(len(has), len(lacks)) < FEW:
        click.echo("So few rows differ in much else: take more of them for a cleaner direction.")
    if save is not None:
        click.echo(f"Wrote {save}: the direction, {len(way)} numbers")


@click.command(cls=Command)
@model_argument
@click.argument("parents", nargs=-1)
@data_option
@split_option("test")
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=2),
    default=8,
    show_default=True,
    help="Children in each generation.",
)
@click.option(
    "--generations", type=click.IntRange(min=1), default=6, show_default=True, help="How many."
)
@click.option(
    "--mutation",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="From 0, mixtures of the parents, to 1, samples that owe them nothing.",
)
@seed_option
@out_option("family.png")
@force_option
def breed(
    model: Path,
    parents: tuple[str, ...],
    data: str | None,
    split: str | None,
    n: int,
    generations: int,
    mutation: float,
    seed: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Breed images, generation after generation.

    Each of PARENTS is the number of a row of --data, or an image file; without any, MODEL draws
    them. The codes of two parents are mixed and mutated; of the children, chance chooses the two
    that are framed, and theirs is the next generation. MODEL is a file that train wrote, or its
    folder.

    \b
    Examples:
        vaefast breed runs/mnist --seed 1
        vaefast breed runs/mnist 7 42 --data mnist --mutation 0.2
    """
    from .. import pictures
    from . import inputs

    vae = load_of_images(model, "breed")
    out = free_file(out or Path("family.png"), force)
    if parents:
        first = inputs.named_images(vae, parents, data, split)
    else:
        first = vae.sample(n, random_state=seed)
    children, chosen = latent.evolve(vae, first, generations, n, mutation, random_state=seed)
    picture = pictures.strips(
        [first, *children],
        names=["parents", *(str(number) for number in range(1, generations + 1))],
        framed={(row, column) for row, pair in enumerate(chosen, 1) for column in pair},
        black_white=pictures.value_range(first),
    )
    pictures.save(picture, out)
    click.echo(
        f"Wrote {out}: {generations} generations of {n}; the framed are the parents of the next"
    )


@click.command(cls=Command)
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
    from .. import pictures
    from . import inputs, outputs

    vae = load_model(model, conditional=True)
    out = output_file(out, "samples", vae, force)
    y = condition(vae, label)
    drawn = vae.sample(n, random_state=seed, y=y, temperature=temperature, draw=draw)
    if pictures.is_image_shape(vae.feature_shape_):
        pictures.save(pictures.sheet(drawn, black_white=pictures.value_range(drawn)), out)
    else:
        outputs.write_rows(out, drawn, inputs.names_of(vae))
    click.echo(f"Wrote {out}: {n:,} samples")
    if not draw and not pictures.is_image_shape(vae.feature_shape_):
        click.echo("They are means of p(x|z); --draw draws the values too, as the data have them.")
