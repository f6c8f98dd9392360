"""Tables of mixed columns as numbers for a model, and back."""

from __future__ import annotations

from .table import Table

__all__ = ["Table"]
