"""The errors that are vaefast's own; everything else is a ValueError, TypeError or OSError."""

from __future__ import annotations


class DivergenceError(RuntimeError):
    """Training left the finite numbers; the model keeps its last finite weights."""


class NotFittedError(ValueError, AttributeError):
    """The model has no weights yet: call ``fit`` first."""
