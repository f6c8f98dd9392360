"""Commands whose errors are one line for people, and whose options read as people write them."""

from __future__ import annotations

import re
import warnings
from typing import Any

import click

from .. import DivergenceError
from .vae_options import GROUPS, PARAMETERS

EXPECTED = ValueError, OSError, ImportError, DivergenceError


def as_options(message: str) -> str:
    """A message for Python's users in the words of the command line: likelihood='poisson' becomes
    --likelihood poisson."""

    def spell(match: re.Match[str]) -> str:
        name, quoted, pair, plain = match.groups()
        return f"--{name.replace('_', '-')} {quoted or pair and pair.replace(' ', '') or plain}"

    names = "|".join([*PARAMETERS, "image_size"])
    value = r"(?:'([^']+)'|\((\d+, \d+)\)|([\w.+-]*\w))"
    return re.sub(rf"(?<![\w/\\])({names})={value}", spell, message)  # not within a path


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {as_options(str(message))}", err=True)


class Group(click.Group):
    """Commands whose expected errors are one line for people, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except EXPECTED as error:
            message = as_options(str(error))
            if isinstance(error, OSError) and error.filename and error.strerror:
                message = f"{error.filename}: {error.strerror}"
            raise click.ClickException(message) from error


class Command(click.Command):
    """A command whose help shows the options made from `VAE` apart from its own."""

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
    """A command whose options for numbers take all that follow: --index 7 42 99."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {
            flag
            for param in self.params
            if isinstance(param, click.Option) and param.multiple and param.type is click.INT
            for flag in param.opts
        }
        spread: list[str] = []
        within: str | None = None  # the option whose numbers these are
        for arg in args:
            number = re.fullmatch(r"-?\d+", arg) is not None
            if within and number and spread[-1] != within:
                spread.append(within)
            spread.append(arg)
            flag = arg.split("=")[0]
            within = flag if flag in flags else within if number else None
        return super().parse_args(ctx, spread)


def _section_of(parameter: str | None) -> str:
    return next((title for title, names in GROUPS.items() if parameter in names), "Options")
