"""The part of `train` for images: their size, and a recipe that is chosen from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets, recipes
from .._engine.automatic import AUTO
from .._input.pixels import is_image_shape
from ..datasets import Dataset
from ..datasets.folders import suggested_size
from ..datasets.idx import find_idx_files
from ..datasets.image_files import UnreadableImageError
from . import inputs

# The recipe does not apply if the user sets any of these.
OTHER_KIND = ("likelihood", "standardize", "normalize", "missing")


def load_to_train(data: str, size: tuple[int, int] | None, skip_broken: bool) -> Dataset:
    """Load data to train on; resize images of a folder if necessary, and print the new size.

    Raises
    ------
    ClickException
        A file of a folder is broken.
    """
    folder, is_name = Path(data).expanduser(), data in datasets.names()
    try:
        if size is None and not is_name and folder.is_dir() and not find_idx_files(folder):
            size, note = suggested_size(folder, skip_broken)
            if note:
                click.echo(f"Size  {note}; --image-size chooses another size")
        return inputs.load_dataset(data, size, skip_broken)
    except UnreadableImageError as error:
        raise click.ClickException(
            f"{error}, or leave such files out with --skip-broken."
        ) from error


def recipe_for(dataset: Dataset, given: Mapping[str, Any], *, checkpoint: bool) -> dict[str, Any]:
    """Return parameters for images if the user gave none; nothing for rows of numbers."""
    X = dataset.X
    if not is_image_shape(X.shape[1:]) or any(given[name] is not None for name in OTHER_KIND):
        return {}
    if X.dtype != np.uint8 and not (X.min() >= 0 and X.max() <= 1):  # False for NaN
        return {}
    try:
        recipe = recipes.images(X)
    except ValueError as error:
        raise ValueError(f"{dataset.name}: {error}") from error
    other_loop = checkpoint or given["patience"] is not None or isinstance(given["sigma"], str)
    if "components" in recipe and other_loop:
        recipe |= {"components": None, "epochs": AUTO}
    return {name: value for name, value in recipe.items() if given[name] is None}


def describe_components(params: Mapping[str, Any], n: int) -> str:
    """Return a line on how a model is trained on principal components."""
    size = min(n, params["batch_size"])
    steps = params["epochs"] * math.ceil(n / size)
    return (
        f"{params['components']} principal components at most, sigma {params['sigma']:g}, "
        f"{steps:,} steps of {size} rows ({params['epochs']:,} epochs)"
    )
