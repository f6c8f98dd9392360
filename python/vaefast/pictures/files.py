"""Pictures as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from .._system.files import atomic_write

USUAL = ".png", ".jpg", ".webp", ".gif", ".tif", ".bmp", ".pdf", ".svg"  # suffixes that errors name


def save(picture: Any, path: str | os.PathLike[str]) -> None:
    """Write a Pillow image or a matplotlib figure.

    Parameters
    ----------
    picture : PIL.Image.Image or matplotlib.figure.Figure
        What to write.
    path : path
        The file. Its suffix names the format. It is replaced as a whole or not at all.

    Raises
    ------
    ValueError
        The suffix is not that of a format that can be written.
    OSError
        The file can't be written.
    """
    path = Path(path)
    if isinstance(picture, Image.Image):
        formats = Image.registered_extensions()  # includes formats that Pillow can only read
        write, suffixes = picture.save, [end for end, kind in formats.items() if kind in Image.SAVE]
    else:
        write = picture.savefig
        suffixes = [f".{kind}" for kind in picture.canvas.get_supported_filetypes()]
    if path.suffix.lower() not in suffixes:
        usual = ", ".join(suffix for suffix in USUAL if suffix in suffixes)
        raise ValueError(
            f"{path}: the name of a picture must end in {usual} or the like. "
            "(Python returns the numbers themselves, as vae.sample does.)"
        )
    with atomic_write(path) as temporary:
        write(temporary)
