"""The commands that write something of each row of DATA: encode, score, impute."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from vaefast.options import (
    Command,
    data_argument,
    force_option,
    free_file,
    load_model,
    model_argument,
    out_option,
    split_option,
)


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@out_option("latent.csv; .npy becomes an array")
@force_option
def encode(model: Path, data: str, split: str | None, out: Path | None, force: bool) -> None:
    """Write the latent features of the rows of DATA.

    They are the means of q(z|x), one line for each row. MODEL is a file that train wrote, or its
    folder.

    \b
    Example:
        vaefast encode runs/mnist mnist --out latent.csv
    """
    from vaefast import report, rows

    vae = load_model(model, conditional=True)
    out = _table_file(out or Path("latent.csv"), force)
    dataset, X, where = rows.load_rows(vae, data, split)
    codes = vae.transform(X, rows.labels_of(dataset, X))
    report.write_rows(out, codes, tuple(vae.get_feature_names_out()))
    click.echo(f"Wrote {out}: {codes.shape[1]} latent features of {len(X):,} {where}")


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@out_option("scores.csv; .npy becomes an array")
@force_option
def score(model: Path, data: str, split: str | None, out: Path | None, force: bool) -> None:
    """Write how likely each row of DATA is: its ELBO, in nats.

    The lower the score, the stranger the row: sort by it to find anomalies. A gap takes no part:
    compare rows with the same gaps. MODEL is a file that train wrote, or its folder.

    \b
    Example:
        vaefast score runs/mnist fashion-mnist --out scores.csv
    """
    from vaefast import report, rows

    vae = load_model(model, conditional=True)
    out = _table_file(out or Path("scores.csv"), force)
    dataset, X, where = rows.load_rows(vae, data, split)
    scores = vae.score_samples(X, rows.labels_of(dataset, X))
    if out.suffix == ".npy":
        report.write_rows(out, scores)
    else:
        report.write_csv(out, ["row", "score"], enumerate(scores.tolist()))
    click.echo(
        f"Wrote {out}: {len(X):,} {where}; the strangest is row {scores.argmin()} "
        f"({scores.min():.2f} nats, the mean is {scores.mean():.2f})"
    )


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@out_option("imputed.csv; .npy becomes an array")
@force_option
def impute(model: Path, data: str, split: str | None, out: Path | None, force: bool) -> None:
    """Fill the gaps of DATA with what MODEL expects there.

    A gap is an empty cell of a CSV file, NA, or NaN; all other cells stay as they are written.
    MODEL, a file that train wrote, or its folder, must have been trained with --missing mask, on
    columns of mean 0 and standard deviation 1.

    \b
    Example:
        vaefast train table.csv --likelihood gaussian --missing mask --out runs/table
        vaefast impute runs/table table.csv --out filled.csv
    """
    import warnings

    from vaefast import report, rows

    vae = load_model(model, conditional=True)
    out = _table_file(out or Path("imputed.csv"), force)
    dataset, X, where = rows.load_rows(vae, data, split)
    filled = vae.impute(X, rows.labels_of(dataset, X))
    names, gaps = rows.names_of(vae, dataset), np.isnan(X)
    if out.suffix == ".csv" and rows.is_csv(dataset):
        report.write_csv(out, names, rows.filled_cells(dataset, gaps, filled))
    else:
        report.write_rows(out, filled, names)
    click.echo(f"Wrote {out}: {len(X):,} {where}, {gaps.sum():,} gaps filled")
    strange = rows.strange_fills(X, filled)
    if strange:
        more = f" and of {len(strange) - 1:,} more" if len(strange) > 1 else ""
        warnings.warn(
            f"most of what fills column {names[strange[0]]}{more} lies outside of what is known: "
            "the model has not learned it. Train longer, on columns of mean 0 and standard "
            "deviation 1.",
            UserWarning,
            stacklevel=1,
        )


def _table_file(out: Path, force: bool) -> Path:
    """The file to write, of a kind that holds rows of numbers."""
    if out.suffix not in (".csv", ".npy"):
        raise click.ClickException(f"Rows are written to a .csv or a .npy file, not {out}.")
    return free_file(out, force)
