"""Memory maps whose files may change under them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np


def check_mapped(array: Any) -> None:
    """Raise OSError if the file that an array is mapped from has become too short for it.

    Reading beyond the end of a mapped file ends the process (SIGBUS). The check narrows the time
    in which that can happen; nothing in user space can rule it out.

    Parameters
    ----------
    array : ndarray or sparse rows
        Any matrix. Only arrays that are memory maps, or views of one, are checked: those of sparse
        rows one by one.
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
    while isinstance(owner.base, np.memmap):  # a view has the offset of its owner
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
