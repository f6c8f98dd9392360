"""How long until work begins: import, and from the shell command to the first step?"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import child, timing
from benchmarks.plan import Plan

FOOTNOTE = """\
Milliseconds, medians, each in a fresh process. import: of NumPy, and of vaefast after it. process:
from its start to its end, of a Python that imports nothing, NumPy, or vaefast. first step: from the
start of `vaefast train` on its built-in data to the begin of the first optimiser step."""

IMPORT = """
import json, time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import vaefast
print(json.dumps({"numpy": middle - start, "vaefast": time.perf_counter() - middle}))
"""
# The command, stopped at its first step. perf_counter counts from the machine's start.
FIRST_STEP = """
import json, os, sys, time
from vaefast import _core
def steps(*_, **__):
    print(json.dumps({"now": time.perf_counter()}), flush=True)
    os._exit(0)
_core.Core.steps = steps
from vaefast.cli import main
main(["train", "--out", sys.argv[1]])
"""


def measure(*, rounds: int) -> dict[str, Any]:
    """Start processes in turns; return medians in seconds."""
    times: dict[str, list[float]] = {}

    def keep(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds)

    for _ in range(rounds):
        for name, seconds in child.run("-c", IMPORT).items():
            keep(f"import {name}", seconds)
        for name, code in (
            ("python", ""),
            ("numpy", "import numpy"),
            ("vaefast", "import vaefast"),
        ):
            start = time.perf_counter()
            child.run("-c", f"{code}\nprint(0)")
            keep(f"process {name}", time.perf_counter() - start)
        keep("first step", _first_step())
    return {
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "ratios": {"numpy": timing.ratio(times["process vaefast"], times["process numpy"])},
        "rounds": times,
    }


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    yield measure(rounds=plan.rounds)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """One line of the table, by the titles of its columns."""
    return {name: f"{seconds * 1e3:.0f}" for name, seconds in result["seconds"].items()}


def _first_step() -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        now = child.run("-c", FIRST_STEP, f"{folder}/run")["now"]
    return float(now) - start
