"""Imputation of the missing values of a table of numbers, in the manner of scikit-learn."""

from __future__ import annotations

from .estimator import VAEImputer

__all__ = ["VAEImputer"]
