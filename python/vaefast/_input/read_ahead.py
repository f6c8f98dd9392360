"""One thread that works a step ahead of its caller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ReadAhead(Generic[Item]):
    """Iterator over items; a thread makes the next item while the caller uses the current one.

    At most two items exist at a time. The thread is a daemon, so it never keeps the interpreter
    alive, and it ends with the context.

    Parameters
    ----------
    make : callable
        Function that returns an iterator over the items. Its argument, an event, is set when no
        further item is wanted.

    Attributes
    ----------
    error : BaseException or None
        The error that the iterator raised. The next call of `__next__` or `check` raises it.
    """

    def __init__(self, make: Callable[[threading.Event], Iterator[Item]]) -> None:
        self.error: BaseException | None = None
        self._ready: SimpleQueue[Item | None] = SimpleQueue()  # None marks the end
        self._wanted, self._stopped = threading.Semaphore(0), threading.Event()
        self._make = make
        self._thread = threading.Thread(target=self._work, name="vaefast-reader", daemon=True)

    def __enter__(self) -> ReadAhead[Item]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._wanted.release()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        item = self._ready.get()
        self.check()
        if item is None:
            raise StopIteration
        self._wanted.release()
        return item

    def check(self) -> None:
        """Raise the error of the thread, if there is one."""
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            for item in self._make(self._stopped):
                self._ready.put(item)
                del item  # from here on, only the caller holds the item
                self._wanted.acquire()
                if self._stopped.is_set():
                    return
        except BaseException as error:
            self.error = error
        self._ready.put(None)
