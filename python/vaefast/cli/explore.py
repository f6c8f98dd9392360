"""The command `explore`, which writes the interactive page."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click

from .commands import Command
from .directions import load as load_directions
from .options import (
    force_option,
    free_file,
    load_model,
    model_argument,
    out_option,
    refuse_table,
    split_option,
)


@click.command(cls=Command)
@model_argument
@click.option("--data", help="Show where the rows of this data set lie in the latent space.")
@split_option("test")
@click.option(
    "--directions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Add a slider for each direction in this file: one that vaefast direction --save wrote, "
    "or a .npz file of named directions. The option may be repeated.",
)
@out_option("explore.html")
@click.option(
    "--open/--no-open", "show", default=True, help="Open the page in a browser.  [default: open]"
)
@force_option
def explore(
    model: Path,
    data: str | None,
    split: str | None,
    directions: tuple[Path, ...],
    out: Path | None,
    show: bool,
    force: bool,
) -> None:
    """Write and open a web page that explores the latent space.

    The page is one HTML file with the decoder inside; it needs no network and no server. Moving the
    pointer over a map of the latent space decodes that place. The page also has sliders, morphs and
    breeding. MODEL is a file that train wrote, or its folder.

    \b
    Example:
        vaefast explore runs/mnist --data mnist --out mnist.html
    """
    out = free_file(out or Path("explore.html"), force)
    write_page_of(model, data, split, directions, out)
    click.echo(f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    if show and not open_page(out):
        click.echo(f"No browser was found. Open {out.resolve()} in a browser yourself.")


def write_page_of(
    model: Path, data: str | None, split: str | None, directions: Sequence[Path], out: Path
) -> None:
    """Write the page of a model, with points for the rows of `data` unless it is None."""
    from ..explore import write_page
    from .inputs import labels_of, load_rows

    vae = load_model(model, conditional=True)
    refuse_table(vae, model, "explore")
    vectors = {
        name: v for path in directions for name, v in load_directions(path, vae).items()
    } or None
    title = model.resolve().name if model.is_dir() else model.stem
    if data is None:
        write_page(vae, out, directions=vectors, title=title)
        return
    dataset, X, where = load_rows(vae, data, split)
    labels = labels_of(dataset, X)
    write_page(
        vae, out, X, labels, columns=dataset.columns, directions=vectors, title=title, source=where
    )


def open_page(path: Path) -> bool:
    """Open the page in the user's browser; return False if there is no browser."""
    try:
        return webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        return False
