"""Frames of mixed columns to numbers and back."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaefast.tables import Table

PEOPLE = {
    "age": [31, 47, 25, 60],
    "height": [1.62, float("nan"), 1.80, 1.71],
    "city": ["Rome", "Oslo", None, "Rome"],
    "member": [True, False, True, True],
    "visits": [0, 3, 1, 7],
    "since": np.array(["2020-01-31", "2021-05-05", "NaT", "2019-12-24"], "datetime64[D]"),
    "planet": ["Earth"] * 4,
}


def stored(table):
    """Return the table after a round trip through JSON."""
    return Table.from_dict(json.loads(json.dumps(table.to_dict())))


def round_trip(frame, **options):
    table = Table.learn(frame, **options)
    X = table.encode(frame)
    assert X.dtype == np.float32
    assert X.shape == (len(next(iter(np_columns(frame).values()))), table.width)
    assert len(table.names) == sum(width for _, width in table.columns) == table.width
    assert stored(table) == table
    return stored(table).decode(X)


def np_columns(frame):
    """Return the columns of any frame by name."""
    return frame if isinstance(frame, dict) else {name: frame[name] for name in frame.columns}


def without_ranges(table):
    """Return the table as an earlier version stored it: without decimals and ranges."""
    data = table.to_dict()
    data["columns"] = [
        {key: value for key, value in column.items() if key not in ("decimals", "low", "high")}
        for column in data["columns"]
    ]
    return Table.from_dict(data)


def number_of(values):
    """Convert numbers, booleans, dates and durations to float64, with NaN where missing."""
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, values.astype(np.int64))
    if values.dtype.kind == "O":
        return np.array([np.nan if value is None else value for value in values], float)
    return values.astype(float)


def assert_close(before, after):
    """Assert equal text, and numbers as close as float32 keeps standardized numbers."""
    if any(isinstance(value, str) for value in before):
        assert before.tolist() == after.tolist()
        return
    before, after = number_of(before), number_of(after)
    np.testing.assert_array_equal(np.isnan(before), np.isnan(after))
    there = before[~np.isnan(before)]
    atol = 2e-7 * np.ptp(there) + 1e-15 * np.abs(there).max()
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=atol)


# Learning a table --------------------------------------------------------------------------------


def test_blocks_names_and_values():
    table = Table.learn(PEOPLE, counts=["visits"])
    assert table.columns == [
        ("gaussian", 2),
        ("categorical", 2),
        ("bernoulli", 1),
        ("poisson", 1),
        ("gaussian", 1),
    ]
    assert table.names == [
        "age", "height", "city=Oslo", "city=Rome", "member", "visits", "since",
    ]  # fmt: skip
    X = table.encode(PEOPLE)
    age = np.array(PEOPLE["age"])
    np.testing.assert_allclose(X[:, 0], (age - age.mean()) / age.std(), rtol=1e-6)
    height = np.array(PEOPLE["height"])
    expected = (height - np.nanmean(height)) / np.nanstd(height)
    np.testing.assert_allclose(X[:, 1], expected, rtol=1e-5)
    nan = np.nan
    np.testing.assert_array_equal(X[:, 2:4], [[0, 1], [1, 0], [nan, nan], [0, 1]])
    np.testing.assert_array_equal(X[:, 4:6], [[1, 0], [0, 3], [1, 1], [1, 7]])
    assert np.isnan(X[2, 6])
    assert np.isfinite(X[[0, 1, 3], 6]).all()
    assert repr(table) == (
        "Table(dict, 7 columns as 7: gaussian 2, categorical 2, bernoulli 1, poisson 1, gaussian 1)"
    )


def test_a_dict_comes_back():
    after = round_trip(PEOPLE, counts=["visits"])
    assert list(after) == list(PEOPLE)
    for name, values in PEOPLE.items():
        before = np.asarray(values)
        is_text = any(isinstance(value, str) for value in values)
        assert after[name].dtype == (object if is_text else before.dtype)
        assert_close(before, after[name])
    assert after["age"].tolist() == PEOPLE["age"]
    np.testing.assert_array_equal(after["since"], PEOPLE["since"])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_table_reads_frames_of_any_library(library):
    module = pytest.importorskip(library)
    table = Table.learn(PEOPLE)
    frame = module.DataFrame({**PEOPLE, "since": PEOPLE["since"].astype("datetime64[us]")})
    np.testing.assert_array_equal(table.encode(frame), table.encode(PEOPLE))
    turned = frame[frame.columns[::-1]]  # the order of columns doesn't matter
    np.testing.assert_array_equal(table.encode(turned), table.encode(PEOPLE))


def test_neighbours_merge_but_not_categories():
    frame = {"a": [1.0, 2.0], "b": [1, 2], "c": ["x", "y"], "d": ["x", "y"], "e": [1.0, 2.0]}
    table = Table.learn(frame, likelihoods={"b": "student_t"})
    assert table.columns == [
        ("gaussian", 1), ("student_t", 1), ("categorical", 2), ("categorical", 2), ("gaussian", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("likelihood", "values", "encoded"),
    [
        ("laplace", [0, 2], [-1, 1]),
        ("student_t", [0.0, 2.0], [-1, 1]),
        ("poisson", [0, 2], [0, 2]),
        ("negative_binomial", [1.0, np.nan, 3.0], [1, np.nan, 3]),
        ("bernoulli", [0, 1], [0, 1]),
        ("bernoulli", [0.25, 1.0], [0.25, 1]),
        ("continuous_bernoulli", [0.25, 0.5], [0.25, 0.5]),
    ],
)
def test_likelihoods_that_are_chosen(likelihood, values, encoded):
    table = Table.learn({"x": values}, likelihoods={"x": likelihood})
    assert table.columns == [(likelihood, 1)]
    X = table.encode({"x": values})
    np.testing.assert_array_equal(X[:, 0], encoded)
    np.testing.assert_array_equal(table.decode(X)["x"], values)


def test_numbers_as_categories():
    frame = {"grade": [3, 1, 3], "half": [0.5, np.nan, 1.5], "yes": [True, False, True]}
    table = Table.learn(frame, likelihoods=dict.fromkeys(frame, "categorical"))
    assert table.names == ["grade=1", "grade=3", "half=0.5", "half=1.5", "yes=False", "yes=True"]
    after = stored(table).decode(table.encode(frame))
    for name, values in frame.items():
        np.testing.assert_array_equal(after[name], values)
        assert after[name].dtype == np.asarray(values).dtype


def test_a_likelihood_chosen_for_a_count():
    table = Table.learn(
        {"n": [1, 2], "m": [1, 2]}, counts=["n", "m"], likelihoods={"m": "negative_binomial"}
    )
    assert table.columns == [("poisson", 1), ("negative_binomial", 1)]


@pytest.mark.parametrize("value", [5, 0.1, "x", np.datetime64("2020-02-29T12:00:00.123456789")])
def test_a_constant_column_is_left_out_and_comes_back(value):
    frame = {"same": np.array([value] * 3), "x": [1, 2, 3]}
    table = Table.learn(frame)
    assert table.columns == [("gaussian", 1)]
    after = stored(table).decode(table.encode(frame))["same"]
    assert after.dtype == frame["same"].dtype
    if after.dtype.kind == "M":  # float64 seconds keep these to a microsecond
        assert (np.abs(after - frame["same"]) < np.timedelta64(1, "us")).all()
    else:
        np.testing.assert_array_equal(after, frame["same"])


def test_wide_and_narrow_spreads():
    frame = {"huge": [-1e100, 1e100, 0.0], "tiny": [0.0, 1e-99, 2e-99], "far": [1e9, 1e9 + 1, 1e9]}
    after = round_trip(frame)
    for name, values in frame.items():
        assert_close(np.array(values), after[name])
    assert len(set(after["tiny"])) == 3


def test_unseen_categories_as_missing():
    table = Table.learn({"c": ["x", "y"], "one": [1, 1]})
    frame = {"c": ["x", "new"], "one": [1, 2]}
    X = table.encode(frame, unseen="missing")
    np.testing.assert_array_equal(X, [[1, 0], [np.nan, np.nan]])
    with pytest.raises(ValueError, match="unseen='drop'"):
        table.encode(frame, unseen="drop")


def test_a_column_that_is_all_missing_in_other_rows():
    table = Table.learn(PEOPLE)
    X = table.encode({name: [None] for name in PEOPLE})
    assert X.shape == (1, table.width)
    assert np.isnan(X).all()


def test_no_rows_are_decoded_to_no_rows():
    table = Table.learn(PEOPLE)
    after = table.decode(np.zeros((0, table.width)), random_state=0)
    assert list(after) == list(PEOPLE)
    assert all(len(values) == 0 for values in after.values())


# Decimals and ranges -----------------------------------------------------------------------------


def test_prices_come_back_with_their_cents():
    rng = np.random.default_rng(0)
    cents = rng.integers(1, 10_000_000, 50_000)  # up to 99,999.99
    frame = {
        "price": cents / 100,
        "discount": np.where(rng.random(50_000) < 0.3, np.nan, rng.integers(0, 1_000, 50_000) / 10),
        "weight": (rng.integers(0, 60_000, 50_000) / 1_000).astype(np.float32),
        "whole": rng.integers(-500, 500, 50_000).astype(float),
        "pieces": rng.integers(0, 9_000_000, 50_000),
    }
    after = round_trip(frame)
    for name, values in frame.items():
        np.testing.assert_array_equal(after[name], values)
        assert after[name].dtype == values.dtype
    assert [source.decimals for source in Table.learn(frame).sources] == [2, 1, 3, 0, None]


def test_decoded_numbers_keep_the_decimals_and_the_range():
    frame = {
        "price": [1.99, 20.5, np.nan, 8.75],
        "children": [0, 3, 1, 0],
        "visits": [0, 3, 1, 0],
        "day": np.array(["2024-01-01", "2024-03-01", "NaT", "2024-02-01"], "datetime64[D]"),
        "length": [1 / 3, 2 / 3, 0.1, 0.2],  # needs more than six decimals
    }
    table = Table.learn(frame, counts=["visits"])
    rng = np.random.default_rng(0)
    X = rng.normal(scale=3, size=(500, 5))
    X[:, 2] = rng.poisson(4, size=500)
    after = table.decode(X)
    price = after["price"]
    assert (price == np.round(price, 2)).all() and price.min() == 1.99 and price.max() == 20.5
    for name in ("children", "visits"):
        assert set(after[name].tolist()) == {0, 1, 2, 3}
    assert after["day"].min() == np.datetime64("2024-01-01")
    assert after["day"].max() == np.datetime64("2024-03-01")
    assert after["length"].min() == pytest.approx(0.1) and after["length"].max() == 2 / 3
    assert len(set(after["length"])) > 50


def test_sums_of_cents_count_as_cents():
    frame = {"sum": [0.1 + 0.2, 0.7 + 0.1, 1.1]}  # 0.30000000000000004, 0.7999999999999999
    assert Table.learn(frame).sources[0].decimals == 1
    assert Table.learn({"x": [1e-9, 2e-9, 3.0]}).sources[0].decimals is None


def test_tables_of_earlier_versions_load():
    frame = {"price": [1.25, 2.5], "n": [1, 2]}
    table = without_ranges(Table.learn(frame))
    assert table.sources[0].decimals is table.sources[0].low is None
    assert table.decode([[9.0, 9.0]])["n"].tolist() == [6]


# Decoding ----------------------------------------------------------------------------------------


def test_decoded_numbers_fit_their_types():
    frame = {
        "small": np.array([0, 255], np.uint8),
        "large": np.array([-(2**63), 2**63 - 1], np.int64),
        "half": np.array([-1, 1], np.float16),
        "day": np.array(["1970-01-01", "1970-01-03"], "datetime64[ns]"),
    }
    table = without_ranges(Table.learn(frame))
    X = np.vstack([np.full(4, 1e30), np.full(4, -1e30), np.zeros(4)])
    after = table.decode(X)
    assert after["small"].tolist() == [255, 0, 128]
    assert after["large"].tolist() == [2**63 - 1024, -(2**63), 0]
    assert after["half"].tolist() == [65504, -65504, 0]
    assert not np.isnat(after["day"]).any()
    assert after["day"][2] == np.datetime64("1970-01-02")


@pytest.mark.parametrize(("every", "unit"), [(1, "D"), (6, "h"), (20, "m"), (7, "s")])
def test_dates_come_back_as_whole_units(every, unit):
    ticks = np.random.default_rng(0).integers(0, 4_000, 500) * every
    days = np.datetime64("1990-01-01") + ticks * np.timedelta64(1, unit)
    frame = {"day": days.astype("datetime64[ns]")}
    table = Table.learn(frame)
    np.testing.assert_array_equal(table.decode(table.encode(frame))["day"], frame["day"])


def test_whole_numbers_are_rounded():
    table = Table.learn({"n": [0, 10], "count": [0, 9]}, counts=["count"])
    assert table.columns == [("gaussian", 1), ("poisson", 1)]
    after = table.decode([[0.09, 2.6], [-0.11, 2.4]])
    assert after["n"].tolist() == [5, 4]
    assert after["count"].tolist() == [3, 2]


def test_categories_by_probability():
    frame = {"c": ["x", "y", "z"], "b": [True, False, True], "i": [1, 0, 1]}
    table = Table.learn(frame, likelihoods={"i": "bernoulli"})
    after = table.decode([[0.2, 0.5, 0.3, 0.5, 0.5], [0.6, 0.1, 0.3, 0.49, 0.49]])
    assert after["c"].tolist() == ["y", "x"]
    assert after["b"].tolist() == [True, False]
    assert after["i"].tolist() == [1, 0]


def test_categories_drawn():
    table = Table.learn({"c": ["x", "y", "z"], "b": [0, 1, 1]}, likelihoods={"b": "bernoulli"})
    n = 20_000
    X = np.tile([1.0, 0.0, 3.0, 0.3], (n, 1))  # the weights need not add up to 1
    after = table.decode(X, random_state=0)
    share = {c: np.mean(after["c"] == c) for c in "xyz"}
    assert share["x"] == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / n))
    assert share["y"] == 0
    assert after["b"].dtype == np.asarray([0]).dtype
    assert after["b"].mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / n))
    again = table.decode(X, random_state=np.random.default_rng(0))
    np.testing.assert_array_equal(after["c"], again["c"])
    assert (table.decode(X, random_state=1)["c"] != after["c"]).any()


def test_missing_values_stay_missing_when_drawn():
    table = Table.learn({"c": ["x", "y", None], "b": [True, False, None]})
    after = table.decode(np.full((2, 3), np.nan), random_state=0)
    assert after["c"].tolist() == [None, None]
    assert after["b"].tolist() == [None, None]


# Any frame ---------------------------------------------------------------------------------------

numbers = st.floats(-1e6, 1e6).map(lambda x: x if abs(x) > 1e-30 else 0.0) | st.just(1e90)
KINDS = {
    "number": numbers,
    "integer": st.integers(-(2**20), 2**20),
    "boolean": st.booleans(),
    "text": st.text(max_size=3),
    "date": st.integers(-(2**31), 2**32).map(lambda s: np.datetime64(s, "s")),
    "duration": st.integers(-(2**20), 2**20).map(lambda s: np.timedelta64(s, "s")),
}


@st.composite
def columns(draw):
    """Draw columns of one kind of value each, with None where missing. One column varies."""
    n = draw(st.integers(2, 6))
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    frame = {}
    for i, kind in enumerate(kinds):
        values = draw(st.lists(KINDS[kind], min_size=n, max_size=n))
        gaps = draw(st.lists(st.booleans(), min_size=n, max_size=n))
        gaps[draw(st.integers(0, n - 1))] = False  # at least one value is known
        frame[f"{kind} {i}"] = [
            None if gap else v for v, gap in zip(values, gaps, strict=True)
        ]  # fmt: skip
    frame["varies"] = list(range(n))
    return frame


def is_constant(values):
    return len(set(values) - {None}) == 1 and not any(isinstance(v, bool) for v in values)


def assert_round_trip(frame, as_frame, to_list):
    """Assert that types, names and values come back, and missing values unless constant."""
    before = as_frame(frame)
    after = round_trip(before)
    assert list(after.columns) == list(before.columns)
    for name, values in frame.items():
        assert after[name].dtype == before[name].dtype
        old, new = to_list(before[name]), to_list(after[name])
        if is_constant(values):
            (value,) = set(values) - {None}
            old = [value if gap is None else gap for gap in old]
        assert [v is None for v in old] == [v is None for v in new]
        old = [v for v in old if v is not None]
        new = [v for v in new if v is not None]
        if name.startswith(("date", "duration")):
            old, new = (np.array(v, "M8[us]" if "date" in name else "m8[us]") for v in (old, new))
        assert_close(np.array(old), np.array(new))


def numpy_array(name, values):
    """Convert a list to the array in which pandas keeps it."""
    kind = name.split()[0]
    if kind in ("date", "duration"):
        letter = "M" if kind == "date" else "m"
        return np.array(["NaT" if v is None else v for v in values], f"{letter}8[us]")
    if kind == "number":
        return np.array(values, float)
    return values


@settings(max_examples=40, deadline=None)
@given(columns())
def test_any_pandas_frame(frame):
    pandas = pytest.importorskip("pandas")

    def as_frame(frame):
        return pandas.DataFrame({name: numpy_array(name, v) for name, v in frame.items()})

    def to_list(series):
        return [None if gap else v for v, gap in zip(series, series.isna(), strict=True)]

    assert_round_trip(frame, as_frame, to_list)


@settings(max_examples=40, deadline=None)
@given(columns())
def test_any_polars_frame(frame):
    polars = pytest.importorskip("polars")

    def as_frame(frame):
        made = {}
        for name, values in frame.items():
            array = numpy_array(name, values)
            made[name] = polars.Series(array, strict=False)
            if isinstance(array, np.ndarray):
                made[name] = made[name].fill_nan(None) if array.dtype.kind == "f" else made[name]
        return polars.DataFrame(made)

    assert_round_trip(frame, as_frame, lambda series: series.to_list())


@settings(max_examples=40, deadline=None)
@given(columns())
def test_any_dict(frame):
    frame = {name: numpy_array(name, values) for name, values in frame.items()}
    after = round_trip(frame)
    assert list(after) == list(frame)
    for name, values in frame.items():
        gaps = np.array([v is None or v != v for v in values])
        new = after[name]
        if is_constant([None if gap else v for v, gap in zip(values, gaps, strict=True)]):
            gaps = np.zeros(len(gaps), bool)
            values = [next(v for v in values if v is not None and v == v)] * len(gaps)
        kind = object if name.startswith("text") else None
        assert_close(np.array(values, dtype=kind)[~gaps], new[~gaps])
        assert all(v is None or v != v for v in new[gaps])


def test_every_type_of_pandas():
    pandas = pytest.importorskip("pandas")
    day = pandas.Series(pandas.to_datetime(["2020-02-29", None, "2021-03-01"]))
    frame = pandas.DataFrame(
        {
            "Int8": pandas.array([1, None, 127], dtype="Int8"),
            "UInt64": pandas.array([1, None, 2**40], dtype="UInt64"),
            "Float32": pandas.array([1.5, None, 2.5], dtype="Float32"),
            "boolean": pandas.array([True, None, False], dtype="boolean"),
            "string": pandas.array(["a", None, "b"], dtype="string"),
            "ordered": pandas.Categorical(
                ["low", None, "high"], categories=["low", "mid", "high"], ordered=True
            ),
            "codes": pandas.Categorical([7, 3, 7]),
            "day": day,
            "Berlin": day.dt.tz_localize("Europe/Berlin"),
            "fixed": day.dt.tz_localize("UTC+02:00"),
            "span": day - day[0],
            "object text": pandas.Series(["a", None, "b"], dtype=object),
            "object int": pandas.Series([10**6, None, -3], dtype=object),
            "object bool": pandas.Series([True, None, False], dtype=object),
            0: np.array([1, 2, 3], np.int16),
            "halves": np.array([0.5, 1.5, 2.5], np.float16),
        }
    )
    after = round_trip(frame)
    dates = ["day", "Berlin", "fixed", "span"]
    pandas.testing.assert_frame_equal(after.drop(columns=dates), frame.drop(columns=dates))
    assert list(after.columns) == list(frame.columns)
    for name in dates:
        assert after[name].dtype == frame[name].dtype
        difference = (after[name] - frame[name]).dt.total_seconds()
        assert difference.isna().tolist() == [False, True, False]
        assert difference.abs().max() < 5  # seconds, for dates within a year
    assert Table.learn(frame).names[5:9] == ["string=b", "ordered=low", "ordered=mid",
                                             "ordered=high"]  # fmt: skip


def test_every_type_of_polars():
    polars = pytest.importorskip("polars")
    testing = pytest.importorskip("polars.testing")
    ticks = polars.Series([0, None, 4_000])
    frame = polars.DataFrame(
        {
            "Int8": polars.Series([1, None, 127], dtype=polars.Int8),
            "UInt64": polars.Series([1, None, 2**40], dtype=polars.UInt64),
            "Float32": polars.Series([1.5, None, 2.5], dtype=polars.Float32),
            "Boolean": [True, None, False],
            "String": ["a", None, "b"],
            "Categorical": polars.Series(["a", None, "b"], dtype=polars.Categorical),
            "Enum": polars.Series(["a", None, "b"], dtype=polars.Enum(["b", "c", "a"])),
            "Date": ticks.cast(polars.Int32).cast(polars.Date),
            "Datetime": ticks.cast(polars.Datetime("ms")),
            "Berlin": ticks.cast(polars.Datetime("ms", "Europe/Berlin")),
            "Duration": ticks.cast(polars.Duration("ms")),
        }
    )
    testing.assert_frame_equal(round_trip(frame), frame)
    assert [n for n in Table.learn(frame).names if "Enum" in n] == ["Enum=b", "Enum=c", "Enum=a"]


def test_decoded_extremes_fit_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {"u": [0, 255], "d": [0, 9]}, schema={"u": polars.UInt8, "d": polars.Int32}
    )
    frame = frame.with_columns(polars.col("d").cast(polars.Date))
    after = without_ranges(Table.learn(frame)).decode([[1e30, 1e30], [-1e30, -1e30]])
    assert after["u"].to_list() == [255, 0]
    assert after["d"].to_physical().to_list() == [2**31 - 1, 1 - 2**31]


def test_a_model_file_from_another_machine():
    """A table learned from pandas is decoded by a caller that has not imported pandas."""
    pytest.importorskip("pandas")
    code = (
        "import sys, json, vaefast.tables as t\n"
        "d = {'x': [1, 2], 's': ['a', None]}\n"
        "table = t.Table.learn(d); X = table.encode(d)\n"
        "assert not {'pandas', 'polars'} & set(sys.modules)\n"
        "plain = table.to_dict() | {'library': 'pandas'}\n"
        "frame = t.Table.from_dict(plain).decode(X)\n"
        "assert type(frame).__name__ == 'DataFrame' and frame['x'].tolist() == [1, 2]\n"
        "sys.modules['polars'] = None\n"
        "try:\n"
        "    t.Table.from_dict(plain | {'library': 'polars'}).decode(X)\n"
        "except ImportError as error:\n"
        "    assert 'pip install polars' in str(error)\n"
        "else:\n"
        "    raise AssertionError('polars was there')\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
