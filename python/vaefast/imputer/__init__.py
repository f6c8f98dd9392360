"""Imputation of the missing values of a table, in the manner of scikit-learn."""

from __future__ import annotations

from .estimator import VAEImputer

__all__ = ["VAEImputer"]
