"""Python in a process of its own, for quantities that a process has only once, such as its peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class ChildError(Exception):
    """The process to be measured failed."""


def run(*arguments: str, launcher: Sequence[str] = (), **environment: str) -> dict[str, Any]:
    """Run Python with these arguments and return the JSON of the last line that it prints.

    The process has the user's environment, without the numbers of threads that this run has set,
    and with the given variables. A `launcher` is a command that starts it, such as mpiexec.

    Raises
    ------
    ChildError
        The process failed. The message contains its standard error.
    """
    inherited = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
    done = subprocess.run(
        [*launcher, sys.executable, *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ChildError(f"python {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
