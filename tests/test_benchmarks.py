"""The benchmark compares the same work and keeps its results. No test depends on a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import reference

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks import nets, parity, peers, training, workload  # noqa: E402
from benchmarks.nets import Net  # noqa: E402
from benchmarks.peers.base import Float, Index, Peer, Weights  # noqa: E402
from benchmarks.peers.numpy_vae import NumpyVAE  # noqa: E402
from benchmarks.peers.vaefast_vae import VaefastVAE  # noqa: E402

PACKAGES = {"torch_vae": ["torch"], "jax_vae": ["jax"], "keras_vae": ["keras", "tensorflow"]}
NETS = ["20-16-2-16-20:relu", "20-16-2-16-20:tanh", "9-12-7-3-8-9:relu", "12-3-12:tanh"]


def run(*arguments: str, code: int = 0, module: bool = False, path: Path | None = None) -> str:
    """Run the command and return its output. `path` precedes the installed packages."""
    program = ["-m", "benchmarks.run"] if module else ["benchmarks/run.py"]
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """Return a path on which the packages of the other peers cannot be imported."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for package, *_ in PACKAGES.values():
        (folder / f"{package}.py").write_text("raise ImportError('not installed')\n")
    return folder


def ways(module: str) -> tuple[type[Peer], ...]:
    """Return the peers of a module; skip the test if its packages are not installed."""
    for package in PACKAGES[module]:
        if not find_spec(package):
            pytest.skip(f"{package} is not installed")
    return tuple(import_module(f"benchmarks.peers.{module}").PEERS)


# --- Nets -----------------------------------------------------------------------------------------


def test_a_net_is_read_from_its_widths() -> None:
    net = Net.parse("9-12-7-3-8-9:tanh")
    assert (net.features, net.encoder, net.latent_dim, net.decoder) == (9, (12, 7), 3, (8,))
    assert net.activation == "tanh"
    assert Net.parse(str(net)) == net
    assert Net.parse("9-3-9") == Net.parse("9-3-9:relu")


@pytest.mark.parametrize(
    "text", ["", "784", "20-16-2-16-21", "20-a-20", "20-0-20", "20-4-4-20", "20-2-20:gelu"]
)
def test_a_text_that_is_not_a_net_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="net|widths|narrowest|activations"):
        Net.parse(text)


def test_necessary_operations_are_counted() -> None:
    weights = 784 * 256 + 256 * 2 * 2 + 2 * 256 + 256 * 784
    net = Net.parse("784-256-2-256-784")
    assert net.flops_per_row == 2 * (3 * weights - 784 * 256)  # without the data's gradient
    assert Net.parse("12-3-12").flops_per_row == 2 * (3 * 3 * 12 * 3 - 2 * 12 * 3)


def test_a_net_has_its_own_batch_sizes_unless_others_are_chosen() -> None:
    known, other = next(iter(nets.GRID)), Net.parse("9-3-9")
    assert nets.select([known], None) == [(known, size) for size in nets.GRID[known]]
    assert nets.select([known, other], (7,)) == [(known, 7), (other, 7)]
    assert nets.select([other], None) == [(other, 128)]
    assert set(nets.select(None, None, quick=True)) < set(nets.select(None, None))


# --- The baseline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NETS)
def test_the_numpy_baseline_is_the_reference(text: str) -> None:
    net = Net.parse(text)
    work = workload.make(net, 24)
    work.weights["logvar.bias"][0] = -12
    params = {name: w.astype(np.float64) for name, w in work.weights.items()}
    peer = NumpyVAE(net, batch_size=8, threads=1, seed=0)
    activation = net.activation

    peer.load(work.weights)
    optimizer, losses = reference.Adam(1e-3), []
    for first in range(0, 24, 8):
        x = work.X[work.order[first : first + 8]].astype(np.float64)
        eps = work.noise[first : first + 8].astype(np.float64)
        parts = reference.elbo_rows(params, x, eps, activation=activation, likelihood="bernoulli")
        losses.append(np.stack(parts))
        expected = reference.gradients(
            params, x, eps, activation=activation, likelihood="bernoulli"
        )
        if first == 0:
            *means, gradients = peer.loss_and_gradients(x.astype(np.float32), work.noise[:8])
            np.testing.assert_allclose(means, losses[0].mean(axis=1), rtol=1e-5)
            for name, gradient in expected.items():
                np.testing.assert_allclose(gradients[name], gradient, rtol=1e-4, atol=1e-5)
        optimizer.step(params, expected)
    epoch = peer.train_epoch(work.X, work.order, work.noise)
    np.testing.assert_allclose(epoch, np.mean(losses, axis=(0, 2)), rtol=1e-5)
    for name, weight in peer.weights().items():
        np.testing.assert_allclose(weight, params[name], atol=2e-5)


