"""Each question of the benchmarks at a tiny size. No test depends on a time."""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks import (  # noqa: E402
    chart,
    child,
    inference,
    memory,
    processes,
    report,
    roofline,
    run,
    scaling,
    serving,
    sparse,
    startup,
    streams,
    timing,
)
from benchmarks.nets import Net  # noqa: E402
from benchmarks.parity import ParityError  # noqa: E402
from benchmarks.plan import Plan  # noqa: E402

from vaefast import _core  # noqa: E402

NET = Net.parse("20-16-2-16-20:tanh")
PLAN = Plan(quick=True, threads=2, rounds=1, digits=True, cells=[(NET, 8)])

on_linux = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux only")


def assert_is_kept_and_printed(module: Any, result: dict[str, Any]) -> None:
    """Check that a result is JSON and fits a line of a table."""
    assert json.loads(json.dumps(result)) == result
    columns = module.columns(result)
    lines = report.Table().line(columns).splitlines()
    assert len(lines) == 2
    assert len(lines[0]) == len(lines[1])


def positive(numbers: dict[str, float]) -> bool:
    return all(number > 0 for number in numbers.values())


# --- Taking turns ---------------------------------------------------------------------------------


def test_functions_take_turns_and_each_round_starts_with_the_next() -> None:
    called: list[str] = []
    times = timing.in_turns(
        {name: lambda name=name: called.append(name) for name in "abc"}, rounds=4, seconds=0
    )
    assert "".join(called[-12:]) == "abc" + "bca" + "cab" + "abc"
    assert all(len(values) == 4 and min(values) > 0 for values in times.values())


def test_a_ratio_is_taken_within_the_rounds() -> None:
    found = timing.ratio([1.0, 20.0, 9.0], [1.0, 10.0, 3.0])
    assert found == {"median": 2.0, "low": 1.0, "high": 3.0}


# --- Roofline -------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", _core.SUPPORTED)
def test_the_roofline_of_each_instruction_set(isa: str) -> None:
    result = roofline.measure(
        NET, 8, isa=isa, threads=2, rounds=2, seconds=0, terms=100, stream_floats=1000
    )
    assert (result["isa"], result["threads"], result["batch_size"]) == (isa, 2, 8)
    assert all(len(values) == 2 for values in result["rounds"].values())
    seconds = result["seconds"]
    assert positive(seconds)
    assert seconds["rows"] + seconds["weights"] <= 1.01 * seconds["step"]
    assert result["gflops"] == pytest.approx(NET.flops_per_row * 8 / seconds["step"] / 1e9)
    weights = 2 * (20 * 16 + 16 * 2) + 16 * 2
    assert result["optimizer"]["bytes"] == 6 * 4 * weights
    assert result["optimizer"]["fits_cache"]
    # The arrays fit the cache, so the peak is the only limit.
    assert result["share_of_limit"] == pytest.approx(result["share_of_peak"])
    assert_is_kept_and_printed(roofline, result)


def test_weights_that_exceed_the_cache_are_limited_by_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roofline, "last_level_cache", lambda: 1000)
    result = roofline.measure(
        NET, 8, isa=_core.ISA, threads=1, rounds=1, seconds=0, terms=100, stream_floats=1000
    )
    assert not result["optimizer"]["fits_cache"]
    # If the peak limits both phases, the two shares are equal up to rounding.
    rounding = 1 + 1e-12
    assert result["share_of_limit"] * rounding >= result["optimizer"]["share_of_step"]
    assert result["share_of_limit"] * rounding >= result["share_of_peak"]


def test_the_seconds_of_the_phases_add_up_over_steps() -> None:
    steps = roofline._Steps(_core._variant, NET, 8, threads=1)
    assert steps.core.phase_seconds() == (0, 0)
    steps.run(1)
    one = steps.core.phase_seconds()
    steps.run(2)
    three = steps.core.phase_seconds()
    assert 0 < one[0] < three[0]
    assert 0 < one[1] < three[1]


def test_the_last_level_cache_is_at_least_a_megabyte() -> None:
    assert roofline.last_level_cache() >= 1 << 20


# --- Scaling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ["step", "epoch", "transform"])
def test_scaling_times_a_point_with_each_number_of_threads(work: str) -> None:
    point = scaling.Point("rows", 256, NET, work, 256)
    result = scaling.measure(point, threads=(1, 2, 3), rounds=2, seconds=0)
    assert positive(result["seconds"])
    assert set(result["seconds"]) == {"1", "2", "3"}
    assert set(result["speed_up"]) == {"2", "3"}
    assert (result["work"], result["rows"]) == (work, 256)
    assert_is_kept_and_printed(scaling, result)


