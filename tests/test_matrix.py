"""Conversion of frames to arrays of rows, column by column; a fit converts its rows once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from commands import SMALL, succeed
from vaefast import VAE
from vaefast._input import frames, reader
from vaefast._input.matrix import to_matrix

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 50
RNG = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "float": RNG.normal(size=N),
    "single": RNG.normal(size=N).astype(np.float32),
    "whole": RNG.integers(-5, 5, N),
    "byte": RNG.integers(0, 255, N, dtype=np.uint8),
    "flag": RNG.random(N) < 0.5,
}
EXPECTED = np.stack([column.astype(np.float32) for column in COLUMNS.values()], axis=1)


MAKERS = {
    "pandas": pd.DataFrame,
    "nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas of Arrow": lambda columns: pd.DataFrame(columns).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "polars": pl.DataFrame,
    "table": pa.table,
    "batch": pa.record_batch,
    "chunks": lambda columns: pa.concat_tables(
        [pa.table({k: v[i : i + 7] for k, v in columns.items()}) for i in range(0, N, 7)]
    ),
}
every_frame = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.mark.parametrize("block", [1, 16, frames.BLOCK])
@every_frame
def test_a_frame_of_mixed_columns_is_the_array_of_its_columns(make, block, monkeypatch):
    monkeypatch.setattr(frames, "BLOCK", block)
    matrix, shape = to_matrix(make(COLUMNS))
    assert shape == (5,)
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, EXPECTED)


@every_frame
def test_a_frame_of_bytes_stays_bytes(make):
    byte = COLUMNS["byte"]
    matrix, _ = to_matrix(make({"a": byte, "b": byte}))
    np.testing.assert_array_equal(matrix, np.stack([byte, byte], axis=1))
    assert matrix.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_pandas_frame_around_a_matrix_is_not_copied(dtype):
    array = np.arange(12).reshape(4, 3).astype(dtype)
    assert np.shares_memory(to_matrix(pd.DataFrame(array, copy=False))[0], array)


@every_frame
def test_a_frame_without_rows_or_columns_is_refused(make):
    with pytest.raises(ValueError, match=r"X has 0 sample\(s\) \(shape=\(0, 2\)\)"):
        to_matrix(make({"a": np.zeros(0), "b": np.zeros(0)}))
    with pytest.raises(ValueError, match=r"X has 0 (sample|feature)\(s\)"):
        to_matrix(make({}))


def with_gaps() -> list[Any]:
    values = [1.5, None, 3.0, 4.0]
    flags = [True, False, None, True]
    arrow = {"a": "double[pyarrow]", "b": "bool[pyarrow]"}
    whole = [None if v is None else int(v) for v in flags]
    return [
        pd.DataFrame({"a": pd.array(values, "Float64"), "b": pd.array(flags, "boolean")}),
        pd.DataFrame({"a": pd.array(values, "Float64"), "b": np.array(flags, object)}),
        pl.DataFrame({"a": values, "b": flags}),
        pl.DataFrame({"a": values, "b": [None if v is None else float(v) for v in flags]}),
        pl.DataFrame({"a": values, "b": pl.Series(whole, dtype=pl.UInt8)}),
        pl.DataFrame({"a": pl.Series(["1.5", None, "3", "4"]).cast(pl.Decimal(4, 1)), "b": whole}),
        pd.DataFrame({"a": values, "b": flags}).astype(arrow),
        pa.table({"a": values, "b": flags}),
        pa.table({"a": values, "b": pa.array(whole, pa.uint8())}),
        pa.table({"a": pa.chunked_array([values[:1], values[1:]]), "b": pa.array(whole)}),
        pa.table({"a": pa.array(values).cast(pa.decimal128(4, 1)), "b": whole}),
        pa.record_batch({"a": pa.array(values, pa.float32()), "b": flags}),
    ]


@pytest.mark.parametrize("frame", with_gaps(), ids=lambda frame: type(frame).__module__)
def test_missing_values_become_nan(frame):
    expected = np.array([[1.5, 1], [np.nan, 0], [3, np.nan], [4, 1]], np.float32)
    np.testing.assert_array_equal(to_matrix(frame)[0], expected)


def test_a_column_of_missing_values_alone_is_read():
    for nothing in (pa.nulls(2), pd.Series([None, None]), pl.Series([None, None])):
        make = {"pyarrow": pa.table, "pandas": pd.DataFrame, "polars": pl.DataFrame}
        library = type(nothing).__module__.partition(".")[0]
        matrix, _ = to_matrix(make[library]({"a": [1.0, 2.0], "b": nothing}))
        np.testing.assert_array_equal(matrix, [[1, np.nan], [2, np.nan]])


def test_sparse_columns_are_read():
    frame = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.5, 0.0]), "b": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(to_matrix(frame)[0], [[0, 1], [1.5, 2], [0, 3]])
    np.testing.assert_array_equal(to_matrix(frame[["a"]])[0], [[0], [1.5], [0]])


def test_gaps_of_a_frame_obey_missing():
    frame = pa.table({"a": [0.5, None] * 10, "b": pa.array([1, 0] * 10)})
    vae = VAE(1, (4,), likelihood="gaussian", epochs=1, random_state=0, verbose=False)
    with pytest.raises(ValueError, match=r"X holds nan in row 1, column 0.*missing='mask'"):
        vae.fit(frame)
    filled = vae.set_params(missing="mask").fit(frame).impute(frame)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[::2], [[0.5, 1]] * 10)


def test_float64_stays_float64_where_gaps_are_filled():
    third = [1 / 3, None] * 10
    vae = VAE(1, (4,), likelihood="gaussian", epochs=1, missing="mask", verbose=False)
    for frame in (
        pa.table({"a": third, "b": third[::-1]}),
        pl.DataFrame({"a": third, "b": third[::-1]}),
        pd.DataFrame({"a": third, "b": third[::-1]}),
        pd.DataFrame({"a": third, "b": third[::-1]}).astype("Float64"),
    ):
        filled = vae.fit(frame).impute(frame)
        assert filled.dtype == np.float64
        assert (filled[::2, 0] == 1 / 3).all() and (filled[1::2, 1] == 1 / 3).all()
    small = pa.table({"a": pa.array(third, pa.float32()), "b": pa.array([1, 2] * 10, pa.uint8())})
    assert vae.fit(small).impute(small).dtype == np.float32


@pytest.mark.parametrize("make", [*MAKERS, "array", "objects"])
def test_known_values_keep_their_bits_among_columns_of_several_types(make):
    n = 20
    numbers = {
        "third": np.where(np.arange(n) % 2, np.nan, 1 / 3),
        "id": np.arange(n) * 3_000_000 + 1,
        "single": np.linspace(0, 1, n, dtype=np.float32),
        "year": np.full(n, 2020, np.int16),
    }
    rows = np.stack(list(numbers.values()), axis=1)
    special = {"array": rows, "objects": np.where(np.isnan(rows), None, rows)}
    data = special[make] if make in special else MAKERS[make](numbers)
    vae = VAE(1, (4,), likelihood="gaussian", epochs=1, missing="mask", verbose=False)
    filled = vae.set_params(standardize=True).fit(data).impute(data)
    assert filled.dtype == np.float64
    np.testing.assert_array_equal(filled[::2], rows[::2])
    np.testing.assert_array_equal(filled[:, 1:], rows[:, 1:])
    assert np.isfinite(filled).all()


TOWNS = ["Oslo", "Rome"]
DAYS = np.array(["2026-01-01", "2026-01-02"], "M8[ns]")
NOT_NUMBERS = {
    "text": pd.DataFrame({"a": [1.0, 2.0], "odd": TOWNS}),
    "objects": pd.DataFrame({"a": [1.0, 2.0], "odd": np.array(TOWNS, object)}),
    "categories": pd.DataFrame({"a": [1.0, 2.0], "odd": pd.Categorical(TOWNS)}),
    "categories that are numbers": pd.DataFrame({"a": [1.0, 2.0], "odd": pd.Categorical([1, 2])}),
    "dates": pd.DataFrame({"a": [1.0, 2.0], "odd": DAYS}),
    "durations": pd.DataFrame({"a": [1.0, 2.0], "odd": DAYS - DAYS[0]}),
    "dates alone": pd.DataFrame({"odd": DAYS}),
    "Arrow text in pandas": pd.DataFrame({"odd": pd.array(TOWNS, "string[pyarrow]")}),
    "Arrow dates in pandas": pd.DataFrame({"odd": pd.array(DAYS, "timestamp[ns][pyarrow]")}),
    "polars text": pl.DataFrame({"a": [1.0, 2.0], "odd": TOWNS}),
    "polars categories": pl.DataFrame({"odd": pl.Series(TOWNS, dtype=pl.Categorical)}),
    "polars dates": pl.DataFrame({"odd": DAYS}),
    "polars lists": pl.DataFrame({"odd": [[1.0], [2.0]]}),
    "Arrow text": pa.table({"a": [1.0, 2.0], "odd": TOWNS}),
    "Arrow dictionary": pa.record_batch(
        {"a": [1.0, 2.0], "odd": pa.array(TOWNS).dictionary_encode()}
    ),
    "Arrow dates": pa.table({"a": [1.0, 2.0], "odd": pa.array(DAYS)}),
}


@pytest.mark.parametrize("case", NOT_NUMBERS)
def test_a_column_that_holds_no_numbers_is_named(case):
    message = r"column 'odd' of X holds .*, expected numbers.*vaefast\.tables\.Table encodes text"
    with pytest.raises(TypeError, match=message):
        to_matrix(NOT_NUMBERS[case])


def test_a_lazy_frame_is_to_be_collected():
    with pytest.raises(TypeError, match=r"rows is a LazyFrame.*pass rows\.collect\(\)"):
        to_matrix(pl.LazyFrame({"a": [1.0]}), "rows")


def test_two_columns_of_one_name_are_two_columns():
    frame = pd.DataFrame(np.array([[1.0, 2.0], [3.0, 4.0]]), columns=["a", "a"])
    frame.insert(0, "flag", [True, False])
    np.testing.assert_array_equal(to_matrix(frame)[0], [[1, 1, 2], [0, 3, 4]])


# ------------------------------------------------------------------ read once


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record every argument that is turned into a matrix from now on."""
    seen: list[Any] = []

    def spy(X: Any, name: str = "X", doubles: bool = False) -> Any:
        seen.append(X)
        return to_matrix(X, name, doubles)

    monkeypatch.setattr(reader, "to_rows_of_numbers", spy)
    return seen


def test_a_fit_reads_its_rows_once(readings):
    frame = pd.DataFrame(COLUMNS).drop(columns="byte")
    VAE(2, (4,), likelihood="gaussian", epochs=1, verbose=False).fit(frame)
    assert len(readings) == 1


def test_the_command_reads_its_rows_once(readings, table_file, tmp_path):
    succeed(
        *("train", table_file, "--likelihood", "gaussian", "--validation", 0.2),
        *("--out", tmp_path / "run", *SMALL),
    )
    whole = [X for X in readings if len(X) == 200]
    assert len(whole) == 1
    assert sum(map(len, readings)) < 200 + 4 * 20  # the rest are reads of the 20 test rows


def test_rows_that_are_prepared_give_the_same_bits():
    X = RNG.normal(size=(60, 3)).astype(np.float32)
    vae = VAE(2, (4,), likelihood="gaussian", epochs=2, random_state=0, verbose=False)
    expected = vae.fit(X[::2], validation=X[1::2]).model_.weights()
    learned, rows = reader.Reader.learn(vae.get_params(), X)
    parts = [reader.Prepared(learned, rows[start::2].copy()) for start in (0, 1)]
    found = vae.fit(parts[0], validation=parts[1]).model_.weights()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor)
