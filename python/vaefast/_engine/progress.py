"""The live progress bar of a training."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

REDRAW_SECONDS = 0.5  # of a bar in a terminal or a notebook
LOG_SECONDS = 10  # between two lines in a log


class Progress:
    """A bar that shows the epoch, the ELBO and its parts in nats per row, and rows per second.

    Parameters
    ----------
    epochs_done : int
        Epochs before this training.
    epochs : int
        Epochs to come.
    n : int
        Rows of an epoch.
    shown : bool
        Whether there is a bar at all.
    """

    def __init__(self, epochs_done: int, epochs: int, n: int, shown: bool) -> None:
        self.bar = None
        self.last = epochs_done + epochs
        self.epoch = epochs_done + 1
        self.seen = 0
        self.validation = ""
        self.drawn = 0.0
        if shown and sys.stderr is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
                from tqdm.auto import tqdm

            self.bar = tqdm(
                total=n * epochs,
                unit=" rows",
                unit_scale=True,
                dynamic_ncols=True,
                mininterval=REDRAW_SECONDS if _is_terminal(sys.stderr) else LOG_SECONDS,
            )
            self.bar.set_description(f"epoch {self.epoch}/{self.last}", refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def advance(self, rows: int, reconstruction: float, kl: float) -> None:
        """Count `rows` more rows; the losses are sums over the epoch so far."""
        if self.bar is None:
            return
        self.seen += rows
        now = time.perf_counter()
        if now - self.drawn > REDRAW_SECONDS:
            self.drawn = now
            self._describe(reconstruction / self.seen, kl / self.seen)
        self.bar.update(rows)

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Show the figures of a whole epoch and turn to the next one."""
        if self.bar is None:
            return
        if record["validation"] is not None:
            self.validation = f", validation {record['validation']:.2f}"
        self._describe(record["reconstruction"], record["kl"])
        self.seen = 0
        self.epoch = min(self.epoch + 1, self.last)

    def _describe(self, reconstruction: float, kl: float) -> None:
        assert self.bar is not None
        self.bar.set_description(f"epoch {self.epoch}/{self.last}", refresh=False)
        self.bar.set_postfix_str(
            f"elbo {-(reconstruction + kl):.2f} = -({reconstruction:.2f} + {kl:.2f})"
            + self.validation,
            refresh=False,
        )


def _is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal; objects that replace it may not have `isatty`."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty is not None and isatty())
