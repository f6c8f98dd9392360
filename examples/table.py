"""Learn a table of mixed columns, draw a synthetic one like it, and compare the two.

    python examples/table.py --csv table.csv --out runs/table

Without --csv the example makes up a table of customers. Reading a CSV file needs pandas.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure

from plain import Command
from vaefast import VAE, latent, pictures
from vaefast.tables import Table

PANELS = 6  # columns in the picture


def customers(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Make up a table: older customers earn more, members visit and spend more, cities differ."""
    city = rng.choice(["Bergen", "Oslo", "Tromso"], n, p=[0.3, 0.55, 0.15])
    age = np.clip(rng.normal(np.where(city == "Oslo", 38, 50), 12), 18, 90).round().astype(int)
    income = 30 + 0.5 * age + 12 * (city == "Oslo") + rng.normal(0, 7, n)
    member = rng.random(n) < 1 / (1 + np.exp(-(age - 45) / 8))
    visits = rng.poisson(np.where(member, 9, 2))
    spent = 0.3 * income * (1 + visits / 4) + rng.normal(0, 3, n)
    return {"city": city, "age": age, "income": income, "member": member, "visits": visits,
            "spent": spent}  # fmt: skip


def compare(axes: Any, name: str, real: np.ndarray, synthetic: np.ndarray) -> None:
    """Draw the shares of categories, or the histograms of numbers, of both tables."""
    axes.set_title(name, fontsize=10)
    if real.dtype.kind in "iuf":
        low, high = np.nanquantile(real, [0.002, 0.998])
        bins = np.linspace(low, high, 40)
        if real.dtype.kind in "iu":  # gives each bin equally many whole numbers
            bins = np.arange(low, high + 2, max(1, (high - low) // 40)) - 0.5
        for values, label in ((real, "real"), (synthetic, "synthetic")):
            axes.hist(values, bins, density=True, alpha=0.55, label=label)
        return
    kinds = np.unique(real.astype(str))
    for i, (values, label) in enumerate(((real, "real"), (synthetic, "synthetic"))):
        shares = [(values.astype(str) == kind).mean() for kind in kinds]
        axes.bar(np.arange(len(kinds)) + 0.4 * i - 0.2, shares, 0.4, alpha=0.7, label=label)
    axes.set_xticks(range(len(kinds)), kinds)


@click.command(cls=Command)
@click.option("--csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--counts", default="", help="Columns of counts, such as visits,children.")
@click.option("--rows", type=click.IntRange(50), default=5000, show_default=True, help="Customers.")
@click.option("--epochs", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/table", show_default=True)
def main(csv: Path | None, counts: str, rows: int, epochs: int, seed: int, out: Path) -> None:
    """Learn a mixed table and draw a synthetic one."""
    counted = [name for name in counts.split(",") if name]
    if csv:
        import pandas as pd

        whole = pd.read_csv(csv)
        frame: Any = whole.dropna()
        if len(frame) < len(whole):
            print(f"Left out {len(whole) - len(frame):,} of {len(whole):,} rows, which have gaps")
        if all(str(name).replace(".", "", 1).lstrip("-").isdecimal() for name in frame):
            raise ValueError("the first row should hold the names of the columns")
    else:
        frame, counted = customers(rows, np.random.default_rng(seed)), ["visits"]
    table = Table.learn(frame, counts=counted)
    X = table.encode(frame)
    vae = VAE(8, (128, 128), likelihood=table.columns, epochs=epochs, random_state=seed)
    vae.fit(X)
    drawn = vae.sample(len(X), random_state=seed, draw=True)
    synthetic = table.decode(drawn, random_state=seed)
    again = table.encode(synthetic)
    print(f"Learned {len(X):,} rows of {table.columns}: {vae.evaluate(X)}")

    means = np.abs(X.mean(axis=0) - again.mean(axis=0)) / X.std(axis=0)
    both = [np.corrcoef(part.T) for part in (X, again)]
    away = np.abs(both[0] - both[1])[np.triu_indices(X.shape[1], 1)]
    print(f"Means differ by up to {means.max():.2f} standard deviations, ", end="")
    print(f"correlations by {away.mean():.3f} on average, and by up to {away.max():.3f}")
    near = latent.nearest(X, again, 1)[0]
    own = latent.nearest(X, X, 2)[0][:, 1]
    print(f"Synthetic rows lie {np.median(near):.2f} from the nearest real row (median), ", end="")
    print(f"real rows lie {np.median(own):.2f} from the nearest other real row")

    names = list(frame)
    figure = Figure(figsize=(12, 9), dpi=80, layout="constrained")
    panels = figure.subplots(3, 3).ravel()
    for axes, name in zip(panels[:PANELS], names, strict=False):
        compare(axes, name, np.asarray(frame[name]), np.asarray(synthetic[name]))
    panels[0].legend(frameon=False)
    for axes in panels[len(names) : PANELS]:
        axes.set_axis_off()
    matrices = [*both, both[1] - both[0]]
    titles = "correlations, real", "correlations, synthetic", "difference"
    for axes, matrix, title in zip(panels[PANELS:], matrices, titles, strict=True):
        shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title(title, fontsize=10)
        axes.set_yticks(range(len(matrix)), table.names, fontsize=8)
        axes.set_xticks(range(len(matrix)), table.names, fontsize=8, rotation=60, ha="right")
    figure.colorbar(shown, ax=panels[-1])
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(figure, out / "table.png")
    print(f"Wrote {out / 'table.png'}")


if __name__ == "__main__":
    main()
