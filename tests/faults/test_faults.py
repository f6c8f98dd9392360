"""Faults of the machine: no crash, no hang, an old or a new whole file, one clear message.

VAEFAST_KILLS=200 sets the number of kills of a long run.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vaefast
from vaefast import VAE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

KILLS = int(os.environ.get("VAEFAST_KILLS", "20"))
SECONDS = 120  # a command that takes longer hangs
SINGLE = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # OpenBLAS crashes without memory for threads

SAVING = """
import sys
import numpy as np
from vaefast import VAE
X = np.random.default_rng(0).random((200, 30)).astype(np.float32)
vae = VAE(2, (64,), batch_size=50, epochs=1, random_state=0, verbose=False).fit(X)
print("ready", flush=True)
while True:
    vae.partial_fit(X)
    vae.save(sys.argv[1], training=True)
"""

CHECKPOINTING = """
import sys
import numpy as np
from vaefast import VAE, Checkpoint
X = np.random.default_rng(0).random((200, 30)).astype(np.float32)
vae = VAE(2, (64,), batch_size=50, epochs=10**6, random_state=0, verbose=False)
point = Checkpoint(sys.argv[1], 2, unit="steps")
vae.fit(X, checkpoint=point, callbacks=[lambda vae, record: print("ready", flush=True)])
"""


@pytest.mark.parametrize("script", [SAVING, CHECKPOINTING], ids=["save", "checkpoint"])
def test_a_killed_process_leaves_a_whole_file(script: str, tmp_path: Path):
    path, rng = tmp_path / "model.safetensors", np.random.default_rng(0)
    for _ in range(KILLS // 2):
        command = [sys.executable, "-c", script, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0, 0.3))
            process.kill()
        if path.exists():
            assert vaefast.load(path).n_iter_ >= 0
    assert path.exists()
    assert len(list(tmp_path.iterdir())) <= 1 + KILLS // 2  # the file, and at most one a kill


def train(
    folder: Path, *options: str, limit: Callable[[], None]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vaefast", "train", "strokes", "--epochs", "1", *options]
    return subprocess.run(
        [*command, "--n-threads", "1", "--out", str(folder)],
        preexec_fn=limit,
        env=SINGLE,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def to(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


@pytest.mark.parametrize("megabytes", [400, 600, 900, 1300])
def test_little_memory_is_one_line_or_enough(megabytes: int, tmp_path: Path):
    result = train(tmp_path / "run", limit=to(resource.RLIMIT_AS, megabytes * 2**20))
    assert "Traceback" not in result.stderr, result.stderr
    if result.returncode == 0:
        assert vaefast.load(tmp_path / "run" / "model.safetensors").n_iter_ == 1
    else:
        assert result.returncode == 1, result.stderr
        assert "memory" in result.stderr.splitlines()[-1], result.stderr


def test_a_disk_that_is_full_is_one_line(tmp_path: Path):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    result = train(tmp_path / "run", limit=limit)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: "), result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_no_file_descriptors_are_one_line(tmp_path: Path):
    vae = VAE(1, (2,), epochs=1, random_state=0, verbose=False).fit(np.full((4, 3), 0.5))
    path = tmp_path / "model.safetensors"
    vae.save(path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files|too many open files"):
            vae.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path):
    tmp_path.chmod(0o500)
    try:
        result = train(tmp_path / "run", limit=lambda: None)
    finally:
        tmp_path.chmod(0o700)
    assert result.returncode == 1 and "Permission denied" in result.stderr
    assert "Traceback" not in result.stderr
