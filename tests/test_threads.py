"""The number of threads: affinity, CPU quota, OMP_NUM_THREADS, n_threads, trials."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, from_bytes, info
from vaefast._core import kernels
from vaefast._system import threads

CPUS = 8


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with eight CPUs, no quota and no OMP_NUM_THREADS."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CPUS)), raising=False)
    monkeypatch.setattr(threads, "container_quota", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return monkeypatch


def test_all_cpus_of_the_affinity_mask(machine):
    assert threads.available_cpus() == threads.default_threads() == CPUS
    machine.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 7})
    assert threads.available_cpus() == threads.default_threads() == 3


def test_all_cpus_where_the_system_knows_no_affinity(machine):
    machine.delattr(os, "sched_getaffinity")
    machine.setattr(os, "cpu_count", lambda: 5)
    assert threads.available_cpus() == 5
    machine.setattr(os, "cpu_count", lambda: None)
    assert threads.available_cpus() == 1


@pytest.mark.parametrize(
    ("quota", "cpus"), [(0.1, 1), (1.0, 1), (1.5, 2), (4.0, 4), (64.0, CPUS), (None, CPUS)]
)
def test_at_most_the_quota_and_at_least_one(machine, quota, cpus):
    machine.setattr(threads, "container_quota", lambda: quota)
    assert threads.available_cpus() == cpus


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("1", 1), ("3", 3), (" 4 ", 4), ("2,4", 2), ("8", 8), ("99", 8), ("9" * 400, 8)]
    + [(junk, 8) for junk in ("", "0", "-2", "many", "2.5", "²", ",", "9" * 5000)],
)  # fmt: skip
def test_omp_num_threads_lowers_the_number_and_junk_is_ignored(machine, wanted, expected):
    machine.setenv("OMP_NUM_THREADS", wanted)
    assert threads.default_threads() == info()["threads"] == expected
    assert threads.available_cpus() == info()["cpus"] == CPUS


def test_the_default_is_never_more_than_a_model_takes(machine):
    machine.setattr(os, "sched_getaffinity", lambda pid: range(5000))
    assert threads.default_threads() == threads.MAX_THREADS
    assert threads.available_cpus() == 5000


@pytest.mark.parametrize("n_threads", [None, 1, 3])
def test_a_model_works_with_the_threads_asked_for(machine, n_threads):
    machine.setenv("OMP_NUM_THREADS", "2")
    vae = VAE(hidden_layer_sizes=(4,), epochs=1, n_threads=n_threads, verbose=False)
    assert vae.fit(np.zeros((3, 2))).model_.core.n_threads == (n_threads or 2)


def test_a_bad_number_of_threads_leaves_the_model_as_it_was():
    X = np.zeros((3, 2))
    vae = VAE(hidden_layer_sizes=(4,), epochs=1, n_threads=1, verbose=False).fit(X)
    before = vae.transform(X)
    vae.n_threads = 0
    for _ in range(2):
        with pytest.raises(ValueError, match="n_threads=0 must be at least 1"):
            vae.transform(X)
    vae.n_threads = 1
    np.testing.assert_array_equal(from_bytes(vae.to_bytes()).transform(X), before)


def test_a_callback_may_change_the_number_of_threads():
    X = np.random.default_rng(0).random((60, 4)).astype(np.float32)

    def train(**callbacks: Any) -> VAE:
        vae = VAE(hidden_layer_sizes=(8,), epochs=6, batch_size=8, patience=2, learning_rate=0.3)
        vae.set_params(random_state=0, n_threads=1, verbose=False)
        return vae.fit(X[9:], validation=X[:9], **callbacks)

    def change(vae: VAE, record: dict[str, Any]) -> None:
        vae.n_threads = 1 + record["epoch"] % 2
        vae.transform(X)

    vae, same = train(callbacks=[change]), train()
    for name, tensor in same.model_.weights().items():
        np.testing.assert_array_equal(vae.model_.weights()[name], tensor)
    assert vae.history_["kl_per_dimension"] == same.history_["kl_per_dimension"]
    assert vae.model_.core.optimizer_steps == same.model_.core.optimizer_steps


def test_another_thread_may_change_the_number_of_threads_amid_a_training():
    X = np.random.default_rng(0).random((30_000, 10)).astype(np.float32)
    params: dict[str, Any] = {"hidden_layer_sizes": (32,), "epochs": 3, "batch_size": 8}
    params |= {"objective": "autoencoder", "random_state": 0}
    vae = VAE(**params, n_threads=1, verbose=False)
    begun = threading.Event()
    training = threading.Thread(
        target=vae.fit, args=(X,), kwargs={"callbacks": [lambda vae, record: begun.set()]}
    )
    training.start()
    assert begun.wait(60)
    vae.n_threads = 2
    vae.transform(X[:10])
    training.join()
    alone = VAE(**params, n_threads=1, verbose=False).fit(X)
    for name, tensor in alone.model_.weights().items():
        np.testing.assert_array_equal(vae.model_.weights()[name], tensor)
    assert vae.model_.core.n_threads == 2


# ------------------------------------------------------------------ the container's files


def cgroup(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def version1(quota: bytes, period: bytes) -> dict[str, bytes]:
    return {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": period}


LIMITS = {
    "version 2": ({"cpu.max": b"150000 100000\n"}, 1.5),
    "version 2, another period": ({"cpu.max": b"50000 200000\n"}, 0.25),
    "version 2, no limit": ({"cpu.max": b"max 100000\n"}, None),
    "version 1": (version1(b"400000\n", b"100000\n"), 4.0),
    "version 1, no limit": (version1(b"-1\n", b"100000\n"), None),
    "both": ({"cpu.max": b"200000 100000\n"} | version1(b"400000\n", b"100000\n"), 2.0),
}
JUNK = {
    "nothing there": {},
    "empty": {"cpu.max": b""},
    "one word": {"cpu.max": b"100000"},
    "words": {"cpu.max": b"a lot"},
    "no text": {"cpu.max": b"\xff\xfe\x00 \x80"},
    "zero period": {"cpu.max": b"100000 0"},
    "zero quota": {"cpu.max": b"0 100000"},
    "negative": {"cpu.max": b"-100000 100000"},
    "beyond floats": {"cpu.max": b"9" * 400 + b" 1"},
    "version 1, no text": version1(b"\xff\xfe", b"100000"),
    "version 1, words": version1(b"some", b"time"),
    "version 1, no period": {"cpu/cpu.cfs_quota_us": b"100000"},
    "version 1, zero period": version1(b"100000", b"0"),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_quota_is_read_in_cpus(case, tmp_path, monkeypatch):
    monkeypatch.undo()
    files, cpus = LIMITS[case]
    assert threads.container_quota(cgroup(tmp_path, files), tmp_path / "own") == cpus


@pytest.mark.parametrize("case", JUNK)
def test_junk_is_no_quota(case, tmp_path, monkeypatch):
    monkeypatch.undo()
    assert threads.container_quota(cgroup(tmp_path, JUNK[case]), tmp_path / "own") is None


SLURM = "system.slice/slurmd/job_7/step_0"
NESTED = {  # the content of /proc/self/cgroup, quotas by folder, the least in CPUs
    "the process's own": (b"0::/job/task\n", {"job": b"max 100000", "job/task": b"3000 1000"}, 3),
    "a parent's": (
        f"0::/{SLURM}\n".encode(),
        {"system.slice": b"max 100000", "system.slice/slurmd/job_7": b"2 1", SLURM: b"9 1"},
        2,
    ),
    "the root's": (b"0::/a/b\n", {".": b"1 1", "a": b"4 1", "a/b": b"5 1"}, 1),
    "not that of a neighbour": (b"0::/a\n", {"a": b"4 1", "b": b"1 1", "a/c": b"2 1"}, 4),
    "a path of the host": (b"0::/docker/0f3a\n", {".": b"2 1"}, 2),
    "a path out of view": (b"0::/../other\n", {".": b"3 1", "../other": b"1 1"}, 3),
    "a colon in a name": (b"0::/a:b\n", {"a:b": b"2 1"}, 2),
    "junk": (b"\xff\n0\n::\n", {".": b"2 1"}, 2),
}


@pytest.mark.parametrize("case", NESTED)
def test_the_least_quota_along_the_path_of_the_process_counts(case, tmp_path, monkeypatch):
    monkeypatch.undo()
    own, quotas, cpus = NESTED[case]
    root = cgroup(tmp_path / "root", {f"{name}/cpu.max": text for name, text in quotas.items()})
    (tmp_path / "own").write_bytes(own)
    assert threads.container_quota(root, tmp_path / "own") == cpus


def test_the_least_quota_of_version_1_counts(tmp_path, monkeypatch):
    monkeypatch.undo()
    files = {"cpu/cpu.cfs_quota_us": b"-1", "cpu/cpu.cfs_period_us": b"1000"}
    files |= {"cpu/job/cpu.cfs_quota_us": b"2500", "cpu/job/cpu.cfs_period_us": b"1000"}
    files |= {"cpu/job/a/cpu.cfs_quota_us": b"9000", "cpu/job/a/cpu.cfs_period_us": b"1000"}
    own = b"11:memory:/elsewhere\n4:cpu,cpuacct:/job/a\n3:cpuset:/b\n0::/unified\n"
    cgroup(tmp_path, {**files, "own": own})
    assert threads.container_quota(tmp_path, tmp_path / "own") == 2.5


# ------------------------------------------------------------------ trials


RUNS = 5000


def test_all_threads_are_tried_and_fewer_and_one() -> None:
    used = kernels.thread_trial([[5.0, 4.0, 3.0, 1.0, 2.0]] * 20)
    assert used == [5] * 4 + [4] * 4 + [2] * 4 + [1] * 4 + [4] * 4


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8])
def test_the_fastest_number_of_threads_makes_nearly_all_runs(most: int) -> None:
    for fastest in {1, 2, 4, most} & set(range(1, most + 1)):
        seconds = [1e-4 if threads == fastest else 2e-4 for threads in range(1, most + 1)]
        assert np.mean(np.equal(kernels.thread_trial([seconds] * RUNS), fastest)) > 0.98


@pytest.mark.parametrize("quiet_run", range(4))
def test_one_of_its_runs_is_enough_to_show_what_a_number_of_threads_can_do(quiet_run: int) -> None:
    quiet, busy = [2e-4, 1e-4], [2e-3, 1e-3]  # another process takes a CPU
    of_two, of_one = [busy] * 4, [quiet] * 4
    of_two[quiet_run] = quiet
    assert np.mean(np.equal(kernels.thread_trial((of_two + of_one) * 1000), 2)) > 0.98


def test_threads_that_begin_to_cost_more_than_they_bring_are_let_go() -> None:
    near, apart = [[2e-4, 1e-4]] * RUNS, [[2e-4, 3e-4]] * RUNS  # slower later on
    used = kernels.thread_trial(near + apart)
    assert np.mean(np.equal(used[:RUNS], 2)) > 0.98
    assert np.mean(np.equal(used[-RUNS // 2 :], 1)) > 0.98
