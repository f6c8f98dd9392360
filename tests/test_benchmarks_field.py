"""The comparison with other packages at a tiny size: halves, splits, resumption, statistics."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks.field import (  # noqa: E402
    anomalies,
    counts,
    data,
    features,
    gaps,
    mixed,
    report,
    results,
    suite,
    tables,
)
from benchmarks.field.__main__ import main  # noqa: E402
from benchmarks.field.results import Results  # noqa: E402
from benchmarks.field.suite import Figure, Method, Suite  # noqa: E402

LARGE = {"1_ALOI", "5_campaign", "8_celeba", "10_cover", "11_donors", "16_http", "22_magic.gamma",
         "32_shuttle", "33_skin", "34_smtp"}  # fmt: skip
FAMILIES = (
    {"19_landsat", "30_satellite"},
    {"4_breastw", "42_WBC", "43_WDBC", "46_WPBC"},
    {"16_http", "34_smtp"},
)


def number(name: str) -> int:
    return int(name.split("_")[0])


def field(*arguments: str, out: Path, code: int = 0) -> str:
    """Run the command and return its output."""
    result: Result = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def made_up_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data folder with a made-up table of ADBench, whose anomalies lie far out."""
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((100, 3)), np.arange(100) < 10
    rows[labels] += 6
    (tmp_path / "adbench").mkdir()
    np.savez(tmp_path / "adbench" / "45_wine.npz", X=rows, y=labels.astype(int))
    monkeypatch.setenv("VAEFAST_DATA", str(tmp_path))
    anomalies._split.cache_clear()
    gaps.table.cache_clear()
    return tmp_path


# ------------------------------------------------------------------ halves and splits


def test_the_halves_are_disjoint_and_keep_families_together():
    development, held_out = set(data.DEVELOPMENT), set(data.HELD_OUT)
    assert len(development) == len(held_out) == 15 and not development & held_out
    for family in FAMILIES:
        assert family <= development or family <= held_out


def test_the_other_tables_alternate_by_number_within_their_size():
    alone = set(data.DEVELOPMENT + data.HELD_OUT).difference(*FAMILIES)
    for names in (alone - LARGE, alone & LARGE):
        halves = [name in data.DEVELOPMENT for name in sorted(names, key=number)]
        assert halves == [i % 2 == 0 for i in range(len(halves))]


def test_a_split_is_stratified_and_fixed_by_its_seed():
    labels = np.arange(200) % 10 == 0
    train, test = data.split(labels, seed=3)
    assert len(train) == 140 and labels[train].sum() == 14 and labels[test].sum() == 6
    assert sorted([*train, *test]) == list(range(200))
    np.testing.assert_array_equal(train, data.split(labels, seed=3)[0])
    assert (train != data.split(labels, seed=4)[0]).any()


def test_a_limit_draws_rows_by_the_seed():
    assert list(data.at_most(5, 10, seed=0)) == [0, 1, 2, 3, 4]
    drawn = data.at_most(1000, 10, seed=0)
    assert len(set(drawn)) == 10
    np.testing.assert_array_equal(drawn, data.at_most(1000, 10, seed=0))


def test_columns_are_standardized_by_the_training_rows():
    train, test = data.standardized(np.array([[1.0, 5], [3, 5]]), np.array([[4.0, 6]]))
    np.testing.assert_array_equal(train, [[-1, 0], [1, 0]])
    np.testing.assert_array_equal(test, [[2, 1]])


