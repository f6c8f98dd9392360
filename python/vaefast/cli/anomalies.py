"""The command that finds unusual rows without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from .._input.feature_names import check_names
from .commands import Command
from .options import data_argument, force_option, free_file, out_option, seed_option


@click.command(cls=Command)
@data_argument
@click.option(
    "--new",
    metavar="DATA",
    help="Judge these rows by those of DATA, and add their p-values.  [default: the rows of DATA]",
)
@click.option(
    "--contamination",
    type=click.FloatRange(0, 0.5, min_open=True),
    help="Count this share of the rows of DATA as anomalies.  [default: chosen from the scores]",
)
@seed_option
@out_option("anomalies.csv", "The suffix .parquet selects that format.")
@force_option
def anomalies(
    data: str,
    new: str | None,
    contamination: float | None,
    seed: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Find the unusual rows of DATA, a table of numbers or of mixed columns.

    No model is needed: an ensemble of small VAEs learns the rows. The file has one line for each
    row: its score, 0 for a usual row and lower for more unusual ones; whether it is an anomaly;
    and the column that makes it most unusual. Missing values are allowed.

    CSV and Parquet files may have columns of numbers, text, booleans and dates. Columns that name
    or number the rows are ignored.

    \b
    Examples:
        vaefast anomalies payments.csv
        vaefast anomalies last-year.csv --new today.csv --out today-anomalies.csv
    """
    from .. import AnomalyDetector
    from . import frames, screened

    out = out or Path("anomalies.csv")
    if out.suffix not in (".csv", ".parquet"):
        raise click.ClickException(f"--out must name a .csv or .parquet file, got {out}.")
    out = free_file(out, force)
    known = screened.read(data)
    rows = known if new is None else screened.read_new(new, known)
    check_names(rows.names, known.names, new or data)
    detector = AnomalyDetector(
        contamination="auto" if contamination is None else contamination, random_state=seed
    ).fit(known.X)
    X = rows.X
    scores = detector.score_samples(X)
    odd = scores < detector.offset_
    frame: dict[str, Any] = {"row": np.arange(len(X)), "score": scores, "anomaly": odd}
    if new is not None:
        frame["p_value"] = detector.p_values(X)
    if X.ndim == 2:
        usual = np.median(detector.contributions(known.X), axis=0)
        names = np.array(known.names or [f"x{i}" for i in range(X.shape[1])])
        frame["column"] = names[(detector.contributions(X) - usual).argmax(axis=1)]
    frames.write_frame(out, frame)
    click.echo(
        f"Wrote {out}: {len(X):,} rows of {new or data}, {odd.sum():,} of them anomalies. The most "
        f"unusual one is row {scores.argmin()}."
    )
