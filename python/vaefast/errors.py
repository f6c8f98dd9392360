"""The errors and warnings that are vaefast's own; all others are those of Python."""

from __future__ import annotations


class DivergenceError(RuntimeError):
    """Training left the finite numbers; the model keeps the weights of the last epoch before."""


class NotFittedError(ValueError, AttributeError):
    """The model has no weights yet: call ``fit`` first."""


class CollapseWarning(UserWarning):
    """Training ended with latent units that say next to nothing about the rows."""


class MissingExtraError(ImportError):
    """A package that only some functions need is not installed."""