def test_a_missing_table_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("VAEFAST_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="VAEFAST_DATA"):
        data.adbench("45_wine")
    monkeypatch.setenv("VAEFAST_DATA", str(tmp_path))
    message = field("anomalies", "--method", "KNN", "--seeds", "1", out=tmp_path, code=1)
    assert str(tmp_path / "adbench" / "2_annthyroid.npz") in message


# ------------------------------------------------------------------ statistics


def test_means_and_standard_errors():
    assert results.mean_and_error([1, 2, 3]) == pytest.approx((2, 1 / math.sqrt(3)))
    mean, error = results.mean_and_error([4])
    assert mean == 4 and math.isnan(error)
    # Two cells with errors of 1 and 2: the error of their mean is sqrt(1 + 4) / 2.
    cells = [[0, 2], [4, 8]]
    assert results.mean_over_cells(cells) == pytest.approx((3.5, math.sqrt(5) / 2))


def test_ranks_share_ties():
    scores = {"a": 0.9, "b": 0.7, "c": 0.9, "d": 0.1}
    assert results.ranks(scores, higher=True) == {"a": 1.5, "b": 3, "c": 1.5, "d": 4}
    assert results.ranks(scores, higher=False) == {"a": 3.5, "b": 2, "c": 3.5, "d": 1}
    assert results.ranks({"a": 0.1 + 0.2, "b": 0.3}, higher=True) == {"a": 1.5, "b": 1.5}
    cells = [{"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 3, "b": 2}]
    assert results.mean_ranks(cells, higher=True) == pytest.approx({"a": 5 / 3, "b": 4 / 3})


# ------------------------------------------------------------------ the loop and the report

SCORES = {("x", "vaefast"): 3.0, ("x", "peer"): 1.0, ("y", "vaefast"): 5.0, ("y", "peer"): 6.0}


def made_up_suite(measured: list[Any]) -> Suite:
    """Return a suite whose scores are known, and that writes down what it measures."""

    def measure(cell: str, seed: int, method: Method) -> dict[str, float | None]:
        measured.append((cell, seed, method.name))
        return {"score": SCORES[cell, method.name] + seed, "CPU seconds": 0.5}

    return Suite(
        groups={"Both": ("x", "y")},
        methods=(Method("vaefast", print), Method("peer", print, seeds=2)),
        figures=(Figure("score", 1, higher=True), Figure("CPU seconds", 1, higher=False)),
        measure=measure,
        notes="Nothing is measured.",
    )


def run(made: Suite, found: Results, seeds: int | None = None) -> list[str]:
    lines: list[str] = []
    suite.run(made, found, ["x", "y"], made.methods, seeds, {"cpu": "a test"}, lines.append)
    return lines


def test_finished_cells_are_never_measured_again(tmp_path):
    measured: list[Any] = []
    path = tmp_path / "made-up.jsonl"
    run(made_up_suite(measured), Results(path), seeds=1)
    assert len(measured) == 4
    with path.open("a") as file:
        file.write('{"cell": "x", "se')  # a process that was killed
    run(made_up_suite(measured), Results(path))
    assert len(measured) == len(set(measured)) == 2 * (5 + 2)
    assert len(Results(path).lines) == 14
    run(made_up_suite(measured), Results(path))
    assert len(measured) == 14


def test_a_method_that_fails_is_reported_and_tried_again(tmp_path):
    measured: list[Any] = []
    made = made_up_suite(measured)

    def fail(cell: str, seed: int, method: Method) -> dict[str, float | None]:
        raise ValueError("no luck")

    path = tmp_path / "made-up.jsonl"
    run(replace(made, measure=fail), Results(path), seeds=1)
    assert "peer failed in x, seeds 0: ValueError: no luck" in report.report(made, Results(path))
    run(made, Results(path), seeds=1)
    assert "failed" not in report.report(made, Results(path))


def test_the_report_keeps_losing_cells(tmp_path):
    made = made_up_suite([])
    found = Results(tmp_path / "made-up.jsonl")
    run(made, found)
    text = report.report(made, found)
    assert "### Both, 2 of 2 cells" in text
    # Over 5 seeds, 0 to 4 are added: the mean is 2, the standard error sqrt(2.5 / 5).
    assert "| x | 5.0 ± 0.7 | 1.5 ± 0.5 |" in text
    assert "| y | 7.0 ± 0.7 | 6.5 ± 0.5 |" in text
    # On the two seeds that both have, the differences are 2 and -1.
    assert "| peer | 4.0 ± 0.4 | 0.5 ± 0.0 | 2.00 | 0.5 ± 1.5 | 1 of 2 |" in text
    assert "vaefast 5, peer 2" in text and "cpu a test" in text
    line = {"cell": "x", "method": "peer", "figure": "score", "mean": 1.5, "standard_error": 0.5}
    assert {**line, "seeds": 2} in report.overview(made, found)


def test_a_method_without_all_cells_is_left_out_of_the_summary(tmp_path):
    made = made_up_suite([])
    found = Results(tmp_path / "made-up.jsonl")
    suite.run(made, found, ["x", "y"], made.methods[:1], 1, {}, print)
    suite.run(made, found, ["x"], made.methods[1:], 1, {}, print)
    assert "peer has finished 1 of these cells." in report.report(made, found)


# ------------------------------------------------------------------ the suites


def test_anomalies_on_a_tiny_table(made_up_table, tmp_path):
    arguments = ["anomalies", "--cell", "45_wine", "--seeds", "2"]
    for method in ("IsolationForest", "KNN", "LOF", "OCSVM", "PCA"):
        arguments += ["--method", method]
    field(*arguments, out=tmp_path / "out")
    overview = json.loads((tmp_path / "out" / "anomalies.json").read_text())
    areas = {each["method"]: each["mean"] for each in overview if each["figure"] == "ROC AUC"}
    assert len(areas) == 5
    assert min(areas["IsolationForest"], areas["KNN"]) > 90
    assert "| 45_wine |" in (tmp_path / "out" / "anomalies.md").read_text()


def test_a_peer_that_is_not_installed_is_named(made_up_table, tmp_path, monkeypatch):
    methods = (*anomalies.SUITE.methods[1:2], Method("Oracle", print, packages=("no-such-oracle",)))
    monkeypatch.setattr(anomalies, "SUITE", replace(anomalies.SUITE, methods=methods))
    output = field("anomalies", "--cell", "45_wine", "--seeds", "1", out=tmp_path / "out")
    assert "left out: Oracle (no-such-oracle not installed)" in output
    assert "Not measured: Oracle." in output


def test_unknown_methods_and_cells_are_refused(tmp_path):
    assert "there are vaefast, " in field("gaps", "--method", "magic", out=tmp_path, code=2)
    assert "no cell of gaps" in field("gaps", "--cell", "nowhere", out=tmp_path, code=2)


@pytest.mark.parametrize("mechanism", gaps.MECHANISMS.values())
def test_values_are_removed_at_the_expected_rate(mechanism):
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((2000, 5)))
    frame.iloc[0, 0] = np.nan
    gone = gaps.removed(frame, mechanism, 0.3, seed=1)
    np.testing.assert_array_equal(gone, gaps.removed(frame, mechanism, 0.3, seed=1))
    assert not gone.all(axis=1).any() and not gone[0, 0]
    rates = gone.mean(axis=0)
    if mechanism == "random":
        np.testing.assert_allclose(rates, 0.3, atol=0.04)
    else:
        kept = rates.argmin()
        assert rates[kept] == 0
        np.testing.assert_allclose(np.delete(rates, kept), 0.3, atol=0.04)
        high = frame.iloc[:, kept] > frame.iloc[:, kept].median()
        assert gone[high].mean() > 2 * gone[~high].mean()


def test_gaps_are_filled_and_compared_in_numbers_and_categories(monkeypatch, tmp_path):
    x = np.random.default_rng(0).standard_normal(300)
    names = pd.Series(np.where(x > 0, "high", "low"), dtype=object)
    frame = pd.DataFrame({"a": x, "b": 2 * x, "c": -x, "name": names})
    monkeypatch.setattr(gaps, "table", lambda name: frame)
    cell = "adult, 10 %, completely at random"
    methods = {method.name: method for method in gaps.SUITE.methods}
    mean = gaps.measure(cell, 0, methods["mean"])
    regression = gaps.measure(cell, 0, methods["IterativeImputer"])
    assert mean["NRMSE"] == pytest.approx(1, abs=0.2) and mean["accuracy"] < 80
    assert regression["NRMSE"] < 0.3 and regression["accuracy"] > 85
    assert gaps.measure(cell, 0, methods["KNNImputer"])["NRMSE"] < 0.3
    ours = gaps.measure(cell, 0, methods["vaefast"])
    assert ours["NRMSE"] < 0.4 and ours["accuracy"] > 85


def method_of(made: Suite, name: str) -> Method:
    return next(method for method in made.methods if method.name == name)


def test_classes_are_read_from_codes(monkeypatch):
    rng = np.random.default_rng(0)
    classes = np.arange(200) % 2
    rows = rng.standard_normal((200, 6))
    rows[:, 0] += 8 * classes  # the direction of the largest variance, which is standardized away
    rows[:, 1] = rows[:, 0] + 0.1 * rng.standard_normal(200)
    split = rows[:140], rows[140:], classes[:140], classes[140:]
    monkeypatch.setattr(features, "_split", lambda name, seed: split)
    for name in ("PCA", "NMF"):
        figures = features.measure("made_up, 2", 0, method_of(features.SUITE, name))
        assert figures["accuracy"] > 90 and figures["ROC AUC"] > 95
    cells = features.SUITE.groups["All cells"]
    assert len(cells) == 20 and "breast_cancer, 32" not in cells


def test_pixels_are_not_standardized():
    rows = np.random.default_rng(0).random((10, 3))
    task = features.Task(rows, rows, pixels=True, n_components=2, seed=0)
    np.testing.assert_array_equal(task.scaled()[0], rows)
    np.testing.assert_allclose(replace(task, pixels=False).scaled()[0].mean(axis=0), 0, atol=1e-12)


def test_no_real_ride_is_impossible_and_broken_ones_are():
    table = mixed.table("rides")
    assert not table.impossible(table.frame).any()
    assert table.frame["ended"].isna().any() and table.frame["age"].isna().any()
    broken = table.frame.iloc[:4].copy()
    broken["country"] = broken["city"].map(mixed.CITIES)
    broken.loc[0, "country"] = "Norway" if broken["country"][0] != "Norway" else "Denmark"
    broken.loc[1, "started"] = broken["joined"][1] - np.timedelta64(1, "D")
    broken.loc[2, "ended"] = broken["started"][2]
    assert list(table.impossible(broken)) == [True, True, True, False]


def test_no_real_tumour_is_impossible():
    table = mixed.table("breast_cancer")
    assert not table.impossible(table.frame).any()
    assert table.impossible(table.frame.assign(**{"worst radius": 0.1})).all()


def test_plain_frames_keep_dates_categories_and_missing_values():
    frame = mixed.table("rides").frame.iloc[:200].reset_index(drop=True)
    plain = tables.Plain(frame)
    flat = plain.encode(frame)
    assert flat.notna().all(axis=None)
    back = plain.decode(flat)
    for name in frame:
        if frame[name].dtype.kind == "M":
            assert ((back[name] - frame[name]).abs().dropna() < pd.Timedelta("1s")).all()
            assert (back[name].isna() == frame[name].isna()).all()
        else:
            pd.testing.assert_series_equal(back[name], frame[name])


def test_a_gaussian_copula_keeps_margins_and_correlations():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000)
    names = pd.Series(np.where(x > 1, "rare", "usual"), dtype=object)
    frame = pd.DataFrame({"x": x, "y": np.exp(x + 0.1 * rng.standard_normal(2000)), "z": names})
    drawn = tables.gaussian_copula(frame, seed=1)
    assert drawn["y"].between(frame["y"].min(), frame["y"].max()).all()
    assert drawn["x"].corr(np.log(drawn["y"])) > 0.9
    assert (drawn["z"] == "rare").mean() == pytest.approx((names == "rare").mean(), abs=0.03)
    assert drawn.groupby("z")["x"].mean()["rare"] > drawn.groupby("z")["x"].mean()["usual"]


def test_copies_lie_nearer_to_training_rows_and_new_rows_do_not():
    frame = mixed.table("rides").frame
    train, test, new = frame.iloc[:300], frame.iloc[300:600], frame.iloc[600:900]
    assert tables.nearer(train, train, test, seed=0) > 0.95
    assert tables.nearer(new, train, test, seed=0) == pytest.approx(0.5, abs=0.1)


def test_a_classifier_learns_from_synthetic_rows():
    frame = mixed.table("breast_cancer").frame
    assert tables.tstr(frame[::2], frame[1::2], "target") > 0.95
    assert tables.tstr(frame[frame["target"] == "benign"], frame, "target") == 0.5


def test_counts_are_drawn_from_the_true_model(monkeypatch):
    monkeypatch.setitem(counts.SIZES, "200 x 30", (200, 30, 3))
    cell = "200 x 30, dispersion 2"
    drawn = counts.simulate(cell, seed=0)
    np.testing.assert_array_equal(drawn.rows, counts.simulate(cell, seed=0).rows)
    truth = counts._measure_here(cell, 0, method_of(counts.SUITE, "true model"))
    pca = counts._measure_here(cell, 0, method_of(counts.SUITE, "PCA of logarithms"))
    assert truth["recovery"] > 0.8 and truth["peak memory"] > 10
    assert pca["log-likelihood"] is None and pca["recovery"] > 0.2
    # Twice the exposure is not the model that drew the rows.
    other = counts.truth(drawn, replace(drawn, exposure=2 * drawn.exposure), 0)
    assert other.likelihood < counts.truth(drawn, drawn, 0).likelihood


def test_counts_are_measured_in_a_process_of_their_own(tmp_path):
    cell = "2,000 x 100, dispersion 2"
    field("counts", "--cell", cell, "--method", "PCA of logarithms", "--seeds", "1", out=tmp_path)
    [line] = Results(tmp_path / "counts.jsonl").lines.values()
    assert line["figures"]["recovery"] > 0.5 and "error" not in line
