"""How many threads this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path


def available_cpus() -> int:
    """CPUs that this process may run on (affinity), at most the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = container_quota()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def container_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """CPUs' worth of time that the container grants (cgroup version 2 or 1); None without a limit."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return cpus if cpus > 0 else None


def default_threads() -> int:
    """Threads for ``n_threads=None``: the available CPUs, or ``OMP_NUM_THREADS`` if that is fewer."""
    cpus = available_cpus()
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(cpus, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else cpus
