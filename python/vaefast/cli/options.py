"""Options and arguments that several commands share, and the checks of their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import VAE, load
from .types import floats

Function = TypeVar("Function", bound=Callable[..., Any])

data_argument = click.argument("data")
data_option = click.option("--data", help="Take the rows from this data set.")
model_argument = click.argument("model", type=click.Path(path_type=Path))
force_option = click.option("--force", is_flag=True, help="Replace files that already exist.")
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="Use this seed to get the same result each time."
)
temperature_option = click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Draw the codes with this standard deviation. Values below 1 give more typical samples, "
    "and values above 1 give more unusual ones.",
)


def split_option(default: str) -> Callable[[Function], Function]:
    """Return the option that selects the training rows or the test rows."""
    return click.option(
        "--split",
        type=click.Choice(["train", "test"]),
        help="Read these rows of the data set.  "
        f"[default: {default} rows if it has test rows, otherwise all rows]",
    )


def out_option(default: str, note: str = "") -> Callable[[Function], Function]:
    """Return the option that names the output file.

    Parameters
    ----------
    default : str
        Default as the help shows it.
    note : str, default=""
        Sentence about the file formats.
    """
    return click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        help=f"Write to this file. {note}".strip() + f"  [default: {default}]",
    )


def output_file(out: Path | None, stem: str, vae: VAE, force: bool) -> Path:
    """Return the file to write: a picture for images, a .csv or .parquet file for rows of a table.

    Commands call this first, so that no work is lost because a file cannot be written.
    """
    from .. import pictures

    is_image = pictures.is_image_shape(vae.feature_shape_)
    if out is None:
        out = Path(stem + (".png" if is_image else ".csv"))
    elif not is_image and out.suffix not in (".csv", ".parquet"):
        raise click.ClickException(
            f"--out must name a .csv file or a .parquet file for rows of a table, got {out}."
        )
    return free_file(out, force)


def free_file(out: Path, force: bool) -> Path:
    """Return the file to write.

    Raises
    ------
    click.ClickException
        The file exists and `force` is False, the path is a folder, or its folder does not exist.
    """
    if not out.parent.is_dir():
        raise click.ClickException(
            f"{out.parent}: there is no such folder. Create it, or choose another file."
        )
    if out.is_dir():
        raise click.ClickException(f"{out} is a folder, not a file. Add a file name to it.")
    if out.exists() and not force:
        raise click.ClickException(
            f"{out} already exists. Replace it with --force, or choose another file."
        )
    return out


def load_model(model: Path, conditional: bool = False) -> VAE:
    """Return the model.

    Parameters
    ----------
    model : Path
        A file that `vaefast train` wrote, or its folder.
    conditional : bool, default=False
        Whether the command can use a conditional model.

    Raises
    ------
    click.ClickException
        The model is conditional and `conditional` is False.
    """
    vae = load(model)
    if vae.conditional and not conditional:
        raise click.ClickException(
            f"{model} is a conditional model, but this command cannot pass labels to it. Use "
            "reconstruct, sample, evaluate, encode, score or impute, or the Python API, such as "
            "vae.transform(X, y)."
        )
    return vae


def condition(vae: VAE, text: str | None) -> Any:
    """Return the value of --label as the model's y: 3 is a label, 0.5,1.2 are two numbers."""
    conditions = vae.model_.conditions
    if conditions is None:
        if text is not None:
            raise click.UsageError(
                "--label needs a conditional model, but MODEL was trained without --conditional. "
                "Leave --label out."
            )
        return None
    if text is None:
        raise click.UsageError(f"MODEL is conditional: add --label, {conditions.form()}.")
    if conditions.classes is None:
        numbers = floats(text)
        return numbers[0] if len(numbers) == 1 else numbers
    for label in conditions.classes:
        if str(label) == text:
            return label
    raise click.BadParameter(
        f"expected {conditions.form()}, got {text!r}.", param_hint="'-y' / '--label'"
    )


def refuse_table(vae: VAE, model: Path, command: str) -> None:
    """Raise click.ClickException if the model is that of a table of mixed columns."""
    if vae.table_ is not None:
        raise click.ClickException(
            f"{command} draws images and rows of numbers, but {model} is a model of a table of "
            "mixed columns. Use sample, reconstruct, impute, encode, score, evaluate or map."
        )


def load_image_model(model: Path, command: str) -> VAE:
    """Return the model.

    Raises
    ------
    click.ClickException
        The model is conditional, or its rows are not images.
    """
    from .. import pictures

    vae = load_model(model)
    refuse_table(vae, model, command)
    if not pictures.is_image_shape(vae.feature_shape_):
        raise click.ClickException(
            f"{command} needs a model of images, (height, width) or (height, width, channels), but "
            f"the rows of {model} have the shape {vae.feature_shape_}. In Python, vaefast.latent "
            "works on such rows too."
        )
    return vae


def signed(value: float) -> str:
    """Return a number with its sign and at most one decimal; zero has no sign."""
    text = f"{value:+.1f}".removesuffix(".0")
    return "0" if float(f"{value:.1f}") == 0 else text
