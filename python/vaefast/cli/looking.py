"""The commands that show a latent space: nearest, traverse, map."""

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
    load_image_model,
    load_model,
    model_argument,
    out_option,
    seed_option,
    signed,
    split_option,
    temperature_option,
)

UNUSED = 0.01  # nats of KL per row; a dimension below this follows the prior for every row


@click.command(cls=Command)
@model_argument
@data_argument
@click.option(
    "-n", "n", type=click.IntRange(min=1), default=8, show_default=True, help="Draw N samples."
)
@click.option(
    "--neighbours",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Show this many rows of DATA beside each sample.",
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

    The picture shows whether the samples are new or copies. Below each row of DATA, it gives the
    number of the row and its distance. The distance is Euclidean over all pixels, with uint8 values
    scaled to [0, 1]. MODEL is a file that train wrote, or its folder.

    \b
    Example:
        vaefast nearest runs/mnist mnist -n 8 --seed 1
    """
    from .. import pictures
    from . import inputs

    vae = load_image_model(model, "nearest")
    out = free_file(out or Path("nearest.png"), force)
    _, X, where = inputs.load_rows(vae, data, split, default="train")
    if neighbours > len(X):
        raise click.UsageError(
            f"--neighbours {neighbours} is too large: there are only {len(X):,} {where}."
        )
    samples = vae.sample(n, random_state=seed, temperature=temperature)
    distances, indices = latent.nearest(X, samples, neighbours)
    neighbouring = X[indices]
    captions = [
        ["", *(f"{number}: {distance:.1f}" for number, distance in zip(*pair, strict=True))]
        for pair in zip(indices, distances, strict=True)
    ]
    picture = pictures.strips(
        [[sample, *near] for sample, near in zip(samples, neighbouring, strict=True)],
        heads=["new", "nearest"],
        captions=captions,
        breaks=[1],
        black_white=pictures.value_range(neighbouring),
    )
    pictures.save(picture, out)
    closest = distances[:, 0]
    click.echo(
        f"Wrote {out}: {n:,} samples beside the nearest {where}. The nearest rows are at "
        f"distances of {closest.min():.2f} to {closest.max():.2f}."
    )


@click.command(cls=Command)
@model_argument
@data_argument
@click.option(
    "--start",
    metavar="ROW|FILE",
    help="Start from this image: a row of DATA or an image file.  [default: the centre of the "
    "latent space]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Show this many dimensions.",
)
@click.option(
    "--width",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    help="Go this far to either side, in standard deviations of the prior.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=7,
    show_default=True,
    help="Show this many images of each dimension.",
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
    """Show the effect of each latent dimension, strongest first.

    Each row of the picture changes one dimension of the code. The strongest dimension has the
    largest KL on the rows of DATA. The KL, in nats per row, is printed at the left. MODEL is a file
    that train wrote, or its folder.

    \b
    Example:
        vaefast traverse runs/mnist mnist --start 7
    """
    from .. import pictures
    from . import inputs

    vae = load_image_model(model, "traverse")
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
        f"Wrote {out}: the strongest {len(strongest)} of {len(kl)} dimensions. On the {where}, the "
        f"KL of {used} dimensions exceeds {UNUSED} nats per row."
    )


@click.command("map", cls=Command)
@model_argument
@data_argument
@click.option(
    "--how",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    show_default=True,
    help="Lay out more than two dimensions by the first two principal components, or by UMAP, "
    "which keeps neighbours together (needs umap-learn).",
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

    The map shows where the rows of DATA lie, coloured by their labels. A second map shows what
    MODEL decodes at each place. A latent space of more than two dimensions is projected to two.
    MODEL is a file that train wrote, or its folder.

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
        layout = "laid out by UMAP"
    else:
        plane = latent.plane(codes)
        names, layout = _axes(vae, plane)
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
    click.echo(f"Wrote {out}: the {where}, {layout}")


def _axes(vae: VAE, plane: latent.Plane) -> tuple[tuple[str, str], str]:
    """Return the names of the axes of a map, and a text that describes its layout."""
    if vae.model_.latent_dim == 2:
        names = "first latent dimension", "second latent dimension"
        return names, "laid out by both latent dimensions"
    first, second = (
        f"{place} principal component ({ratio:.0%} of the variance)"
        for place, ratio in zip(("first", "second"), plane.variance_ratio, strict=True)
    )
    share = plane.variance_ratio.sum()
    return (first, second), (
        f"laid out by two principal components with {share:.0%} of the variance of "
        f"{vae.model_.latent_dim} latent dimensions"
    )
