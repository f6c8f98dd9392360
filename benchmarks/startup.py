"""Start-up: time of the import, and from the shell command to the first optimizer step."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import child, timing
from benchmarks.plan import Plan

FOOTNOTE = """\
Medians in milliseconds, each from fresh processes. import: time to import NumPy, and then vaefast.
process: from start to end of a Python process that imports nothing, NumPy or vaefast. first step:
from the start of `vaefast train` on its built-in data to the start of the first optimizer step."""

IMPORT = """
import json, time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import vaefast
print(json.dumps({"numpy": middle - start, "vaefast": time.perf_counter() - middle}))
"""
# The command, stopped at its first step. perf_counter has the same origin in both processes: on
# Linux it counts from the start of the machine.
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
    """Start processes in turns, in each of `rounds`; return medians and rounds in seconds."""
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
    """Yield the one result of this question."""
    yield measure(rounds=plan.rounds)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    return {name: f"{seconds * 1e3:.0f}" for name, seconds in result["seconds"].items()}


def _first_step() -> float:
    """Return the seconds from the start of `vaefast train` to its first optimizer step."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        now = child.run("-c", FIRST_STEP, f"{folder}/run")["now"]
    return float(now) - start
