"""What this installation is and what it runs on."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from .. import _core
from .._version import __version__
from .threads import available_cpus, default_threads


def info() -> dict[str, Any]:
    """Return version, instruction set in use and available, threads, and the versions beneath."""
    return {
        "version": __version__,
        "isa": _core.ISA,
        "isas": _core.SUPPORTED,
        "threads": default_threads(),
        "cpus": available_cpus(),
        "eigen": _core.EIGEN_VERSION,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
