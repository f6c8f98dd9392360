"""Results have the same bits for any number of threads, any batch and any interruption."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cores import Floats, Net, Rows, as_floats, grey, noise, set_optimizer, sparse, state
from vaefast import _core
from vaefast._core import kernels

THREADS = [1, 2, 3, 7, 16]
SMALL = Net(61, (133,), 3, (140,), "tanh", "gaussian")  # small enough for thread trials
LARGE = Net(300, (128, 64), 10, (150,))  # too large for thread trials
WIDE = Net(3000, (1000, 70), 5, (90, 1001))  # so wide that threads share the columns of a few rows
ROWS, BATCH = 300, 128  # the last batch of an epoch has 44 rows


def train(
    core: _core.Core, x: np.ndarray, epochs: range, seed: int = 5
) -> list[tuple[float, float]]:
    losses = []
    for epoch in epochs:
        order = _core.permutation(len(x), seed, epoch)
        for i in range(0, len(x), BATCH):
            step = epoch * len(x) + i
            losses.append(core.step(x, order[i : i + BATCH], 0.01, 1.0, seed, step))
    return losses


# --- Training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("net", [SMALL, LARGE, replace(LARGE, likelihood="gaussian")])
def test_training_gives_the_same_bits_for_any_number_of_threads(net: Net, optimizer: str) -> None:
    x = grey(0, ROWS, net.features)
    runs = []
    for n_threads in THREADS:
        core = net.core(n_threads, optimizer=optimizer)
        runs.append((train(core, x, range(9)), state(core)))  # longer than the trials of 7 threads
    for n_threads, (losses, tensors) in zip(THREADS, runs, strict=True):
        assert np.isfinite(losses).all()
        assert losses == runs[0][0], n_threads
        assert tensors == runs[0][1], n_threads
    assert runs[0][1] != state(net.core(optimizer=optimizer))  # training changed the weights


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in Linux's /proc")
def test_several_threads_are_in_fact_used() -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    x = grey(0, ROWS, LARGE.features)
    core = LARGE.core(7)
    before = threads()
    train(core, x, range(1))
    assert threads() == before + 6  # the caller is the seventh
    del core
    assert threads() == before


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs sched_getaffinity and at least two CPUs",
)
def test_workers_keep_off_the_callers_cpu_and_the_caller_stays_free() -> None:
    allowed = os.sched_getaffinity(0)
    before = set(os.listdir("/proc/self/task"))
    core = LARGE.core(2)
    train(core, grey(0, ROWS, LARGE.features), range(1))
    (worker,) = set(os.listdir("/proc/self/task")) - before
    assert len(os.sched_getaffinity(int(worker))) == len(allowed) - 1
    assert os.sched_getaffinity(int(worker)) < os.sched_getaffinity(0) == allowed


@pytest.mark.parametrize("features", [61, 300])
def test_zeros_that_are_left_out_change_no_bit(features: int) -> None:
    net = Net(features, (70, 33), 3, (40,))
    x = sparse(0, ROWS, features)
    no_zeros = np.where(x == 0, np.float32(2e-38), x)  # products underflow to 0
    runs = []
    for rows, n_threads in [(no_zeros, 1), (x, 1), (x, 2), (x, 7)]:
        core = net.core(n_threads)
        losses = train(core, rows, range(3))
        runs.append((losses, state(core), [part.tobytes() for part in core.encode(rows)]))
    assert all(run == runs[0] for run in runs)


class Gathering:
    """Gathers bytes from cores in several threads, which stand for processes."""

    def __init__(self, n: int) -> None:
        self.buffers: list[memoryview] = [memoryview(b"")] * n
        self.barrier = threading.Barrier(n)

    def of(self, rank: int) -> Callable[[memoryview, NDArray[np.int64]], None]:
        def all_gather(buffer: memoryview, starts: NDArray[np.int64]) -> None:
            self.buffers[rank] = buffer
            self.barrier.wait()
            for other, mine in enumerate(self.buffers):
                part = slice(int(starts[other]), int(starts[other + 1]))
                if other != rank:
                    buffer[part] = mine[part]
            self.barrier.wait()

        return all_gather


@pytest.mark.parametrize(("net", "n_processes"), [(SMALL, 2), (LARGE, 3), (LARGE, 5), (WIDE, 3)])
def test_training_gives_the_same_bits_for_any_number_of_processes(
    net: Net, n_processes: int
) -> None:
    x = sparse(0, ROWS, net.features)
    alone = net.core(2)
    losses = train(alone, x, range(2))
    gathering = Gathering(n_processes)

    def train_in(rank: int) -> tuple[list[tuple[float, float]], dict[str, bytes]]:
        core = net.core(1 + rank % 2)
        core.set_exchange(rank, n_processes, gathering.of(rank))
        losses = train(core, x, range(2))
        core.gather_moments()
        return losses, state(core)

    with ThreadPoolExecutor(n_processes) as pool:
        for found in pool.map(train_in, range(n_processes)):
            assert found[0] == losses
            assert found[1] == state(alone)


def test_an_error_in_an_exchange_ends_the_step_and_the_core_goes_on_alone() -> None:
    def fail(buffer: memoryview, starts: NDArray[np.int64]) -> None:
        raise KeyError(len(buffer) == starts[-1])

    x = grey(0, ROWS, SMALL.features)
    core, other = SMALL.core(), SMALL.core()
    core.set_exchange(1, 2, fail)
    with pytest.raises(KeyError, match="True"):
        train(core, x, range(1))
    core.set_exchange()
    assert train(core, x, range(1)) == train(other, x, range(1))
    with pytest.raises(ValueError, match="rank must be from 0 to size - 1"):
        core.set_exchange(2, 2, fail)


def test_a_thread_that_waits_for_the_end_of_a_step_does_not_hold_up_its_exchanges() -> None:
    x = grey(0, ROWS, SMALL.features)
    core = SMALL.core()
    waiting: list[threading.Thread] = []

    def all_gather(buffer: memoryview, starts: NDArray[np.int64]) -> None:
        for read in (lambda: core.optimizer_steps, core.tensors, core.phase_seconds):
            waiting.append(threading.Thread(target=read))
            waiting[-1].start()

    core.set_exchange(0, 1, all_gather)
    assert train(core, x, range(1)) == train(SMALL.core(), x, range(1))
    for thread in waiting:
        thread.join()
    assert len(waiting) == 3 * 2 * 3  # three readers in two exchanges of three steps


def test_gradients_are_the_same_bits_for_any_number_of_threads() -> None:
    x, eps = grey(0, 130, LARGE.features), noise(1, 130, LARGE.latent_dim)
    results = [LARGE.core(n).gradients(x, eps, 1.0) for n in THREADS]
    for name in results[0]:
        assert len({result[name].tobytes() for result in results}) == 1, name


def test_noise_of_training_is_named_by_seed_step_and_position_in_the_batch() -> None:
    seed, step = 2**63 + 1, 2**33 + 5
    rows = np.arange(BATCH)
    for latent_dim in (1, 4, 10):
        net = replace(LARGE, latent_dim=latent_dim)
        x = grey(0, BATCH, net.features)
        blocks = (latent_dim + 3) // 4
        eps = np.stack(
            [kernels.normals(seed, step, row * blocks, latent_dim) for row in range(BATCH)]
        )
        drawn, given = net.core(7), net.core(1)
        losses = drawn.step(x, rows, 0.01, 1.0, seed, step)
        assert losses == given.step(x, rows, 0.01, 1.0, 0, 0, eps)
        assert state(drawn) == state(given)


def test_another_seed_or_step_gives_other_noise() -> None:
    x, rows = grey(0, BATCH, SMALL.features), np.arange(BATCH)
    losses = {
        SMALL.core().step(x, rows, 0.01, 1.0, seed, step)
        for seed in (0, 1, 1 << 32)
        for step in (0, 1, 1 << 32)
    }
    assert len(losses) == 9


def test_initial_weights_depend_on_the_seed_alone() -> None:
    start = state(LARGE.core(1, seed=3))
    assert start == state(LARGE.core(7, seed=3))
    for other in (4, 3 + (1 << 32)):
        tensors = state(LARGE.core(1, seed=other))
        assert all(tensors[name] != bits for name, bits in start.items() if name[:5] == "value")


def test_initial_weights_are_uniform_within_one_over_the_root_of_fan_in() -> None:
    tensors = LARGE.core().tensors()
    fan_in = {
        name[: -len(".weight")]: tensor.shape[0]
        for name, tensor in tensors.items()
        if name.endswith(".weight")
    }
    seen: set[float] = set()
    for name, tensor in tensors.items():
        limit = fan_in[name.rpartition(".")[0]] ** -0.5
        scaled = tensor.ravel().astype(np.float64) / limit
        assert np.max(np.abs(scaled)) <= 1 + 1e-6, name
        error = 4 / np.sqrt(len(scaled))
        assert abs(np.mean(scaled)) < error * np.sqrt(1 / 3), name
        assert abs(np.mean(scaled**2) - 1 / 3) < error * np.sqrt(4 / 45), name
        assert not seen & set(scaled[:4].tolist()), name  # each tensor has numbers of its own
        seen |= set(scaled[:4].tolist())


# --- Encoding, decoding, scoring ------------------------------------------------------------------


def inference(core: _core.Core, x: Rows, z: Floats) -> dict[str, Any]:
    mu, logvar = core.encode(x)
    reconstruction, kl = core.score(x, 11)
    given = core.score(x, 0, z)
    return {
        "mu": mu,
        "logvar": logvar,
        "mean": core.decode(z),
        "reconstruction": reconstruction,
        "kl": kl,
        "reconstruction of given noise": given[0],
        "kl of given noise": given[1],
    }


@pytest.mark.parametrize("net", [SMALL, LARGE])
def test_inference_is_the_same_bits_for_any_threads_subset_order_and_call(net: Net) -> None:
    n = 700
    x, z = grey(0, n, net.features), noise(1, n, net.latent_dim)
    want = inference(net.core(1), x, z)
    rng = np.random.default_rng(2)
    subsets = [np.arange(n), rng.permutation(n), np.array([699]), np.arange(95, 98), np.arange(97)]
    subsets += [rng.permutation(n)[: rng.integers(1, n)] for _ in range(4)]
    for n_threads in THREADS:
        core = net.core(n_threads)
        for subset in [*subsets, *subsets[:3]]:
            got = inference(core, x[subset], z[subset])
            for name, value in want.items():
                assert got[name].tobytes() == value[subset].tobytes(), (name, n_threads)


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
def test_threads_that_share_the_columns_of_a_few_rows_change_no_bit(likelihood: str) -> None:
    net = replace(WIDE, likelihood=likelihood)
    x, z = as_floats(grey(0, 50, net.features)), noise(1, 50, net.latent_dim)
    want = inference(net.core(1), x, z)
    for n_threads in (1, 2, 3):
        core = net.core(n_threads)
        for n in (50, 1, 2, 7, 13, 24, 1):
            for first in (0, 50 - n):
                part = slice(first, first + n)
                got = inference(core, x[part], z[part])
                for name, value in want.items():
                    assert got[name].tobytes() == value[part].tobytes(), (name, n_threads, n)


@pytest.mark.parametrize("net", [SMALL, LARGE, replace(LARGE, latent_dim=31)])
def test_means_alone_have_the_bits_that_they_have_beside_variances(net: Net) -> None:
    x = grey(0, 400, net.features)
    core = net.core(2)
    for n in (400, 60, 1):
        assert core.encode_mean(x[:n]).tobytes() == core.encode(x[:n])[0].tobytes()


@pytest.mark.parametrize("net", [SMALL, LARGE])
def test_float64_is_read_as_the_nearest_float32(net: Net) -> None:
    x = np.random.default_rng(0).random((300, net.features)) ** 30  # some are denormal in float32
    rounded, core = x.astype(np.float32), net.core(2)
    for a, b in zip(core.encode(x), core.encode(rounded), strict=True):
        assert a.tobytes() == b.tobytes()
    for a, b in zip(core.score(x, 3), core.score(rounded, 3), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.1, 1.1])
def test_a_value_outside_of_the_limits_is_found_wherever_it_is(bad: float, dtype: type) -> None:
    x = np.random.default_rng(0).random((300, SMALL.features)).astype(dtype)
    core, limits = SMALL.core(2), (0.0, 1.0)
    want = core.encode(x)[0].tobytes()
    for row, column in [(0, 0), (0, 60), (150, 31), (299, 59), (299, 60)]:
        kept, x[row, column] = x[row, column], bad
        assert core.encode(x, limits) is None
        assert core.encode_mean(x, limits) is None
        assert core.score(x, 0, limits=limits) is None
        x[row, column] = kept
        found = core.encode(x, limits)
        assert found is not None and found[0].tobytes() == want


@pytest.mark.parametrize("net", [SMALL, LARGE])
def test_bytes_and_their_255ths_score_the_same(net: Net) -> None:
    x = grey(0, 256, net.features)
    x[:, 0] = np.arange(256)  # every value of a byte
    core = net.core(2)
    z = noise(1, 256, net.latent_dim)
    of_bytes, of_floats = inference(core, x, z), inference(core, as_floats(x), z)
    for name, value in of_bytes.items():
        assert value.tobytes() == of_floats[name].tobytes(), name


def test_a_row_is_scored_with_noise_of_its_own() -> None:
    core = SMALL.core()
    x = np.repeat(grey(0, 1, SMALL.features), 100, axis=0)
    same, _ = core.score(x, 0)
    assert len(set(same.tolist())) == 1
    assert core.score(x, 1)[0][0] != same[0]
    eps = noise(0, 100, SMALL.latent_dim)
    assert len(set(core.score(x, 0, eps)[0].tolist())) == 100
    # The noise depends on the row, so one changed byte moves the score as much as new noise does.
    for feature in range(SMALL.features):
        x[feature, feature] ^= 1
    changed, _ = core.score(x[: SMALL.features], 0)
    assert len(set(changed.tolist())) == SMALL.features
    assert 0.5 < np.std(changed) / np.std(core.score(x, 0, eps)[0]) < 2


# --- State ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
def test_restored_state_continues_with_the_same_bits(optimizer: str) -> None:
    x = grey(0, ROWS, LARGE.features)
    core = LARGE.core(3, optimizer=optimizer)
    train(core, x, range(2))
    saved = {slot: core.tensors(slot) for slot in ("value", "m", "v")}
    steps = core.optimizer_steps
    expected_moments = {"adam": 2, "adamw": 2, "sgd": 1}[optimizer]
    assert sum(bool(saved[slot]) for slot in ("m", "v")) == expected_moments

    restored = LARGE.core(2, seed=99, optimizer=optimizer)
    for slot, tensors in saved.items():
        if tensors:
            restored.set_tensors(tensors, slot)
    restored.optimizer_steps = steps
    assert state(restored) == state(core)

    assert train(restored, x, range(2, 4)) == train(core, x, range(2, 4))
    assert state(restored) == state(core)
    assert restored.optimizer_steps == core.optimizer_steps == 12


def test_set_tensors_round_trips_every_bit() -> None:
    core = replace(SMALL, encoder=(33, 1, 64)).core()
    tensors = core.tensors()
    for i, name in enumerate(tensors):
        tensors[name] = noise(i, *tensors[name].shape)
    core.set_tensors(tensors)
    for name, tensor in core.tensors().items():
        assert tensor.dtype == np.float32
        assert tensor.tobytes() == tensors[name].tobytes(), name


def test_set_tensors_takes_any_memory_order() -> None:
    core, other = SMALL.core(seed=0), SMALL.core(seed=1)
    other.set_tensors({name: np.asfortranarray(t) for name, t in core.tensors().items()})
    assert state(other) == state(core)


def test_tensors_are_copies() -> None:
    core = SMALL.core()
    before = state(core)
    for tensor in core.tensors().values():
        tensor[:] = 0
    assert state(core) == before


def test_set_optimizer_starts_from_zero() -> None:
    x = grey(0, ROWS, SMALL.features)
    core = SMALL.core()
    train(core, x, range(1))
    set_optimizer(core, "adam")
    assert core.optimizer_steps == 0
    assert not any(np.any(t) for slot in ("m", "v") for t in core.tensors(slot).values())


# --- Several steps at once, steps that are refused, and the range of log_sigma --------------------


def test_many_steps_are_as_many_single_ones() -> None:
    x = grey(0, ROWS, SMALL.features)
    order = _core.permutation(ROWS, 1, 0)
    rates, betas, capacities = np.linspace(0.01, 0.02, 3), np.linspace(0, 1, 3), np.arange(3.0)
    for aims in (None, capacities):
        many, single = SMALL.core(2), SMALL.core(2)
        losses = many.steps(x, order, BATCH, rates, betas, 5, 70, aims)
        want = [
            single.step(
                x,
                order[i * BATCH : (i + 1) * BATCH],
                rates[i],
                betas[i],
                5,
                70 + i,
                capacity=None if aims is None else aims[i],
            )
            for i in range(3)
        ]
        assert losses.tolist() == [list(loss) for loss in want]
        assert state(many) == state(single)


def test_steps_end_with_the_first_loss_that_is_not_finite() -> None:
    x = as_floats(grey(0, ROWS, SMALL.features))
    x[BATCH + 3, 5] = np.nan
    core, twin = SMALL.core(), SMALL.core()
    losses = core.steps(x, np.arange(ROWS), BATCH, np.full(3, 0.01), np.ones(3), 0, 0)
    assert np.isfinite(losses).all(axis=1).tolist() == [True, False]
    twin.step(x, np.arange(BATCH), 0.01, 1.0, 0, 0)
    assert state(core) == state(twin)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
def test_a_loss_that_is_not_finite_leaves_everything_as_it_was(optimizer: str, bad: float) -> None:
    x = as_floats(grey(0, ROWS, LARGE.features))
    core, twin = LARGE.core(3, optimizer=optimizer), LARGE.core(3, optimizer=optimizer)
    for each in (core, twin):
        train(each, x, range(1))
    broken = x[:BATCH].copy()
    broken[77, 33] = bad
    losses = core.step(broken, np.arange(BATCH), 0.01, 1.0, 0, 0)
    assert not np.isfinite(losses).all()
    assert state(core) == state(twin)
    assert core.optimizer_steps == twin.optimizer_steps
    # The refused step leaves no trace in later steps.
    assert train(core, x, range(1, 2)) == train(twin, x, range(1, 2))
    assert state(core) == state(twin)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_gradient_whose_square_overflows_leaves_weights_finite(optimizer: str) -> None:
    net = replace(SMALL, activation="relu")
    core = net.core(optimizer=optimizer)
    x = np.full((3, net.features), 1e12, np.float32)
    losses = core.step(x, np.arange(3), 1e-3, 1.0, 0, 0)
    assert np.isfinite(losses).all()
    for name, tensor in core.tensors().items():
        assert np.isfinite(tensor).all(), name


@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
def test_weights_that_blew_up_can_be_put_back(optimizer: str) -> None:
    x = grey(0, BATCH, SMALL.features)
    core = SMALL.core(optimizer=optimizer)
    saved, want = core.tensors(), core.score(x, 0)
    core.step(x, np.arange(BATCH), 1e40, 1.0, 0, 0)  # infinite in float32
    assert not np.isfinite(core.score(x, 0)).all()
    core.set_tensors(saved)
    np.testing.assert_array_equal(core.score(x, 0), want)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_log_sigma_of_a_constant_column_stops_at_its_floor(optimizer: str) -> None:
    net = Net(3, (), 1, (), likelihood="gaussian")
    x = noise(0, 64, 3)
    x[:, 1] = 0
    core = net.core(optimizer=optimizer)
    tensors = core.tensors()
    tensors["output.weight"][:, 1] = tensors["output.bias"][1] = 0  # this fits the column exactly
    core.set_tensors(tensors)
    for step in range(150):
        core.step(x, np.arange(64), 0.1 if optimizer == "adam" else 0.01, 1.0, 0, step)
        assert core.tensors()["log_sigma"].min() >= -7
    log_sigma = core.tensors()["log_sigma"]
    assert log_sigma[1] == -7
    assert (log_sigma[[0, 2]] > -2).all()


def test_log_sigma_of_a_vast_column_stops_at_its_ceiling() -> None:
    net = Net(2, (), 1, (), likelihood="gaussian")
    core = net.core()
    tensors = core.tensors()
    tensors["log_sigma"][:] = 12
    core.set_tensors(tensors)
    x = noise(0, 64, 2) * np.array([1e8, 1e5], np.float32)
    for step in range(30):
        core.step(x, np.arange(64), 0.3, 1.0, 0, step)
        assert core.tensors()["log_sigma"].max() <= 14
    assert core.tensors()["log_sigma"][0] == 14


def test_fixed_log_sigma_never_moves() -> None:
    core = replace(SMALL, learn_sigma=False).core(optimizer="adamw")
    tensors = core.tensors()
    tensors["log_sigma"] = np.linspace(-9, 16, SMALL.features, dtype=np.float32)
    core.set_tensors(tensors)
    train(core, grey(0, ROWS, SMALL.features), range(2))
    assert core.tensors()["log_sigma"].tobytes() == tensors["log_sigma"].tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 2, 6, 1000])
def test_each_task_of_a_work_queue_is_taken_once(n: int, threads: int) -> None:
    for _ in range(20):  # the timing differs each time
        assert kernels.work_queue(n, threads) == [1] * n
