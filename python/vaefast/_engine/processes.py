"""Processes that train one model together, each on its own cores or its own machine.

All processes run the same program on the same data. The core exchanges the data that a step needs,
so every process has the same weights, losses and history after each step. Process 0 decides
everything that depends on the clock, on a user's function or on a signal.

An exception in one process must not leave the others waiting. Therefore every exchange in Python
begins with `Processes.agree`, where a process that failed tells the others. Between an agreement
and the exchange that follows, nothing can fail.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._core import Core
from .._input.rows import AnyRows, LazyRows
from .._system.signals import DeferredSignals
from .._system.threads import cpu_set, share_cpus
from ..errors import ProcessError

T = TypeVar("T")
Numbers = tuple[float, ...]

NUMBERS = 2  # numbers that an agreement carries


class Processes:
    """The processes that call the same function with the same communicator.

    As a context, it makes all of them succeed or all of them fail: an exception in one becomes a
    `ProcessError` in the others. Ctrl-C and SIGTERM wait for the next agreement, and then interrupt
    all processes. Only the first process shows warnings.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm or None, default=None
        The communicator. None stands for this process alone; every method then returns its
        argument.

    Raises
    ------
    TypeError
        `comm` is not a communicator.
    """

    def __init__(self, comm: Any = None) -> None:
        if comm is not None and not hasattr(comm, "Allgatherv"):
            raise TypeError(
                f"comm={comm!r} must be a communicator of mpi4py, such as mpi4py.MPI.COMM_WORLD"
            )
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self.size: int = 1 if comm is None else comm.Get_size()
        # A separate communicator keeps these messages apart from the user's own.
        self.comm: Any = comm.Dup() if self.size > 1 else None
        self.parted = False  # whether a failure has been reported to each process
        self.depth = 0
        self.contexts = ExitStack()
        self.signals: list[DeferredSignals] = []
        self.attached: Core | None = None

    @classmethod
    def of(cls, comm: Any) -> Processes:
        """Return the processes of a communicator, or `comm` itself if it is a `Processes`."""
        return comm if isinstance(comm, cls) else cls(comm)

    @property
    def is_first(self) -> bool:
        """Whether this process shows progress, calls functions of the user and writes files."""
        return self.rank == 0

    # ---------------------------------------------------------------- all or none

    def __enter__(self) -> Processes:
        if self.size > 1:
            self.depth += 1
            self.signals.append(DeferredSignals().__enter__())
            if self.depth == 1 and not self.is_first:
                self.contexts.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self.size == 1:
            return
        self.depth -= 1
        try:
            if self.depth == 0 and not self.parted:
                if error is None:
                    self.agree()
                else:
                    self._tell(error, (0.0,) * NUMBERS)
        finally:
            if self.depth == 0:
                self.contexts.close()
                self.comm.Free()
            signals = self.signals.pop()
            if self.parted:  # Ctrl-C reaches all processes, and another one was faster
                signals.pending.clear()
            signals.__exit__()

    def agree(self, *numbers: float) -> Numbers:
        """Wait for all processes, and return the numbers of the first one.

        Raises
        ------
        KeyboardInterrupt
            One of the processes was interrupted.
        ProcessError
            Another process failed.
        """
        if self.size == 1:
            return numbers
        error: BaseException | None = None
        try:
            for signals in reversed(self.signals):
                signals.deliver()
        except BaseException as raised:
            error = raised
        agreed, of_others = self._tell(error, (*numbers, *(0.0,) * NUMBERS)[:NUMBERS])
        if error is not None:
            raise error
        if of_others is not None:
            raise of_others
        return agreed[: len(numbers)]

    def interrupt(self, error: KeyboardInterrupt) -> None:
        """Interrupt the other processes as well, unless they already are."""
        if self.size > 1 and not self.parted:
            self._tell(error, (0.0,) * NUMBERS)

    def _tell(
        self, error: BaseException | None, numbers: Numbers
    ) -> tuple[Numbers, BaseException | None]:
        """Tell the others whether this process failed; return the numbers and any failure."""
        mine = np.array([error is not None, *numbers], np.float64)
        told = np.empty((self.size, len(mine)), np.float64)
        self.comm.Allgather(mine, told)
        if not told[:, 0].any():
            return tuple(told[0, 1:].tolist()), None
        self.parted = True
        texts = self.comm.allgather(_describe(error))
        failed = int(np.flatnonzero(told[:, 0])[0])
        return (), _failure(texts[failed], f"process {failed} of {self.size}")

    # ---------------------------------------------------------------- exchanges

    def share(self, value: T) -> T:
        """Return the value of the first process."""
        if self.size == 1:
            return value
        data = pickle.dumps(value) if self.is_first else b""
        self.agree()
        shared: T = pickle.loads(self.comm.bcast(data))
        return shared

    def check_alike(self, facts: Mapping[str, str]) -> None:
        """Compare the processes.

        Parameters
        ----------
        facts : mapping of str to str
            Facts that must be the same in all processes.

        Raises
        ------
        ValueError
            A process differs from most others, or from the first. All processes raise it.
        """
        if self.size == 1:
            return
        self.agree()
        all_facts = self.comm.allgather(dict(facts))
        for name in all_facts[0]:
            values = [facts.get(name) for facts in all_facts]
            usual = Counter(values).most_common(1)[0][0]
            odd = [rank for rank, value in enumerate(values) if value != usual]
            if odd:
                raise ValueError(
                    f"process {odd[0]} of {self.size} can't train with the others: its {name} is "
                    f"{values[odd[0]]}, and theirs is {usual}. All processes must run the same "
                    "program on the same data."
                )

    def by_parts(
        self, function: Callable[[AnyRows], Sequence[NDArray[np.float64]]], rows: AnyRows
    ) -> list[NDArray[np.float64]]:
        """Return the results of a function for all rows, of which each process computes a part."""
        n = len(rows)
        if self.size == 1 or n < self.size:
            return list(function(rows))
        starts = np.arange(self.size + 1) * n // self.size
        mine = slice(starts[self.rank], starts[self.rank + 1])
        some = rows.select(np.arange(n)[mine]) if isinstance(rows, LazyRows) else rows[mine]
        found = function(some)
        self.agree()
        gathered = []
        for part in found:
            whole = np.empty(n, np.float64)
            counts = np.diff(starts), starts[:-1]
            self.comm.Allgatherv(np.ascontiguousarray(part), [whole, counts])
            gathered.append(whole)
        return gathered

    # ---------------------------------------------------------------- the core

    def attach(self, core: Core) -> None:
        """Make each step of a core a joint step of all processes, until `detach`."""
        if self.size > 1 and core is not self.attached:
            self.detach()
            core.set_exchange(self.rank, self.size, self._all_gather)
            self.attached = core

    def detach(self) -> None:
        """Make the core take its steps alone again."""
        if self.attached is not None:
            self.attached.set_exchange()
            self.attached = None

    def gather_moments(self) -> None:
        """Give every process all moments of the optimizer. Call `agree` first."""
        if self.attached is not None:
            with self.stepping():
                self.attached.gather_moments()

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """End all processes if this one fails while the others wait for it in the core."""
        try:
            yield
        except BaseException as error:
            if self.size == 1:
                raise
            output = sys.__stderr__ or sys.stderr
            traceback.print_exc(file=output)
            print(
                f"process {self.rank} of {self.size} failed within a step, so all processes end: "
                f"{type(error).__name__}: {error}",
                file=output,
                flush=True,
            )
            self.comm.Abort(1)

    def _all_gather(self, buffer: memoryview, starts: NDArray[np.int64]) -> None:
        from mpi4py import MPI

        self.comm.Allgatherv(MPI.IN_PLACE, [buffer, (np.diff(starts), starts[:-1]), MPI.BYTE])

    # ---------------------------------------------------------------- threads

    def share_threads(self, n_threads: int | None) -> None:
        """Divide the CPUs of a machine among its processes, if the number of threads is automatic.

        Warns
        -----
        UserWarning
            The processes are bound to so few CPUs that other CPUs of the machine stay idle.
        """
        if self.size == 1:
            return
        self.agree()
        mine = cpu_set()
        on_node = self.comm.Split_type(_shared_memory())
        sets = on_node.allgather(mine)
        on_node.Free()
        share_cpus(sets.count(mine))
        cpus, used = os.cpu_count() or 1, len(frozenset().union(*sets))
        idle = cpus - used if n_threads is None and len(mine) == 1 else 0
        self.agree()
        for rank, number in enumerate(self.comm.allgather(idle)):
            if number:
                warnings.warn(
                    f"process {rank} may use a single CPU, and no process uses {number} other CPUs "
                    "of its machine. Open MPI binds processes to one core each when it starts one "
                    "or two of them: mpiexec --bind-to none lets them use all.",
                    stacklevel=2,
                )
                return


ALONE = Processes()


def digest_of(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return a short hash of named arrays."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()[:12]


def _shared_memory() -> Any:
    from mpi4py import MPI

    return MPI.COMM_TYPE_SHARED


def _describe(error: BaseException | None) -> tuple[str, Any]:
    if isinstance(error, KeyboardInterrupt):
        return "interrupt", None
    if isinstance(error, SystemExit):
        return "exit", error.code
    return "error", f"{type(error).__name__}: {error}"


def _failure(described: tuple[str, Any], who: str) -> BaseException:
    """Return the error that the other processes raise."""
    kind, what = described
    if kind == "interrupt":
        return KeyboardInterrupt()
    if kind == "exit":
        return SystemExit(what)
    return ProcessError(f"{who} failed: {what}")
