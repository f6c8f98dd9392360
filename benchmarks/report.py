"""What is printed about a run: the machine, and a table of a line per net and batch size."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.peers.base import Peer
from vaefast.environment import info
from vaefast.threads import available_cpus


def environment(threads: int, peers: list[type[Peer]], left_out: dict[str, str]) -> dict[str, Any]:
    """Machine, threads, instruction set and versions: the run's context, for the JSON."""
    return {
        "cpu": _cpu(),
        "cpus": available_cpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # before the run
        "threads": threads,
        "isa": info()["isa"],
        "peers": {peer.name: peer.version() for peer in peers},
        "left_out": left_out,
    }


def describe(about: dict[str, Any]) -> str:
    lines = [
        f"{about['cpu']}, {about['cpus']} CPUs; {about['system']}; Python {about['python']}",
        f"threads: {about['threads']}; {about['isa']}; " + "; ".join(about["peers"].values()),
    ]
    if about["load"] is not None and about["load"] > 0.5:
        lines.append(
            f"load average {about['load']:.1f}: other work is running. It slows peers unequally, "
            "so don't rely on these ratios."
        )
    lines += [f"left out: {name} ({reason})" for name, reason in about["left_out"].items()]
    return "\n".join(lines)


def header(names: list[str], base: str) -> str:
    cells = [f"{name:>11} {'GFLOP/s':>8}" for name in names]
    cells += [f"{f'{base} / {name}':>17} {'(low-high)':>14}" for name in names if name != base]
    return f"{'net':<42} {'batch':>5} " + " ".join(cells)


def line(result: dict[str, Any]) -> str:
    cells = [
        f"{rates['rows_per_second']:>11,.0f} {rates['gflops']:>8.1f}"
        for rates in result["peers"].values()
    ]
    for ratio in result["ratios"].values():
        spread = f"({ratio['low']:.2f}-{ratio['high']:.2f})"
        cells.append(f"{ratio['median']:>17.2f} {spread:>14}")
    return f"{result['net']:<42} {result['batch_size']:>5} " + " ".join(cells)


FOOTNOTE = """\
Rows per second, medians; GFLOP/s count only the operations that a step needs (those of its
products). Ratios: median over rounds of the ratios within a round."""


def _cpu() -> str:
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
