"""The printed report of a run: the machine, and one table per question."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.base import Peer
from vaefast import info
from vaefast._system.threads import available_cpus


def environment(threads: int, peers: list[type[Peer]], left_out: dict[str, str]) -> dict[str, Any]:
    """Return machine, threads, instruction set and versions, for the JSON of a run."""
    return {
        "cpu": _cpu(),
        "cpus": available_cpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # at the start
        "threads": threads,
        "isa": info()["isa"],
        "peers": {peer.name: peer.version() for peer in peers},
        "left_out": left_out,
    }


def describe(about: dict[str, Any]) -> str:
    """Return the header of a report, from what `environment` returned."""
    lines = [
        f"{about['cpu']}, {about['cpus']} CPUs; {about['system']}; Python {about['python']}",
        f"threads: {about['threads']}; {about['isa']}; "
        + "; ".join(dict.fromkeys(about["peers"].values())),
    ]
    if about["load"] is not None and about["load"] > 0.5:
        lines.append(
            f"load average {about['load']:.1f}: other programs are running. They slow the peers "
            "down unequally, so these ratios are not reliable."
        )
    lines += [f"left out: {name} ({reason})" for name, reason in about["left_out"].items()]
    return "\n".join(lines)


class Table:
    """A table with aligned columns, printed line by line. The first line includes the titles."""

    def __init__(self) -> None:
        self.widths: dict[str, int] = {}

    def line(self, cells: Mapping[str, str]) -> str:
        """Return one line, given the cells by the titles of their columns."""
        text = ""
        if not self.widths:
            self.widths = {title: max(len(title), len(cell)) for title, cell in cells.items()}
            text = " ".join(title.rjust(width) for title, width in self.widths.items()) + "\n"
        return text + " ".join(cells[title].rjust(width) for title, width in self.widths.items())


RATIO = "{median:.2f} ({low:.2f}-{high:.2f}) of {limit:.1f}"
RATIO_WIDTH = len("99.99 (99.99-99.99) of 99.9")


def training_columns(result: dict[str, Any], base: str) -> dict[str, str]:
    """Return one line of the training table: the rate of `base`, and its ratios to the others."""
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
Rows per second: median rate of vaefast. GFLOP/s: the necessary operations of the products only.
They include multiplications by zeros of the data, which vaefast skips. Ratios: the median, the
lowest and the highest over rounds of the ratio of two rates within a round. After "of": the ratio
that vaefast would reach if a step did only these operations, at the rate that the products'
micro-kernel had in that round on data in the first-level cache."""


def _cpu() -> str:
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
