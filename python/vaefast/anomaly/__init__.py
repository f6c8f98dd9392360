"""Anomaly detection: the search for the most unusual rows of a table or set of images."""

from __future__ import annotations

from .detector import AnomalyDetector

__all__ = ["AnomalyDetector"]
