"""Rows larger than memory: speed of training from disk, and what windows cost in ELBO.

A process that may allocate a tenth of the data (a third with --quick) trains from one file at a
time. Before each epoch that counts, the file leaves the page cache. Epochs from disk and epochs on
an array take turns in the same process.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import child, memory, timing
from benchmarks.plan import Plan
from vaefast._input.stream import BLOCKS, WINDOW

Array = npt.NDArray[Any]

KINDS = {"npy": 784, "h5": 784, "parquet": 30}  # features: each column of Parquet has a price
HIDDEN, BATCH = 256, 512
SIZE, LIMIT = 20_000 * memory.MB, 2_000  # bytes of the data, and megabytes that are allowed
QUICK_HIDDEN = 32  # a narrow net asks for more rows per second
QUICK_SIZE, QUICK_LIMIT, QUICK_WINDOW = 750 * memory.MB, 250, 20 * memory.MB
QUICK_DIGITS = 18_000
BLOCK = 1_000  # rows that are drawn at a time
PYARROW = 250  # megabytes more: the limit counts the stacks of its threads, which are hardly used
EPOCHS = 3  # the first one does not count
WATCH = 0.05  # seconds between two looks at the memory
SHUFFLED_EPOCHS = 3
SHARES = (2, 5, 10, 20)  # data per window, for the ELBO
MB = memory.MB

FOOTNOTE = """\
limit: megabytes that the process may allocate. peak: the largest memory without pages of files that
was seen, at 20 looks per second. disk: MB/s of reading the file alone, from outside of the page
cache. needs: MB/s that an epoch from disk reads. speed: rows per second from disk by those on an
array in memory; median and range over epochs, which take turns. work: CPU time of a row from disk,
of all threads, by that of a row of the array, which includes a few checks of each call. ELBO: nats
per row of held-out digits after three epochs, by the share of the rows in a window; sorted rows are
in the order of their classes."""


def write(kind: str, path: Path, rows: int, features: int, unit: int) -> None:
    """Write random rows between 0 and 1 to a file, in chunks or row groups of `unit` rows."""
    blocks = _blocks(rows, features, unit if kind == "parquet" else BLOCK)
    if kind == "npy":
        X = np.lib.format.open_memmap(path, "w+", np.float32, (rows, features))
        first = 0
        for block in blocks:
            X[first : first + len(block)] = block
            first += len(block)
        X.flush()
    elif kind == "h5":
        import h5py

        with h5py.File(path, "w") as file:
            X = file.create_dataset(
                "X", (rows, features), np.float32, chunks=(min(rows, unit), features)
            )
            first = 0
            for block in blocks:
                X[first : first + len(block)] = block
                first += len(block)
    else:
        import pyarrow
        from pyarrow import parquet

        names = [f"x{i}" for i in range(features)]
        schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
        with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
            for block in blocks:
                columns = list(np.ascontiguousarray(block.T))
                writer.write_table(pyarrow.table(columns, schema=schema), row_group_size=unit)


def _blocks(rows: int, features: int, step: int) -> Iterator[Array]:
    rng = np.random.default_rng(0)
    for first in range(0, rows, step):
        yield rng.random((min(step, rows - first), features), np.float32)


def forget(path: str) -> None:
    """Remove a file from the page cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def measure(
    kind: str,
    *,
    size: float = SIZE,
    features: int | None = None,
    hidden: int = HIDDEN,
    limit: float = LIMIT,
    window: float = WINDOW,
    threads: int = 1,
    epochs: int = EPOCHS,
) -> dict[str, Any]:
    """Train from a file under a limit of memory; return speed beside that of an array, and peaks.

    `size` and `window` are bytes. A chunk, or a row group, has as many rows as a block.

    Raises
    ------
    ChildError
        The process failed, because its memory did not suffice.
    """
    features = features or KINDS[kind]
    limit += PYARROW if kind == "parquet" else 0
    rows, in_window = round(size) // (4 * features), round(window) // (4 * features)
    with tempfile.TemporaryDirectory(dir=os.environ.get("VAEFAST_BENCHMARK_DISK")) as folder:
        path = Path(folder) / f"rows.{kind}"
        write(kind, path, rows, features, max(1, in_window // BLOCKS))
        found = child.run(
            *("-m", "benchmarks.streams", str(path), str(hidden), str(limit)),
            *(str(in_window), str(threads), str(epochs)),
            OPENBLAS_NUM_THREADS="1",
            ARROW_DEFAULT_MEMORY_POOL="system",  # others reserve more than they use
        )
        on_disk = path.stat().st_size
    ratios = timing.ratio(found["disk epochs"], found["memory epochs"])
    return {
        "kind": kind,
        "rows": rows,
        "features": features,
        "data": rows * features * 4,
        "file": on_disk,
        "limit": limit * MB,
        "threads": threads,
        "speed": {
            "median": 1 / ratios["median"],
            "low": 1 / ratios["high"],
            "high": 1 / ratios["low"],
        },
        **found,
    }


def digits() -> tuple[str, Array, Array]:
    """Return MNIST from VAEFAST_DATA, or else digits that vaefast draws, with their labels."""
    from vaefast import datasets

    folder = os.environ.get("VAEFAST_DATA")
    found = datasets.load(Path(folder) / "mnist") if folder else datasets.strokes(12_000)
    assert found.y is not None
    return "MNIST" if folder else "digits", found.X, found.y


def shuffled(rows: int | None = None, epochs: int = SHUFFLED_EPOCHS) -> dict[str, Any]:
    """Return the ELBO of held-out digits by the window, on shuffled and on sorted digits."""
    from vaefast import VAE

    name, X, y = digits()
    order = np.random.default_rng(0).permutation(len(X))[: rows or len(X)]
    held, kept = order[: len(order) // 6], order[len(order) // 6 :]
    by_class = kept[np.argsort(y[kept], kind="stable")]
    found: dict[str, Any] = {"kind": name, "rows": len(kept), "epochs": epochs, "elbos": []}
    for arrangement, chosen in (("shuffled", kept), ("sorted", by_class)):
        for share in (1, *SHARES):
            vae = VAE(
                8, epochs=epochs, batch_size=128, random_state=0, verbose=False,
                window=len(kept) // share,
            )  # fmt: skip
            elbo = vae.fit(X[chosen]).evaluate(X[held])["elbo"]
            found["elbos"].append({"order": arrangement, "window": f"1/{share}", "elbo": elbo})
    return found


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the result of each type of file, and then that of each window."""
    for kind in KINDS:
        if plan.quick:
            yield measure(
                kind, size=QUICK_SIZE, hidden=QUICK_HIDDEN, limit=QUICK_LIMIT,
                window=QUICK_WINDOW, threads=plan.threads, epochs=1 + plan.rounds,
            )  # fmt: skip
        else:
            yield measure(kind, threads=plan.threads, epochs=1 + plan.rounds)
    yield shuffled(QUICK_DIGITS if plan.quick else None)


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""
    table = dict.fromkeys(
        ["data    ", "   GB", "limit", " peak", "disk", "needs", "speed           ", "work"], "-"
    )
    table["data    "] = result["kind"].ljust(8)
    if "elbos" in result:
        cells = [f"{e['order']} {e['window']}: {e['elbo']:.2f}" for e in result["elbos"]]
        return {**table, "ELBO": "; ".join(cells)}
    seconds = sorted(result["disk epochs"])[len(result["disk epochs"]) // 2]
    seconds *= result["rows"]
    speed = result["speed"]
    return {
        **table,
        "   GB": f"{result['data'] / 1e9:.2f}",
        "limit": f"{result['limit'] / MB:.0f}",
        " peak": f"{result['peak'] / MB:.0f}",
        "disk": f"{result['file'] / MB / result['read']:.0f}",
        "needs": f"{result['file'] / MB / seconds:.0f}",
        "speed           ": f"{speed['median']:.2f} ({speed['low']:.2f}-{speed['high']:.2f})",
        "work": f"{result['work']:.2f}",
        "ELBO": "-",
    }


# --- In the process that is measured --------------------------------------------------------------


def _main(
    path: str, hidden: str, limit: str, window: str, threads: str, epochs: str
) -> dict[str, Any]:
    import resource
    import threading

    from vaefast import VAE
    from vaefast._input.sources import source_of

    allowed = round(float(limit) * MB)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    source: Any = source_of(path)
    few = source[: min(int(window), 5_000)]
    common: dict[str, Any] = {
        "hidden_layer_sizes": (int(hidden),),
        "batch_size": BATCH,
        "epochs": int(epochs),
        "random_state": 0,
        "n_threads": int(threads),
        "verbose": False,
    }
    array = VAE(**common).partial_fit(few)
    on_array: list[float] = []
    works: list[float] = []
    ended = 0.0  # CPU seconds when the epoch before had ended
    peak = memory.status()["RssAnon"]
    finished = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not finished.wait(WATCH):
            peak = max(peak, memory.status()["RssAnon"])

    def turn(vae: VAE, record: dict[str, Any]) -> None:
        nonlocal ended
        began, work = time.perf_counter(), time.process_time()
        passes = 0
        while time.perf_counter() - began < record["seconds"] / 3:
            array.partial_fit(few)
            passes += 1
        on_array.append(sum(array.history_["seconds"][-passes:]) / (passes * len(few)))
        of_array = (time.process_time() - work) / (passes * len(few))
        works.append((work - ended) / len(source) / of_array)
        forget(path)
        ended = time.process_time()

    forget(path)
    began = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        block = bytearray(1 << 22)
        while file.readinto(block):
            pass
    read = time.perf_counter() - began
    forget(path)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        disk = VAE(**common, window=int(window)).fit(path, callbacks=[turn])
    finally:
        finished.set()
        watcher.join()
    return {
        "window": int(window),
        "read": read,
        "peak": peak,
        "disk epochs": [s / len(source) for s in disk.history_["seconds"]][1:],
        "memory epochs": on_array[1:],
        "work": statistics.median(works[1:]),
    }


if __name__ == "__main__":
    import json
    import warnings

    warnings.simplefilter("ignore")  # few epochs are few steps
    print(json.dumps(_main(*sys.argv[1:])))
