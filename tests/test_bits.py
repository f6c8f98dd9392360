"""The bits of a training: any threads, any memory, stopped at any step, on a busy machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test_checkpoint import Killed, kill_at_write
from vaefast import VAE, Checkpoint, load

THREADS = 1, 2, 3, 7, 16
X = np.random.default_rng(0).random((130, 60)).astype(np.float32)
STEPS = 9  # 3 epochs of 3 batches


def make(n_threads: int) -> VAE:
    return VAE(
        2, (70,), epochs=3, batch_size=50, random_state=0, n_threads=n_threads, verbose=False
    )


def bits(vae: VAE) -> dict[str, Any]:
    """Return the tensors of the model and of its optimizer, its figures, and answers."""
    core = vae.model_.core
    figures = {name: values for name, values in vae.history_.items() if name != "seconds"}
    tensors = {slot: core.tensors(slot) for slot in ("value", "m", "v")}
    return {
        **{f"{slot} {n}": t.tobytes() for slot, named in tensors.items() for n, t in named.items()},
        "history": figures,
        "codes": vae.transform(X).tobytes(),
        "scores": vae.score_samples(X).tobytes(),
        "samples": vae.sample(5, random_state=1).tobytes(),
    }


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return bits(make(1).fit(X))


@pytest.fixture(params=["in memory", "mapped"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> np.ndarray:
    if request.param == "in memory":
        return X
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


@contextmanager
def load_on_the_machine() -> Iterator[None]:
    """Keep eight threads at work."""
    over, block = threading.Event(), bytes(1 << 20)

    def burn() -> None:
        while not over.is_set():
            hashlib.sha256(block)  # releases the GIL

    threads = [threading.Thread(target=burn) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("n_threads", THREADS)
def test_any_threads_and_any_memory_give_the_same_bits(n_threads, rows, expected):
    assert bits(make(n_threads).fit(rows)) == expected


@pytest.mark.parametrize("n_threads", THREADS)
def test_load_changes_no_bit(n_threads, expected):
    with load_on_the_machine():
        assert bits(make(n_threads).fit(X)) == expected


@pytest.mark.parametrize("step", range(1, STEPS + 2))  # the last write says that it is finished
def test_a_training_that_is_stopped_at_any_step_goes_on_to_the_same_bits(
    step, rows, expected, tmp_path, monkeypatch
):
    path, before, after = tmp_path / "run", THREADS[step % 5], THREADS[(step + 2) % 5]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("vaefast._engine.epoch.POLL_SECONDS", 0)  # one step at a time, however fast
        kill_at_write(patch, step)
        make(before).fit(rows, checkpoint=Checkpoint(path, 1, unit="steps"))
    assert bits(make(after).fit(rows, checkpoint=path)) == expected


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_model_that_is_saved_after_any_epoch_goes_on_to_the_same_bits(
    epoch, rows, expected, tmp_path
):
    path = tmp_path / "model.safetensors"
    make(3).fit(rows, callbacks=[lambda _, record: record["epoch"] == epoch]).save(path, True)
    for _ in range(3 - epoch):
        load(path).set_params(n_threads=7).partial_fit(rows).save(path, True)
    # The codes that are drawn from are kept by each partial_fit, and once by a fit.
    assert {**bits(load(path)), "samples": None} == {**expected, "samples": None}
