"""The compiled core: one extension module per instruction set, of which the best is imported.

The environment variable ``VAEFAST_ISA`` forces one of them by name. A forced instruction set that
this machine cannot run is an error, and so is a module that cannot be imported. There is no silent
fallback to a slower one.
"""

from __future__ import annotations

import importlib
import os

from . import _cpu

SUPPORTED = tuple(_cpu.SUPPORTED.split())  # best first
VARIABLE = "VAEFAST_ISA"


def choose(supported: tuple[str, ...], forced: str | None) -> str:
    """Return the name of the instruction set to use, which is the forced one or else the best.

    Parameters
    ----------
    supported : tuple of str
        Instruction sets that this machine can run, the best first.
    forced : str or None
        Name of the instruction set to use. None and the empty string choose the best one.

    Raises
    ------
    ImportError
        The forced instruction set is not supported.
    """
    if not forced:
        return supported[0]
    if forced not in supported:
        raise ImportError(
            f"{VARIABLE}={forced!r}: this machine cannot run that instruction set, only "
            f"{', '.join(supported)}. Unset {VARIABLE} to use the best one."
        )
    return forced


ISA = choose(SUPPORTED, os.environ.get(VARIABLE))
_variant = importlib.import_module(f".{ISA}._variant", __name__)

Core = _variant.Core
Data = _variant.Data
Sparse = _variant.Sparse
kernels = _variant.kernels
permutation = _variant.permutation
value_range = _variant.value_range
ACTIVATIONS = _variant.ACTIVATIONS
LIKELIHOODS = _variant.LIKELIHOODS
COUNTS = _variant.COUNTS
SCALES = _variant.SCALES
OPTIMIZERS = _variant.OPTIMIZERS
EIGEN_VERSION = _variant.EIGEN_VERSION
