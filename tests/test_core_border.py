"""The border of Python and C++: bad arguments raise errors; Python threads and forks work."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cores import Net, Rows, grey, noise, python, set_optimizer, state
from vaefast import _core

NET = Net(5, (4,), 2, (3,), likelihood="gaussian")
X, Z = noise(0, 6, 5), noise(1, 6, 2)
INDEX = np.arange(6)
THREE = np.ones(3)


# --- Bad arguments --------------------------------------------------------------------------------


def step(core: _core.Core, x: Any = X, index: Any = INDEX, seed: Any = 0, eps: Any = None) -> None:
    core.step(x, index, 0.1, 1.0, seed, 0, eps)


def steps(
    core: _core.Core,
    index: Any = INDEX,
    size: int = 2,
    rates: Any = THREE,
    betas: Any = THREE,
    capacities: Any = None,
) -> None:
    core.steps(X, index, size, rates, betas, 0, 0, capacities)


def weigh(core: _core.Core, weights: Any, x: Any = X) -> None:
    step(core, _core.Data(x, weights=weights))


def weights_with(number: float) -> np.ndarray:
    return np.array([1, 2, 3, number, 5, 6], np.float32)


def with_tensor(name: str, tensor: Any) -> Callable[[_core.Core], None]:
    return lambda core: core.set_tensors({**core.tensors(), name: tensor})


def without_tensor(name: str) -> Callable[[_core.Core], None]:
    return lambda core: core.set_tensors({k: v for k, v in core.tensors().items() if k != name})


def misaligned(array: np.ndarray) -> np.ndarray:
    """Return a copy at an odd address."""
    moved = np.ndarray(array.shape, array.dtype, bytearray(array.nbytes + 1), 1)
    moved[:] = array
    return moved


BAD_CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "encode int64": (lambda c: c.encode(X.astype(np.int64)), "float32, float64 or uint8"),
    "encode big-endian": (lambda c: c.encode(X.astype(">f4")), "float32, float64 or uint8"),
    "encode bool": (lambda c: c.encode(X > 0), "float32, float64 or uint8"),
    "encode objects": (lambda c: c.encode(X.astype(object)), "float32, float64 or uint8"),
    "encode Fortran order": (lambda c: c.encode(np.asfortranarray(X)), "C-contiguous"),
    "encode every other row": (lambda c: c.encode(X[::2]), "C-contiguous"),
    "encode misaligned": (lambda c: c.encode(misaligned(X)), "aligned"),
    "encode one row": (lambda c: c.encode(X[0]), r"x must have shape \(n, 5\)"),
    "encode too narrow": (lambda c: c.encode(noise(0, 6, 4)), r"x must have shape \(n, 5\)"),
    "encode three axes": (lambda c: c.encode(noise(0, 6, 5, 1)), r"x must have shape \(n, 5\)"),
    "encode a list": (lambda c: c.encode(X.tolist()), "an array"),
    "encode nothing": (lambda c: c.encode(None), "."),
    "score eps too short": (lambda c: c.score(X, 0, Z[:5]), r"eps must have shape \(6, 2\)"),
    "score negative seed": (lambda c: c.score(X, -1), "incompatible"),
    "decode too wide": (lambda c: c.decode(X), r"z must have shape \(n, 2\)"),
    "decode float64": (lambda c: c.decode(Z.astype(np.float64)), "."),
    "decode a string": (lambda c: c.decode("z"), "."),
    "gradients without rows": (lambda c: c.gradients(X[:0], Z[:0], 1.0), "no rows"),
    "gradients eps too wide": (lambda c: c.gradients(X, X, 1.0), r"eps must have shape \(6, 2\)"),
    "step float64": (lambda c: step(c, X.astype(np.float64)), "float32 or uint8"),
    "step strided": (lambda c: step(c, X[:, ::-1]), "C-contiguous"),
    "step index too large": (lambda c: step(c, index=np.array([0, 6])), "outside the rows"),
    "step index negative": (lambda c: step(c, index=np.array([0, -1])), "outside the rows"),
    "step index empty": (lambda c: step(c, index=INDEX[:0]), "not be empty"),
    "step index 2-d": (lambda c: step(c, index=INDEX.reshape(2, 3)), "one dimension"),
    "step index of floats": (lambda c: step(c, index=INDEX + 0.5), "incompatible"),
    "step eps of another batch": (lambda c: step(c, eps=Z[:4]), r"eps must have shape \(6, 2\)"),
    "step eps of 3 samples": (lambda c: step(c, eps=noise(1, 6, 3, 2)), "has 3 samples .* takes 1"),
    "step eps of no sample": (lambda c: step(c, eps=noise(1, 6, 0, 2)), "has 0 samples .* takes 1"),
    "step eps too wide": (lambda c: step(c, eps=noise(1, 6, 1, 3)), r"shape \(6, samples, 2\)"),
    "step eps of one axis": (lambda c: step(c, eps=noise(1, 12)), r"eps must have shape \(6, 2\)"),
    "score eps of samples": (lambda c: c.score(X, 0, noise(1, 6, 2, 2)), r"have shape \(6, 2\)"),
    "weights too short": (lambda c: weigh(c, THREE.astype(np.float32)), "number for each row"),
    "weights of two axes": (lambda c: weigh(c, np.ones((6, 1), np.float32)), "number for each row"),
    "weights of nothing": (lambda c: weigh(c, np.ones(6, np.float32), np.float32(1)), "."),
    "weights of one number": (lambda c: weigh(c, np.float32(1)), "."),
    "weights float64": (lambda c: weigh(c, np.ones(6)), "incompatible"),
    "weights NaN": (lambda c: weigh(c, weights_with(np.nan)), "nan in row 3, expected finite"),
    "weights infinite": (lambda c: weigh(c, weights_with(np.inf)), "inf in row 3, expected finite"),
    "weights zero": (lambda c: weigh(c, weights_with(0)), "0.0* in row 3, expected finite, pos"),
    "weights negative": (lambda c: weigh(c, weights_with(-2)), "-2.0* in row 3, expected finite"),
    "step negative seed": (lambda c: step(c, seed=-1), "incompatible"),
    "step seed beyond 64 bits": (lambda c: step(c, seed=2**64), "incompatible"),
    "steps without rows": (lambda c: steps(c, index=INDEX[:0]), "not be empty"),
    "steps index too large": (lambda c: steps(c, index=np.array([0, 6])), "outside the rows"),
    "steps of no rows": (lambda c: steps(c, size=0), "batch_size must be at least 1"),
    "steps with too few rates": (lambda c: steps(c, rates=np.ones(2)), "one learning rate"),
    "steps with too many betas": (lambda c: steps(c, betas=np.ones(4)), "one learning rate, beta"),
    "steps capacities": (lambda c: steps(c, capacities=np.ones(1)), "capacity for each batch"),
    "set wrong shape": (with_tensor("mu.weight", noise(0, 4, 3)), r"'mu.weight' must .*\(4, 2\)"),
    "set transposed": (with_tensor("mu.weight", noise(0, 2, 4)), r"'mu.weight' must .*\(4, 2\)"),
    "set long bias": (with_tensor("output.bias", noise(0, 6)), "'output.bias' must"),
    "set scalar bias": (with_tensor("output.bias", np.float32(0)), "'output.bias' must"),
    "set float64": (with_tensor("mu.weight", np.zeros((4, 2))), "float64"),
    "set a string": (with_tensor("mu.weight", "abc"), "."),
    "set None": (with_tensor("mu.weight", None), "mu.weight"),
    "set without log_sigma": (without_tensor("log_sigma"), "'log_sigma' is missing"),
    "set without a bias": (without_tensor("encoder.0.bias"), "'encoder.0.bias' is missing"),
    "set nothing": (lambda c: c.set_tensors({}), "is missing"),
    "set a list": (lambda c: c.set_tensors([]), "incompatible"),
    "unknown slot to read": (lambda c: c.tensors("third"), "'third'; there are value, gradient"),
    "unknown slot to write": (lambda c: c.set_tensors(c.tensors(), "third"), "'third'; there are"),
    "unknown optimizer": (lambda c: set_optimizer(c, "lion"), "'lion'; there are adam, adamw, sgd"),
    "seed of another kind": (lambda c: c.initialize("seed"), "incompatible"),
}


def test_misaligned_arguments_are_copied() -> None:
    core = NET.core()
    assert core.decode(misaligned(Z)).tobytes() == core.decode(Z).tobytes()
    losses = core.score(X, 0, misaligned(Z))
    np.testing.assert_array_equal(losses, core.score(X, 0, Z))


@pytest.mark.parametrize("what", BAD_CALLS)
def test_a_bad_call_is_an_error_and_changes_nothing(what: str) -> None:
    call, message = BAD_CALLS[what]
    core = NET.core(2)
    step(core)
    before = state(core)
    with pytest.raises((ValueError, TypeError), match=message):
        call(core)
    assert state(core) == before
    assert core.optimizer_steps == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "swish"}, "unknown activation 'swish'; there are relu, tanh"),
        ({"likelihood": "beta"}, "unknown likelihood 'beta'; there are bernoulli, continuous"),
    ],
)
def test_unknown_names_list_those_there_are(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(NET, **change).core()


def test_a_slot_that_the_optimizer_does_not_have_cannot_be_written() -> None:
    core = NET.core(optimizer="sgd")
    with pytest.raises(ValueError, match="v"):
        core.set_tensors(core.tensors(), "v")


# The calls run in a separate interpreter, because a failure may crash the process. The last line
# that it prints is the call that crashed.
def run_each(calls: list[str], setup: str, verdict: str) -> None:
    code = [setup, "import numpy as np"]
    for call in calls:
        code += [f"print({call!r}, flush=True)", "try:", f"    result = {call}"]
        code += ["except ValueError:", "    pass", "else:", f"    assert {verdict}, result"]
    done = python("\n".join(code))
    assert done.returncode == 0, f"{done.stdout}ended by {done.returncode}\n{done.stderr}"
    assert done.stdout.splitlines() == calls


def test_no_rows_give_no_results_or_an_error() -> None:
    run_each(
        [
            "core.encode(np.zeros((0, 5), np.float32))",
            "core.encode(np.zeros((0, 5), np.uint8))",
            "core.decode(np.zeros((0, 2), np.float32))",
            "core.score(np.zeros((0, 5), np.float32), 0)",
        ],
        setup="from cores import Net; core = Net(5, (4,), 2, (3,)).core(2)",
        verdict="sum(map(len, result)) == 0",
    )


def test_numbers_that_must_be_positive() -> None:
    run_each(
        [
            "make(5, (), 2, (), n_threads=0)",
            "make(5, (), 2, (), n_threads=-1)",
            "make(0, (), 2, (), count=0)",
            "make(-1, (), 2, (), count=-1)",
            "make(5, (0,), 2, ())",
            "make(5, (), 2, (-3,))",
            "make(5, (), 0, ())",
            "make(5, (), -2, ())",
        ],
        setup="""
