"""Signals that wait until the program can be interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DeferredSignals:
    """Within this context, handlers of Ctrl-C and SIGTERM run only when `deliver` is called.

    The end of the context delivers all pending signals. A second signal of the same kind calls its
    handler at once. Signals that an outer context defers remain with that context. Only the main
    thread receives signals, so in other threads the context has no effect.
    """

    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self.pending: list[int] = []

    def __enter__(self) -> DeferredSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                deferred = getattr(handler, "__func__", None) is DeferredSignals._receive
                if callable(handler) and not deferred:  # otherwise the system's own reaction stays
                    self.handlers[number] = handler
                    signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.deliver()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number in self.pending:
            self.pending.remove(number)
            self.handlers[number](number, frame)
        else:
            self.pending.append(number)

    def deliver(self) -> None:
        """Call the handlers of the received signals, which may raise, such as KeyboardInterrupt."""
        while self.pending:
            number = self.pending.pop(0)
            self.handlers[number](number, None)