def test_the_baseline_survives_logits_of_any_size() -> None:
    net = Net.parse("12-3-12")
    work = workload.make(net, 4)
    x = (work.X > 0.5).astype(np.float32)
    work.weights["output.bias"][:] = np.where(np.arange(12) % 2, 1000, -1000)
    peer = NumpyVAE(net, batch_size=4, threads=1, seed=0)
    peer.load(work.weights)
    reconstruction, _, gradients = peer.loss_and_gradients(x, work.noise)
    expected = np.abs(x - np.arange(12) % 2).sum(axis=1).mean() * 1000
    assert reconstruction == pytest.approx(expected, rel=0.01)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_without_given_noise_the_baseline_draws_new_noise_for_each_batch() -> None:
    net = Net.parse("12-3-12")
    work = workload.make(net, 8)
    peer = NumpyVAE(net, batch_size=8, threads=1, seed=0)
    losses = []
    for _ in range(2):
        peer.load(work.weights)
        losses.append(peer.train_epoch(work.X, work.order)[0])
    assert losses[0] != losses[1]


# --- Parity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NETS)
def test_vaefast_and_numpy_do_the_same_work(text: str) -> None:
    net = Net.parse(text)
    pair = [NumpyVAE(net, 8, threads=1, seed=0), VaefastVAE(net, 8, threads=2, seed=0)]
    differences = parity.check(net, 8, pair)
    assert set(differences) == {"vaefast"}
    assert set(differences["vaefast"]) == set(parity.TOLERANCES)


@pytest.mark.filterwarnings("ignore")  # other libraries' warnings at import
@pytest.mark.parametrize("module", PACKAGES)
def test_an_installed_peer_does_the_same_work(module: str) -> None:
    runnable = [way for way in ways(module) if not way.unavailable()]
    assert runnable
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    net = Net.parse("9-12-7-3-8-9:tanh" if module == "keras_vae" else "20-16-2-16-20:relu")
    built = [way(net, 8, threads=1, seed=0) for way in (NumpyVAE, *runnable)]
    assert set(parity.check(net, 8, built)) == {way.name for way in runnable}

    work = workload.make(net, 32)
    for peer in built[1:]:
        losses = []
        for _ in range(2):
            peer.load(work.weights)
            losses.append(peer.train_epoch(work.X, work.order)[0])
        assert losses[0] != losses[1]  # it draws new noise each time
        assert losses == pytest.approx([losses[0]] * 2, rel=0.05)
    if cpus:
        assert os.sched_getaffinity(0) == cpus


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", PACKAGES)
def test_a_peer_compiles_nothing_for_an_epoch_of_another_length(module: str) -> None:
    """Otherwise the time of compiling would count as training."""
    *_, way = ways(module)  # PyTorch's last way is the compiled one
    if reason := way.unavailable():
        pytest.skip(reason)
    net = Net.parse("20-16-2-16-20:relu")
    work = workload.make(net, 32)
    peer: Any = way(net, 8, threads=1, seed=0)
    peer.load(work.weights)
    peer.train_epoch(work.X, work.order[:16])
    if module == "torch_vae":
        import torch

        with torch.compiler.set_stance("fail_on_recompile"):
            peer.train_epoch(work.X, work.order)
        return
    peer.train_epoch(work.X, work.order)
    if module == "jax_vae":
        assert peer.epoch._cache_size() == 1
    else:
        assert peer.epoch.experimental_get_tracing_count() == 1


