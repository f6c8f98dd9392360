"""Options and arguments that several commands share, and the checks of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import VAE, load
from .types import floats

Function = TypeVar("Function", bound=Callable[..., Any])

data_argument = click.argument("data")
model_argument = click.argument("model", type=click.Path(path_type=Path))
force_option = click.option("--force", is_flag=True, help="Replace what is there already.")
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="For the same result each time."
)
temperature_option = click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Below 1 more typical samples, above 1 stranger ones.",
)


def split_option(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--split",
        type=click.Choice(["train", "test"]),
        help=f"Which rows of DATA.  [default: {default} rows where DATA has test rows, else all]",
    )


def out_option(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        help=f"The file to write.  [default: {default}]",
    )


def output_file(out: Path | None, stem: str, vae: VAE, force: bool) -> Path:
    """The file to write, found to be free before any work is done."""
    from .. import pictures

    of_images = pictures.is_image_shape(vae.feature_shape_)
    if out is None:
        out = Path(stem + (".png" if of_images else ".csv"))
    elif not of_images and out.suffix != ".csv":
        raise click.ClickException(f"The rows of a table are written to a .csv file, not {out}.")
    return free_file(out, force)


def free_file(out: Path, force: bool) -> Path:
    """The file to write; an error if there is one already, or no folder for it."""
    if not out.parent.is_dir():
        raise click.ClickException(f"{out.parent}: there is no such folder.")
    if out.is_dir():
        raise click.ClickException(f"{out}: is a folder, not a file.")
    if out.exists() and not force:
        raise click.ClickException(f"{out} is there already. Replace it with --force.")
    return out


def load_model(model: Path, conditional: bool = False) -> VAE:
    """The model; an error if it is conditional, and the command not made for that."""
    vae = load(model)
    if vae.conditional and not conditional:
        raise click.ClickException(
            f"{model} is a conditional model, and this command knows no y. reconstruct, sample, "
            "evaluate, encode, score and impute do, and the functions of Python, such as "
            "vae.transform(X, y)."
        )
    return vae


def condition(vae: VAE, text: str | None) -> Any:
    """What new rows are to be, 3 or 0.5,1.2 on the command line, as the model's y."""
    conditions = vae.model_.conditions
    if conditions is None:
        if text is not None:
            raise click.UsageError("--label is for a model that was trained with --conditional.")
        return None
    if text is None:
        raise click.UsageError(f"The model is conditional: add --label, {conditions.form()}.")
    if conditions.classes is None:
        numbers = floats(text)
        return numbers[0] if len(numbers) == 1 else numbers
    for label in conditions.classes:
        if str(label) == text:
            return label
    raise click.BadParameter(f"{text!r} is no label of the model, expected {conditions.form()}.")


def load_of_images(model: Path, command: str) -> VAE:
    """The model; an error unless its rows are images."""
    from .. import pictures

    vae = load_model(model)
    if not pictures.is_image_shape(vae.feature_shape_):
        raise click.ClickException(
            f"{command} makes pictures, but the rows of this model, of the shape "
            f"{vae.feature_shape_}, are no images. In Python vaefast.latent works on such rows too."
        )
    return vae


def signed(value: float) -> str:
    """A number with its sign and at most one digit after the point; 0 as it is."""
    text = f"{value:+.1f}".removesuffix(".0")
    return "0" if float(f"{value:.1f}") == 0 else text
