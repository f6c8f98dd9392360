"""Detection of interactive sessions."""

from __future__ import annotations

import sys


def is_interactive() -> bool:
    """Return whether this is a session of Python, IPython or a notebook, and not a script."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)
