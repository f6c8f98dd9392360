"""The command that writes the interactive page: explore."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from .commands import Command
from .options import force_option, free_file, load_model, model_argument, split_option


@click.command(cls=Command)
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
    free_file(out, force)
    write_page_of(model, data, split, directions, out)
    click.echo(f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    if show and not open_page(out):
        click.echo(f"No browser was found here. Open {out.resolve()} in one yourself.")


def write_page_of(
    model: Path, data: str | None, split: str | None, directions: Sequence[Path], out: Path
) -> None:
    """Write the page of the model in this file or folder, with these data where they are named."""
    from ..explore import write_page
    from .inputs import labels_of, load_rows

    vae = load_model(model, conditional=True)
    arrows = {name: v for path in directions for name, v in load_directions(path).items()} or None
    title = model.resolve().name if model.is_dir() else model.stem
    if data is None:
        write_page(vae, out, directions=arrows, title=title)
        return
    dataset, X, where = load_rows(vae, data, split)
    labels = labels_of(dataset, X)
    write_page(
        vae, out, X, labels, columns=dataset.columns, directions=arrows, title=title, source=where
    )


def load_directions(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read named vectors from a .npz file, or one vector, named as the file, from a .npy file."""
    with path.open("rb"):  # an OSError names what is wrong with the path
        pass
    directions = _load(path)
    if not directions:
        raise ValueError(f"{path}: it holds no arrays")
    return directions


def _load(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            return {path.stem: file}
        with file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # whatever NumPy makes of other files and damaged bytes
        raise ValueError(
            f"{path}: expected a .npz file of named arrays of numbers, such as "
            "np.savez(path, smile=vector) writes, or the .npy file of one direction"
        ) from error


def open_page(path: Path) -> bool:
    """Open the page in the user's browser; False where there is none."""
    try:
        return webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        return False
