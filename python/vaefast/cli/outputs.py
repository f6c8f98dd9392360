"""The descriptions that commands print, and the files that `vaefast train` writes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import VAE, pictures
from .._engine.building import describe_net
from .._engine.provenance import Provenance
from .._input.pixels import pixels_of
from .._input.sources import Source
from .._system.files import atomic_write
from ..errors import MissingExtraError
from . import tables
from .frames import write_frame
from .inputs import Part

FILES = {
    "model.safetensors": "the model, for vaefast.load() and the commands",
    "history.csv": "ELBO, reconstruction and KL of each epoch, and the KL of each dimension",
    "reconstructions.png": "test images above their reconstructions",
    "samples.png": "new images",
    "loss.png": "learning curves",
    "manifold.png": "images decoded from all over the latent space",
    "map.png": "codes of the test rows in the latent space",
}
SHOWN = 30  # test images in reconstructions.png
PICTURED = 20_000  # most test rows in map.png
PICTURED_VALUES = 1 << 26  # most values of those rows, which are in memory
SAMPLES = 64  # images in samples.png
PER_CLASS, CLASSES = 8, 16  # images for each label of a conditional model, and most labels


def write_model(folder: Path, vae: VAE) -> None:
    """Write the model, and the history of the training as a table."""
    vae.save(folder / "model.safetensors")
    history = dict(vae.history_)
    kl_of_epochs = history.pop("kl_per_dimension")
    columns = [*history, *(f"kl_{dimension}" for dimension in range(vae.model_.latent_dim))]
    write_csv(
        folder / "history.csv",
        columns,
        ((*record, *kl) for *record, kl in zip(*history.values(), kl_of_epochs, strict=True)),
    )


def rows_for_pictures(features: int) -> int:
    """Return the largest number of test rows that the pictures show."""
    return max(SHOWN, min(PICTURED, PICTURED_VALUES // features))


def write_pictures(folder: Path, vae: VAE, test: Part) -> dict[str, str]:
    """Write the pictures that suit this model; return the reason for each omitted file.

    Pictures of an earlier run in this folder are replaced or removed.
    """
    left_out = {}
    for name, draw in _pictures(vae, test).items():
        reason = _obstacle(name, vae)
        if not reason:
            try:
                pictures.save(draw(), folder / name)
            except MissingExtraError as error:
                reason = str(error)
        if reason:
            left_out[name] = reason
            (folder / name).unlink(missing_ok=True)
    return left_out


def remove_pictures(folder: Path, reason: str) -> dict[str, str]:
    """Remove the pictures of an earlier run; return the reason for each file name."""
    pictures = [name for name in FILES if name.endswith(".png")]
    for name in pictures:
        (folder / name).unlink(missing_ok=True)
    return dict.fromkeys(pictures, reason)


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a header; None becomes an empty cell."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_rows(path: Path, rows: np.ndarray, columns: Sequence[str] = ()) -> None:
    """Write rows as a .npy array, or flattened as a .csv (with all digits) or .parquet file."""
    if path.suffix == ".npy":
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, rows)
        return
    flat = rows.reshape(len(rows), -1)
    if path.suffix == ".parquet":
        write_frame(path, dict(zip(columns, flat.T, strict=True)))
        return
    write_csv(path, columns, (row.astype(str) for row in flat))


def image_of(pixels: np.ndarray, black_white: tuple[float, float]) -> Image.Image:
    """Return an image, (h, w) or (h, w, c), in its original size."""
    (tile,) = pixels_of(pixels[None], black_white)
    return Image.fromarray(tile[..., 0] if tile.shape[-1] == 1 else tile)


def describe_rows(X: Any, n: int | None = None) -> str:
    """Return a text such as "200 rows of 5 columns" or "60,000 rows of 28x28 pixels"."""
    shape = X.row_shape if isinstance(X, Source) else X.shape[1:]
    size = f"{shape[0]:,} columns" if len(shape) == 1 else "x".join(map(str, shape)) + " pixels"
    return f"{len(X) if n is None else n:,} rows of {size}"


def describe_model(vae: VAE) -> dict[str, Any]:
    """Return facts about a fitted model, its training and its provenance, by name."""
    shape, history = vae.feature_shape_, vae.history_
    facts: dict[str, Any] = {
        "net": describe_net(vae.model_.params, vae.n_features_in_),
        "rows": f"{shape[0]:,} columns" if len(shape) == 1 else "x".join(map(str, shape)),
    }
    model = vae.model_
    if model.table is not None:
        facts["table"] = tables.describe(model.table)
    elif model.names is not None:
        facts["columns"] = model.names
    if model.conditions is not None:
        facts["conditions"] = model.conditions.form()
    epochs = "1 epoch" if vae.n_iter_ == 1 else f"{vae.n_iter_:,} epochs"
    facts["trained"] = f"{epochs}, {sum(history['seconds']):.1f} s"
    if vae.n_iter_:
        facts["last epoch"] = describe_scores({k: v[-1] for k, v in history.items()})
        facts["active units"] = f"{history['active_units'][-1]} of {vae.model_.latent_dim}"
    if model.provenance.version != "unknown":
        facts |= _describe_provenance(model.provenance)
    facts["parameters"] = repr(vae)
    return facts


def describe_scores(scores: Mapping[str, float]) -> str:
    """Return a text with the ELBO and its parts, which `VAE.evaluate` returned."""
    return (
        f"ELBO {scores['elbo']:.2f}, reconstruction {scores['reconstruction']:.2f}, "
        f"KL {scores['kl']:.2f} nats per row"
    )


def _describe_provenance(provenance: Provenance) -> dict[str, str]:
    n, features = provenance.data_shape
    return {
        "version": provenance.version,
        "isa": provenance.isa,
        "date": provenance.date,
        "data": f"{n:,} rows of {features:,} features, {provenance.data_dtype}",
        "data SHA-256": provenance.data_sha256,
    }


def _pictures(vae: VAE, test: Part) -> dict[str, Callable[[], Any]]:
    shown = test.first(SHOWN)
    images = pictures.is_image_shape(vae.feature_shape_)
    levels = pictures.value_range(test.X) if images else (0.0, 1.0)
    return {
        "reconstructions.png": lambda: pictures.comparison(
            shown.X, vae.reconstruct(shown.X, shown.y), black_white=levels
        ),
        "samples.png": lambda: _samples(vae, test.y, levels),
        "loss.png": lambda: pictures.loss_curve(vae.history_),
        "manifold.png": lambda: pictures.manifold(vae, black_white=levels),
        "map.png": lambda: pictures.latent_map(vae.encode(test.X, test.y)[0], test.y),
    }


def _samples(vae: VAE, y: np.ndarray | None, levels: tuple[float, float]) -> Image.Image:
    """Return a sheet of new images.

    A conditional model gets a line of images for each label in y, or images for the numbers in y.
    """
    n, columns, conditions = SAMPLES, None, None
    if vae.conditional:
        assert y is not None
        if y.dtype.kind == "f":
            conditions = np.resize(y, SAMPLES)
        else:
            columns, conditions = PER_CLASS, np.repeat(np.unique(y)[:CLASSES], PER_CLASS)
            n = len(conditions)
    images = vae.sample(n, random_state=vae.random_state or 0, y=conditions)
    return pictures.sheet(images, columns, black_white=levels)


def _obstacle(name: str, vae: VAE) -> str | None:
    """Return the reason why this model cannot have this picture, or None."""
    needs_images = name in ("reconstructions.png", "samples.png", "manifold.png")
    if needs_images and not pictures.is_image_shape(vae.feature_shape_):
        return f"rows of the shape {vae.feature_shape_} are not images"
    if name in ("manifold.png", "map.png") and vae.model_.latent_dim != 2:
        return "only for --latent-dim 2; vaefast map and vaefast traverse show more dimensions"
    if name == "manifold.png" and vae.conditional:
        return "a conditional model has a different manifold for each label"
    if name == "loss.png" and not vae.n_iter_:
        return "no epoch was finished"
    return None
