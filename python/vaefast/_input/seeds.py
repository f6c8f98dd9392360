"""Seeds from the sources of randomness that scikit-learn and NumPy accept."""

from __future__ import annotations

import numpy as np

from ..typing import RandomState
from .validation import check_integer


def seed_from(random_state: RandomState) -> int:
    """Return a seed of 64 bits. None gives a fresh seed.

    Raises
    ------
    TypeError, ValueError
        `random_state` is neither a non-negative integer, a Generator, a RandomState nor None.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_integer(random_state, "random_state", low=0) % 2**64
