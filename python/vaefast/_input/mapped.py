"""Checks of memory maps, whose files may change while they are read."""

from __future__ import annotations

import os
from typing import Any

import numpy as np


def check_mapped(array: Any) -> None:
    """Raise OSError if the file from which an array is mapped has become too short.

    Reading beyond the end of a mapped file kills the process (SIGBUS). The check narrows the time
    in which this can happen, but nothing in user space can rule it out.

    Parameters
    ----------
    array : ndarray or sparse rows
        Any matrix. Only memory maps and views of them are checked, including each array of sparse
        rows.
    """
    for part in getattr(array, "parts", (array,)):
        _check(part)


def _check(array: Any) -> None:
    base: Any = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    if not isinstance(base, np.memmap) or base.filename is None:
        return
    owner = base
    while isinstance(owner.base, np.memmap):  # the offset is that of the owner of the view
        owner = owner.base
    needed = owner.offset + owner.nbytes
    try:
        size = os.stat(base.filename).st_size
    except OSError as error:
        if isinstance(error, FileNotFoundError):  # a map outlives the name of its file
            return
        raise
    if size < needed:
        raise OSError(
            f"{base.filename} was cut short while it was read: it has {size:,} bytes, and "
            f"{needed:,} were mapped. Leave the file as it is until training has ended."
        )
