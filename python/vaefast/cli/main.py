"""The `vaefast` command group, and the command `info`."""

from __future__ import annotations

from pathlib import Path

import click

import vaefast

from .anomalies import anomalies
from .attributes import direction, edit
from .commands import Command, Group, printable
from .darkroom import compose, dream, restyle
from .explore import explore
from .export import export
from .looking import draw_map, nearest, traverse
from .making import breed, morph, sample
from .options import load_model
from .report import report
from .rows import encode, evaluate, impute, reconstruct, score
from .train import train


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vaefast.__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Train and use variational autoencoders on the CPU.

    \b
    Start with:
        vaefast train              Train on built-in data, and write a model and pictures.
        vaefast COMMAND --help     Show the options of a command.
    """


@main.command(cls=Command)
@click.argument("model", required=False, type=click.Path(path_type=Path))
def info(model: Path | None) -> None:
    """Describe MODEL, or this installation of vaefast.

    Given a MODEL, the command prints the network, the training, the provenance (version,
    instruction set, date, shape and SHA-256 of the training rows) and the parameters. Without
    one, it prints the version, the instruction set and the number of threads. MODEL is a file
    that train wrote, or its folder.

    \b
    Example:
        vaefast info runs/mnist
    """
    if model is None:
        facts = vaefast.info()
    else:
        from .outputs import describe_model

        facts = describe_model(load_model(model, conditional=True))
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        click.echo(printable(f"{name.replace('_', ' '):18}{text}"))


for command in (
    train,
    reconstruct,
    sample,
    evaluate,
    explore,
    encode,
    score,
    anomalies,
    impute,
    morph,
    direction,
    edit,
    breed,
    nearest,
    traverse,
    draw_map,
    restyle,
    dream,
    compose,
    export,
    report,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
