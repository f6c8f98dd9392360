"""A command that prints expected errors as one line, without a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vaefast import DivergenceError


class Command(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ImportError, DivergenceError) as error:
            given = [str(value) for value in ctx.params.values() if isinstance(value, Path)]
            files = ", ".join(path for path in given if Path(path).is_file())
            named = "" if not files or files in str(error) else f"{files}: "
            raise click.ClickException(f"{named}{error}") from error
