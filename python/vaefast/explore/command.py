"""What `vaefast explore` does: from paths and names to a page, and the browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vaefast
from vaefast.rows import labels_of, load_rows

from .page import write_page


def write_page_of(
    model: Path, data: str | None, split: str | None, directions: Sequence[Path], out: Path
) -> None:
    """Write the page of the model in this file or folder, with these data where they are named."""
    vae = vaefast.load(model)
    arrows = {name: v for path in directions for name, v in load_directions(path).items()} or None
    title = model.resolve().name if model.is_dir() else model.stem
    if data is None:
        write_page(vae, out, directions=arrows, title=title)
        return
    dataset, X, where = load_rows(vae, data, split)
    labels = labels_of(dataset, X)
    write_page(
        vae, out, X, labels, columns=dataset.columns, directions=arrows, title=title, source=where
    )


def load_directions(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read named vectors from a .npz file, or one vector, named as the file, from a .npy file."""
    with path.open("rb"):  # an OSError names what is wrong with the path
        pass
    directions = _load(path)
    if not directions:
        raise ValueError(f"{path}: it holds no arrays")
    return directions


def _load(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            return {path.stem: file}
        with file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # whatever NumPy makes of other files and damaged bytes
        raise ValueError(
            f"{path}: expected a .npz file of named arrays of numbers, such as "
            "np.savez(path, smile=vector) writes, or the .npy file of one direction"
        ) from error


def open_page(path: Path) -> bool:
    """Open the page in the user's browser; False where there is none."""
    try:
        return webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        return False
