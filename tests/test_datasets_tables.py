"""CSV files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vaefast import datasets


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("csv") / "table.csv"


def load(path, text):
    path.write_text(text, encoding="utf-8")
    return datasets.load(path)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(width=32),
    ),
    st.booleans(),
    st.sampled_from(",;\t"),
)
def test_round_trip(path, array, header, delimiter):
    names = tuple(f"column {i}" for i in range(array.shape[1]))
    rows = [delimiter.join(repr(float(value)) for value in row) for row in array]
    data = load(path, "\n".join([delimiter.join(names), *rows] if header else rows))
    assert data.columns == (names if header else None)
    assert data.X.dtype == np.float32
    np.testing.assert_array_equal(data.X, array)


@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [
        ("1,2\n3,4", [[1, 2], [3, 4]], None),
        ("1,2\r\n3,4\r\n", [[1, 2], [3, 4]], None),
        ("\ufeffa,b\n1,2\n", [[1, 2]], ("a", "b")),
        ('\n\n"a, x", b\n\n"1", 2\n\n', [[1, 2]], ("a, x", "b")),
        ("x,y\n0,-1.5e3\n", [[0, -1500]], ("x", "y")),
        ("5\n6\n", [[5], [6]], None),
        ("1,nan\n-inf,2", [[1, np.nan], [-np.inf, 2]], None),
        ("1e300,2\n", [[np.inf, 2]], None),
        ("a#1,b\n1,2\n", [[1, 2]], ("a#1", "b")),
    ],
)
def test_tables_that_are_read(path, text, rows, columns):
    data = load(path, text)
    np.testing.assert_array_equal(data.X, np.array(rows, np.float32))
    assert data.columns == columns


@pytest.mark.parametrize("names", ["012", "abc"])
def test_a_first_column_without_a_name_is_an_index(path, names):
    rows = "".join(f'"{name}",{i},{i + 0.5}\n' for i, name in enumerate(names))
    data = load(path, f'"","x","y"\n{rows}')
    assert data.X.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5]] and data.columns == ("x", "y")


def test_tsv(tmp_path):
    data = load(tmp_path / "table.tsv", "a\tb\n1\t2\n")
    assert data.X.tolist() == [[1, 2]] and data.columns == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty"),
        ("\n\n", ": the file is empty"),
        ("a,b\n\n", r": there are no rows below the header \['a', 'b'\] on line 1"),
        ("1,2\n3,x\n4,y\n", ", line 2, column 2: expected a number, got 'x'"),
        ("a,b\n\n1,2\n3,x\n", r", line 4, column 2 \(b\): expected a number, got 'x'"),
        ("1,2\n,x\n", ", line 2, column 2: expected a number, got 'x'"),
        ("1,2\n3\n", ", line 2: expected 2 values, got 1"),
        ("1,2\n3,4,5\n", ", line 2: expected 2 values, got 3"),
        ("a,b\n1,2,3\n", ", line 1: the header has 2 columns, but the rows have 3"),
        ("a,b\n1,2\n1,2,3\n", ", line 3: expected 2 values, got 3"),
        ("name,1\n2,3\n", ", line 1, column 1: expected a number, got 'name'"),
        ("1,2\n1_0,2\n", ", line 2, column 1: expected a number, got '1_0'"),
        ("1,2\n٣,2\n", ", line 2, column 1: expected a number, got '٣'"),
        ("1;2,5\n", ", line 1, column 2: expected a number, got '2,5'"),
        ("x,,y\n0,1,2\n", ", line 1: column 2 has no name in the header"),
        (",x\na,1\nb,y\n", r", line 3, column 2 \(x\): expected a number, got 'y'"),
        (",x\na,1\nb,1,2\n", ", line 3: expected 2 values, got 3"),
        ("1 2\n3 4\n", ": there are no rows below|, line 2, column 1"),
    ],
)
def test_errors_say_what_is_wrong_and_where(path, text, message):
    with pytest.raises(ValueError, match=rf"table\.csv({message})"):
        load(path, text)


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,\n3,4\n", "1, \n3,4\n", '"1",""\n3,4\n']
    + [f"a,b\n1,{gap}\n3,4\n" for gap in ("NA", "N/A", " null ", "nan", "NaN")],
)
def test_an_empty_cell_is_a_missing_value(path, text):
    np.testing.assert_array_equal(load(path, text).X, np.float32([[1, np.nan], [3, 4]]))


def test_bytes_that_are_not_text(path):
    for data in (b"\xff\xfe,1\n", b"1,2\n\xff,3\n", b"1,2\n" * 10_000 + b"\xff,3\n"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"table\.csv: not UTF-8 text"):
            datasets.load(path)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=30) | st.text("0123,;.e-\n\"' \0x", max_size=30).map(str.encode))
def test_any_bytes_give_rows_or_a_value_error(path, data):
    path.write_bytes(data)
    try:
        assert datasets.load(path).X.ndim == 2
    except ValueError as error:
        assert str(path) in str(error)


def test_a_large_table(path):
    rows = np.random.default_rng(0).integers(0, 256, (20_000, 30))
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=",".join("c" * 30), comments="")
    np.testing.assert_array_equal(datasets.load(path).X, rows)