from vaefast._core import Core
def make(features, encoder, latent_dim, decoder, n_threads=1, count=5):
    columns = [("bernoulli", count)]
    return Core(features, encoder, latent_dim, decoder, "relu", columns, "fixed", n_threads)
""",
        verdict="False",
    )


@pytest.mark.parametrize("columns", [[("bernoulli", 3)], [("gaussian", 2), ("gaussian", 1)]])
def test_the_optimal_scale_is_that_of_gaussian_columns_alone(columns: Any) -> None:
    with pytest.raises(ValueError, match="optimal"):
        _core.Core(3, [4], 2, [4], "relu", columns, "optimal", 1)


def test_what_needs_an_optimizer_says_so() -> None:
    core = _core.Core(5, [], 2, [], "relu", [("bernoulli", 5)], "fixed", 1)
    core.initialize(0)
    core.encode(X)
    with pytest.raises(RuntimeError, match="set_optimizer"):
        step(core)
    with pytest.raises(RuntimeError, match="set_optimizer"):
        core.gradients(X, Z, 1.0)


# --- Python threads -------------------------------------------------------------------------------

WIDE = Net(400, (512,), 10, (512,))


@pytest.fixture(scope="module")
def wide() -> tuple[_core.Core, Rows]:
    return WIDE.core(1), grey(0, 4000, WIDE.features)


LONG_CALLS: dict[str, Callable[[_core.Core, Rows], Any]] = {
    "encode": lambda core, x: core.encode(x),
    "decode": lambda core, x: core.decode(noise(0, len(x), WIDE.latent_dim)),
    "score": lambda core, x: core.score(x, 0),
    "gradients": lambda core, x: core.gradients(x[:1000], noise(0, 1000, 10), 1.0),
    "step": lambda core, x: core.step(x, np.arange(1000), 1e-3, 1.0, 0, 0),
    "steps": lambda core, x: core.steps(
        x, np.arange(1000), 100, np.full(10, 1e-3), np.ones(10), 0, 0
    ),
    "contributions": lambda core, x: core.contributions(x),
    "log_likelihood": lambda core, x: core.log_likelihood(x[:100], 50, 0),
    "impute": lambda core, x: core.impute(x[:100], 50, 0),
    "importance_samples": lambda core, x: core.importance_samples(x[:100], 50, 0),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_other_threads_run_while_the_core_works(name: str, wide: tuple[_core.Core, Rows]) -> None:
    # The switch interval is so long that the interpreter never switches threads by itself. The
    # counter therefore runs during the call only if the call releases the interpreter lock.
    core, x = wide
    events: list[str] = []
    start = threading.Lock()
    start.acquire()
    count = 0

    def counter() -> None:
        nonlocal count
        with start:
            for _ in range(10_000):
                count += 1
            events.append("counted")

    thread = threading.Thread(target=counter)
    interval = sys.getswitchinterval()
    thread.start()
    sys.setswitchinterval(1000)
    try:
        start.release()
        LONG_CALLS[name](core, x)
        events.append("called")
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert events == ["counted", "called"]
    assert count == 10_000


def test_two_threads_share_a_core() -> None:
    net = Net(300, (128,), 10, (128,))
    core = net.core(2)
    inputs = [grey(i, 500, net.features) for i in range(2)]
    want = [(core.encode(x)[0].tobytes(), core.score(x, 0)[0].tobytes()) for x in inputs]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(30):
            got = (core.encode(inputs[i])[0].tobytes(), core.score(inputs[i], 0)[0].tobytes())
            if got != want[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_steps_from_two_threads_are_all_taken_whole() -> None:
    net = Net(300, (128,), 10, (128,))
    core, alone = net.core(2), net.core(1)
    x, index = grey(0, 128, net.features), np.arange(128)
    eps = noise(0, 128, net.latent_dim)
    losses: list[tuple[float, float]] = []

    def work() -> None:
        for _ in range(20):
            losses.append(core.step(x, index, 0.01, 1.0, 0, 0, eps))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = [alone.step(x, index, 0.01, 1.0, 0, 0, eps) for _ in range(40)]
    assert sorted(losses) == sorted(want)
    assert state(core) == state(alone)


def test_a_step_reads_eps_of_its_own_objective_while_another_thread_changes_it() -> None:
    core = NET.core()
    want = core.step(X, INDEX, 0.0, 1.0, 0, 0, Z)
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            for samples in (3, 1):
                core.set_objective(samples=samples)

    thread = threading.Thread(target=work)
    thread.start()
    taken, refused = [], 0
    try:
        for _ in range(3000):
            try:
                taken.append(core.step(X, INDEX, 0.0, 1.0, 0, 0, Z))
            except ValueError as error:
                assert "has 1 samples of z per row, and the objective takes 3" in str(error)
                refused += 1
    finally:
        done.set()
        thread.join()
    assert len(taken) + refused == 3000
    assert set(taken) <= {want}  # a step with three samples would read numbers beyond eps


# --- Forks ----------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(work: Callable[[], bytes]) -> bytes:
    """Return the result of ``work`` in a forked child, which an alarm ends if it hangs."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python warns of every fork of a process with threads. This test forks on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # this branch never returns
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            os.write(writer, work())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return result


