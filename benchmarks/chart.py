"""Charts of a run, for the documentation: `python benchmarks/chart.py runs/benchmarks.json`.

Each chart is drawn twice on a transparent background, for light pages and for dark ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import click

if not __package__:  # run as a file: sys.path starts with this folder, not with its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

Results = dict[str, Any]


@dataclass(frozen=True)
class Theme:
    """Colours of a chart."""

    name: str
    text: str
    faint: str  # grids and secondary lines
    series: tuple[str, ...]


THEMES = (
    Theme("light", "#1f2328", "#d1d9e0", ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700")),
    Theme("dark", "#e6edf3", "#3d444d", ("#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#d29922")),
)
LINE, GAP = 0.3, 0.5  # height of a line in inches; space between two nets in lines


@click.command(context_settings={"show_default": True})
@click.argument("run", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("docs/pictures"),
    help="Folder to write to.",
)
@click.option(
    "--format", "kind", type=click.Choice(["svg", "png"]), default="svg", help="File format."
)
def main(run: Path, out: Path, kind: str) -> None:
    """Draw the charts of RUN, a file of results: speed-*, scaling-* and processes-*."""
    try:
        results: Results = json.loads(run.read_text())
        written = draw(results, out, kind)
    except ImportError:
        raise click.ClickException("charts need matplotlib: pip install '.[plot]'") from None
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{run}: {error}") from None
    for path in written:
        click.echo(path)


def draw(results: Results, out: Path, kind: str) -> list[Path]:
    """Write every chart that there are results for, in both themes, and return the paths.

    Raises
    ------
    ValueError
        The run holds no results that can be drawn.
    """
    import matplotlib
    from matplotlib.figure import Figure

    from vaefast._system.files import atomic_write

    charts: dict[str, Callable[[Any, Results, Theme], None]] = {}
    if any(result["ratios"] for result in results.get("training", [])):
        charts["speed"] = speed
    if results.get("scaling"):
        charts["scaling"] = scaling
    if results.get("processes"):
        charts["processes"] = processes
    if not charts:
        raise ValueError(
            "the file holds no results of training compared with peers, of scaling or of "
            "processes; measure them with: python benchmarks/run.py training scaling processes"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, chart in charts.items():
        for theme in THEMES:
            settings: dict[Any, Any] = {
                "font.size": 10,
                "font.family": "sans-serif",
                "text.color": theme.text,
                "axes.labelcolor": theme.text,
                "axes.titlesize": 10,
                "axes.edgecolor": theme.faint,
                "xtick.color": theme.text,
                "ytick.color": theme.text,
                "grid.color": theme.faint,
                "grid.linewidth": 0.6,
                "svg.hashsalt": "vaefast",  # makes the file the same at every run
            }
            with matplotlib.rc_context(settings):
                figure = Figure(layout="constrained")
                chart(figure, results, theme)
                path = out / f"{name}-{theme.name}.{kind}"
                with atomic_write(path) as temporary:
                    date = {"Date": None} if kind == "svg" else None
                    figure.savefig(temporary, transparent=True, dpi=200, metadata=date)
            written.append(path)
    return written


def speed(figure: Any, results: Results, theme: Theme) -> None:
    """Draw the ratio of vaefast's rate to that of each peer's best way, one line per cell."""
    cells = results["training"]
    names = list(dict.fromkeys(name for cell in cells for name in cell["ratios"]))
    nets = list(dict.fromkeys(cell["net"] for cell in cells))
    figure.set_size_inches(8.4, 1.5 + LINE * (len(cells) + GAP * len(nets)))
    axes = figure.add_subplot()
    # The nets are set apart by a gap.
    y = [-i - GAP * nets.index(cell["net"]) for i, cell in enumerate(cells)]
    for at, cell in zip(y, cells, strict=True):
        ratios = {name: ratio["median"] for name, ratio in cell["ratios"].items()}
        least = min(ratios.values())
        axes.plot([1, max(ratios.values())], [at, at], color=theme.faint, linewidth=2, zorder=1)
        axes.annotate(
            f"{least:.1f}", (least, at), (0, 7), textcoords="offset points", ha="center", size=8
        )
        for name, ratio in ratios.items():
            axes.scatter(ratio, at, s=42, color=theme.series[names.index(name)], zorder=3)
    labels = [f"{cell['net'].replace(':', ' ')},  batch {cell['batch_size']}" for cell in cells]
    axes.set_yticks(y, labels, size=9)
    axes.set_ylim(y[-1] - 0.7, 0.9)
    axes.set_xscale("log")
    axes.set_xlim(*_around([1, *(r["median"] for c in cells for r in c["ratios"].values())]))
    shown = [n for n in (0.2, 0.5, 1, 2, 3, 5, 10, 20, 50) if _within(n, axes.get_xlim())]
    axes.set_xticks(shown, [f"{n:g}×" for n in shown])
    axes.minorticks_off()
    axes.xaxis.grid(True)
    axes.set_axisbelow(True)
    axes.axvline(1, color=theme.text, linewidth=1.2)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    handles = [axes.scatter([], [], s=42, color=color) for color in theme.series[: len(names)]]
    figure.legend(handles, names, loc="outside upper right", ncols=len(names), frameon=False)
    what = "rows per second of vaefast, divided by those of each peer (more is better)"
    figure.supxlabel(f"{what}\n{_machine(results)}", size=9)


def _around(values: list[float]) -> tuple[float, float]:
    """Return the limits of a logarithmic axis with a margin around the values."""
    return min(values) / 1.12, max(values) * 1.12


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


# Axis and work of the results that a panel shows: title and x label of the panel.
PANELS = {
    ("batch", "step"): ("A training step", "batch (rows)"),
    ("width", "step"): ("A training step, batch 128", "width of the hidden layers"),
    ("depth", "step"): ("A training step, batch 128", "hidden layers on each side"),
    ("threads", "step"): ("A training step, batch 128", "threads"),
    ("rows", "epoch"): ("An epoch, batch 128", "rows"),
    ("rows", "transform"): ("Transform", "rows"),
}


def scaling(figure: Any, results: Results, theme: Theme) -> None:
    """Draw time against each axis, both logarithmic. A slope of 45 degrees means proportional."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator

    figure.set_size_inches(8.4, 5.2)
    for axes, (key, (title, label)) in zip(figure.subplots(2, 3).flat, PANELS.items(), strict=True):
        cells = [cell for cell in results["scaling"] if (cell["axis"], cell["work"]) == key]
        nets = list(dict.fromkeys(cell["net"] for cell in cells))
        # Along width and depth every point has another net: they form one series.
        series = [[cell for cell in cells if cell["net"] == net] for net in nets]
        if key[0] in ("width", "depth"):
            series = [cells]
        for of_net, color in zip(series, theme.series, strict=False):
            _lines(axes, key[0], of_net, color)
        axes.set(xscale="log", yscale="log", title=title, xlabel=label)
        ticks = sorted({x for line in axes.get_lines() for x in line.get_xdata()})
        axes.set_xticks(_few(ticks), [f"{x:,}" for x in _few(ticks)])
        axes.minorticks_off()
        axes.grid(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_formatter(_duration)
        low, high = axes.get_ylim()
        if high < 30 * low:  # powers of ten alone would be too few ticks
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    nets = list(dict.fromkeys(c["net"] for c in results["scaling"] if c["axis"] == "batch"))
    most = results["threads"]
    names = [(net, n) for net in nets for n in dict.fromkeys((1, most))]
    handles = [
        Line2D([], [], color=theme.series[nets.index(net)], **_style(n == most)) for net, n in names
    ]
    texts = [f"{net.split(':')[0]}, {n} thread{'s' * (n > 1)}" for net, n in names]
    figure.legend(handles, texts, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    figure.supxlabel(_machine(results), size=9)


def processes(figure: Any, results: Results, theme: Theme) -> None:
    """Draw how many times as fast a step is on several machines, for each net and machine."""
    from benchmarks.processes import CPUS, MODELLED, NETWORKS, step

    cells = results["processes"]
    figure.set_size_inches(8.4, 5.4)
    most = 1.4 * max(best["gain"] for cell in cells for best in cell["best"].values())
    panels = figure.subplots(len(CPUS), len(cells), sharex=True, sharey=True, squeeze=False)
    for axes, (cpus, cell) in zip(panels.flat, product(CPUS, cells), strict=True):
        alone = cell["computed"]["1"] / cpus
        axes.plot(MODELLED, MODELLED, color=theme.faint, linestyle="--", linewidth=1.2)
        axes.axhline(1, color=theme.text, linewidth=1)
        for network, color in zip(NETWORKS, theme.series, strict=False):
            gains = [alone / step(cell, network, cpus, n) for n in MODELLED]
            axes.plot(MODELLED, gains, color=color, **_style(True))
        widths = cell["net"].split(":")[0].split("-")
        net = "-".join(widths[: widths.index(str(min(map(int, widths)))) + 1])
        axes.set(xscale="log", yscale="log", ylim=(0.1, most))
        if cpus == CPUS[0]:
            axes.set_title(f"{net}, batch {cell['batch_size']}", size=9)
        else:
            axes.set_xlabel("machines")
        if cell is cells[0]:
            axes.set_ylabel(f"{cpus} CPUs each")
        ticks = (1, 10, 100, 1000)
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        shown = [n for n in (0.1, 1, 10, 100) if n < most]
        axes.set_yticks(shown, [f"{n:g}×" for n in shown])
        axes.minorticks_off()
        axes.grid(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [axes.plot([], [], color=color, **_style(True))[0] for color in theme.series[:3]]
    handles.append(axes.plot([], [], color=theme.faint, linestyle="--", linewidth=1.2)[0])
    names = [*(network.name for network in NETWORKS), "proportional"]
    figure.legend(handles, names, loc="outside upper right", ncols=4, frameon=False)
    what = "steps per second on several machines, divided by those on one (modelled)"
    figure.supxlabel(f"{what}\none thread measured on {results['cpu']}, {results['isa']}", size=9)


def _lines(axes: Any, axis: str, cells: list[Results], color: str) -> None:
    """Plot the time with one thread (dashed) and with all threads (solid)."""
    if axis == "threads":
        for cell in cells:
            counts = [int(n) for n in cell["seconds"]]
            axes.plot(counts, list(cell["seconds"].values()), color=color, **_style(True))
        return
    for n in cells[0]["seconds"]:
        last = n == list(cells[0]["seconds"])[-1]
        values = [cell["value"] for cell in cells]
        axes.plot(values, [cell["seconds"][n] for cell in cells], color=color, **_style(last))


def _style(all_threads: bool) -> dict[str, Any]:
    if all_threads:
        return {"linestyle": "-", "marker": "o", "markersize": 3.5, "linewidth": 1.6}
    return {"linestyle": "--", "linewidth": 1.2, "alpha": 0.8}


def _few(ticks: list[int]) -> list[int]:
    """Return at most four of the ticks, evenly spread."""
    step = -(-len(ticks) // 4)
    return ticks[::step]


def _duration(seconds: float, _: object) -> str:
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
    unit, size = next((u for u in units if seconds >= 0.999 * u[1]), units[-1])
    return f"{seconds / size:g} {unit}"


def _machine(results: Results) -> str:
    return f"{results['cpu']}, {results['threads']} threads, {results['isa']}"


if __name__ == "__main__":
    main()
