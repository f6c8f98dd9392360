"""The comparison of a synthetic table with the real one, as figures and as a page."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path

import numpy as np
import pytest

from commands import fail, succeed
from vaefast.report import compare, distances, write_page

N = 1_200


def table(seed: int, n: int = N) -> dict[str, np.ndarray]:
    """Return rows in which the city says much about the income."""
    rng = np.random.default_rng(seed)
    city = np.array(["Oslo", "Rome"])[rng.integers(0, 2, n)]
    income = np.where(
        rng.random(n) < 0.3, 0, np.where(city == "Oslo", 80, 30) + rng.normal(0, 5, n)
    )
    gaps = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    return {
        "id": np.arange(n),
        "city": city,
        "income": income,
        "rich": (income > 40) ^ (rng.random(n) < 0.05),
        "gaps": gaps,
        "day": np.datetime64("2024-01-01") + rng.integers(0, 300, n).astype("m8[D]"),
    }


def shuffled(frame: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9)
    return {name: rng.permutation(values) for name, values in frame.items()}


def test_a_second_sample_is_as_good_as_the_first():
    found = compare(table(0), table(1), held_out=table(2), target="rich")
    assert found.rows == (N, N) and found.left_out == ("id",)
    assert [column.name for column in found.columns] == ["city", "income", "rich", "gaps", "day"]
    assert found.difference < 0.06 and found.association_difference < 0.05
    assert found.prediction is not None and found.distances is not None
    assert found.prediction.measure == "AUC"
    assert found.prediction.synthetic == pytest.approx(found.prediction.real, abs=0.05)
    assert found.prediction.real > 0.9
    assert found.distances.nearer_to_training == pytest.approx(0.5, abs=0.06)
    assert sum(found.impossible.values()) < 0.01


def test_shuffled_columns_have_no_associations_and_predict_nothing():
    found = compare(table(0), shuffled(table(0)), target="rich")
    assert found.difference == 0
    city, income = 0, 1
    assert found.real[city, income] > 0.6 > 0.2 > found.synthetic[city, income]
    assert found.prediction is not None and found.prediction.synthetic < 0.65
    assert found.distances is None


def test_names_of_the_rows_may_be_absent():
    made = {name: values for name, values in table(1).items() if name != "id"}
    assert compare(table(0), made, held_out=made).left_out == ("id",)


def test_copies_show_in_the_distances():
    found = distances(table(0), table(0), table(1))
    assert found.copies == (1, 0) and found.nearer_to_training == 1
    assert (found.training == 0).all() and found.held_out.min() > 0
    assert "100.0% of the synthetic rows are nearer" in str(found)


def test_impossible_values():
    frame = table(1)
    frame["city"] = np.where(np.arange(N) < 12, "Paris", frame["city"])
    frame["income"] = np.where(np.arange(N) < 24, 1e6, frame["income"])
    frame["rich"] = np.array([None] * 6 + frame["rich"][6:].tolist(), dtype=object)
    frame["gaps"] = np.full(N, np.nan)
    found = compare(table(0), frame)
    assert found.impossible["city"] == pytest.approx(0.01)
    assert found.impossible["income"] == pytest.approx(0.02, abs=0.003)
    assert found.impossible["rich"] == pytest.approx(0.005)
    assert found.impossible.get("gaps", 0) == 0, "the real column has gaps too"
    assert {c.name: c.gaps for c in found.columns}["gaps"][1] == 1


def test_differences_are_what_they_say():
    real = {"c": ["a"] * 50 + ["b"] * 50, "x": np.arange(100) % 97 / 7}
    made = {"c": ["a"] * 90 + ["c"] * 10, "x": np.arange(100) % 97 / 7 + 1000}
    columns = {column.name: column for column in compare(real, made).columns}
    assert columns["c"].difference == pytest.approx(0.5)
    assert columns["c"].labels == ("a", "b", "others")
    np.testing.assert_allclose(columns["c"].synthetic, [0.9, 0, 0.1])
    assert columns["x"].difference == 1


@pytest.mark.parametrize(
    ("target", "measure"), [("income", "R²"), ("city", "AUC"), ("three", "accuracy")]
)
def test_any_kind_of_target(target, measure):
    frames = [table(seed) for seed in range(3)]
    for frame in frames:
        frame["three"] = np.digitize(frame["income"], [10, 50])
    found = compare(frames[0], frames[1], held_out=frames[2], target=target).prediction
    assert found is not None and found.measure == measure
    assert found.synthetic > found.baseline + 0.2


class Tags(html.parser.HTMLParser):
    """Reads a page: open tags must be closed, and nothing is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href"} & {name for name, _ in attributes}
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href"} & {name for name, _ in attributes}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_other_file_and_escapes_names(tmp_path: Path):
    def named(frame: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {("<b>&" if name == "city" else name): values for name, values in frame.items()}

    found = compare(named(table(0)), named(table(1)), held_out=named(table(2)), target="rich")
    write_page(found, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    reader = Tags()
    reader.feed(text)
    assert not reader.open and "<script" not in text and "http" not in text
    assert "&lt;b&gt;&amp;" in text and "<b>&" not in text
    assert "nan" not in re.sub(r"<style>.*</style>", "", text, flags=re.S).lower()
    assert len(text) < 100_000


@pytest.mark.parametrize("columns", [1, 100])
def test_few_and_many_columns(columns: int, tmp_path: Path):
    rng = np.random.default_rng(0)
    frames = [{f"x{i}": rng.normal(size=150) for i in range(columns)} for _ in range(2)]
    found = compare(*frames)
    write_page(found, tmp_path / "page.html")
    assert found.real.shape == (columns, columns)
    assert ("Pairs of columns" in (tmp_path / "page.html").read_text("utf-8")) == (columns > 1)


def test_a_constant_column_and_two_rows(tmp_path: Path):
    frame = {"x": [1.0, 1.0], "y": ["a", "b"], "none": [None, None]}
    found = compare(frame, frame)
    assert found.difference == 0 and found.left_out == ("none",)
    write_page(found, tmp_path / "page.html")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"city": None}, {}, "lacks columns of the real table: city"),
        ({"income": ["much"] * N}, {}, "'income' holds numbers in the real table, but text"),
        ({}, {"target": "town"}, "target='town' is not one of"),
        ({}, {"target": "id"}, "target='id' is not one of"),
    ],
)
def test_tables_that_cannot_be_compared(change, options, words):
    made = {name: v for name, v in (table(1) | change).items() if v is not None}
    with pytest.raises(ValueError, match=words):
        compare(table(0), made, **options)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("real.csv", "made.csv", "more.csv")):
        pandas.DataFrame(table(i, 300)).to_csv(name, index=False)
    output = succeed("report", "real.csv", "made.csv", "--held-out", "more.csv", "--target", "rich")
    assert "300 real and 300 synthetic rows of 5 columns" in output
    assert "AUC of rich on real rows" in output and "Wrote report.html" in output
    assert "AUC of rich" in Path("report.html").read_text("utf-8")
    assert "--force" in fail("report", "real.csv", "made.csv")
    Path("one.csv").write_text("city\nOslo\n")
    assert "lacks columns" in fail("report", "real.csv", "one.csv", "--out", "other.html")
