"""Anomaly detection: the rows of a table, or of a set of images, that are most unusual."""

from __future__ import annotations

from .detector import AnomalyDetector

__all__ = ["AnomalyDetector"]
