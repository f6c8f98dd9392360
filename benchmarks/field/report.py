"""The report of a suite: a summary of each group of cells, a table of each figure, and notes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from . import results
from .results import Results
from .suite import OURS, Figure, Suite


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
    failed: dict[tuple[str, str], list[int]] = {}
    for (cell, seed, method), error in found.errors().items():
        failed.setdefault((f"{method} failed in {cell}", error), []).append(seed)
    for (what, error), failures in failed.items():
        yield f"{what}, seeds {', '.join(map(str, sorted(failures)))}: {error}"
    machines: dict[str, dict[str, None]] = {}
    for line in found.lines.values():
        for name, value in line["about"].items():
            machines.setdefault(name, {})[str(value)] = None
    yield "; ".join(f"{name} {' or '.join(values)}" for name, values in machines.items()) + "."
