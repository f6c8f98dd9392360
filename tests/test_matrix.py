"""Conversion of frames to arrays of rows, column by column; a fit converts its rows once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from commands import SMALL, succeed
from vaefast import VAE
from vaefast._input import reader
from vaefast._input.matrix import to_matrix

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

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


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_frame_of_mixed_columns_is_the_array_of_its_columns(library):
    matrix, shape = to_matrix(library.DataFrame(COLUMNS))
    assert shape == (5,)
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, EXPECTED)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_frame_of_bytes_stays_bytes(library):
    byte = COLUMNS["byte"]
    matrix, _ = to_matrix(library.DataFrame({"a": byte, "b": byte}))
    np.testing.assert_array_equal(matrix, np.stack([byte, byte], axis=1))
    assert matrix.dtype == np.uint8


def with_gaps() -> list[Any]:
    values = [1.5, None, 3.0, 4.0]
    flags = [True, False, None, True]
    frames = [
        pd.DataFrame({"a": pd.array(values, "Float64"), "b": pd.array(flags, "boolean")}),
        pd.DataFrame({"a": pd.array(values, "Float64"), "b": np.array(flags, object)}),
        pl.DataFrame({"a": values, "b": flags}),
        pl.DataFrame({"a": values, "b": [None if v is None else float(v) for v in flags]}),
    ]
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return frames
    arrow = {"a": "double[pyarrow]", "b": "bool[pyarrow]"}
    return [*frames, pd.DataFrame({"a": values, "b": flags}).astype(arrow)]


@pytest.mark.parametrize("frame", with_gaps(), ids=lambda frame: type(frame).__module__)
def test_missing_values_become_nan(frame):
    expected = np.array([[1.5, 1], [np.nan, 0], [3, np.nan], [4, 1]], np.float32)
    np.testing.assert_array_equal(to_matrix(frame)[0], expected)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.0, 2.0], "town": ["Oslo", "Rome"]}),
        pd.DataFrame({"a": [1.0, 2.0], "town": pd.Categorical(["Oslo", "Rome"])}),
        pl.DataFrame({"a": [1.0, 2.0], "town": ["Oslo", "Rome"]}),
    ],
    ids=["text", "categories", "polars"],
)
def test_a_column_of_text_is_named(frame):
    with pytest.raises(TypeError, match="column 'town' of X holds .*, expected numbers"):
        to_matrix(frame)


def test_a_column_of_dates_is_named():
    frame = pd.DataFrame({"a": [1.0, 2.0], "day": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    with pytest.raises(TypeError, match="column 'day' of X holds datetime64"):
        to_matrix(frame)


def test_two_columns_of_one_name_are_two_columns():
    frame = pd.DataFrame(np.array([[1.0, 2.0], [3.0, 4.0]]), columns=["a", "a"])
    frame.insert(0, "flag", [True, False])
    np.testing.assert_array_equal(to_matrix(frame)[0], [[1, 1, 2], [0, 3, 4]])


# ------------------------------------------------------------------ read once


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record every argument that is turned into a matrix from now on."""
    seen: list[Any] = []

    def spy(X: Any, name: str = "X") -> Any:
        seen.append(X)
        return to_matrix(X, name)

    monkeypatch.setattr(reader, "to_matrix", spy)
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
