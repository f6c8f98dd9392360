"""The progress of a training run: its cost, the epoch, the ELBO and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from .display import Display, Text, duration

TRIAL_SECONDS = 0.3  # of training, from whose speed the time of the fit is estimated
LONG_SECONDS = 30  # a fit that takes longer announces its cost


class Progress:
    """The progress of a training, with its figures in nats per row.

    Parameters
    ----------
    epochs_done : int
        Number of epochs before this training run.
    epochs : int
        Number of epochs of this training run.
    n : int
        Number of rows of an epoch.
    needs : str
        Cost of the training run, for the line that announces a long one.
    limit : float
        Time limit in seconds.
    shown : bool
        Whether to show anything.
    """

    def __init__(
        self, epochs_done: int, epochs: int, n: int, needs: str, limit: float, shown: bool
    ) -> None:
        self.last = epochs_done + epochs
        self.epoch = epochs_done + 1
        self.validation = ""
        self.needs = needs if shown else ""
        self.limit = limit
        self.first: tuple[float, int] | None = None  # end of the first step, and its rows
        self.display = Display(n * epochs, self._head(), shown)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.display.__exit__(*error)

    def advance(self, rows: int, reconstruction: float, kl: float) -> None:
        """Count `rows` more rows. The losses are means over the epoch so far."""
        self.display.advance(rows, self._text(reconstruction, kl))
        if self.needs:
            self._announce()

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Show the figures of a finished epoch, and start the next one."""
        if record["validation"] is not None:
            self.validation = f", validation {record['validation']:.2f}"
        self.display.text = self._text(record["reconstruction"], record["kl"])
        self.epoch = min(self.epoch + 1, self.last)

    def stop(self) -> None:
        """End before the last epoch, as early stopping does."""
        self.display.stop()

    def _announce(self) -> None:
        """Announce the cost of a long training run, once its first steps have shown its speed."""
        now, done = perf_counter(), self.display.done
        if self.first is None:  # the first step is slower than those that follow
            self.first = now, done
            return
        began, before = self.first
        if now - began < TRIAL_SECONDS:
            return
        seconds = (now - began) / (done - before) * (self.display.total - done)
        seconds = min(seconds, self.limit)
        if seconds > LONG_SECONDS:
            self.display.announce(f"{self.needs} and {duration(seconds)}")
        self.needs = ""

    def _head(self) -> str:
        return f"epoch {self.epoch}/{self.last}"

    def _text(self, reconstruction: float, kl: float) -> Text:
        figures = f"elbo {-(reconstruction + kl):.2f} = -({reconstruction:.2f} + {kl:.2f})"
        return self._head(), figures + self.validation
