"""The number of threads that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

MAX_THREADS = 1024  # more would not help, and a system may refuse to start them


def available_cpus() -> int:
    """Return the number of CPUs in the affinity mask, limited by the quota of the container."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = container_quota()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def container_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the CPU quota of the container in CPUs, or None if there is no limit.

    Parameters
    ----------
    root : Path, default=Path("/sys/fs/cgroup")
        Root of the cgroup file system, of version 2 or 1.
    """
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except (OSError, ValueError):
            return None
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ArithmeticError):  # "max" means no limit
        return None
    return cpus if cpus > 0 else None


def default_threads() -> int:
    """Return the number of threads for ``n_threads=None``.

    It is the number of available CPUs, or OMP_NUM_THREADS if that is smaller.
    """
    cpus = min(available_cpus(), MAX_THREADS)
    try:
        wanted = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0])
    except ValueError:  # not set, or not a number
        return cpus
    return min(cpus, wanted) if wanted > 0 else cpus
