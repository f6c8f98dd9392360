"""Errors and warnings that vaefast defines. All others are those of Python itself."""

from __future__ import annotations

import sys
from typing import Any

__all__ = [
    "CollapseWarning",
    "ConvergenceWarning",
    "DivergenceError",
    "MissingExtraError",
    "NotFittedError",
    "ProcessError",
]


class DivergenceError(RuntimeError):
    """The loss became infinite or NaN. The model keeps the weights of the epoch before."""


class NotFittedError(ValueError, AttributeError):
    """The estimator is not fitted yet. Call ``fit`` first."""


def not_fitted(name: str) -> NotFittedError:
    """Return the error of an unfitted estimator, which is scikit-learn's too if that is loaded."""
    message = f"this {name} is not fitted yet: call fit(X) first"
    exceptions: Any = sys.modules.get("sklearn.exceptions")
    if exceptions is None:
        return NotFittedError(message)

    class Both(NotFittedError, exceptions.NotFittedError):  # type: ignore[misc]
        def __reduce__(self) -> Any:
            return NotFittedError, self.args

    Both.__name__ = Both.__qualname__ = "NotFittedError"
    return Both(message)


class ProcessError(RuntimeError):
    """Another process that trains the same model failed. The message names it and its error."""


class CollapseWarning(UserWarning):
    """Training ended with a latent space that carries almost no information about the rows."""


class ConvergenceWarning(UserWarning):
    """Training ended while more training would still have improved the model clearly."""


class MissingExtraError(ImportError):
    """An optional package is not installed. The message names the extra to install."""
