"""Progress of a long computation: a bar that is redrawn, or lines in a log."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

REDRAW_SECONDS = 0.5  # time between two states of a bar in a terminal or a notebook
LOG_SECONDS = 10  # between two lines in a log

logger = logging.getLogger("vaefast")

Text = tuple[str, str]  # description of the work, and its figures


class Display:
    """A bar in a terminal or a notebook, occasional lines elsewhere, nothing without stderr.

    Lines go to the logger `vaefast` if logging is configured for level INFO, and otherwise to
    stderr.

    Parameters
    ----------
    total : int
        Number of rows to process.
    head : str
        Description of the work.
    shown : bool
        Whether to show anything.
    unit : str, default="rows"
        Name of the counted things.
    """

    def __init__(self, total: int, head: str, shown: bool, unit: str = "rows") -> None:
        self.total, self.done = total, 0
        self.text: Text = head, ""
        self.shown = shown
        self.began = self.drawn = perf_counter()
        self.bar = _bar(total, head, unit) if shown and can_redraw() else None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self._draw(self.bar)
            self.bar.close()
        elif self.shown and self.text[1]:
            say(f"{self._line()}, after {duration(perf_counter() - self.began)}")

    def advance(self, rows: int, text: Text) -> None:
        """Count `rows` more rows, and show the text if it is due."""
        self.done, self.text = self.done + rows, text
        if not self.shown:
            return
        now = perf_counter()
        if now - self.drawn < (LOG_SECONDS if self.bar is None else REDRAW_SECONDS):
            return
        self.drawn = now
        if self.bar is not None:
            self._draw(self.bar)
        else:
            left = (now - self.began) / self.done * (self.total - self.done)
            say(f"{self._line()}, {duration(left)} left")

    def stop(self) -> None:
        """Show the bar as complete at the rows done so far."""
        self.total = self.done
        if self.bar is not None:
            self.bar.total = self.done

    def announce(self, text: str) -> None:
        """Show a separate line, above any bar."""
        above: AbstractContextManager[Any] = nullcontext()
        if self.bar is not None:
            above = self.bar.external_write_mode(file=sys.stderr)
        with above:
            say(text)

    def _draw(self, bar: Any) -> None:
        bar.set_description(self.text[0], refresh=False)
        bar.set_postfix_str(self.text[1], refresh=False)
        bar.update(self.done - bar.n)

    def _line(self) -> str:
        return ": ".join(self.text)


def say(text: str) -> None:
    """Log a line, or write it to stderr if logging is not configured for it."""
    if logger.isEnabledFor(logging.INFO) and logger.hasHandlers():
        logger.info("%s", text)
    elif (stderr := _stderr()) is not None:
        stderr.write(f"{text}\n")


def can_redraw() -> bool:
    """Return whether a bar can be redrawn, as in a terminal and in a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is not None:
        return True
    stderr = _stderr()
    return stderr is not None and bool(stderr.isatty())


def duration(seconds: float) -> str:
    """Return a time as text, in a suitable unit."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 99.5 else f"{minutes / 60:.1f} h"


def _stderr() -> Any:
    """Return stderr, or None if it does not exist or lacks isatty."""
    stream: Any = sys.stderr
    usable = hasattr(stream, "isatty") and not getattr(stream, "closed", False)
    return stream if usable else None


def _bar(total: int, head: str, unit: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets, a notebook shows a text bar
        from tqdm.auto import tqdm

    # `Display` itself decides when to draw, so mininterval is 0.
    return tqdm(
        desc=head, total=total, unit=f" {unit}", unit_scale=True, dynamic_ncols=True, mininterval=0
    )
