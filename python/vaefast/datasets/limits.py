"""Limits for the content of a file, from compression and from the available memory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

DEFLATE_RATIO = 1032  # most bytes that a byte of gzip or zip can become (manual of zlib)
CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def available_memory() -> int | None:
    """Return the bytes that this process may still allocate, or None where the system hides them.

    The result is the least of three figures: the free memory of the machine, the rest of the limit
    of the process's control group, and the rest of the limit of its address space (`ulimit -v`).
    """
    found = [limit for limit in (_of_machine(), _of_group(), _of_process()) if limit is not None]
    return min(found, default=None)


def check_fits(size: int, what: str) -> None:
    """Raise ValueError if `size` bytes are more than the memory that is available.

    Parameters
    ----------
    size : int
        Bytes that are about to be allocated.
    what : str
        Start of the message, which names the file and the content that it announces.
    """
    available = available_memory()
    if available is not None and size > available:
        raise ValueError(
            f"{what}: {size / 1e9:,.1f} GB are needed, but only {available / 1e9:,.1f} GB of "
            "memory are available"
        )


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_group() -> int | None:
    with suppress(OSError, ValueError):  # "max" means no limit
        limit = int((CGROUP / "memory.max").read_text())
        return max(0, limit - int((CGROUP / "memory.current").read_text()))
    return None


def _of_process() -> int | None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return None
