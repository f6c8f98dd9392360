"""Rows that are read a window at a time: the bits of an array, the sources, and broken input."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, AnomalyDetector, Checkpoint, _core, load
from vaefast._engine.state import state_from
from vaefast._engine.storage import read_parts
from vaefast._input.read_ahead import ReadAhead
from vaefast._input.sources import source_of
from vaefast._input.stream import Stream, default_window
from vaefast._input.windows import epoch_order, read_windows, windows
from vaefast.errors import ConvergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore:.* is stored .* rows at a time:UserWarning")
h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")
parquet = pytest.importorskip("pyarrow.parquet")
arrow = pytest.importorskip("pyarrow")
dataset = pytest.importorskip("pyarrow.dataset")

N, D = 333, 7
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, D)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (N, 4, 5)).astype(np.uint8)
COUNTS = RNG.poisson(2, (N, D)).astype(np.float32)
CUTS = [0, 100, 101, 256, N]
WINDOW = 96  # rows; a block has one row


class Again:
    """Yields the same chunks each time."""

    def __init__(self, rows: np.ndarray, cuts: list[int], *companions: Any) -> None:
        self.parts = [
            tuple(part[a:b] for part in (rows, *companions))
            for a, b in zip(cuts, cuts[1:], strict=False)
        ]
        self.passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        yield from (part if len(part) > 1 else part[0] for part in self.parts)


class Frames(Again):
    """Yields the same frames each time."""

    def __init__(self, rows: np.ndarray) -> None:
        super().__init__(rows, CUTS)
        self.parts = [(table(part),) for (part,) in self.parts]


def table(rows: np.ndarray) -> Any:
    return arrow.table({f"x{i}": column for i, column in enumerate(rows.T)})


def write_npy(rows: np.ndarray, folder: Path) -> Path:
    np.save(folder / "rows.npy", rows)
    return folder / "rows.npy"


def write_parts(rows: np.ndarray, folder: Path, suffix: str, write: Any) -> Path:
    folder = folder / suffix
    folder.mkdir()
    for i, (a, b) in enumerate(zip(CUTS, CUTS[1:], strict=False)):
        write(folder / f"part-{i}.{suffix}", rows[a:b])
    return folder


def write_parquet(path: Path, rows: np.ndarray, size: int = 50) -> Path:
    parquet.write_table(table(rows), path, row_group_size=size)
    return path


def write_csv(path: Path, rows: np.ndarray) -> Path:
    lines = [",".join(map(repr, row)) for row in rows.astype(np.float64).tolist()]
    path.write_text("\n".join([",".join(f"x{i}" for i in range(rows.shape[1])), *lines]) + "\n")
    return path


def open_hdf5(rows: np.ndarray, folder: Path, **how: Any) -> Any:
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("X", data=rows, **how)
    return h5py.File(folder / "rows.h5")["X"]


def open_zarr(rows: np.ndarray, folder: Path, chunk: int) -> Any:
    array = zarr.open(
        folder / "rows.zarr",
        mode="w",
        shape=rows.shape,
        dtype=rows.dtype,
        chunks=(chunk, *rows.shape[1:]),
    )
    array[:] = rows
    return zarr.open(folder / "rows.zarr", mode="r")


SOURCES: dict[str, Any] = {
    "map": lambda rows, folder: np.load(write_npy(rows, folder), mmap_mode="r"),
    "map of float64": lambda rows, folder: np.load(
        write_npy(rows.astype(np.float64), folder), mmap_mode="r"
    ),
    "path of .npy": write_npy,
    "HDF5": open_hdf5,
    "HDF5 in chunks": lambda rows, folder: open_hdf5(
        rows, folder, chunks=(11, *rows.shape[1:]), compression="gzip"
    ),
    "zarr": lambda rows, folder: open_zarr(rows, folder, 1000),
    "zarr in chunks": lambda rows, folder: open_zarr(rows, folder, 13),
    "list of maps": lambda rows, folder: [
        np.load(write_npy(rows[a:b], _new(folder, str(a))), mmap_mode="r")
        for a, b in zip(CUTS, CUTS[1:], strict=False)
    ],
    "folder of .npy": lambda rows, folder: write_parts(rows, folder, "npy", np.save),
    "chunks": lambda rows, folder: Again(rows, CUTS),
    "other chunks": lambda rows, folder: Again(rows, list(range(N + 1))),
}
TABLES: dict[str, Any] = {
    "Parquet": lambda rows, folder: write_parquet(folder / "rows.parquet", rows),
    "Parquet in one group": lambda rows, folder: write_parquet(folder / "x.parquet", rows, 10**6),
    "ParquetFile": lambda rows, folder: parquet.ParquetFile(
        write_parquet(folder / "rows.parquet", rows, 7)
    ),
    "Dataset": lambda rows, folder: dataset.dataset(
        write_parts(rows, folder, "parquet", write_parquet)
    ),
    "CSV": lambda rows, folder: write_csv(folder / "rows.csv", rows),
    "folder of CSV": lambda rows, folder: write_parts(rows, folder, "csv", write_csv),
    "frames": lambda rows, folder: Frames(rows),
}


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def small(**params: Any) -> VAE:
    defaults = {
        "likelihood": "gaussian",
        "hidden_layer_sizes": (9,),
        "epochs": 3,
        "batch_size": 32,
        "random_state": 0,
        "n_threads": 1,
        "verbose": False,
    }
    return VAE(2, **{**defaults, **params})


def assert_same_model(one: VAE, other: VAE) -> None:
    for name, tensor in one.model_.weights().items():
        np.testing.assert_array_equal(other.model_.weights()[name], tensor, err_msg=name)
    for key in ("elbo", "validation", "kl_per_dimension"):
        assert one.history_[key] == other.history_[key], key
    np.testing.assert_array_equal(one.model_.posteriors.mu, other.model_.posteriors.mu)


# ------------------------------------------------------------------ the same bits


@pytest.mark.parametrize("window", [WINDOW, N, None])
@pytest.mark.parametrize("kind", SOURCES | TABLES)
def test_every_source_gives_the_bits_of_an_array(kind, window, tmp_path):
    given = (SOURCES | TABLES)[kind](X, tmp_path)
    array = small(window=window).fit(X)
    other = small(window=window).fit(given)
    assert_same_model(array, other)
    assert array.model_.provenance.data_sha256 == other.model_.provenance.data_sha256
    assert (other.model_.names is not None) == (kind in TABLES)


CASES: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "images of bytes": (IMAGES, {"likelihood": "bernoulli"}),
    "bytes of 0 and 1": ((IMAGES > 128).astype(np.uint8), {"likelihood": "bernoulli"}),
    "standardized": (100 + 7 * X, {"standardize": True}),
    "standardized bytes": (IMAGES, {"standardize": True}),
    "missing": (np.where(X > 1, np.float32(np.nan), X), {"missing": "mask", "standardize": True}),
    "counts": (COUNTS, {"likelihood": "negative_binomial"}),
    "multinomial": (COUNTS, {"likelihood": "multinomial", "normalize": "l2"}),
    "several kinds": (
        np.hstack([COUNTS, X, COUNTS.clip(max=1)]),
        {"likelihood": [("poisson", 3), ("multinomial", 4), ("gaussian", 7), ("bernoulli", 7)]},
    ),
    "iwae": (X, {"objective": "iwae", "n_samples": 3, "batch_size": 50}),
    "batches wider than a window": (X, {"batch_size": 150}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_model_reads_windows(case, tmp_path):
    rows, params = CASES[case]
    params = {"window": WINDOW, **params}
    array = small(**params).fit(rows, validation=rows[:50])
    given = open_hdf5(rows, tmp_path, chunks=(10, *rows.shape[1:]))
    other = small(**params, n_threads=2).fit(given, validation=rows[:50])
    assert_same_model(array, other)
    if "multinomial" in str(params["likelihood" if "likelihood" in params else "window"]):
        assert array.model_.reader.totals == other.model_.reader.totals


@pytest.mark.parametrize("window", [WINDOW, None])
def test_what_belongs_to_the_rows_comes_with_the_chunks_or_beside_them(window, tmp_path):
    y, exposure = RNG.integers(0, 3, N), RNG.uniform(0.5, 2, N)
    weights = RNG.integers(0, 3, N).astype(float)
    params = {"likelihood": "poisson", "conditional": True, "window": window}
    given = {"exposure": exposure, "sample_weight": weights}
    array = small(**params).fit(COUNTS, y, **given, validation=(COUNTS, y, exposure))
    beside = small(**params).fit(
        open_hdf5(COUNTS, tmp_path), y, **given, validation=(Again(COUNTS, CUTS), y, exposure)
    )
    assert_same_model(array, beside)
    chunks = Again(COUNTS, CUTS, y, exposure, weights)
    within = small(**params).fit(chunks, validation=Again(COUNTS, CUTS, y, exposure))
    assert_same_model(array, within)
    pairs = [(COUNTS[a:b], y[a:b], exposure[a:b], weights[a:b]) for a, b in ((0, 50), (50, N))]
    assert_same_model(array, small(**params).fit(pairs, validation=(COUNTS, y, exposure)))
    with pytest.raises(ValueError, match="y was passed, but the chunks of X have it too"):
        small(**params).fit(chunks, y)
    scores = array.score_samples(COUNTS, y, exposure=exposure)
    np.testing.assert_array_equal(within.score_samples(chunks), scores)  # of all rows
    weighted = array.evaluate(COUNTS, y, **given)
    assert within.evaluate(chunks) == weighted
    with pytest.raises(ValueError, match="was fitted with exposure"):
        within.score_samples(Again(COUNTS, CUTS, y))


@pytest.mark.parametrize("rows", [600, 20])
def test_an_automatic_fit_holds_out_the_same_rows(rows, tmp_path):
    many = np.tile(X, (2, 1))[:rows]
    params = {"epochs": "auto", "window": 10}
    one_epoch = [lambda vae, record: True]
    array = small(**params).fit(many, callbacks=one_epoch)
    other = small(**params).fit(open_zarr(many, tmp_path, 9), callbacks=one_epoch)
    assert_same_model(array, other)


def test_text_as_conditions_is_part_of_the_fingerprint(tmp_path):
    y = np.array(["cat", "dog", "bird"])[RNG.integers(0, 3, N)]
    params = {"window": WINDOW, "conditional": True}
    given, path = open_hdf5(X, tmp_path), tmp_path / "state"
    one = small(**params).fit(given, y, checkpoint=path)
    assert_same_model(one, small(**params).fit(X, y))
    with pytest.raises(ValueError, match="the rows of X, y"):
        small(**params).fit(given, y[::-1], checkpoint=path)


def test_partial_fit_reads_windows(tmp_path):
    array, other = (
        small(window=WINDOW).partial_fit(rows).partial_fit(rows)
        for rows in (X, open_hdf5(X, tmp_path))
    )
    assert_same_model(array, other)


@pytest.mark.parametrize("steps", [1, 3, 5, 10, 11])
def test_training_resumes_within_an_epoch(steps, tmp_path):
    class Stopped(Exception):
        pass

    whole = small(window=WINDOW).fit(X)
    path = tmp_path / "state"
    given = open_hdf5(X, tmp_path)
    written = 0

    def stop(vae: VAE, record: Any) -> None:
        nonlocal written
        written += 1
        if written == 2:
            raise Stopped

    point = Checkpoint(path, steps, unit="steps")
    with pytest.raises(Stopped):
        small(window=WINDOW).fit(given, checkpoint=point, callbacks=[stop])
    state = state_from(read_parts(path.read_bytes(), "")["training"])
    assert state.epoch is not None or steps == 11
    assert_same_model(small(window=WINDOW).fit(given, checkpoint=point), whole)
    with pytest.raises(ValueError, match="window was 96 and is 95"):
        small(window=WINDOW - 1).fit(given, checkpoint=point)
    with pytest.raises(ValueError, match="rows"):
        small(window=WINDOW).fit(X[::-1], checkpoint=point)


# ------------------------------------------------------------------ scores and codes


@pytest.mark.parametrize("conditional", [False, True])
def test_methods_read_a_source_a_few_rows_at_a_time(conditional, tmp_path, monkeypatch):
    monkeypatch.setattr("vaefast._input.stream.WINDOW", 50 * 4 * D)
    monkeypatch.setattr("vaefast._input.rows.BLOCK", 40 * D)
    y = RNG.integers(0, 2, N)
    vae = small(conditional=conditional).fit(X, y)
    given = open_hdf5(X, tmp_path)
    for method in ("transform", "score_samples", "reconstruct"):
        found = getattr(vae, method)(given, y)
        np.testing.assert_array_equal(found, getattr(vae, method)(X, y))
    for one, other in zip(vae.encode(given, y), vae.encode(X, y), strict=True):
        np.testing.assert_array_equal(one, other)
    assert vae.evaluate(given, y) == vae.evaluate(X, y)
    a, b = (vae.log_likelihood(rows, y, n_samples=8).rows for rows in (given, X))
    np.testing.assert_array_equal(a, b)
    assert repr(vae.diagnose(given, y)) == repr(vae.diagnose(X, y))
    with pytest.raises(ValueError, match="expecting 7 features"):
        vae.transform(open_zarr(X[:, :6], tmp_path, 10), y)


def test_a_source_in_memory_is_read_at_once(tmp_path):
    vae = small(missing="mask").fit(X)
    gaps = np.where(X > 1, np.float32(np.nan), X)
    np.testing.assert_array_equal(vae.impute(open_hdf5(gaps, tmp_path)), vae.impute(gaps))


def test_impute_refuses_a_stream(tmp_path, monkeypatch):
    vae = small(missing="mask").fit(X)
    monkeypatch.setattr("vaefast._input.stream.WINDOW", 50 * 4 * D)
    with pytest.raises(TypeError, match="impute needs rows in memory"):
        vae.impute(open_hdf5(X, tmp_path))


def test_a_detector_reads_a_source(tmp_path):
    array, other = (
        AnomalyDetector(small(window=WINDOW), 0.1).fit(rows) for rows in (X, open_hdf5(X, tmp_path))
    )
    np.testing.assert_array_equal(array.decision_function(X), other.decision_function(X))


# ------------------------------------------------------------------ the order


def test_many_small_windows_of_fast_steps():
    rows = np.tile(X, (4, 1))  # more calls of the core than a float has powers of two
    small(window=64, batch_size=1, epochs=1).fit(Again(rows, [0, len(rows)]))


def test_a_window_as_large_as_the_data_shuffles_all_rows():
    order = _core.permutation(N, 5, 2)
    for window in (None, N, N + 1, 10 * N):
        np.testing.assert_array_equal(epoch_order(N, window, 5, 2), order)


@pytest.mark.parametrize("window", [1, 2, 63, 64, 65, 200, N - 1])
def test_every_epoch_has_all_rows_in_an_order_of_its_own(window):
    orders = [epoch_order(N, window, seed, epoch) for seed in (0, 1) for epoch in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(N)) for order in orders)


def test_a_window_reads_blocks_from_all_over_the_data_in_order():
    n, window = 100_000, 10_000
    found = list(windows(n, window, 3, 1))
    assert max(sum(b - a for a, b in spans) for spans in found) <= window
    for spans in found[:-1]:  # the last has what is left
        assert spans == sorted(spans)
        starts = np.array([a for a, _ in spans])
        assert np.histogram(starts, 4, (0, n))[0].min() >= len(starts) / 10


def test_classes_in_order_are_mixed_within_batches():
    classes = np.repeat(np.arange(10), 6_000)
    order = epoch_order(60_000, 12_000, 0, 1)
    counts = [np.bincount(classes[part], minlength=10) for part in order.reshape(-1, 600)]
    assert np.median([(count > 0).sum() for count in counts]) == 10
    assert max(count.max() for count in counts) < 300


# ------------------------------------------------------------------ the thread that reads


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "vaefast-reader"]


class Fails(Again):
    """Raises an error in a pass, after some chunks."""

    def __init__(self, rows: np.ndarray, cuts: list[int], passes: int, error: BaseException):
        super().__init__(rows, cuts)
        self.last, self.error = passes, error

    def __iter__(self) -> Iterator[Any]:
        for i, chunk in enumerate(super().__iter__()):
            if self.passes > self.last and i == 2:
                raise self.error
            yield chunk


@pytest.mark.parametrize("error", [RuntimeError("lost"), KeyError("lost"), ZeroDivisionError()])
def test_an_error_of_the_data_ends_the_fit_and_keeps_an_earlier_model(error):
    vae = small(window=WINDOW).fit(X)
    before = vae.transform(X)
    given = Fails(X, CUTS, 4, error)
    with pytest.raises((OSError, type(error))) as caught:
        vae.fit(given)
    assert caught.value is error or caught.value.__cause__ is error
    assert not readers()
    assert vae.transform(X).shape == before.shape


def test_ctrl_c_ends_the_thread_and_keeps_the_model():
    def interrupt(vae: VAE, record: Any) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    vae = small(window=WINDOW)
    with pytest.raises(KeyboardInterrupt):
        vae.fit(Again(X, CUTS), callbacks=[interrupt])
    assert vae.interrupted_ and vae.n_iter_ == 2
    assert not readers()


def test_at_most_two_items_exist_and_the_next_is_made_meanwhile():
    made: list[int] = []
    moved = threading.Condition()

    def make(stopped: threading.Event) -> Iterator[tuple[int]]:
        for i in range(5):
            with moved:
                made.append(i)
                moved.notify_all()
            yield (i,)

    with ReadAhead(make) as found:
        for (i,) in found:
            with moved:
                moved.wait_for(lambda i=i: len(made) >= min(i + 2, 5), timeout=30)
                assert made == list(range(min(i + 2, 5)))
    assert not readers()


@pytest.mark.parametrize("size", [10, WINDOW, 150, 300])
def test_rows_stay_in_place_while_the_next_are_read(size, tmp_path):
    stream = Stream(source_of(open_hdf5(X, tmp_path)), WINDOW, 255.0, False)
    held, kept, count = None, None, 0
    for part, order in read_windows(stream, 0, 1, size, 0, threading.Event()):
        if held is not None:
            np.testing.assert_array_equal(held, kept)
        held, kept = part, part.copy()
        count += len(order)
    assert count == N


def test_an_error_is_heard_before_the_next_item():
    def make(stopped: threading.Event) -> Iterator[tuple[int]]:
        yield (0,)
        raise RuntimeError("lost")

    with ReadAhead(make) as found:
        next(found)
        found._thread.join(30)
        with pytest.raises(RuntimeError, match="lost"):
            found.check()


# ------------------------------------------------------------------ broken input


class Differing(Again):
    """Yields other chunks from the second pass on."""

    def __init__(self, rows: np.ndarray, edit: Any) -> None:
        super().__init__(rows, CUTS)
        self.edit = edit

    def __iter__(self) -> Iterator[Any]:
        for i, chunk in enumerate(super().__iter__()):
            found = chunk if self.passes == 1 else self.edit(i, chunk)
            if found is not None:
                yield found


def bad(chunk: np.ndarray) -> np.ndarray:
    chunk = chunk.copy()
    chunk[3, 2] += 1
    return chunk


SECOND = {
    "other values": (lambda i, c: bad(c) if i == 2 else c, "other values.*rows 0 to 332"),
    "an early end": (lambda i, c: None if i == 3 else c, "end after 256 rows, expected 333"),
    "more rows": (lambda i, c: np.tile(c, (3, 1)), "300 rows or more|other values|yields"),
    "another width": (lambda i, c: c[:, :5] if i == 1 else c, r"chunk 1 has rows of shape \(5,\)"),
    "another type": (
        lambda i, c: c.astype(np.uint8) if i == 1 else c,
        "chunk 1 has values of type uint8, but the first chunk has float32",
    ),
    "no numbers": (lambda i, c: c.astype(str) if i == 1 else c, "chunk 1 holds strings|<U"),
}


@pytest.mark.parametrize("case", SECOND)
def test_a_second_pass_that_differs_is_an_error(case):
    edit, message = SECOND[case]
    with pytest.raises((ValueError, OSError, TypeError), match=message):
        small(window=WINDOW).fit(Differing(X, edit))


FIRST = {
    "width": ([X[:10], X[10:, :5]], ValueError, r"chunk 1 has rows of shape \(5,\), but the first"),
    "type": ([X[:10], IMAGES[:, 0, 0, None]], ValueError, "chunk 1 has rows of shape"),
    "nothing": ([], ValueError, "X yields no chunks"),
    "y of another length": (
        [(X[:10], np.ones(9))],
        ValueError,
        r"y of X, chunk 0 has shape \(9,\)",
    ),
    "y in some": ([(X[:10], np.ones(10)), X[10:]], ValueError, "chunk 1 has rows alone, but"),
    "five parts": ([(X, None, None, None, None)], ValueError, "chunk 0 is a tuple of 5"),
    "text": ([X.astype(str)], TypeError, "X, chunk 0 holds <U"),
    "one dimension": ([X[0]], ValueError, r"X, chunk 0 has shape \(7,\)"),
}


@pytest.mark.parametrize("case", FIRST)
def test_chunks_that_do_not_fit_together_are_an_error(case):
    class Chunks:
        def __iter__(self) -> Iterator[Any]:
            yield from FIRST[case][0]

    _, error, message = FIRST[case]
    with pytest.raises(error, match=message):
        small(window=WINDOW).fit(Chunks())


@pytest.mark.parametrize("given", [(c for c in [X]), iter([X]), map(np.asarray, [X])])
def test_an_iterator_is_refused_with_the_way_out(given):
    with pytest.raises(TypeError, match="can be read once.*__iter__ starts anew.*partial_fit"):
        small().fit(given)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["path of .npy", "HDF5 in chunks", "Parquet", "CSV", "chunks"])
def test_a_value_that_is_not_finite_is_named_by_its_place(kind, value, tmp_path):
    rows = X.copy()
    rows[222, 4] = value
    given = (SOURCES | TABLES)[kind](rows, tmp_path)
    with pytest.raises(ValueError, match=rf"holds {value} in row 222, column 4"):
        small(window=WINDOW).fit(given)
    with pytest.raises(ValueError, match=r"row 222, column 4"):
        small(window=WINDOW).fit(X, validation=given)


def test_parts_that_differ_are_named(tmp_path):
    folder = _new(tmp_path, "parts")
    np.save(folder / "a.npy", X)
    np.save(folder / "b.npy", X[:, :3])
    with pytest.raises(ValueError, match=r"b\.npy has rows of shape \(3,\), but .*a\.npy has"):
        small().fit(folder)
    np.save(folder / "b.npy", X.astype(np.float64))
    with pytest.raises(ValueError, match=r"b\.npy has values of type float64, but .*float32"):
        small().fit(str(folder))
    (folder / "b.npy").unlink()
    write_csv(folder / "b.csv", X)
    with pytest.raises(ValueError, match=r"files of the types \.csv, \.npy, expected .* one type"):
        small().fit(folder)


def shrink(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


CHANGES: dict[str, Any] = {
    "vanishes": (lambda path: path.unlink(), "was deleted or moved"),
    "shrinks": (shrink, "was changed while it was read: it had .* bytes and has"),
    "is written again": (lambda path: path.write_bytes(path.read_bytes()), "was changed"),
}


@pytest.mark.parametrize("suffix", ["npy", "parquet", "csv"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_named(change, suffix, tmp_path):
    write = {"npy": np.save, "parquet": write_parquet, "csv": write_csv}[suffix]
    folder = write_parts(X, tmp_path, suffix, write)
    edit, message = CHANGES[change]
    victim = folder / f"part-2.{suffix}"

    def spoil(vae: VAE, record: Any) -> None:
        if record["epoch"] == 1:
            edit(victim)

    vae = small(window=WINDOW)
    with pytest.raises(OSError, match=rf"part-2\.{suffix} {message}"):
        vae.fit(folder, callbacks=[spoil])
    assert vae.n_iter_ == 1  # what was trained before is kept


def test_a_zarr_array_that_loses_a_chunk_is_not_read_as_zeros(tmp_path):
    array = open_zarr(X, tmp_path, 20)

    def lose(vae: VAE, record: Any) -> None:
        if record["epoch"] == 1:
            chunk = next(p for p in (tmp_path / "rows.zarr").rglob("*") if p.name == "0")
            files = [chunk] if chunk.is_file() else [p for p in chunk.rglob("*") if p.is_file()]
            files[0].unlink()

    with pytest.raises(OSError, match="has lost some of its chunks"):
        small(window=WINDOW).fit(array, callbacks=[lose])


BROKEN: dict[str, tuple[str, bytes, str]] = {
    "npy": ("a.npy", b"\x93NUMPY", "not a .npy file, or truncated"),
    "text as npy": ("a.npy", b"1,2\n", "not a .npy file"),
    "parquet": ("a.parquet", b"PAR1", "not a Parquet file that can be read"),
    "hdf5": ("a.h5", b"no", "not an HDF5 file that can be read"),
    "csv": ("a.csv", b"", "the file is empty"),
    "gz": ("a.csv.gz", b"", "unknown type of file|compressed"),
    "other": ("a.bin", b"x", "unknown type of file, expected .npy"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(case, tmp_path):
    name, content, message = BROKEN[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}.*({message})"):
        small().fit(tmp_path / name)


def test_a_path_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        small().fit(tmp_path / "rows.npy")


def test_a_cell_that_is_no_number_is_named_by_line_and_column(tmp_path):
    path = write_csv(tmp_path / "rows.csv", X)
    text = path.read_text().splitlines()
    text[300] = text[300].replace(text[300].split(",")[2], "cold")
    path.write_text("\n".join(text))
    with pytest.raises(OSError, match=r"line 301, column 3 \(x2\): expected a number, got 'cold'"):
        small(window=WINDOW).fit(path)


def test_an_hdf5_file_of_several_arrays_needs_a_name(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["X"], file["group/labels"] = X, np.arange(N)
    with pytest.raises(
        ValueError, match=r"2 arrays: choose one by .*rows\.h5:NAME, from X \(333, "
    ):
        small().fit(tmp_path / "rows.h5")
    assert_same_model(small().fit(X), small().fit(f"{tmp_path / 'rows.h5'}:X"))
    with pytest.raises(ValueError, match=r"no array 'Y'"):
        small().fit(f"{tmp_path / 'rows.h5'}:Y")


def test_components_need_rows_in_memory(tmp_path):
    with pytest.raises(ValueError, match="components need rows in memory"):
        small(window=WINDOW, components=3, sigma=0.1).fit(open_hdf5(X, tmp_path))


@pytest.mark.parametrize("window", [0, -1, 2.5, "auto", True])
def test_a_window_is_a_number_of_rows(window):
    with pytest.raises((TypeError, ValueError), match="window="):
        small(window=window).fit(X)


def test_the_model_file_keeps_the_window(tmp_path):
    vae = small(window=WINDOW).fit(X)
    vae.save(tmp_path / "model")
    assert load(tmp_path / "model").window == WINDOW


@pytest.mark.parametrize("kind", ["Parquet", "HDF5", "zarr"])
def test_a_warning_says_that_an_epoch_decodes_the_data_many_times(kind, tmp_path):
    many = np.tile(X, (9, 1))
    write = {
        "Parquet": lambda unit: write_parquet(tmp_path / f"{unit}.parquet", many, unit),
        "HDF5": lambda unit: open_hdf5(many, _new(tmp_path, str(unit)), chunks=(unit, D)),
        "zarr": lambda unit: open_zarr(many, _new(tmp_path, str(unit)), unit),
    }[kind]
    with pytest.warns(UserWarning, match="Store at most 1 rows together") as caught:
        small(window=WINDOW, epochs=1).fit(write(1_000))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        small(window=WINDOW, epochs=1).fit(write(1))
        small(window=2_000, epochs=1).fit(write(500))


def test_the_default_window_is_a_number_of_bytes(tmp_path):
    source = source_of(open_hdf5(IMAGES, tmp_path))
    assert default_window(source) == 256_000_000 // 20
