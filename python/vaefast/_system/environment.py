"""Facts about the installation and the machine."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from .. import _core
from .._version import __version__
from .threads import available_cpus, default_threads


def info() -> dict[str, Any]:
    """Return facts about the installation and the machine, for bug reports.

    Returns
    -------
    dict of str to object
        `version` of vaefast; `isa`, the instruction set in use; `isas`, the instruction sets that
        this machine supports, best first; `threads`, the default number of threads; `cpus`, the
        number of CPUs that this process may use; `eigen`, `numpy` and `python`, their versions; and
        `machine`, the architecture.
    """
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
