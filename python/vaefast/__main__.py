"""Run the `vaefast` command as `python -m vaefast`."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
