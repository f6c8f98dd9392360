"""Python in a process of its own, for what it can be asked once: import, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    """A process that was to be measured failed."""


def run(*arguments: str, **environment: str) -> dict[str, Any]:
    """Run Python with these arguments; return the JSON that it printed last.

    Its environment is the user's: without the numbers of threads that this run has set.
    """
    inherited = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ChildError(f"python {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
