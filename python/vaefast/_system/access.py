"""Access to a model from several threads, by many readers or by one thread that changes it."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType
from typing import Any

_ALL: weakref.WeakSet[Access] = weakref.WeakSet()  # locks that a fork must repair


class Access:
    """A lock that many threads hold together to read, or one thread alone to change.

    ``with access.reading:`` waits for a thread that changes the model, and
    ``with access.changing:`` for all others. When a change ends, the threads that wait to read come
    first, and then the next change, so neither readers nor changes can keep the others waiting
    forever. A thread may enter a lock that it already holds, and read what it is changing.

    Attributes
    ----------
    reading, changing : context manager
    torn : bool
        Whether this process is the child of a fork during which another thread was changing the
        model. That thread does not exist in the child, and the change will never be completed.
    """

    def __init__(self) -> None:
        self.reading = _Reading(self)
        self.changing = _Changing(self)
        self.torn = False
        self.lock = threading.Lock()
        self.moved = threading.Condition(self.lock)
        self.readers: dict[int, int] = {}  # threads that read, with the number of their entries
        self.queue: set[int] = set()  # threads that wait to read
        self.owner: int | None = None  # the thread that changes the model
        self.entered = 0  # number of entries of the owner
        self.changes_waiting = 0
        _ALL.add(self)

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is changing the model."""
        return self.owner == threading.get_ident()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a new object, which no thread holds."""
        return Access, ()

    def admit(self) -> None:
        """Admit the threads that wait to read. The caller must hold `lock`."""
        self.readers.update(dict.fromkeys(self.queue, 1))
        self.queue.clear()
        self.moved.notify_all()

    def after_fork_in_child(self) -> None:
        """Forget the threads that do not exist in the child."""
        me = threading.get_ident()
        if self.owner not in (None, me):
            self.owner, self.entered, self.torn = None, 0, True
        self.lock = threading.Lock()
        self.moved = threading.Condition(self.lock)
        self.readers = {me: self.readers[me]} if me in self.readers else {}
        self.queue = set()
        self.changes_waiting = 0


class _Reading:
    """Holds an `Access` together with other readers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __enter__(self) -> None:
        access, me = self._access, threading.get_ident()
        with access.lock:
            if me in access.readers:
                access.readers[me] += 1
            elif access.owner == me or (access.owner is None and not access.changes_waiting):
                access.readers[me] = 1
            else:
                access.queue.add(me)
                try:
                    access.moved.wait_for(lambda: me not in access.queue)
                except BaseException:  # Ctrl-C
                    access.queue.discard(me)
                    if access.readers.pop(me, None):
                        access.moved.notify_all()
                    raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        access, me = self._access, threading.get_ident()
        with access.lock:
            access.readers[me] -= 1
            if not access.readers[me]:
                del access.readers[me]
                if access.changes_waiting and not access.readers:
                    access.moved.notify_all()


class _Changing:
    """Holds an `Access` alone."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __enter__(self) -> None:
        access, me = self._access, threading.get_ident()
        with access.lock:
            if access.owner != me:
                if me in access.readers:
                    raise RuntimeError("a thread cannot change a model while it reads it")
                access.changes_waiting += 1
                try:
                    access.moved.wait_for(lambda: access.owner is None and not access.readers)
                    access.owner = me
                finally:
                    access.changes_waiting -= 1
                    if access.owner is None and not access.changes_waiting:  # Ctrl-C
                        access.admit()
            access.entered += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        access = self._access
        with access.lock:
            access.entered -= 1
            if not access.entered:
                access.owner = None
                access.admit()


def _after_fork_in_child() -> None:
    for access in list(_ALL):
        access.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
