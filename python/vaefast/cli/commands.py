"""Click classes that print errors as one line and spell options as people type them."""

from __future__ import annotations

import re
import warnings
from typing import Any

import click

from .. import DivergenceError
from ..errors import ProcessError
from .vae_options import GROUPS, PARAMETERS

EXPECTED = ValueError, OSError, ImportError, MemoryError, DivergenceError, ProcessError


def as_options(message: str) -> str:
    """Return a message of the Python API with its parameters spelled as options.

    For example, likelihood='poisson' becomes --likelihood poisson.
    """

    def spell(match: re.Match[str]) -> str:
        name, quoted, pair, plain = match.groups()
        option = name.replace("_", "-")
        if plain in ("True", "False"):
            return f"--{option}" if plain == "True" else f"--no-{option}"
        return f"--{option} {quoted or pair and pair.replace(' ', '') or plain}"

    names = "|".join([*PARAMETERS, "image_size", "skip_broken"])
    value = r"(?:'([^']+)'|\((\d+, \d+)\)|([\w.+-]*\w))"
    # The lookbehind leaves paths such as runs/beta=4 unchanged.
    spelled = re.sub(rf"(?<![\w/\\])({names})={value}", spell, message)
    return spelled.replace("Checkpoint(..., resume=False)", "--force and without --resume")


def printable(text: str) -> str:
    """Return a text with control characters escaped, except line ends.

    Names of columns and categories come from files, and a terminal would obey escape sequences in
    them.
    """
    return "".join(
        char if char == "\n" or char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {printable(as_options(str(message)))}", err=True)


class Group(click.Group):
    """A group of commands that prints expected errors as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except EXPECTED as error:
            message = as_options(str(error))
            if isinstance(error, OSError) and error.filename and error.strerror:
                message = f"{error.filename}: {error.strerror}"
            if isinstance(error, MemoryError):
                message = f"not enough memory: {message or 'the system has no more'}"
            raise click.ClickException(printable(message)) from error


class Command(click.Command):
    """A command whose help lists the parameters of `VAE` in sections of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Options", *GROUPS)}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                sections[_section_of(param.name)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class IndexCommand(Command):
    """A command whose integer options take several values, as in --index 7 42 99."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {
            flag
            for param in self.params
            if isinstance(param, click.Option) and param.multiple and param.type is click.INT
            for flag in param.opts
        }
        spread: list[str] = []
        current: str | None = None  # the option to which the next number belongs
        for arg in args:
            is_number = re.fullmatch(r"-?\d+", arg) is not None
            if current and is_number and spread[-1] != current:
                spread.append(current)
            spread.append(arg)
            flag = arg.split("=")[0]
            current = flag if flag in flags else current if is_number else None
        return super().parse_args(ctx, spread)


def _section_of(parameter: str | None) -> str:
    return next((title for title, names in GROUPS.items() if parameter in names), "Options")
