"""The commands that decode new rows: sample, morph, breed."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from .. import latent
from ..typing import Prior
from .commands import Command
from .options import (
    condition,
    data_option,
    force_option,
    free_file,
    load_image_model,
    load_model,
    model_argument,
    out_option,
    output_file,
    seed_option,
    split_option,
    temperature_option,
)


@click.command(cls=Command)
@model_argument
@click.argument("stops", metavar="PICTURES...", nargs=-1, required=True)
@data_option
@split_option("test")
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    help="Make this many images from one picture to the next.  [default: 10, or 24 for an "
    "animation]",
)
@click.option(
    "--how",
    type=click.Choice(["linear", "spherical"]),
    default="linear",
    show_default=True,
    help="Move along a straight line through the latent space, or around its centre.",
)
@out_option("morph.png", "A name that ends in .gif or .webp gets an animation.")
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

    PICTURES are two or more images. Each is the number of a row of --data, or an image file. MODEL
    is a file that train wrote, or its folder.

    \b
    Examples:
        vaefast morph runs/mnist 7 42 --data mnist
        vaefast morph runs/mnist 7 42 18 --data mnist --how spherical --out morph.gif
        vaefast morph runs/faces anna.jpg ben.jpg
    """
    from .. import pictures
    from . import inputs

    vae = load_image_model(model, "morph")
    if len(stops) < 2:
        raise click.UsageError(f"A morph needs at least two pictures, got {len(stops)}.")
    out = free_file(out or Path("morph.png"), force)
    animated = out.suffix.lower() in pictures.SUFFIXES
    steps = steps or (24 if animated else 10)
    a, *through, b = given = inputs.named_images(vae, stops, data, split)
    results = latent.morph(vae, a, b, steps, through=through, how=how)
    levels = pictures.value_range(given)
    if animated:
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
    click.echo(f"Wrote {out}: a {how} morph from {' to '.join(stops)} in {len(results)} images")


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
    help="Make this many children in each generation.",
)
@click.option(
    "--generations",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Breed this many generations.",
)
@click.option(
    "--mutation",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Mutate the children by this much: 0 only mixes the parents, and 1 gives samples that do "
    "not depend on them.",
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
    """Breed images over several generations.

    A child mixes the codes of two parents and mutates. Two random children of each generation are
    the parents of the next one. The picture frames them. Each of PARENTS is the number of a row of
    --data, or an image file. Without PARENTS, the first generation is drawn from MODEL. MODEL is a
    file that train wrote, or its folder.

    \b
    Examples:
        vaefast breed runs/mnist --seed 1
        vaefast breed runs/mnist 7 42 --data mnist --mutation 0.2
    """
    from .. import pictures
    from . import inputs

    vae = load_image_model(model, "breed")
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
        black_white=inputs.levels_of(vae, first),
    )
    pictures.save(picture, out)
    click.echo(
        f"Wrote {out}: {generations} generations of {n} children. Frames mark the parents of the "
        "next generation."
    )


@click.command(cls=Command)
@model_argument
@click.option(
    "-n", "n", type=click.IntRange(min=1), default=64, show_default=True, help="Draw N rows."
)
@temperature_option
@click.option(
    "--draw",
    is_flag=True,
    help="Draw each row from p(x|z) instead of writing its mean. This suits rows of numbers and "
    "counts. The rows of a table of mixed columns are always drawn.",
)
@click.option(
    "-y",
    "--label",
    metavar="LABEL|X,X,...",
    help="Condition the rows on this label, or on these numbers. A conditional model needs it.",
)
@click.option(
    "--prior",
    type=click.Choice(get_args(Prior)),
    help="Draw codes from the standard normal prior, or from a Gaussian, a mixture or a second VAE "
    "that is fitted to codes of the training rows.  [default: mixture]",
)
@click.option(
    "--scale",
    type=click.IntRange(min=1),
    help="Draw images at this multiple of the size that the model was trained on, smoothly.  "
    "[default: small images are enlarged]",
)
@seed_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this file.  [default: samples.png, or samples.csv for a table]",
)
@force_option
def sample(
    model: Path,
    n: int,
    temperature: float,
    draw: bool,
    label: str | None,
    prior: Prior | None,
    scale: int | None,
    seed: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Draw new rows from MODEL.

    The command writes images as a picture, and rows of a table as a CSV or Parquet file. MODEL is a
    file that train wrote, or its folder.

    \b
    Examples:
        vaefast sample runs/mnist -n 64 --seed 1 --out samples.png
        vaefast sample runs/faces -n 12 --scale 2 --out faces.png
        vaefast sample runs/by-class -n 8 --label 3
        vaefast sample runs/people -n 1000 --out synthetic.csv
    """
    from .. import pictures
    from . import frames, inputs, outputs

    vae = load_model(model, conditional=True)
    shape = vae.feature_shape_
    are_images = pictures.is_image_shape(shape)
    if scale is not None and not are_images:
        raise click.UsageError(
            f"--scale is for images, but the rows of MODEL are of shape {shape}."
        )
    out = output_file(out, "samples", vae, force)
    y = condition(vae, label)
    table = vae.table_
    draw = draw or table is not None
    rows = vae.sample(n, random_state=seed, y=y, temperature=temperature, draw=draw, prior=prior)
    if table is not None:
        frames.write_frame(out, table.decode(rows))
    elif are_images:
        levels = inputs.levels_of(vae, rows)
        pictures.save(pictures.sheet(rows, scale=scale, black_white=levels), out)
    else:
        outputs.write_rows(out, rows, inputs.names_of(vae))
    enlarged = ""
    if scale is not None and scale > 1:
        height, width, *_ = shape
        detail = f"{height}x{width} pixels"
        enlarged = f" at {scale} times their size: interpolated, with the detail of {detail}"
    click.echo(f"Wrote {out}: {n:,} samples{enlarged}")
    if not draw and not are_images:
        click.echo("The rows are means of p(x|z). Add --draw to draw them from p(x|z).")
