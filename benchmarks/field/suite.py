"""A suite: cells, methods, the loop that measures them, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from . import results
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
        What is compared.
    figures : tuple of Figure
        The figures of a cell. The first one ranks the methods.
    measure : callable
        Returns the figures of a cell, a seed and a method.
    notes : str
        What a reader of the tables must know.
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


def report(suite: Suite, found: Results) -> str:
    """Return the Markdown of all results: a summary per group, and then a table per figure."""
    parts = []
    for group, cells in suite.groups.items():
        parts += _summary(suite, found, group, cells)
    for figure in suite.figures:
        if figure.name != "CPU seconds":
            parts += _matrix(suite, found, figure)
    parts += [f"- {line}" for line in _footnotes(suite, found)]
    return "\n".join(parts)


def overview(suite: Suite, found: Results) -> list[dict[str, Any]]:
    """Return mean, standard error and number of seeds of every figure, for the JSON of a run."""
    answer = []
    for cells in suite.groups.values():
        for cell in cells:
            for method in suite.methods:
                for figure in suite.figures:
                    values = found.values(cell, method.name, figure.name)
                    if values:
                        mean, error = results.mean_and_error(values.values())
                        answer.append(
                            {
                                "cell": cell,
                                "method": method.name,
                                "figure": figure.name,
                                "mean": mean,
                                "standard_error": error if len(values) > 1 else None,
                                "seeds": len(values),
                            }
                        )
    return answer


def _summary(suite: Suite, found: Results, group: str, cells: Sequence[str]) -> list[str]:
    """Return the lines of a group's table, over the cells that all of its methods have."""
    first = suite.figures[0]
    assert first.higher is not None
    means = {
        method.name: {
            cell: results.mean_and_error(values.values())[0]
            for cell in cells
            if (values := found.values(cell, method.name, first.name))
        }
        for method in suite.methods
    }
    started = [cell for cell in cells if any(cell in each for each in means.values())]
    names = [name for name, each in means.items() if started and len(each) == len(started)]
    lines = [f"### {group}, {len(started)} of {len(cells)} cells", ""]
    if not names:
        return [*lines, "No method has finished.", ""]
    mean_ranks = results.mean_ranks(
        [{name: means[name][cell] for name in names} for cell in started], higher=first.higher
    )
    columns = ["method", *(figure.name for figure in suite.figures), "mean rank"]
    against = OURS in names
    if against:
        columns += [f"{OURS} minus method", f"{OURS} ahead"]
    rows = []
    for name in sorted(names, key=lambda name: mean_ranks[name]):
        row = [name]
        for figure in suite.figures:
            every = [found.values(cell, name, figure.name) for cell in started]
            row.append(_cell([each.values() for each in every if each], figure))
        row.append(f"{mean_ranks[name]:.2f}")
        if against:
            row += _difference(found, started, name, first) if name != OURS else ["", ""]
        rows.append(row)
    lines += [results.markdown(columns, rows), ""]
    for name, each in means.items():
        if name not in names and each:
            lines += [f"{name} has finished {len(each)} of these cells.", ""]
    return lines


def _cell(cells: Sequence[Collection[float]], figure: Figure) -> str:
    return results.with_error(*results.mean_over_cells(cells), figure.digits) if cells else ""


def _difference(found: Results, cells: Sequence[str], name: str, figure: Figure) -> list[str]:
    """Return our mean lead with its standard error over cells, and the cells in which we lead.

    In a cell, the seeds that both methods have are compared.
    """
    differences = []
    for cell in cells:
        ours, theirs = (found.values(cell, method, figure.name) for method in (OURS, name))
        both = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        differences += [results.mean_and_error(both)[0]] if both else []
    if not differences:
        return ["", ""]
    ahead = sum((each > 0) == figure.higher for each in differences if each != 0)
    mean, error = results.mean_and_error(differences)
    return [results.with_error(mean, error, figure.digits), f"{ahead} of {len(differences)}"]


def _matrix(suite: Suite, found: Results, figure: Figure) -> list[str]:
    """Return the lines of a figure's table: one row per cell, one column per method."""
    methods = [
        method.name
        for method in suite.methods
        if any(key[2] == method.name and key in found for key in found.lines)
    ]
    rows = []
    for cell in [cell for cells in suite.groups.values() for cell in cells]:
        values = [found.values(cell, method, figure.name) for method in methods]
        if any(values):
            rows.append(
                [cell, *(_cell([each.values()] if each else [], figure) for each in values)]
            )
    better = {True: ", higher is better", False: ", lower is better", None: ""}[figure.higher]
    if not rows:
        return []
    return [f"### {figure.name}{better}", "", results.markdown(["cell", *methods], rows), ""]


def _footnotes(suite: Suite, found: Results) -> Iterator[str]:
    """Yield what a reader of the tables must know: protocol, limits, errors, machine, versions."""
    yield suite.notes
    yield "± is the standard error over seeds; after a difference, over cells."
    seeds = {
        method.name: len({key[1] for key in found.lines if key in found and key[2] == method.name})
        for method in suite.methods
    }
    yield "Seeds: " + ", ".join(f"{name} {n}" for name, n in seeds.items() if n) + "."
    for limit in sorted({method.limit for method in suite.methods if method.limit}):
        names = ", ".join(method.name for method in suite.methods if method.limit == limit)
        yield f"At most {limit:,} training rows, drawn at random: {names}."
    if absent := [name for name, n in seeds.items() if not n]:
        yield f"Not measured: {', '.join(absent)}."
    for key, error in found.errors().items():
        yield f"{key[2]} failed in {key[0]}, seed {key[1]}: {error}"
    machines: dict[str, dict[str, None]] = {}
    for line in found.lines.values():
        for name, value in line["about"].items():
            machines.setdefault(name, {})[str(value)] = None
    yield "; ".join(f"{name} {' or '.join(values)}" for name, values in machines.items()) + "."


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
