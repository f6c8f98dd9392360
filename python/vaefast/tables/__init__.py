"""Tables of mixed columns, encoded as numbers for a model and decoded again."""

from __future__ import annotations

from .table import Table

__all__ = ["Table"]
