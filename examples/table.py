"""Learn a table of mixed columns, draw a synthetic one like it, and compare the two.

    python examples/table.py --csv table.csv --out runs/table

Without --csv the example makes up a table of customers. Needs pandas.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd

from plain import Command
from vaefast import VAE, Synthesizer
from vaefast.report import compare, write_page

HELD_OUT = 4  # one row in so many is not learned, for the distances


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


@click.command(cls=Command)
@click.option("--csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rows", type=click.IntRange(50), default=5000, show_default=True, help="Customers.")
@click.option("--epochs", type=click.IntRange(1), help="[default: by the number of rows]")
@click.option("--target", help="Column to predict, for the report; needs scikit-learn.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/table", show_default=True)
def main(
    csv: Path | None, rows: int, epochs: int | None, target: str | None, seed: int, out: Path
) -> None:
    """Learn a mixed table and draw a synthetic one."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(customers(rows, rng)) if csv is None else pd.read_csv(csv)
    if all(str(name).replace(".", "", 1).lstrip("-").isdecimal() for name in frame):
        raise ValueError("the first row should hold the names of the columns")
    held = rng.permutation(len(frame)) % HELD_OUT == 0
    real, held_out = (frame[part].reset_index(drop=True) for part in (~held, held))

    vae = None if epochs is None else VAE(8, (128,), beta=0.5, epochs=epochs)
    synthesizer = Synthesizer(vae, random_state=seed).fit(real)
    print(synthesizer.table_.summary())
    synthetic = synthesizer.sample(len(real), random_state=seed)
    comparison = compare(real, synthetic, held_out=held_out, target=target)
    print(comparison)

    out.mkdir(parents=True, exist_ok=True)
    synthetic.to_csv(out / "synthetic.csv", index=False)
    write_page(comparison, out / "report.html")
    synthesizer.save(out / "table.safetensors")
    print(f"Wrote {out / 'synthetic.csv'}, {out / 'report.html'} and {out / 'table.safetensors'}")


if __name__ == "__main__":
    main()
