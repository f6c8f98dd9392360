"""How much memory does training take?

Of rows in memory, and of rows on the disk, four times as large as what the process may take.
Each is measured in a process of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import child
from benchmarks.plan import Plan

ROWS, FEATURES = 60_000, 784
LIMIT, TIMES = 160, 4  # megabytes, and how many times as large the data on the disk are
BLOCK = 1_000  # rows that are drawn at a time
MB = 1e6

FOOTNOTE = """\
In megabytes (1e6 bytes): the data; the process before them, with Python, NumPy and vaefast; its
peak. The pages of a memory map count to the peak while the system keeps them, but not to the limit;
own is the peak without what is a file's. A copy of the data must not fit the limit."""


def measure(
    kind: str,
    *,
    rows: int = ROWS,
    features: int = FEATURES,
    dtype: str = "uint8",
    limit: float = LIMIT,
) -> dict[str, Any]:
    """Train an epoch in a process of its own; return its peaks, in bytes.

    Parameters
    ----------
    kind : str
        "array": the rows are in memory. "map": they are a memory map, and what the process may
        take besides is limited.
    limit : float
        Of a map's process, in megabytes. It holds for all that is neither a file's nor a
        program's (RLIMIT_DATA): a limit of the address space (RLIMIT_AS) would forbid a larger
        map altogether.

    Raises
    ------
    ChildError
        The process failed: the memory didn't suffice.
    """
    arguments = ("-m", "benchmarks.memory", kind, str(rows), str(features), dtype)
    if kind == "array":
        peaks = child.run(*arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npy"
            X = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), (rows, features))
            _fill(X)
            del X  # it is on the disk, and no longer this process's
            # NumPy's BLAS, which vaefast doesn't use, would take tens of megabytes per thread
            peaks = child.run(*arguments, str(path), str(limit), OPENBLAS_NUM_THREADS="1")
    return {
        "kind": kind,
        "rows": rows,
        "features": features,
        "dtype": dtype,
        "data": rows * features * np.dtype(dtype).itemsize,
        "limit": None if kind == "array" else limit * MB,
        **peaks,
    }


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    yield measure("array")
    for dtype in ("uint8",) if plan.quick else ("uint8", "float32"):
        row = FEATURES * np.dtype(dtype).itemsize
        yield measure("map", rows=int(TIMES * LIMIT * MB) // row + 1, dtype=dtype)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """One line of the table, by the titles of its columns."""

    def text(size: float | None) -> str:
        return "-" if size is None else f"{size / MB:.0f}"

    copy = {None: "-", True: "fails", False: "fits"}[result["copy_fails"]]
    return {
        "rows are": {"array": "in memory", "map": "on disk"}[result["kind"]].ljust(9),
        f"{'shape':<24}": f"{result['rows']:,} x {result['features']} {result['dtype']}".ljust(24),
        " data": text(result["data"]),
        "before": text(result["before"]),
        " peak": text(result["peak"]),
        "  own": text(result["own"]),
        "limit": text(result["limit"]),
        " copy": copy,
    }


def _fill(X: npt.NDArray[Any]) -> None:
    """Random bytes, or random numbers within [0, 1), without an array of their size besides."""
    rng = np.random.default_rng(0)
    for first in range(0, len(X), BLOCK):
        block = X[first : first + BLOCK]
        if X.dtype == np.uint8:
            block[:] = rng.integers(0, 256, block.shape, np.uint8)
        else:
            block[:] = rng.random(block.shape, np.float32)


# --- In the process that is measured --------------------------------------------------------------


def _status() -> dict[str, int]:
    """Bytes: peak of all (VmHWM), and now of what is no file's (RssAnon).

    getrusage's peak won't do: a process inherits that of the process that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) << 10 for name, size, _ in pairs}


def _main(kind: str, rows: str, features: str, dtype: str, *of_map: str) -> dict[str, Any]:
    import resource

    from vaefast import VAE

    before = _status()["VmHWM"]
    X: npt.NDArray[Any]
    if of_map:
        path, limit = of_map
        allowed = round(float(limit) * MB)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
        X = np.load(path, mmap_mode="r")
    else:
        X = np.empty((int(rows), int(features)), dtype)
        _fill(X)
    own = [_status()["RssAnon"]]
    # a narrow net: that of an array is the one users start with, a map has many more rows
    hidden, size = ((16,), 1024) if of_map else ((256,), 128)
    vae = VAE(hidden_layer_sizes=hidden, batch_size=size, epochs=1, random_state=0, verbose=False)
    vae.fit(X, callbacks=[lambda *_: own.append(_status()["RssAnon"])])
    own.append(_status()["RssAnon"])
    peak = _status()["VmHWM"]
    return {
        "before": before,
        "peak": peak,
        "own": max(own),
        "copy_fails": _copy_fails(X) if of_map else None,
    }


def _copy_fails(X: npt.NDArray[Any]) -> bool:
    try:
        np.array(X)
    except MemoryError:
        return True
    return False


if __name__ == "__main__":
    import json

    if not os.path.exists("/proc/self/status"):
        sys.exit("the peak of a process is read from /proc, which this system lacks")
    print(json.dumps(_main(*sys.argv[1:])))
