"""Helpers that run the vaefast command as a user does and read its files."""

from __future__ import annotations

import csv
from pathlib import Path

from click.testing import CliRunner, Result

from vaefast import cli

SMALL = [
    *("--latent-dim", "2", "--hidden-layer-sizes", "16"),
    *("--learning-rate", "1e-3", "--batch-size", "128", "--epochs", "2"),
    *("--random-state", "1", "--no-verbose"),
]


def vaefast_command(*args: object) -> Result:
    """Run the command and return its result; an unhandled exception fails the test."""
    result = CliRunner().invoke(cli.main, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*args: object) -> str:
    result = vaefast_command(*args)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*args: object, code: int = 1) -> str:
    """Run a command that must fail with this exit code and no traceback; return its message."""
    result = vaefast_command(*args)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
