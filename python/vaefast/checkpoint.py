"""Checkpoints, from which a killed training run continues to the same bits."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ._input.validation import check_choice, check_number

__all__ = ["Checkpoint"]

Unit: TypeAlias = Literal["epochs", "steps", "minutes"]


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often `VAE.fit` writes its state, and whether it continues from there.

    A checkpoint is a model file, which `vaefast.load` reads at any time. It also holds the state of
    the optimizer, of early stopping and of an unfinished epoch. A fit that continues from it ends
    with the same bits as one that was never interrupted.

    Parameters
    ----------
    path : path
        The file. It is replaced as a whole or not at all.
    every : float, default=1
        Interval between two writes.
    unit : {"epochs", "steps", "minutes"}, default="epochs"
        Unit of the interval. With steps or minutes, a checkpoint may be written within an epoch.
    resume : bool, default=True
        Whether to continue from the file if it exists. False starts again and replaces the file.

    Raises
    ------
    TypeError, ValueError
        A parameter can't be used.

    Examples
    --------
    >>> from vaefast import VAE, Checkpoint, datasets
    >>> X = datasets.strokes(500).X
    >>> vae = VAE(epochs=3, random_state=0, verbose=False)
    >>> vae.fit(X, checkpoint=Checkpoint("run.safetensors")).n_iter_  # doctest: +SKIP
    3
    """

    path: str | os.PathLike[str]
    every: float = 1
    _: KW_ONLY
    unit: Unit = "epochs"
    resume: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"path={self.path!r} must be the path of a file")
        check_number(self.every, "every", above=0)
        check_choice(self.unit, "unit", get_args(Unit))
        if self.unit != "minutes" and self.every != int(self.every):
            raise ValueError(f"every={self.every!r} must be a whole number of {self.unit}")

    @property
    def file(self) -> Path:
        """The path, with ~ expanded."""
        return Path(self.path).expanduser()
