"""Entry point of the `vaefast` command, which reports a core that can't be imported in one line.

It stands outside the package, because every import from the package imports the core first.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; exit with status 1 if the package can't be imported."""
    try:
        from vaefast.cli import main as command
    except ImportError as error:
        sys.exit(f"Error: {error}")
    command()
