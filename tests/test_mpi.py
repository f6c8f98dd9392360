"""Training in several processes of MPI: the bits of one process, and errors that end all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpi_programs
import vaefast
from vaefast import VAE
from vaefast._system.signals import DeferredSignals
from vaefast._system.threads import available_cpus, cpu_set
from vaefast.cli import processes as cli_processes

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))  # that of `mpich`
with_mpi = pytest.mark.skipif(
    MPIEXEC is None or find_spec("mpi4py") is None, reason="needs mpi4py and mpich"
)

SECONDS = 120  # after which a program that hangs is ended


def start(n: int, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command in n processes."""
    assert MPIEXEC is not None
    return subprocess.run(
        [MPIEXEC, "-n", str(n), sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
    )


def run(n: int, program: str, folder: Path) -> list[Any]:
    """Run a program of mpi_programs.py in n processes, and return what each of them found."""
    done = start(n, "-m", "mpi4py", mpi_programs.__file__, program, folder)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{program}-{rank}.json").read_text()) for rank in range(n)]


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    return mpi_programs.digests(None)


@with_mpi
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_bits_are_those_of_one_process(n, alone, tmp_path):
    for found in run(n, "bits", tmp_path):
        assert found == alone


@with_mpi
def test_a_killed_process_ends_all_and_the_training_resumes_on_other_numbers(tmp_path):
    done = start(3, "-m", "mpi4py", mpi_programs.__file__, "killed", tmp_path)
    assert done.returncode != 0
    half_way = (tmp_path / "run.safetensors").read_bytes()
    assert 0 < vaefast.load(tmp_path / "run.safetensors").n_iter_ < 4
    whole = mpi_programs.digest(mpi_programs.small(epochs=4).fit(mpi_programs.digits()))
    assert run(2, "resume", tmp_path) == [whole, whole]
    (tmp_path / "run.safetensors").write_bytes(half_way)
    assert mpi_programs.resume(None, tmp_path) == whole


@with_mpi
def test_without_a_seed_all_processes_use_that_of_the_first_and_share_the_cpus(tmp_path):
    (seed, *first), (other_seed, *second) = run(2, "seeds", tmp_path)
    assert seed == other_seed and first == second
    *_, threads, default = first
    assert threads == default == max(1, available_cpus() // 2)


@with_mpi
def test_what_fails_in_one_process_fails_in_all_and_names_it(tmp_path):
    first, last = run(2, "faults", tmp_path)
    for name in ("other data", "other shape", "other parameter"):
        assert first[name] == last[name]
        assert first[name].startswith("ValueError: process")
        assert "can't train with the others" in first[name]
    assert "process 1 of 2" in first["other data"] and "hash of X" in first["other data"]
    assert "its parameter latent_dim is 3, and theirs is 2" in first["other parameter"]
    assert last["bad value"].startswith("ValueError: X")
    assert first["bad value"].startswith("ProcessError: process 1 of 2 failed: ValueError: X")
    assert first["callback"] == "Failure: as planned"
    assert last["callback"] == "ProcessError: process 0 of 2 failed: Failure: as planned"
    assert first["no folder"].startswith("FileNotFoundError")
    assert last["no folder"].startswith("ProcessError: process 0 of 2 failed: FileNotFoundError")
    assert first["interrupted"] == last["interrupted"]
    assert first["interrupted"].startswith("KeyboardInterrupt")
    assert first["diverged"] == last["diverged"]
    assert first["diverged"].startswith("DivergenceError")
    whole = mpi_programs.digest(mpi_programs.small().fit(mpi_programs.digits()))
    assert first["none"] == last["none"] == whole


@with_mpi
def test_an_error_within_a_step_ends_all_processes(tmp_path):
    done = start(2, mpi_programs.__file__, "broken_step", tmp_path)  # without python -m mpi4py
    assert done.returncode != 0
    assert "process 1 of 2 failed within a step" in done.stderr
    assert "Failure: as planned" in done.stderr


@with_mpi
@pytest.mark.skipif(len(cpu_set()) < 2, reason="needs a CPU that stays idle")
def test_processes_that_are_bound_to_one_cpu_say_so(tmp_path):
    first, second = run(2, "bound", tmp_path)
    assert any("mpiexec --bind-to none" in message for message in first)
    assert not second  # only the first process warns


def test_comm_must_be_a_communicator():
    with pytest.raises(TypeError, match=r"comm=4 must be a communicator of mpi4py"):
        mpi_programs.small().fit(mpi_programs.digits(), comm=4)


def test_signals_wait_until_they_are_delivered():
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    with DeferredSignals() as outer, DeferredSignals() as inner:
        interrupt()
        inner.deliver()  # the outer context has it
        with pytest.raises(KeyboardInterrupt):
            outer.deliver()
        outer.deliver()  # nothing is left
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()  # at once
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    with pytest.raises(KeyboardInterrupt), DeferredSignals():
        interrupt()  # nobody delivers it before the end


# ------------------------------------------------------------------ the command line


OPTIONS = (
    *("--latent-dim", "2", "--hidden-layer-sizes", "16", "--learning-rate", "1e-3"),
    *("--batch-size", "128", "--epochs", "2", "--random-state", "1", "--no-verbose"),
)


@with_mpi
def test_the_command_trains_together_and_the_first_process_speaks(digits_file, tmp_path):
    done = start(2, "-m", "vaefast", "train", digits_file, "--out", tmp_path / "run", *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Wrote") == 1
    vae = vaefast.load(tmp_path / "run")
    with np.load(digits_file) as data:
        again = VAE(**vae.get_params()).fit(data["X"])
    for name, tensor in again.model_.weights().items():
        np.testing.assert_array_equal(tensor, vae.model_.weights()[name])
    done = start(2, "-m", "vaefast", "train", digits_file, "--out", tmp_path / "run", *OPTIONS)
    assert done.returncode == 1
    assert done.stderr.count("Error:") == 1 and "holds an earlier run" in done.stderr


def test_the_command_asks_for_mpi4py(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setenv("PMI_RANK", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert cli_processes.started() == (3, 2)
    with pytest.raises(Exception, match=r"mpiexec started 3 processes, which need mpi4py"):
        cli_processes.join(3)


@with_mpi
def test_the_command_notices_the_mpiexec_of_another_mpi(tmp_path):
    program = "from vaefast.cli.processes import join; join(4)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "mpiexec started 4 processes, but mpi4py finds 1" in done.stderr
