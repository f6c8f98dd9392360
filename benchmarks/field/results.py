"""Results of a suite: one JSON line per finished cell, their means and standard errors."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Key = tuple[str, int, str]  # cell, seed, method
Scores = Mapping[str, float]  # of the methods in one cell


class Results:
    """Finished measurements in a file of JSON lines, which several runs may extend.

    Parameters
    ----------
    path : Path
        The file. A line that a killed process left unfinished is ignored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Key, dict[str, Any]] = {}
        text = path.read_text() if path.exists() else ""
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except json.JSONDecodeError:
                continue
            self.lines[found["cell"], found["seed"], found["method"]] = found
        self._unfinished = bool(text) and not text.endswith("\n")

    def __contains__(self, key: Key) -> bool:
        """Return whether a measurement is finished. One that failed is not."""
        return key in self.lines and "error" not in self.lines[key]

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a measurement to the file."""
        self.lines[line["cell"], line["seed"], line["method"]] = dict(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write("\n" * self._unfinished + json.dumps(line) + "\n")
        self._unfinished = False

    def values(self, cell: str, method: str, figure: str) -> dict[int, float]:
        """Return a figure of a method in a cell, by seed."""
        return {
            key[1]: line["figures"][figure]
            for key, line in sorted(self.lines.items())
            if key[0] == cell and key[2] == method and key in self
            if line["figures"].get(figure) is not None
        }

    def errors(self) -> dict[Key, str]:
        """Return the errors of the measurements that failed."""
        return {key: line["error"] for key, line in self.lines.items() if "error" in line}


def mean_and_error(values: Collection[float]) -> tuple[float, float]:
    """Return a mean and its standard error, which is NaN for a single value."""
    n = len(values)
    error = float(np.std(list(values), ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return float(np.mean(list(values))), error


def mean_over_cells(cells: Sequence[Collection[float]]) -> tuple[float, float]:
    """Return the mean over cells of the means over seeds, and its standard error over seeds.

    Parameters
    ----------
    cells : sequence of collections of float
        The values of the seeds, cell by cell.
    """
    means, errors = zip(*map(mean_and_error, cells), strict=True)
    return float(np.mean(means)), float(np.sqrt(np.sum(np.square(errors)))) / len(cells)


def ranks(scores: Scores, *, higher: bool) -> dict[str, float]:
    """Return the rank of each method in a cell, 1 for the best; ties share their mean rank."""
    values = np.round(list(scores.values()), 9) * (-1 if higher else 1)  # ties despite rounding
    before = (values[:, None] > values).sum(axis=1)
    equal = (values[:, None] == values).sum(axis=1)
    return dict(zip(scores, before + (equal + 1) / 2, strict=True))


def mean_ranks(cells: Iterable[Scores], *, higher: bool) -> dict[str, float]:
    """Return the mean rank of each method over cells that all have the same methods."""
    found = [ranks(cell, higher=higher) for cell in cells]
    return {method: float(np.mean([each[method] for each in found])) for method in found[0]}


def with_error(mean: float, error: float, digits: int) -> str:
    """Return a mean with its standard error, such as "71.40 ± 0.32"."""
    text = f"{mean:,.{digits}f}"
    return text if math.isnan(error) else f"{text} ± {error:,.{digits}f}"


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table. All columns but the first are aligned to the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
