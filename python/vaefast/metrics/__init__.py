"""Measures of a fitted model: use of the latent space, log p(x), disentanglement.

`VAE.diagnose` returns a `Diagnosis` and `VAE.log_likelihood` a `LogLikelihood`. The functions
`mig`, `sap` and `dci` compare codes with the known factors of the rows.
"""

from __future__ import annotations

from .diagnosis import Diagnosis
from .disentanglement import DCI, dci, mig, sap
from .likelihood import LogLikelihood

__all__ = ["DCI", "Diagnosis", "LogLikelihood", "dci", "mig", "sap"]
