"""Memory: peak of training on rows in memory, and on rows on disk.

The rows on disk are four times as large as the memory that the process may allocate. Each
measurement has a process of its own.
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
LIMIT, TIMES = 160, 4  # memory limit in megabytes; size of the data on disk, in limits
BLOCK = 1_000  # rows drawn at a time
MB = 1e6

FOOTNOTE = """\
Megabytes (1e6 bytes). data: size of the rows. before: the process with Python, NumPy and vaefast,
before it has rows. peak: the peak of the process. own: the peak without pages of files. limit: what
the process may allocate. Pages of a memory map count towards the peak while the system keeps them,
but not towards the limit. copy: whether a copy of the data fails, as it must under the limit."""


def measure(
    kind: str,
    *,
    rows: int = ROWS,
    features: int = FEATURES,
    dtype: str = "uint8",
    limit: float = LIMIT,
) -> dict[str, Any]:
    """Train one epoch in a process of its own and return the peaks of its memory in bytes.

    Parameters
    ----------
    kind : str
        "array" keeps the rows in memory. "map" uses a memory-mapped file and limits what the
        process may allocate.
    rows : int, default=60_000
        Number of rows.
    features : int, default=784
        Number of features of one row.
    dtype : str, default="uint8"
        Type of the rows, uint8 or float32.
    limit : float, default=160
        Memory limit of a process with a map, in megabytes. The limit is RLIMIT_DATA, which covers
        allocations but not files and programs. RLIMIT_AS limits the address space and would forbid
        a larger map altogether.

    Raises
    ------
    ChildError
        The process failed, because its memory did not suffice.
    """
    arguments = ("-m", "benchmarks.memory", kind, str(rows), str(features), dtype)
    if kind == "array":
        peaks = child.run(*arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npy"
            X = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), (rows, features))
            _fill(X)
            del X  # unmaps the file, so that only the child maps it
            # Every BLAS thread of NumPy takes tens of megabytes, and vaefast does not use BLAS.
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
    """Yield the result of an array, and then of one or two memory maps."""
    yield measure("array")
    for dtype in ("uint8",) if plan.quick else ("uint8", "float32"):
        row = FEATURES * np.dtype(dtype).itemsize
        yield measure("map", rows=int(TIMES * LIMIT * MB) // row + 1, dtype=dtype)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""

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
    """Fill X with random bytes, or numbers in [0, 1), without a second array of that size."""
    rng = np.random.default_rng(0)
    for first in range(0, len(X), BLOCK):
        block = X[first : first + BLOCK]
        if X.dtype == np.uint8:
            block[:] = rng.integers(0, 256, block.shape, np.uint8)
        else:
            block[:] = rng.random(block.shape, np.float32)


# --- In the process that is measured --------------------------------------------------------------


def status() -> dict[str, int]:
    """Return the fields of /proc/self/status in bytes.

    VmHWM is the peak of the process. RssAnon is its present memory without pages of files. The peak
    of getrusage is of no use here: a process inherits it from its parent.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) << 10 for name, size, _ in pairs}


def _main(kind: str, rows: str, features: str, dtype: str, *of_map: str) -> dict[str, Any]:
    import resource

    from vaefast import VAE

    before = status()["VmHWM"]
    X: npt.NDArray[Any]
    if of_map:
        path, limit = of_map
        allowed = round(float(limit) * MB)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
        X = np.load(path, mmap_mode="r")
    else:
        X = np.empty((int(rows), int(features)), dtype)
        _fill(X)
    own = [status()["RssAnon"]]
    # The array trains the default net. The map has many more rows and trains a narrow net, to save
    # time.
    hidden, size = ((16,), 1024) if of_map else ((256,), 128)
    vae = VAE(hidden_layer_sizes=hidden, batch_size=size, epochs=1, random_state=0, verbose=False)
    vae.fit(X, callbacks=[lambda *_: own.append(status()["RssAnon"])])
    own.append(status()["RssAnon"])
    peak = status()["VmHWM"]
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
        sys.exit("this question reads /proc/self/status, which only Linux has")
    print(json.dumps(_main(*sys.argv[1:])))
