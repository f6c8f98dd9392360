"""The command that compares a synthetic table with the real one: report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .commands import Command
from .options import force_option, free_file

TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=Command)
@click.argument("real", type=TABLE)
@click.argument("synthetic", type=TABLE)
@click.option(
    "--held-out",
    type=TABLE,
    help="Compare with these real rows, which the model never saw: adds distances and predictions.",
)
@click.option("--target", help="Predict this column; needs scikit-learn.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    help="Write to this file.",
)
@force_option
def report(
    real: Path, synthetic: Path, held_out: Path | None, target: str | None, out: Path, force: bool
) -> None:
    """Compare a SYNTHETIC table with the REAL one.

    Both are CSV or Parquet files with the same columns. The command prints the main figures and
    writes an HTML page that needs no other file. The page shows each column in both tables, the
    associations of pairs of columns, impossible values and, on request, distances and a prediction.

    \b
    Examples:
        vaefast report people.csv synthetic.csv
        vaefast report train.csv synthetic.csv --held-out test.csv --target income
    """
    from ..report import compare, write_page
    from ..tables.frames import read
    from .frames import read_frame

    out = free_file(out, force)
    known, day_first = read_frame(real, lambda name: False, {})
    kinds = read(known)[1]
    texts = {name for name, series in kinds.items() if series.dtype.kind == "category"}

    def like_the_real(path: Path) -> Any:
        return read_frame(path, lambda name: name in texts, day_first)[0]

    found = compare(
        known,
        like_the_real(synthetic),
        held_out=None if held_out is None else like_the_real(held_out),
        target=target,
    )
    write_page(found, out)
    click.echo(str(found))
    click.echo(f"Wrote {out}")
