"""What is printed about a run: the machine, and for each question a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
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


class Table:
    """Lines with aligned columns; the first one comes with the titles."""

    def __init__(self) -> None:
        self.widths: dict[str, int] = {}

    def line(self, cells: Mapping[str, str]) -> str:
        """Return a line of these cells, by the titles of their columns."""
        text = ""
        if not self.widths:
            self.widths = {title: max(len(title), len(cell)) for title, cell in cells.items()}
            text = " ".join(title.rjust(width) for title, width in self.widths.items()) + "\n"
        return text + " ".join(cells[title].rjust(width) for title, width in self.widths.items())


RATIO = "{median:.2f} ({low:.2f}-{high:.2f}) of {limit:.1f}"
RATIO_WIDTH = len("99.99 (99.99-99.99) of 99.9")


def training_columns(result: dict[str, Any], base: str) -> dict[str, str]:
    """A line of the training table: the rate of `base`, and how many times the others' it is."""
    rates = result["peers"][base]
    return {
        f"{'net':<42}": f"{result['net']:<42}",
        "batch": str(result["batch_size"]),
        "rows per second": f"{rates['rows_per_second']:,.0f}",
        "GFLOP/s": f"{rates['gflops']:.1f}",
        **{
            f"{base} / {name}".rjust(RATIO_WIDTH): RATIO.format(**ratio)
            for name, ratio in result["ratios"].items()
        },
    }


TRAINING_FOOTNOTE = """\
Rows per second of vaefast, medians; GFLOP/s count the operations of the products that a step needs,
those with zeros of the data too, which vaefast leaves out. Ratios of rates: median over rounds of
those within a round, lowest to highest; of: what it would be if a step were nothing but these
operations, at the rate of the products' kernel on data in the first-level cache in that round."""


def _cpu() -> str:
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