class WrongSignOfKL(NumpyVAE):
    name = "wrong"

    def _posterior_gradient(self) -> None:
        self.mu *= -1
        super()._posterior_gradient()


class ReportsNoKL(NumpyVAE):
    name = "wrong"

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        reconstruction, _, gradients = super().loss_and_gradients(x, eps)
        return reconstruction, 0.0, gradients


class IgnoresTheNoise(NumpyVAE):
    name = "wrong"

    def _sample(self) -> float:
        self.eps[:] = 0
        return super()._sample()


class IgnoresTheOrder(NumpyVAE):
    name = "wrong"

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        return super().train_epoch(X, np.sort(order), noise)


class SkipsTheLastBatch(NumpyVAE):
    name = "wrong"

    def train_epoch(
        self, X: Float, order: Index, noise: Float | None = None
    ) -> tuple[float, float]:
        return super().train_epoch(X, order[: -self.batch_size], noise)


class KeepsItsMoments(NumpyVAE):
    name = "wrong"

    def _adam(self) -> None:
        self.steps = 0
        super()._adam()


class IsNotANumber(NumpyVAE):
    name = "wrong"

    def loss_and_gradients(self, x: Float, eps: Float) -> tuple[float, float, Weights]:
        _, kl, gradients = super().loss_and_gradients(x, eps)
        return float("nan"), kl, gradients


@pytest.mark.parametrize(
    ("wrong", "quantity"),
    [
        (WrongSignOfKL, "gradient of"),
        (ReportsNoKL, "kl of one batch"),
        (IgnoresTheNoise, "reconstruction of one batch"),
        (IgnoresTheOrder, "of an epoch"),
        (SkipsTheLastBatch, "of an epoch"),
        (KeepsItsMoments, "update of|of an epoch"),
        (IsNotANumber, "reconstruction of one batch differs by nan"),
    ],
)
def test_a_peer_that_does_other_work_is_caught(wrong: type[NumpyVAE], quantity: str) -> None:
    net = Net.parse("20-16-2-16-20:tanh")
    pair = [NumpyVAE(net, 8, threads=1, seed=0), wrong(net, 8, threads=1, seed=0)]
    with pytest.raises(parity.ParityError, match=f"wrong and NumPy.*the same work.*{quantity}"):
        parity.check(net, 8, pair)


# --- Peers ----------------------------------------------------------------------------------------


def test_a_peer_that_is_not_installed_is_left_out_by_name() -> None:
    found, left_out = peers.find(("numpy_vae", "absent_vae", "vaefast_vae"))
    assert found == [NumpyVAE, VaefastVAE]
    assert set(left_out) == {"absent_vae"}
    assert "absent_vae" in left_out["absent_vae"]


def test_a_way_that_cannot_run_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCompiler(NumpyVAE):
        name, family = "compiled", "Other"

        @classmethod
        def unavailable(cls) -> str | None:
            return "no compiler"

    class Eager(NumpyVAE):
        name, family = "eager", "Other"

    module = SimpleNamespace(PEERS=(NoCompiler, Eager))
    monkeypatch.setitem(sys.modules, "benchmarks.peers.other_vae", module)
    found, left_out = peers.find(("numpy_vae", "other_vae"))
    assert found == [NumpyVAE, Eager]
    assert left_out == {"compiled": "no compiler"}


def test_ratios_are_against_the_best_way_of_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(NumpyVAE):
        name, family = "slow", "Other"

    class Fast(NumpyVAE):
        name, family = "fast", "Other"

    seconds = {
        "NumPy": [4.0, 4.0, 4.0],
        "vaefast": [1.0, 1.0, 2.0],
        "slow": [3.0, 3.0, 1.0],  # best in one round, but not in the median
        "fast": [2.0, 2.0, 2.0],
    }
    left = {name: list(of_rounds) for name, of_rounds in seconds.items()}
    monkeypatch.setattr(training, "_seconds", lambda peer, *_: left[peer.name].pop(0))
    kernel = [8.0, 6.0, 4.0]  # epochs per second at the kernel's rate
    net, rows = Net.parse("9-3-9"), 8 * training.MAX_BATCHES
    found = (NumpyVAE, VaefastVAE, Slow, Fast)
    monkeypatch.setattr(
        training.roofline, "kernel_rate", lambda _: kernel.pop(0) * rows * net.flops_per_row
    )
    result = training.measure(net, 8, found, threads=1, rounds=3)
    assert result["rows"] == rows
    assert [rates["family"] for rates in result["peers"].values()] == [
        "NumPy", "vaefast", "Other", "Other",
    ]  # fmt: skip
    assert result["peers"]["fast"]["rounds"] == [rows / 2] * 3
    assert result["ratios"] == {
        "NumPy": {"way": "NumPy", "median": 4, "low": 2, "high": 4, "limit": pytest.approx(24)},
        "Other": {"way": "fast", "median": 2, "low": 1, "high": 2, "limit": pytest.approx(12)},
    }


