"""The compiled core: one extension module per instruction set, the best one chosen here.

``VAEFAST_ISA`` forces one by name. A forced one that cannot run here is an error, and so is a
module that does not import: there is no silent fall-back to a slower one.
"""

from __future__ import annotations

import importlib
import os

from . import _cpu

SUPPORTED = tuple(_cpu.SUPPORTED.split())  # best first
VARIABLE = "VAEFAST_ISA"


def choose(supported: tuple[str, ...], forced: str | None) -> str:
    """Return the name of the instruction set to use: the forced one, else the best supported."""
    if not forced:
        return supported[0]
    if forced not in supported:
        raise ImportError(
            f"{VARIABLE}={forced!r}: this machine cannot run that instruction set. "
            f"It can run: {', '.join(supported)}. Unset {VARIABLE} to take the best one."
        )
    return forced


ISA = choose(SUPPORTED, os.environ.get(VARIABLE))
_variant = importlib.import_module(f".{ISA}._variant", __name__)

Core = _variant.Core
Data = _variant.Data
kernels = _variant.kernels
permutation = _variant.permutation
value_range = _variant.value_range
ACTIVATIONS = _variant.ACTIVATIONS
LIKELIHOODS = _variant.LIKELIHOODS
COUNTS = _variant.COUNTS
SCALES = _variant.SCALES
OPTIMIZERS = _variant.OPTIMIZERS
EIGEN_VERSION = _variant.EIGEN_VERSION