def test_a_step_is_one_batch_and_an_epoch_has_many() -> None:
    assert scaling.Point("batch", 5, NET, "step", 5).batch_size == 5
    assert scaling.Point("rows", 256, NET, "epoch", 256).batch_size == scaling.BATCH


@pytest.mark.parametrize("quick", [True, False])
def test_scaling_covers_every_axis_including_small_sizes(quick: bool) -> None:
    points = scaling.points(quick)
    axes = {
        axis: [p.value for p in points if p.axis == axis] for axis in ("batch", "width", "depth")
    }
    assert all(min(values) <= 4 and len(set(values)) >= 4 for values in axes.values())
    transforms = [p.rows for p in points if p.work == "transform"]
    assert min(transforms) == 1
    assert all(p.rows % scaling.BATCH == 0 for p in points if p.work == "epoch")


# --- Inference ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["20-16-2-16-20:tanh", "9-12-7-3-8-9:relu", "12-3-12"])
@pytest.mark.parametrize("rows", [1, 33])
def test_inference_is_compared_with_other_libraries(text: str, rows: int) -> None:
    result = inference.measure(Net.parse(text), rows, threads=2, rounds=2, seconds=0)
    assert positive(result["seconds"])
    own = {"vaefast", "sample", "score_samples", "log_likelihood"}
    assert own | {"NumPy"} <= set(result["seconds"])
    assert "NumPy" in result["ratios"]
    assert not own & set(result["ratios"])
    assert result["samples"] == 5000 * min(rows, 8)
    assert result["share_of_limit"] > 0
    assert_is_kept_and_printed(inference, result)


def test_the_limit_leaves_out_zeros_and_takes_the_fastest_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "highest_peak", {})
    net, X = Net.parse("10-6-2-6-10"), np.ones((4, 10), np.float32)
    X[:, :5] = 0
    rates = itertools.chain([1e3, 1e6], itertools.repeat(1e3))
    kernels = SimpleNamespace(fma_rate=lambda *_: next(rates), load_rate=lambda *_: 1e12)
    monkeypatch.setattr(inference._core, "kernels", kernels)
    assert inference._limit(net, X, 1) == pytest.approx(2 * 4 * (5 * 6 + 6 * 2) / 1e6)
    kernels.load_rate = lambda *_: 1e3  # bytes per second
    assert inference._limit(net, X, 1) == pytest.approx(4 * (10 * 6 + 6 * 2 + 4 * 10) / 1e3)


@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_other_types_of_rows_are_transformed_only(dtype: str) -> None:
    result = inference.measure(NET, 7, threads=1, rounds=1, seconds=0, dtype=dtype)
    assert result["dtype"] == dtype
    assert set(result["seconds"]) == {"vaefast", *result["ratios"]}
    assert_is_kept_and_printed(inference, result)


def test_other_codes_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(net: Net, weights: Any, threads: int) -> Any:
        return lambda x: np.ones((len(x), net.latent_dim), np.float32)

    monkeypatch.setitem(inference.ENCODERS, "NumPy", wrong)
    with pytest.raises(ParityError, match="NumPy and vaefast do not return the same codes"):
        inference.measure(NET, 3, threads=1, rounds=1, seconds=0)


def test_what_is_not_installed_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(net: Net, weights: Any, threads: int) -> Any:
        raise ImportError("No module named 'torch'")

    for name in inference.ENCODERS:
        if name != "NumPy":
            monkeypatch.setitem(inference.ENCODERS, name, absent)
    result = inference.measure(NET, 3, threads=1, rounds=1, seconds=0)
    assert set(result["ratios"]) == {"NumPy"}


# --- Memory ---------------------------------------------------------------------------------------


@on_linux
def test_memory_of_an_array_is_that_of_its_process() -> None:
    ballast = bytearray(300_000_000)  # belongs to this process, not to the measured one
    result = memory.measure("array", rows=300, features=20)
    assert len(ballast) > result["peak"] >= result["own"] > 0
    assert result["peak"] >= result["before"]
    assert result["data"] == 300 * 20
    assert_is_kept_and_printed(memory, result)


@on_linux
@pytest.mark.parametrize(("dtype", "size"), [("uint8", 1), ("float32", 4)])
def test_a_map_larger_than_the_limit_is_trained_on_and_not_copied(dtype: str, size: int) -> None:
    rows = 200_000_000 // (4096 * size)
    result = memory.measure("map", rows=rows, features=4096, dtype=dtype, limit=160)
    assert result["data"] > result["limit"]
    assert result["copy_fails"]
    assert result["own"] < result["limit"]
    assert_is_kept_and_printed(memory, result)


@on_linux
def test_memory_that_does_not_suffice_is_an_error() -> None:
    with pytest.raises(child.ChildError, match="failed"):
        memory.measure("map", rows=300, features=20, limit=1)


# --- Start-up -------------------------------------------------------------------------------------


