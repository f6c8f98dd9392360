"""The commands that read the rows of DATA: encode, score, impute, reconstruct, evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from .commands import Command, IndexCommand
from .options import (
    data_argument,
    force_option,
    free_file,
    load_model,
    model_argument,
    out_option,
    output_file,
    seed_option,
    split_option,
)


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@out_option("latent.csv", "The suffix .parquet or .npy selects that format.")
@force_option
def encode(model: Path, data: str, split: str | None, out: Path | None, force: bool) -> None:
    """Write the latent features of the rows of DATA.

    The latent features of a row are the mean of q(z|x). The file has one line for each row. MODEL
    is a file that train wrote, or its folder.

    \b
    Example:
        vaefast encode runs/mnist mnist --out latent.csv
    """
    from . import inputs, outputs

    vae = load_model(model, conditional=True)
    out = _table_file(out or Path("latent.csv"), force)
    dataset, X, where = inputs.load_rows(vae, data, split, sparse=True)
    codes = vae.transform(X, inputs.labels_of(dataset, X))
    outputs.write_rows(out, codes, tuple(vae.get_feature_names_out()))
    click.echo(f"Wrote {out}: {codes.shape[1]} latent features of {len(X):,} {where}")


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@click.option(
    "--known",
    metavar="DATA",
    help="Compare the scores with those of these rows, which MODEL was not trained on: adds "
    "p-values, and which rows are anomalies.",
)
@out_option("scores.csv", "The suffix .parquet or .npy selects that format.")
@force_option
def score(
    model: Path, data: str, split: str | None, known: str | None, out: Path | None, force: bool
) -> None:
    """Write the score of each row of DATA: its ELBO, in nats.

    A low score marks an unusual row, so sort by the score to find anomalies. Missing values are
    ignored, so compare only rows that miss the same values. MODEL is a file that train wrote, or
    its folder.

    \b
    Examples:
        vaefast score runs/mnist fashion-mnist --out scores.csv
        vaefast score runs/mnist fashion-mnist --known mnist --out scores.csv
    """
    from .. import AnomalyDetector
    from . import frames, inputs, outputs

    vae = load_model(model, conditional=True)
    out = _table_file(out or Path("scores.csv"), force)
    dataset, X, where = inputs.load_rows(vae, data, split, sparse=True)
    y = inputs.labels_of(dataset, X)
    scores = vae.score_samples(X, y)
    frame: dict[str, Any] = {"row": np.arange(len(scores)), "score": scores}
    found = ""
    if known is not None:
        others, rows, _ = inputs.load_rows(vae, known, None, sparse=True)
        detector = AnomalyDetector(vae).fit(rows, inputs.labels_of(others, rows))
        frame["p_value"], frame["anomaly"] = detector.p_values(X, y), scores < detector.offset_
        found = (
            f" {frame['anomaly'].sum():,} rows are anomalies compared with the {len(rows):,} known."
        )
    if out.suffix == ".npy":
        columns = [values for name, values in frame.items() if name != "row"]
        outputs.write_rows(out, scores if known is None else np.column_stack(columns))
    else:
        frames.write_frame(out, frame)
    click.echo(
        f"Wrote {out}: {len(X):,} {where}. The lowest score is {scores.min():.2f} nats, at row "
        f"{scores.argmin()}; the mean is {scores.mean():.2f} nats.{found}"
    )


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@out_option("imputed.csv", "The suffix .parquet or .npy selects that format.")
@force_option
def impute(model: Path, data: str, split: str | None, out: Path | None, force: bool) -> None:
    """Fill in the missing values of DATA with MODEL's estimates.

    A missing value is an empty cell of a CSV file, NA, or NaN. All other cells keep their values.
    MODEL is a file that train wrote, or its folder. It must be trained with --missing mask, which
    train chooses for a table of mixed columns with missing values.

    \b
    Examples:
        vaefast train people.csv --out runs/people
        vaefast impute runs/people people.csv --out filled.csv
    """
    import warnings

    from . import frames, inputs, outputs, tables

    vae = load_model(model, conditional=True)
    out = _table_file(out or Path("imputed.csv"), force)
    dataset, X, where = inputs.load_rows(vae, data, split)
    filled = vae.impute(X, inputs.labels_of(dataset, X))
    if isinstance(dataset, tables.TableRows) and out.suffix != ".npy":
        frame, count = tables.fill(dataset, filled)
        frames.write_frame(out, frame)
        click.echo(f"Wrote {out}: {len(X):,} {where}, {count:,} missing values filled")
        return
    names, missing = inputs.names_of(vae, dataset), np.isnan(X)
    if out.suffix == ".csv" and inputs.is_csv(dataset):
        outputs.write_csv(out, names, inputs.filled_cells(dataset, missing, filled))
    else:
        outputs.write_rows(out, filled, names)
    click.echo(f"Wrote {out}: {len(X):,} {where}, {missing.sum():,} missing values filled")
    suspect = inputs.columns_filled_out_of_range(X, filled)
    if suspect:
        more = f" and of {len(suspect) - 1:,} other columns" if len(suspect) > 1 else ""
        warnings.warn(
            f"most filled values of column {names[suspect[0]]}{more} lie outside the range of the "
            "known values, so the model has not learned the column. Train longer, on columns of "
            "mean 0 and standard deviation 1.",
            UserWarning,
            stacklevel=1,
        )


@click.command(cls=IndexCommand)
@model_argument
@data_argument
@click.option(
    "--index",
    "indexes",
    type=int,
    multiple=True,
    metavar="N [N ...]",
    help="Reconstruct these rows, counted from 0: --index 7 42 99.  [default: the first ten]",
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show N reconstructions of each row, from draws of its posterior.  [default: one, from "
    "the mean of the posterior]",
)
@seed_option
@split_option("test")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this file.  [default: reconstruction.png, or reconstruction.csv for a table]",
)
@force_option
def reconstruct(
    model: Path,
    data: str,
    indexes: tuple[int, ...],
    draws: int | None,
    seed: int | None,
    split: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """Show rows of DATA and their reconstructions.

    Images become a picture with the originals above and the reconstructions below. With --draws,
    the reconstructions are beside the originals. Rows of a table become a CSV file of the
    reconstructions. MODEL is a file that train wrote, or its folder.

    \b
    Examples:
        vaefast reconstruct runs/mnist mnist --index 7 42 99 --out reconstruction.png
        vaefast reconstruct runs/mnist mnist --index 7 42 99 --draws 8 --out draws.png
    """
    from .. import pictures
    from . import frames, inputs, outputs

    vae = load_model(model, conditional=True)
    out = output_file(out, "reconstruction", vae, force)
    dataset, X, where = inputs.load_rows(vae, data, split, sparse=True)
    inputs.check_indexes(indexes, X, where)
    chosen = list(indexes) or list(range(min(10, len(X))))
    originals, labels = X[chosen], inputs.labels_of(dataset, X)
    y = None if labels is None else labels[chosen]
    results = vae.reconstruct(originals, y, n=draws, random_state=seed)
    if pictures.is_image_shape(vae.feature_shape_):
        levels = pictures.value_range(originals)
        if draws is None:
            picture = pictures.comparison(originals, results, black_white=levels)
        else:
            picture = pictures.strips(
                [[original, *drawn] for original, drawn in zip(originals, results, strict=True)],
                names=[f"row {index}" for index in chosen],
                heads=["original", "draws"],
                breaks=[1],
                black_white=levels,
            )
        pictures.save(picture, out)
    else:
        flat = results.reshape(-1, vae.n_features_in_)  # with --draws, each row has several lines
        if vae.table_ is not None:
            frames.write_frame(out, vae.table_.decode(flat))
        else:
            outputs.write_rows(out, flat, inputs.names_of(vae, dataset))
    numbers = ("row " if len(chosen) == 1 else "rows ") + ", ".join(map(str, chosen))
    click.echo(f"Wrote {out}: {numbers} ({where})")


@click.command(cls=Command)
@model_argument
@data_argument
@split_option("test")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
def evaluate(model: Path, data: str, split: str | None, as_json: bool) -> None:
    """Print the ELBO of DATA under MODEL.

    The command also prints the two parts of the ELBO, the reconstruction and the KL. All figures
    are in nats per row. MODEL is a file that train wrote, or its folder.

    \b
    Example:
        vaefast evaluate runs/mnist mnist
    """
    from . import inputs, outputs

    vae = load_model(model, conditional=True)
    dataset, X, where = inputs.load_rows(vae, data, split, sparse=True)
    scores = vae.evaluate(X, inputs.labels_of(dataset, X))
    if as_json:
        click.echo(json.dumps(scores))
    else:
        click.echo(f"Data  {where}: {outputs.describe_rows(X)}")
        click.echo(f"Score {outputs.describe_scores(scores)}")


def _table_file(out: Path, force: bool) -> Path:
    """Return the file to write, which must be a .csv, .parquet or .npy file."""
    if out.suffix not in (".csv", ".parquet", ".npy"):
        raise click.ClickException(f"--out must name a .csv, .parquet or .npy file, got {out}.")
    return free_file(out, force)
