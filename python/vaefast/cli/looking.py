"""The commands that look into a latent space: nearest, traverse, map."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from .. import VAE, latent
from .commands import Command
from .options import (
    data_argument,
    force_option,
    free_file,
    load_model,
    load_of_images,
    model_argument,
    out_option,
    seed_option,
    signed,
    split_option,
    temperature_option,
)

UNUSED = 0.01  # nats per row: below it a dimension follows the prior, whatever the row


@click.command(cls=Command)
@model_argument
@data_argument
@click.option(
    "-n", "n", type=click.IntRange(min=1), default=8, show_default=True, help="How many samples."
)
@click.option(
    "--neighbours",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="How many rows of DATA to show beside each.",
)
@temperature_option
@seed_option
@split_option("train")
@out_option("nearest.png")
@force_option
def nearest(
    model: Path,
    data: str,
    n: int,
    neighbours: int,
    temperature: float,
    seed: int | None,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Show samples beside the nearest rows of DATA.

    So one sees whether they are new. Below each row of DATA stand its number and its distance: the
    root of the summed squares of the differences of all pixels, from 0 to 1. MODEL is a file that
    train wrote, or its folder.

    \b
    Example:
        vaefast nearest runs/mnist mnist -n 8 --seed 1
    """
    from .. import pictures
    from . import inputs

    vae = load_of_images(model, "nearest")
    out = free_file(out or Path("nearest.png"), force)
    _, X, where = inputs.load_rows(vae, data, split, default="train")
    if neighbours > len(X):
        raise click.UsageError(f"--neighbours {neighbours}: there are {len(X):,} {where}")
    samples = vae.sample(n, random_state=seed, temperature=temperature)
    distances, indices = latent.nearest(X, samples, neighbours)
    found = X[indices]
    captions = [
        ["", *(f"{number}: {distance:.1f}" for number, distance in zip(*pair, strict=True))]
        for pair in zip(indices, distances, strict=True)
    ]
    picture = pictures.strips(
        [[sample, *near] for sample, near in zip(samples, found, strict=True)],
        heads=["new", "nearest"],
        captions=captions,
        breaks=[1],
        black_white=pictures.value_range(found),
    )
    pictures.save(picture, out)
    closest = distances[:, 0]
    click.echo(
        f"Wrote {out}: {n:,} samples and the nearest {where}, "
        f"at distances of {closest.min():.2f} to {closest.max():.2f}"
    )


@click.command(cls=Command)
@model_argument
@data_argument
@click.option(
    "--start",
    metavar="ROW|FILE",
    help="The image to start from: a row of DATA or an image file.  [default: the middle of the "
    "latent space]",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many dimensions."
)
@click.option(
    "--width",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    help="How far to go to either side, in standard deviations of the prior.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=7,
    show_default=True,
    help="Images of each dimension.",
)
@split_option("test")
@out_option("traversal.png")
@force_option
def traverse(
    model: Path,
    data: str,
    start: str | None,
    top: int,
    width: float,
    steps: int,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Show what each latent dimension does, the strongest first.

    Each row of the picture changes one dimension of the code. The strongest dimension is the one
    that says most about the rows of DATA: its KL, in nats per row, stands at the left. MODEL is a
    file that train wrote, or its folder.

    \b
    Example:
        vaefast traverse runs/mnist mnist --start 7
    """
    from .. import pictures
    from . import inputs

    vae = load_of_images(model, "traverse")
    out = free_file(out or Path("traversal.png"), force)
    _, X, where = inputs.load_rows(vae, data, split)
    first = None if start is None else inputs.images_among(X, where, vae, [start])[0]
    kl = latent.dimension_kl(vae, X)
    strongest = kl.argsort()[::-1][:top]
    values = np.linspace(-width, width, steps)
    picture = pictures.strips(
        latent.traverse(vae, strongest.tolist(), start=first, values=values),
        names=[f"dimension {i + 1}\n{kl[i]:.2f} nats" for i in strongest],
        heads=[signed(value) for value in values],
        black_white=pictures.value_range(X),
    )
    pictures.save(picture, out)
    used = int((kl > UNUSED).sum())
    click.echo(
        f"Wrote {out}: {len(strongest)} of {len(kl)} dimensions, of which {used} say more than "
        f"{UNUSED} nats about the {where}"
    )


@click.command("map", cls=Command)
@model_argument
@data_argument
@click.option(
    "--how",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    show_default=True,
    help="How to lay more than two dimensions out: by the first two principal components, or so "
    "that neighbours stay neighbours (needs umap-learn).",
)
@seed_option
@split_option("test")
@out_option("map.png")
@force_option
def draw_map(
    model: Path,
    data: str,
    how: str,
    seed: int | None,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Draw a map of the latent space.

    It shows where the rows of DATA lie, coloured by their labels, and beside it what MODEL decodes
    where. More than two dimensions are seen from the side that shows most of them. MODEL is a file
    that train wrote, or its folder.

    \b
    Example:
        vaefast map runs/mnist mnist
    """
    from .. import pictures
    from . import inputs

    vae = load_model(model)
    out = free_file(out or Path("map.png"), force)
    dataset, X, where = inputs.load_rows(vae, data, split)
    codes = vae.transform(X)
    labels = inputs.labels_of(dataset, X)
    if how == "umap":
        points = latent.umap(codes, random_state=seed)
        figure = pictures.latent_map(points, labels, axis_names=("UMAP 1", "UMAP 2"))
        seen = "laid out by UMAP"
    else:
        plane = latent.plane(codes)
        names, seen = _axes(vae, plane)
        figure = pictures.latent_map(
            plane.project(codes),
            labels,
            decode=(lambda points: vae.inverse_transform(plane.at(points)))
            if pictures.is_image_shape(vae.feature_shape_)
            else None,
            axis_names=names,
            black_white=pictures.value_range(X),
        )
    pictures.save(figure, out)
    click.echo(f"Wrote {out}: the {where}, {seen}")


def _axes(vae: VAE, plane: latent.Plane) -> tuple[tuple[str, str], str]:
    """Names of the axes of a map, and words for how it is seen."""
    if vae.latent_dim == 2:
        return ("first latent dimension", "second latent dimension"), "in both latent dimensions"
    first, second = (
        f"{place} principal component ({ratio:.0%} of the variance)"
        for place, ratio in zip(("first", "second"), plane.variance_ratio, strict=True)
    )
    share = plane.variance_ratio.sum()
    return (first, second), (
        f"by two principal components with {share:.0%} of the variance of {vae.latent_dim} "
        "latent dimensions"
    )
