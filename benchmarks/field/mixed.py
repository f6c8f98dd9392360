"""Mixed tables of the suite tables, and what no row of them can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from . import data

CITIES = {
    "Aarhus": "Denmark",
    "Bergen": "Norway",
    "Ghent": "Belgium",
    "Odense": "Denmark",
    "Oslo": "Norway",
    "Utrecht": "Netherlands",
}
RIDES = 6_000


@dataclass(frozen=True)
class Mixed:
    """A table, the column that a classifier predicts, and rows that cannot be.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows.
    target : str
        Column with two values.
    impossible : callable
        Returns which rows of a frame cannot be, as an array of bool.
    """

    frame: Any
    target: str
    impossible: Callable[[Any], Any]


@lru_cache(maxsize=1)
def table(name: str) -> Mixed:
    """Return "adult", "breast_cancer" or "rides"."""
    if name == "rides":
        return Mixed(rides(), "renewed", _impossible_ride)
    if name == "breast_cancer":
        from sklearn.datasets import load_breast_cancer

        frame = load_breast_cancer(as_frame=True).frame
        frame["target"] = frame["target"].map({0: "malignant", 1: "benign"}).astype(object)
        return Mixed(frame, "target", _impossible_tumour)
    frame = data.adult()
    numbers = frame.groupby("education")["education-num"].first().to_dict()
    return Mixed(frame, "Salary", lambda rows: _impossible_person(rows, numbers))


def rides() -> Any:
    """Return a drawn table of bicycle rides with dates, missing values and dependent columns.

    A ride starts after its rider became a member and ends after it started. A bicycle that was not
    brought back has no end. The city determines the country. Ages are missing in a tenth of the
    rows, and ratings mostly after short rides.
    """
    import pandas as pd

    rng = np.random.default_rng(2024)
    n = RIDES
    city = rng.choice(list(CITIES), n, p=[0.25, 0.1, 0.15, 0.1, 0.25, 0.15])
    plan = np.where(rng.random(n) < 0.3, "day", np.where(rng.random(n) < 0.6, "month", "year"))
    age = np.clip(np.round(16 + rng.gamma(3, 8, n)), 16, 90)
    joined = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    start = joined + pd.to_timedelta(np.ceil(rng.exponential(100, n) * 1440), unit="min")
    electric = rng.random(n) < np.where(plan == "year", 0.5, 0.25)
    minutes = np.ceil(rng.lognormal(3.0 + 0.4 * (plan == "day"), 0.6, n))
    distance = np.round(minutes * rng.normal(0.25 + 0.08 * electric, 0.03, n).clip(0.05), 2)
    rating = np.clip(np.round(3.2 + 1.2 * electric + rng.normal(0, 1, n)), 1, 5)
    odds = 1.2 * (plan == "year") - 0.5 * (plan == "day") + 0.5 * (rating - 3.5) - 0.02 * (age - 40)
    renewed = rng.random(n) < 1 / (1 + np.exp(-odds))
    ended = pd.Series(start + pd.to_timedelta(minutes, unit="min"))
    return pd.DataFrame(
        {
            "city": city.astype(object),
            "country": np.array([CITIES[name] for name in city], dtype=object),
            "plan": plan.astype(object),
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "electric": electric,
            "joined": joined,
            "started": start,
            "ended": ended.mask(rng.random(n) < 0.04),
            "km": distance,
            "rating": np.where(rng.random(n) < 1 / (1 + minutes / 10), np.nan, rating),
            "renewed": np.where(renewed, "yes", "no").astype(object),
        }
    )


def _impossible_ride(rows: Any) -> Any:
    return (
        (rows["started"] < rows["joined"])
        | (rows["ended"] <= rows["started"])
        | (rows["country"] != rows["city"].map(CITIES))
        | (rows["age"] < 16)
        | (rows["km"] <= 0)
        | ((rows["rating"] < 1) | (rows["rating"] > 5))
    ).to_numpy(bool)


def _impossible_tumour(rows: Any) -> Any:
    """Return whether a measure is negative, or the mean of a measure above its largest value."""
    numbers = rows.drop(columns="target")
    wrong = (numbers < 0).any(axis=1)
    for name in numbers:
        if name.startswith("mean "):
            wrong |= rows[name] > rows["worst " + name.removeprefix("mean ")]
    return wrong.to_numpy(bool)


def _impossible_person(rows: Any, numbers: dict[str, int]) -> Any:
    """Return whether education and its number differ, a spouse has the other sex, or age is low."""
    education = rows["education"].map(numbers).astype(float)
    return (
        (education != rows["education-num"].astype(float))
        | ((rows["relationship"] == "Husband") & (rows["sex"] == "Female"))
        | ((rows["relationship"] == "Wife") & (rows["sex"] == "Male"))
        | (rows["age"] < 17)
        | (rows["hours-per-week"] < 1)
        | (rows["capital-gain"] < 0)
        | (rows["capital-loss"] < 0)
    ).to_numpy(bool)
