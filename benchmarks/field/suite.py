"""A suite: cells, methods, and the loop that measures them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .results import Results

OURS = "vaefast"
COMMON = ("numpy", "scikit-learn")  # distributions whose versions are kept with every result


@dataclass(frozen=True)
class Method:
    """A way to do the task of a suite.

    Attributes
    ----------
    name : str
        Name in the tables.
    run : callable
        Does the task. Each suite says how it is called.
    packages : tuple of str
        Distributions that it needs besides those of vaefast and scikit-learn.
    seeds : int
        Number of seeds; fewer for slow methods.
    limit : int or None
        Most training rows that the method is given. None gives it all.
    """

    name: str
    run: Callable[..., Any]
    packages: tuple[str, ...] = ()
    seeds: int = 5
    limit: int | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of merit.

    Attributes
    ----------
    name : str
        Title in the tables, and key in the results.
    digits : int
        Digits after the point.
    higher : bool or None
        Whether higher is better; None for a figure that has no better side.
    """

    name: str
    digits: int
    higher: bool | None = None


@dataclass(frozen=True)
class Suite:
    """Cells and methods of one task.

    Attributes
    ----------
    groups : mapping of str to tuple of str
        Cells by group. The report has a summary of each group.
    methods : tuple of Method
        Subject of the comparison.
    figures : tuple of Figure
        The figures of a cell. The first one ranks the methods.
    measure : callable
        Returns the figures of a cell, a seed and a method.
    notes : str
        Remarks for the reader of the tables.
    packages : tuple of str
        Distributions that the suite itself needs.
    """

    groups: Mapping[str, tuple[str, ...]]
    methods: tuple[Method, ...]
    figures: tuple[Figure, ...]
    measure: Callable[[str, int, Method], dict[str, float | None]]
    notes: str
    packages: tuple[str, ...] = ()


def not_installed(packages: Sequence[str]) -> list[str]:
    """Return the distributions among `packages` that are not installed."""
    return [name for name in packages if not _version(name)]


@contextmanager
def timed() -> Iterator[dict[str, float | None]]:
    """Yield a dictionary that gets the CPU seconds and the wall seconds of the block."""
    figures: dict[str, float | None] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield figures
    figures["CPU seconds"] = time.process_time() - cpu
    figures["wall seconds"] = time.perf_counter() - wall


def run(
    suite: Suite,
    found: Results,
    cells: Sequence[str],
    methods: Sequence[Method],
    seeds: int | None,
    about: Mapping[str, Any],
    echo: Callable[[str], object],
) -> None:
    """Measure what `found` does not contain yet, seed by seed, and add it.

    A method that fails is recorded with its error, and is tried again by the next run.
    """
    for seed in range(seeds or max(method.seeds for method in methods)):
        for cell in cells:
            for method in methods:
                if seed >= (seeds or method.seeds) or (cell, seed, method.name) in found:
                    continue
                line: dict[str, Any] = {"cell": cell, "seed": seed, "method": method.name}
                try:
                    line["figures"] = suite.measure(cell, seed, method)
                except FileNotFoundError:
                    raise
                except Exception as error:  # of any peer: the other cells can still be measured
                    line["error"] = " ".join(f"{type(error).__name__}: {error}".split())[-300:]
                used = (*COMMON, *suite.packages, *method.packages)
                packages = {name: _version(name) for name in used}
                found.add({**line, "about": {**about, **packages}})
                echo(f"{cell}, seed {seed}, {method.name}: {_outcome(suite, line)}")


def _outcome(suite: Suite, line: Mapping[str, Any]) -> str:
    if "error" in line:
        return str(line["error"])
    names = [figure for figure in suite.figures if line["figures"].get(figure.name) is not None]
    return ", ".join(
        f"{figure.name} {line['figures'][figure.name]:.{figure.digits}f}" for figure in names
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
