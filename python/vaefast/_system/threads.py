"""The number of threads that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

MAX_THREADS = 1024  # more would not help, and a system may refuse to start them


_sharing = 1  # number of processes that share the CPUs of this one


def share_cpus(processes: int) -> None:
    """Divide the CPUs among this many processes, so that the default becomes a part of them."""
    global _sharing
    _sharing = processes


def cpu_set() -> frozenset[int]:
    """Return the numbers of the CPUs on which this process may run."""
    affinity = getattr(os, "sched_getaffinity", None)
    return frozenset(affinity(0) if affinity else range(os.cpu_count() or 1))


def available_cpus() -> int:
    """Return the number of CPUs in the affinity mask, limited by the CPU quota."""
    cpus, quota = len(cpu_set()), container_quota()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def container_quota(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Return the CPU quota of this process in CPUs, or None if there is no limit.

    It is the smallest quota of the process's cgroup and of those above it, because any of them may
    limit a cluster job or a service.

    Parameters
    ----------
    root : Path, default=Path("/sys/fs/cgroup")
        Root of the cgroup file system, version 2 or 1.
    own : Path, default=Path("/proc/self/cgroup")
        File that names the cgroups of this process.
    """
    found = [_quota(folder) for folder in _cgroups(root, own)]
    return min((quota for quota in found if quota is not None), default=None)


def _cgroups(root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the process's cgroup and of those above it, for both versions."""
    paths = {root: "/", root / "cpu": "/"}
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:  # number:controllers:path; version 2 names no controllers
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if not controllers:
            paths[root] = path
        elif "cpu" in controllers.split(","):
            paths[root / "cpu"] = path
    for top, path in paths.items():
        names = [name for name in path.split("/") if name]
        if ".." in names:  # the cgroup is outside the container's view
            names = []
        # The path may be that of the host, while the container sees its own cgroup as the root.
        yield from (top.joinpath(*names[:depth]) for depth in range(len(names) + 1))


def _quota(folder: Path) -> float | None:
    """Return the quota of one cgroup in CPUs, or None if it has no limit."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except (OSError, ValueError):
            return None
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ArithmeticError):  # "max" means no limit
        return None
    return cpus if cpus > 0 else None


def default_threads() -> int:
    """Return the number of threads for ``n_threads=None``.

    It is the number of available CPUs, divided among the processes that train together on this
    machine, or OMP_NUM_THREADS if that is smaller.
    """
    cpus = min(max(1, available_cpus() // _sharing), MAX_THREADS)
    try:
        wanted = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0])
    except ValueError:  # not set, or not a number
        return cpus
    return min(cpus, wanted) if wanted > 0 else cpus