@on_linux
@pytest.mark.parametrize("likelihood", sparse.LIKELIHOODS)
def test_sparse_counts_are_trained_on(likelihood: str) -> None:
    net = Net.parse("300-16-2-16-300:tanh")
    result = sparse.measure(net, 200, 0.05, likelihood, threads=1, rounds=1, seconds=1e-3)
    assert result["filled"] == pytest.approx(0.05, rel=0.2)
    assert 0 < result["data"] < 200 * 300 * 4 and result["peak"] > result["before"]
    assert positive({key: result[key] for key in ("rows per second", "output")})
    assert_is_kept_and_printed(sparse, result)


@on_linux
@pytest.mark.parametrize("kind", streams.KINDS)
def test_files_larger_than_a_window_are_trained_on(kind: str) -> None:
    result = streams.measure(
        kind, size=48_000, features=20, hidden=4, limit=500, window=10_240, epochs=3
    )  # fmt: skip
    assert result["data"] == 600 * 20 * 4 and result["file"] > 0
    assert positive({key: result[key] for key in ("peak", "read", "work")})
    assert len(result["disk epochs"]) == len(result["memory epochs"]) == 2
    assert_is_kept_and_printed(streams, result)


def test_windows_are_compared_on_shuffled_and_sorted_digits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VAEFAST_DATA", raising=False)
    monkeypatch.setattr(streams, "SHARES", (4,))
    result = streams.shuffled(300, epochs=1)
    assert [(e["order"], e["window"]) for e in result["elbos"]] == [
        ("shuffled", "1/1"), ("shuffled", "1/4"), ("sorted", "1/1"), ("sorted", "1/4"),
    ]  # fmt: skip
    assert len({e["elbo"] for e in result["elbos"]}) == 4
    assert_is_kept_and_printed(streams, result)


def test_sparse_counts_are_drawn_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    X = sparse.draw(400, 90, 0.1)
    monkeypatch.setattr(sparse, "CHUNK", 40)
    assert sparse.draw(400, 90, 0.1).shape == X.shape == (90, 400)
    assert (X.data >= 1).all() and (X.data == np.floor(X.data)).all()
    popular = np.sort(np.asarray(X.sum(axis=0)).ravel())[::-1]
    assert popular[:40].sum() > 1.5 * popular[-200:].sum()


@pytest.mark.skipif(
    shutil.which("mpiexec", path=str(Path(sys.executable).parent)) is None, reason="needs MPI"
)
def test_a_step_is_measured_in_two_processes() -> None:
    result = processes.measure(NET, 8, threads=2, rounds=1, seconds=1e-3)
    assert positive(result["computed"]) and result["cost"]["median"] > 0
    assert list(result["rounds"]) == ["alone", "together"]
    assert_is_kept_and_printed(processes, result)


def test_the_model_of_many_machines_adds_the_network_to_what_one_of_them_computes() -> None:
    computed, exchanged = processes.compute(NET, 8, rounds=1, seconds=1e-4)
    assert list(map(int, computed)) == list(processes.MODELLED)
    weights = sum(fan_in * fan_out + fan_out for _, fan_in, fan_out in NET.layers)
    assert exchanged[1] >= 4 * weights  # the last panel of a layer is not full
    result = {"computed": {"1": 1.0, "4": 0.25}, "exchanged": [400, 1 << 20]}
    network = processes.Network("slow", latency=0.01, bandwidth=1e6)
    assert processes.step(result, network, 2, 1) == 0.5
    few, many = 2 * 0.01 + 300e-6, 3 * 0.01 + 0.75 * (1 << 20) / 1e6
    assert processes.step(result, network, 2, 4) == pytest.approx(0.125 + few + many)


def test_serving_measures_calls_from_several_threads_and_the_first_result() -> None:
    result = serving.measure(NET, rounds=2, seconds=0.001, callers=(1, 3))
    assert "vaefast" in result["peers"]
    assert result["first"] > 0
    for name in result["peers"]:
        for count in (1, 3):
            figures = result["calls"][f"{name} {count}"]
            assert positive(figures) and figures["p50"] <= figures["p99"]
    assert_is_kept_and_printed(serving, {**result, "threads": 3})


def test_startup_measures_imports_and_the_first_step() -> None:
    result = startup.measure(rounds=1)
    seconds = result["seconds"]
    assert positive(seconds)
    assert set(seconds) == {
        "import numpy", "import vaefast",
        "process python", "process numpy", "process vaefast",
        "first step",
    }  # fmt: skip
    assert_is_kept_and_printed(startup, result)


def test_a_child_has_the_users_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    environment = child.run("-c", code, ANSWER="42")
    assert "OMP_NUM_THREADS" not in environment
    assert environment["ANSWER"] == "42"


