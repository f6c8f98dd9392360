"""Errors of tables: frames, choices of likelihoods, numbers and stored data."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        ([[1, 2]], TypeError, ["DataFrame", "list"]),
        ({}, ValueError, ["no columns"]),
        ({"x": []}, ValueError, ["no rows"]),
        ({"x": [1, 2], "y": [1]}, ValueError, ["'x' has 2 rows", "'y' has 1"]),
        ({"x": "text"}, TypeError, ["'x'", "list or an array"]),
        ({"x": 5}, TypeError, ["'x'", "list or an array"]),
        ({"x": np.zeros((2, 2))}, ValueError, ["'x'", "(2, 2)"]),
        ({"x": [[1], [2]]}, TypeError, ["'x'", "a list in row 0"]),
        ({"x": [1, None, (2,)]}, TypeError, ["'x'", "a tuple in row 2"]),
        ({"x": [datetime.date(2020, 1, 1)]}, TypeError, ["'x'", "a date", "datetime64"]),
        ({"x": [1, "a"]}, TypeError, ["'x'", "a mixture of"]),
        ({"x": [1, True]}, TypeError, ["'x'", "a mixture of"]),
        ({"x": np.array([1j])}, TypeError, ["'x'", "complex"]),
        ({"x": np.array([b"a"])}, TypeError, ["'x'", "|S1"]),
        ({"x": np.array(["2020-01"], "M8[M]")}, TypeError, ["'x'", "datetime64[M]", "units"]),
        ({"x": np.ma.masked_array([1, 2], [0, 1])}, TypeError, ["'x'", "masked"]),
        ({"x": [None, None], "y": [1, 2]}, ValueError, ["'x'", "missing values only"]),
        ({"x": np.array([np.nan])}, ValueError, ["'x'", "missing values only"]),
        ({"x": [1.0, np.inf]}, ValueError, ["'x'", "row 1", "inf"]),
        ({"x": [1, 10**400]}, ValueError, ["'x'", "row 1", "inf"]),
        ({"x": [1e308, -1e308]}, ValueError, ["'x'", "1e+308", "rescale"]),
        ({"x": [0.0, 1e-200]}, ValueError, ["'x'", "1e-200", "rescale"]),
        ({"x": [7, 7], "y": ["a", "a"]}, ValueError, ["every column has one value"]),
        ({(1, 2): [1, 2]}, TypeError, ["(1, 2)", "name"]),
    ],
)
def test_frames_that_are_not_learned(frame, error, words):
    with pytest.raises(error) as caught:
        Table.learn(frame)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"likelihoods": {"size": "gaussian"}}, ValueError, ["'size'", "no column"]),
        ({"counts": ["size"]}, ValueError, ["'size'", "no column"]),
        ({"counts": "visits"}, TypeError, ["'visits'", "list"]),
        ({"likelihoods": {"age": "normal"}}, ValueError, ["'age'", "'normal'", "gaussian"]),
        ({"likelihoods": {"city": "gaussian"}}, ValueError, ["'city'", "text", "categorical"]),
        ({"likelihoods": {"member": "gaussian"}}, ValueError, ["'member'", "bernoulli"]),
        ({"likelihoods": {"since": "poisson"}}, ValueError, ["'since'", "dates", "student_t"]),
        ({"counts": ["height"]}, ValueError, ["'height'", "row 0", "1.62", "not a whole number"]),
        ({"likelihoods": {"age": "bernoulli"}}, ValueError, ["'age'", "row 0", "31", "[0, 1]"]),
    ],
)
def test_likelihoods_that_do_not_fit(options, error, words):
    with pytest.raises(error) as caught:
        Table.learn(PEOPLE, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": None, "city": None}, ["lacks", "'age', 'city'"]),
        ({"size": [1] * 4}, ["did not learn", "'size'"]),
        ({"city": ["Rome", "Rome", "Paris", "Rome"]}, ["'city'", "row 2", "'Paris'", "'Oslo'"]),
        ({"planet": ["Earth", "Mars", "Earth", "Earth"]}, ["'planet'", "row 1", "'Mars'"]),
        ({"age": ["a"] * 4}, ["'age'", "whole numbers", "text"]),
        ({"age": [True] * 4}, ["'age'", "whole numbers", "booleans"]),
        ({"city": [1, 2, 3, 4]}, ["'city'", "text", "whole numbers"]),
        ({"height": [1, 2, -np.inf, 3]}, ["'height'", "row 2", "-inf"]),
        ({"height": [1, 2, 3, 1e300]}, ["'height'", "row 3", "1e+300", "too far"]),
        ({"visits": [0, -2, 0, 0]}, ["'visits'", "row 1", "-2", "below 0"]),
        ({"visits": [0, 0.5, 0, 0]}, ["'visits'", "row 1", "0.5", "not a whole number"]),
    ],
)
def test_frames_that_are_not_encoded(change, words):
    table = Table.learn(PEOPLE, counts=["visits"])
    frame = {name: values for name, values in {**PEOPLE, **change}.items() if values is not None}
    with pytest.raises(ValueError) as caught:
        table.encode(frame)
    for word in words:
        assert word in str(caught.value)


def test_a_date_in_an_error_is_a_date():
    day = np.array(["2020-02-29"], "datetime64[D]")
    table = Table.learn({"day": day.repeat(2), "x": [1, 2]})
    with pytest.raises(ValueError, match=r"row 1: 2020-03-01\S* is a new value.*2020-02-29"):
        table.encode({"day": np.array([day[0], day[0] + np.timedelta64(1, "D")]), "x": [1, 2]})


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros((2, 3)), ["(2, 3)", "(n, 4)"]),
        (np.zeros(4), ["(4,)", "(n, 4)"]),
        ([[0, 0, 1, np.inf]], ["row 0", "column 3", "n"]),
        ([[0.5, 0.5, 1, 0], [0.5, np.nan, 1, 0]], ["'c'", "row 1", "[0.5, nan]"]),
        ([[0, 0, 1, 0]], ["'c'", "row 0", "[0.0, 0.0]"]),
        ([[1, -1, 1, 0]], ["'c'", "row 0", "-1"]),
        ([[1, 0, 2, 0]], ["'b'", "row 0", "[0, 1]"]),
        ([[1, 0, 1, 0], [1, 0, 1, np.nan]], ["'n'", "int64", "row 1", "impute"]),
        ([[1, 0, np.nan, 0]], ["'b'", "bool", "row 0"]),
        ([[np.nan, np.nan, 1, 0]], ["'c'", "<U1", "row 0"]),
    ],
)
def test_numbers_that_are_not_decoded(X, words):
    frame = {"c": np.array(["x", "y"]), "b": [True, False], "n": np.array([1, 2], np.int64)}
    table = Table.learn(frame)
    with pytest.raises(ValueError) as caught:
        table.decode(X)
    for word in words:
        assert word in str(caught.value)


def test_random_states_that_are_none():
    table = Table.learn({"c": ["x", "y"]})
    for bad, error in ((-1, ValueError), (0.5, TypeError), ("x", TypeError)):
        with pytest.raises(error, match="random_state"):
            table.decode([[0.5, 0.5]], random_state=bad)


GOOD = Table.learn({"c": ["x", "y"], "n": [1, 2]}).to_dict()


@pytest.mark.parametrize(
    "data",
    [
        {},
        None,
        {"library": "dict"},
        {"library": "excel", "columns": GOOD["columns"]},
        {"library": "dict", "columns": []},
        {"library": "dict", "columns": GOOD["columns"] * 2},
        *(
            {"library": "dict", "columns": [{**GOOD["columns"][i], **change}]}
            for i, change in [
                (0, {"categories": []}),
                (0, {"categories": ["x", "x"]}),
                (0, {"categories": ["x", None]}),
                (0, {"categories": ["x", [1]]}),
                (0, {"categories": 5}),
                (0, {"likelihood": "gaussian"}),
                (0, {"dtype": {"kind": "magic", "name": "U1"}}),
                (0, {"dtype": "U1"}),
                (0, {"colour": "red"}),
                (0, {"name": None}),
                (1, {"scale": 0.0}),
                (1, {"scale": "1"}),
                (1, {"mean": float("nan")}),
                (1, {"decimals": -1}),
                (1, {"decimals": 2.5}),
                (1, {"low": float("inf")}),
                (1, {"high": "9"}),
                (1, {"categories": [1, 2]}),
            ]
        ),
    ],
)
def test_data_that_are_no_table(data):
    with pytest.raises(ValueError):
        Table.from_dict(data)


def test_pandas_frames_that_are_not_learned():
    pandas = pytest.importorskip("pandas")
    for frame, error, words in [
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "two columns.*'a'"),
        (pandas.DataFrame({("a", "b"): [1]}), ValueError, "levels"),
        (pandas.DataFrame(), ValueError, "no columns"),
        (pandas.DataFrame({"x": pandas.period_range("2020", periods=2, freq="M")}), TypeError,
         "'x'.*period.*astype"),
        (pandas.DataFrame({"x": pandas.cut([1, 2, 3], 2)}), ValueError, "'x'.*Interval.*text"),
        (pandas.DataFrame({"x": [[1], [2]]}), TypeError, "'x'.*a list in row 0"),
        (pandas.Series([1, 2]), TypeError, "Series"),
    ]:  # fmt: skip
        with pytest.raises(error, match=words):
            Table.learn(frame)


def test_polars_frames_that_are_not_learned():
    polars = pytest.importorskip("polars")
    for frame, error, words in [
        (polars.DataFrame({"x": [1]}).lazy(), TypeError, "LazyFrame; collect"),
        (polars.DataFrame(), ValueError, "no columns"),
        (polars.DataFrame({"x": [None]}), ValueError, "'x'.*missing values only"),
        (polars.DataFrame({"x": [[1], [2]]}), TypeError, "'x'.*List.*cast"),
        (polars.DataFrame({"x": [datetime.time(1)]}), TypeError, "'x'.*Time.*cast"),
    ]:
        with pytest.raises(error, match=words):
            Table.learn(frame)
