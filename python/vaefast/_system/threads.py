"""How many threads this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

MAX_THREADS = 1024  # more bring nothing, and a system may refuse them


def available_cpus() -> int:
    """CPUs that this process may run on (affinity), at most the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = container_quota()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def container_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """CPUs' worth of time that the container (cgroup version 2 or 1) grants; None: no limit."""
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
    except (ValueError, ArithmeticError):  # "max": no limit
        return None
    return cpus if cpus > 0 else None


def default_threads() -> int:
    """Threads for ``n_threads=None``: the available CPUs, or OMP_NUM_THREADS if that is fewer."""
    cpus = min(available_cpus(), MAX_THREADS)
    try:
        wanted = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0])
    except ValueError:  # not set, or no number
        return cpus
    return min(cpus, wanted) if wanted > 0 else cpus
