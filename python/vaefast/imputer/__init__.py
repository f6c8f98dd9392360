"""Missing values of a table of numbers, filled in the manner of scikit-learn's imputers."""

from __future__ import annotations

from .estimator import VAEImputer

__all__ = ["VAEImputer"]
