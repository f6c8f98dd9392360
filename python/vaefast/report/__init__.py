"""Comparison of a synthetic table with the real one, in figures and as an HTML page."""

from __future__ import annotations

from .comparison import Comparison, compare
from .distances import Distances, distances
from .page import write_page

__all__ = ["Comparison", "Distances", "compare", "distances", "write_page"]