def digest(core: _core.Core, *results: Any) -> bytes:
    hashed = hashlib.sha256(repr(sorted(state(core).items())).encode())
    for result in results:
        hashed.update(np.asarray(result).tobytes())
    return hashed.digest()


@needs_fork
def test_a_forked_child_goes_on_with_the_same_core() -> None:
    net = Net(300, (128,), 10, (128,))
    core = net.core(3)
    x, index = grey(0, 256, net.features), np.arange(256)
    core.step(x, index, 0.01, 1.0, 0, 0)  # starts the threads

    def work() -> bytes:
        losses = [core.step(x, index, 0.01, 1.0, 0, step) for step in range(1, 4)]
        return digest(core, losses, *core.encode(x), *core.score(x, 0))

    of_child = in_child(work)
    assert len(of_child) == 32
    assert of_child == in_child(work)  # a child trains a copy of the core
    assert of_child == work()  # and the parent still has its threads


@needs_fork
def test_a_grandchild_works_too() -> None:
    net = Net(300, (128,), 10, (128,))
    core = net.core(2)
    x = grey(0, 256, net.features)
    want = core.encode(x)[0].tobytes()

    def work() -> bytes:
        core.encode(x)
        return in_child(lambda: hashlib.sha256(core.encode(x)[0].tobytes()).digest())

    assert in_child(work) == hashlib.sha256(want).digest()


@needs_fork
def test_a_child_may_drop_the_core() -> None:
    net = Net(300, (128,), 10, (128,))
    cores = [net.core(3)]
    x = grey(0, 256, net.features)
    want = cores[0].encode(x)[0].tobytes()

    def drop() -> bytes:
        cores.clear()
        return b"dropped"

    assert in_child(drop) == b"dropped"
    assert cores[0].encode(x)[0].tobytes() == want
