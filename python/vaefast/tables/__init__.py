"""Encoding of tables of mixed columns as numbers for a model, and decoding."""

from __future__ import annotations

from .table import Table

__all__ = ["Table"]
