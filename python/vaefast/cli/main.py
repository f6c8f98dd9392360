"""The vaefast command: its group, and the command info."""

from __future__ import annotations

from pathlib import Path

import click

import vaefast

from .commands import Command, Group
from .explore import explore
from .looking import draw_map, nearest, traverse
from .making import breed, direction, morph, sample
from .options import load_model
from .rows import encode, evaluate, impute, reconstruct, score
from .train import train


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
@click.argument("model", required=False, type=click.Path(path_type=Path))
def info(model: Path | None) -> None:
    """Print what vaefast runs on, or what MODEL is.

    Without MODEL: version, instruction set, threads and Eigen. MODEL is a file that train wrote, or
    its folder.
    """
    if model is None:
        known = vaefast.info()
    else:
        from .outputs import describe_model

        known = describe_model(load_model(model, conditional=True))
    for name, value in known.items():
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        click.echo(f"{name.replace('_', ' '):18}{text}")


for command in (
    train,
    reconstruct,
    sample,
    evaluate,
    explore,
    encode,
    score,
    impute,
    morph,
    direction,
    breed,
    nearest,
    traverse,
    draw_map,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