def test_the_report_names_what_was_left_out() -> None:
    from benchmarks import report

    about = report.environment(2, [NumpyVAE, VaefastVAE], {"absent_vae": "No module named 'x'"})
    text = report.describe(about)
    assert "left out: absent_vae (No module named 'x')" in text
    assert f"NumPy {np.__version__}" in text


def test_the_report_warns_of_a_busy_machine() -> None:
    from benchmarks import report

    about = report.environment(2, [NumpyVAE, VaefastVAE], {})
    assert "load average 6.0" in report.describe({**about, "load": 6.0})
    assert "load average" not in report.describe({**about, "load": 0.1})


# --- The command ----------------------------------------------------------------------------------


def test_a_run_prints_a_table_and_keeps_the_result(tmp_path: Path, alone: Path) -> None:
    out = tmp_path / "new" / "result.json"
    text = run(
        "training", "--quick", "--nets", "20-16-2-16-20:tanh,9-3-9", "--batches", "8,16",
        "--rounds", "2", "--threads", "1", "--out", str(out), path=alone,
    )  # fmt: skip
    for module in PACKAGES:
        assert f"left out: {module} (ImportError: not installed)" in text
    for word in ("vaefast / NumPy", "GFLOP/s", "20-16-2-16-20:tanh", "threads: 1", str(out)):
        assert word in text

    kept = json.loads(out.read_text())
    assert kept["threads"] == 1
    assert set(kept["left_out"]) == set(PACKAGES)
    assert set(kept["peers"]) == {"NumPy", "vaefast"}
    assert kept["isa"] in kept["peers"]["vaefast"]
    assert {"cpu", "cpus", "system", "python", "load"} <= set(kept)
    cells = [(result["net"], result["batch_size"]) for result in kept["training"]]
    assert cells == [(n, b) for n in ("20-16-2-16-20:tanh", "9-3-9:relu") for b in (8, 16)]
    for result in kept["training"]:
        assert set(result["parity"]["vaefast"]) == set(parity.TOLERANCES)
        assert result["rows"] % result["batch_size"] == 0
        for rates in result["peers"].values():
            assert len(rates["rounds"]) == 2
            assert rates["rows_per_second"] == pytest.approx(sum(rates["rounds"]) / 2)
            flops = rates["rows_per_second"] * result["flops_per_row"]
            assert rates["gflops"] == pytest.approx(flops / 1e9)
        ratio = result["ratios"]["NumPy"]
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert list(out.parent.iterdir()) == [out]  # no temporary file is left


def test_it_runs_as_a_module_and_explains_its_options() -> None:
    text = run("--help", module=True)
    for option in ("--quick", "--nets", "--batches", "--rounds", "--threads", "--out"):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--nets", "20-2-21"), "the first and the last the same"),
        (("--batches", "many"), "whole numbers"),
        (("--batches", "0"), "at least one row"),
    ],
)
def test_bad_options_are_explained(arguments: tuple[str, ...], message: str) -> None:
    assert message in " ".join(run(*arguments, code=2).split())


def test_an_output_that_cannot_be_written_is_found_first(tmp_path: Path, alone: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    text = run("--nets", "9-3-9", "--out", str(file / "result.json"), code=1, path=alone)
    assert "Error:" in text
    assert "Traceback" not in text
    assert "9-3-9" not in text  # nothing was measured
