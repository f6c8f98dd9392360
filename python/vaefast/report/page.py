"""The HTML page of a comparison, with inline SVG and neither scripts nor other files."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .._system.files import atomic_write
from .columns import ColumnComparison
from .comparison import Comparison

WIDTH, HEIGHT = 280, 110  # size of the picture of a column, in pixels
SHADES = 20  # shades of an association
PAIRS = 12  # pairs of columns that are listed
LABELLED = 100  # most columns whose names a heat map shows

STYLE = """
:root { --real: #9fb0c3; --synthetic: #d2552a; --ink: #1f2933; --soft: #66727f; --line: #dfe4ea; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: #f6f7f9; margin: 0; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 38px 0 10px; }
p { margin: 6px 0; max-width: 78ch; } .soft { color: var(--soft); }
.facts, .cards { display: grid; gap: 14px; }
.facts { grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); margin-top: 18px; }
.cards { grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
.card { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.facts b { display: block; font-size: 23px; font-weight: 600; }
.facts .card span, .note { color: var(--soft); font-size: 13px; }
.card h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
.head { display: flex; justify-content: space-between; gap: 10px; }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 2px; }
.key i { margin: 0 5px 0 12px; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; }
td, th { padding: 3px 14px 3px 0; text-align: left; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; } .two { display: flex; flex-wrap: wrap; gap: 26px; }
"""


def write_page(comparison: Comparison, path: str | os.PathLike[str]) -> None:
    """Write a comparison as an HTML page, which needs no other file.

    Parameters
    ----------
    comparison : Comparison
        Comparison that `compare` returned.
    path : path
        The file. It is replaced as a whole or not at all.

    Raises
    ------
    OSError
        The file can't be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(_page(comparison), "utf-8")


def _page(comparison: Comparison) -> str:
    """Return the page as text."""
    size = (
        f"{comparison.rows[0]:,} real and {comparison.rows[1]:,} synthetic rows, "
        f"{len(comparison.columns)} columns"
    )
    key = (
        '<span class="key"><i style="background:var(--real)"></i>real'
        '<i style="background:var(--synthetic)"></i>synthetic</span>'
    )
    left_out = ""
    if comparison.left_out:
        names = ", ".join(_text(name) for name in comparison.left_out)
        left_out = (
            f'<p class="soft">Not compared, because they name or number the rows: {names}.</p>'
        )
    cards = "\n".join(_card(column) for column in comparison.columns)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Synthetic table</title><style>{STYLE}</style></head><body><main>
<h1>A synthetic table and the real one</h1>
<p class="soft">{size}.</p>
<div class="facts">{"".join(_facts(comparison))}</div>
<h2>Columns</h2>
<p>{key}</p>{left_out}
<div class="cards">
{cards}
</div>
{_pairs(comparison)}
{_privacy(comparison)}
</main></body></html>
"""


def _facts(comparison: Comparison) -> Iterable[str]:
    yield _fact(
        f"{comparison.difference:.1%}",
        "mean difference of a column: the largest between the distribution functions of "
        "numbers, or the total variation of categories",
    )
    if len(comparison.columns) > 1:
        yield _fact(
            f"{comparison.association_difference:.3f}",
            "mean difference of the association of two columns, from 0 to 1",
        )
    impossible = comparison.impossible
    worst = max(impossible, key=lambda name: impossible[name]) if impossible else ""
    about = f", most of them in {_text(worst)}" if impossible else ""
    yield _fact(
        f"{100 * sum(impossible.values()):.2f}",
        f"impossible values in 100 rows: numbers outside the real range, unknown categories, or "
        f"gaps in columns without gaps{about}",
    )
    if (found := comparison.prediction) is not None:
        yield _fact(
            f"{found.synthetic:.3f}",
            f"{found.measure} of {_text(found.target)} on real rows, trained on synthetic rows. "
            f"Trained on real rows: {found.real:.3f}. Without columns: {found.baseline:.3f}",
        )
    if (away := comparison.distances) is not None:
        yield _fact(
            f"{away.nearer_to_training:.1%}",
            "of the synthetic rows are nearer to a row of the fit than to a held-out row. "
            "50 % is no sign of copying",
        )


def _fact(figure: str, text: str) -> str:
    return f'<div class="card"><b>{figure}</b><span>{text}</span></div>'


def _card(column: ColumnComparison) -> str:
    picture = _bars(column) if column.edges is None else _histogram(column)
    notes = []
    if column.frequent is not None:
        value, real, synthetic = column.frequent
        notes.append(f"{value:.9g}: {real:.1%} real, {synthetic:.1%} synthetic")
    if any(column.gaps):
        notes.append(f"gaps: {column.gaps[0]:.1%} real, {column.gaps[1]:.1%} synthetic")
    note = f'<div class="note">{"; ".join(notes)}</div>' if notes else ""
    return (
        f'<div class="card"><div class="head"><h3>{_text(column.name)}</h3>'
        f'<span class="note">differs by {column.difference:.1%}</span></div>{picture}{note}</div>'
    )


def _histogram(column: ColumnComparison) -> str:
    assert column.edges is not None
    bottom = HEIGHT - 18
    top = max(column.real.max(), column.synthetic.max(), 1e-12)
    step = WIDTH / len(column.real)
    heights = [bottom * (1 - 0.94 * shares / top) for shares in (column.real, column.synthetic)]
    filled, line = (
        f"M0 {bottom:.1f}" + "".join(f"V{y:.1f}h{step:.2f}" for y in ys) + f"V{bottom:.1f}"
        for ys in heights
    )
    low, high = (_place(column, end) for end in column.ends)
    under = f'y="{HEIGHT - 4}" fill="var(--soft)"'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img">'
        f'<path d="{filled}Z" fill="var(--real)"/>'
        f'<path d="{line}" fill="none" stroke="var(--synthetic)" stroke-width="1.8"/>'
        f'<path d="M0 {bottom}H{WIDTH}" stroke="var(--soft)"/>'
        f'<text x="0" {under}>{low}</text>'
        f'<text x="{WIDTH}" text-anchor="end" {under}>{high}</text></svg>'
    )


def _bars(column: ColumnComparison) -> str:
    row, left = 20, 118
    top = max(column.real.max(initial=0), column.synthetic.max(initial=0), 1e-12)
    scale = (WIDTH - left - 48) / top
    parts = []
    for i, label in enumerate(column.labels):
        y, real, synthetic = row * i, column.real[i], column.synthetic[i]
        short = label if len(label) <= 18 else label[:17] + "…"
        parts.append(
            f'<text x="{left - 6}" y="{y + 13}" text-anchor="end">{_text(short)}</text>'
            f'<rect x="{left}" y="{y + 3}" width="{scale * real:.1f}" height="7" '
            'fill="var(--real)"/>'
            f'<rect x="{left}" y="{y + 10}" width="{scale * synthetic:.1f}" height="7" '
            f'fill="var(--synthetic)"/><text x="{left + scale * max(real, synthetic) + 5:.1f}" '
            f'y="{y + 14}" fill="var(--soft)">{synthetic:.1%}</text>'
        )
    height = row * len(column.labels)
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" role="img">{"".join(parts)}</svg>'


def _pairs(comparison: Comparison) -> str:
    names = [str(column.name) for column in comparison.columns]
    if len(names) < 2:
        return ""
    away = np.abs(comparison.real - comparison.synthetic)
    rows, columns = np.triu_indices(len(names), 1)
    order = np.argsort(-away[rows, columns])[:PAIRS]
    listed = "".join(
        f"<tr><td>{_text(names[i])} and {_text(names[j])}</td>"
        f'<td class="n">{comparison.real[i, j]:.2f}</td>'
        f'<td class="n">{comparison.synthetic[i, j]:.2f}</td></tr>'
        for i, j in zip(rows[order], columns[order], strict=True)
    )
    return f"""<h2>Pairs of columns</h2>
<p>Association of two columns. White means independent, and dark means that each is a function of
the other. The real table is below the diagonal, and the synthetic one above it: the closer the two
tables, the more symmetric the picture.</p>
<div class="two"><div class="wide">{_heat_map(names, comparison.real, comparison.synthetic)}</div>
<div><table><tr><th>largest differences</th><th class="n">real</th><th class="n">synthetic</th></tr>
{listed}</table></div></div>"""


def _heat_map(names: list[str], real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> str:
    n = len(names)
    cell = 24 if n <= 20 else 13 if n <= LABELLED else 7
    longest = max(map(len, names))
    margin = min(160, 7.5 * longest + 14) if n <= LABELLED else 4
    shade: list[list[str]] = [[] for _ in range(SHADES + 1)]
    for i in range(n):
        for j in range(n):
            if i != j:
                value = real[i, j] if i > j else synthetic[i, j]
                shade[round(float(value) * SHADES)].append(
                    f"M{margin + cell * j} {margin + cell * i}h{cell - 1}v{cell - 1}h{1 - cell}z"
                )
    paths = "".join(
        f'<path d="{"".join(cells)}" fill="{_colour(level / SHADES)}"/>'
        for level, cells in enumerate(shade)
        if cells
    )
    labels = ""
    if n <= LABELLED:
        for i, name in enumerate(names):
            short = _text(name if len(name) <= 20 else name[:19] + "…")
            at = margin + cell * i + cell / 2
            labels += (
                f'<text x="{margin - 5}" y="{at + 4}" text-anchor="end">{short}</text>'
                f'<text transform="translate({at + 4} {margin - 5}) rotate(-90)">{short}</text>'
            )
    size = margin + cell * n
    return (
        f'<svg viewBox="0 0 {size} {size}" width="{size}" height="{size}" role="img" '
        f'style="max-width:none">{paths}{labels}</svg>'
    )


def _colour(share: float) -> str:
    white, dark = np.array([240, 243, 246]), np.array([20, 66, 114])
    red, green, blue = (white + (dark - white) * share**0.8).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _privacy(comparison: Comparison) -> str:
    if (away := comparison.distances) is None:
        return ""
    copies = away.copies
    return f"""<h2>Distance to real rows</h2>
<p>The distance of each synthetic row to the nearest row of the fit, and to the nearest of as many
held-out rows. If the first is smaller on the whole, synthetic rows reveal more about the rows of
the fit than about other rows like them.</p>
<table><tr><th></th><th class="n">rows of the fit</th><th class="n">held-out rows</th></tr>
<tr><td>median distance</td><td class="n">{np.median(away.training):.3f}</td>
<td class="n">{np.median(away.held_out):.3f}</td></tr>
<tr><td>distance of the nearest 5 %</td><td class="n">{np.quantile(away.training, 0.05):.3f}</td>
<td class="n">{np.quantile(away.held_out, 0.05):.3f}</td></tr>
<tr><td>copies</td><td class="n">{copies[0]:.2%}</td><td class="n">{copies[1]:.2%}</td></tr></table>
<p class="soft">None of these figures proves that a synthetic table is anonymous.</p>"""


def _place(column: ColumnComparison, edge: float) -> str:
    if column.kind.startswith("dates"):
        return str(np.datetime64(round(edge), "s").astype("datetime64[D]"))
    text = f"{edge:,.0f}" if abs(edge) >= 1000 else f"{edge:.4g}"
    return text + (" s" if column.kind == "durations" else "")


def _text(value: object) -> str:
    return html.escape(str(value))