# --- Charts ---------------------------------------------------------------------------------------


@pytest.fixture
def results() -> dict[str, Any]:
    points = [p for p in scaling.points(quick=True) if p.value <= 512 and p.rows <= 128]
    threads = scaling.Point("threads", 2, NET, "step", 8)
    ratio = {"median": 2.0, "low": 1.5, "high": 2.5}
    scaled = {
        "net": "9-3-9:relu",
        "seconds": {"1": 2e-3, "2": 1e-3},
        "speed_up": {"2": ratio},
    }
    return {
        "cpu": "a CPU",
        "threads": 2,
        "isa": "avx512",
        "training": [
            {"net": net, "batch_size": size, "ratios": {"NumPy": ratio, "JAX": ratio}}
            for net in ("9-3-9:relu", "20-16-2-16-20:tanh")
            for size in (8, 16)
        ],
        "processes": [
            {
                "net": "9-3-9:relu",
                "batch_size": 8,
                "computed": {str(n): 1e-3 / n for n in processes.MODELLED},
                "exchanged": [1000, 10_000_000],
                "best": {"a network, 2": {"machines": 4, "gain": 2.0}},
            }
        ],
        "scaling": [
            scaled | {"axis": p.axis, "value": p.value, "work": p.work, "rows": p.rows}
            for p in (threads, *points)
        ],
    }


@pytest.mark.parametrize(("kind", "mark"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_charts_are_drawn_for_light_and_dark_pages(
    kind: str, mark: bytes, results: dict[str, Any], tmp_path: Path
) -> None:
    paths = chart.draw(results, tmp_path / "new", kind)
    names = [
        f"{n}-{t}.{kind}" for n in ("speed", "scaling", "processes") for t in ("light", "dark")
    ]
    assert [path.name for path in paths] == names
    contents = [path.read_bytes() for path in paths]
    assert all(content.startswith(mark) for content in contents)
    assert len(set(contents)) == 6
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(names)
    if kind == "svg":
        chart.draw(results, tmp_path / "new", kind)
        assert [
            path.read_bytes() for path in paths
        ] == contents  # a chart of the same run is the same file


def test_only_what_was_measured_is_drawn(results: dict[str, Any], tmp_path: Path) -> None:
    alone = {**copy.deepcopy(results), "processes": []}
    for cell in alone["training"]:
        cell["ratios"] = {}  # without peers
    assert [p.stem for p in chart.draw(alone, tmp_path, "svg")] == ["scaling-light", "scaling-dark"]
    del alone["scaling"]
    with pytest.raises(ValueError, match="no results of training compared with peers"):
        chart.draw(alone, tmp_path, "svg")


def test_the_command_draws_a_file(results: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    run.write_text(json.dumps({**results, "scaling": [], "processes": []}))
    command = [sys.executable, "benchmarks/chart.py", str(run), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / f"speed-{t}.svg") for t in ("light", "dark")]
    run.write_text("no json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def few_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scaling, "points", lambda quick: [scaling.Point("rows", 2, NET, "step", 2)])
    yield


def test_scaling_begins_with_the_numbers_of_threads(few_points: None) -> None:
    results = list(scaling.run(Plan(True, threads=3, rounds=1, digits=True, cells=[])))
    assert [result["axis"] for result in results] == ["threads", "threads", "rows"]
    assert [list(r["seconds"]) for r in results] == [["1", "2", "3"], ["1", "2", "3"], ["1", "3"]]


def test_chosen_questions_are_answered_in_one_file(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "training", "inference", "--quick", "--rounds", "1",
         "--nets", "9-3-9", "--batches", "8", "--threads", "1", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kept = json.loads(out.read_text())
    assert {"cpu", "isa", "threads", "peers", "quick"} <= set(kept)
    assert [result["net"] for result in kept["training"]] == ["9-3-9:relu"]
    assert [result["net"] for result in kept["inference"]] == ["9-3-9:relu"] * 2
    assert "memory" not in kept
    for question in ("training:", "inference:"):
        assert question in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_run_that_stops_keeps_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(name: str, *_: Any) -> Iterator[dict[str, Any]]:
        yield {"first": 1}
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_set_threads", lambda threads: None)  # NumPy is running already
    monkeypatch.setattr(run, "_ask", ask)
    out = tmp_path / "result.json"
    out.write_text("of an earlier run")
    result = CliRunner().invoke(run.main, ["memory", "--threads", "1", "--out", str(out)])
    assert result.exit_code == 1
    assert json.loads((tmp_path / "result.partial.json").read_text())["memory"] == [{"first": 1}]
    assert out.read_text() == "of an earlier run"


def test_an_unknown_question_names_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "speed"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'inference', 'serving', 'memory', 'sparse', 'streams', 'startup'" in done.stderr
