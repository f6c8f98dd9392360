"""One model in many threads: fits exclude each other, readers run side by side, forks and exits."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pytest

from test_core_border import in_child, needs_fork
from vaefast import VAE, AnomalyDetector, Synthesizer, VAEImputer, from_bytes, load
from vaefast._system.access import Access

RNG = np.random.default_rng(0)
X = RNG.random((120, 12)).astype(np.float32)
MANY = RNG.random((20_000, 12)).astype(np.float32)


def make(**params: Any) -> VAE:
    settings: dict[str, Any] = {"hidden_layer_sizes": (16,), "batch_size": 20, "random_state": 0}
    return VAE(**{**settings, "n_threads": 1, "verbose": False, **params})


def digest(vae: VAE) -> str:
    """Return a hash of the weights."""
    hashed = hashlib.sha256()
    for tensor in vae.model_.weights().values():
        hashed.update(tensor.tobytes())
    return hashed.hexdigest()


def in_threads(*tasks: Callable[[], object]) -> list[Any]:
    """Return the results of tasks that start together, each in a thread."""
    start = threading.Barrier(len(tasks))

    def begin(task: Callable[[], object]) -> object:
        start.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result() for future in [pool.submit(begin, task) for task in tasks]]


@contextmanager
def training(vae: VAE, rows: np.ndarray, **params: Any) -> Iterator[None]:
    """Train in another thread; enter within an epoch after the first one."""
    begun, over = threading.Event(), threading.Event()

    def callback(vae: VAE, record: Any) -> bool:
        begun.set()
        return over.is_set()

    thread = threading.Thread(target=vae.fit, args=(rows,), kwargs={"callbacks": [callback]})
    thread.start()
    try:
        assert begun.wait(60)
        while vae.model_.access.owner is None:
            pass
        yield
    finally:
        over.set()
        thread.join()


# --- Fits -----------------------------------------------------------------------------------------


def test_partial_fits_in_several_threads_take_turns(tmp_path):
    vae, alone = make(), make()
    in_threads(*[lambda: [vae.partial_fit(X) for _ in range(5)]] * 4)
    for _ in range(20):
        alone.partial_fit(X)
    assert vae.n_iter_ == 20
    assert digest(vae) == digest(alone)
    vae.save(tmp_path / "model.safetensors", training=True)
    assert digest(load(tmp_path / "model.safetensors")) == digest(alone)


def test_a_fit_waits_for_another_one():
    vae = make(epochs=5)
    in_threads(*[lambda: vae.fit(X)] * 3)
    assert vae.n_iter_ == 5
    assert digest(vae) == digest(make(epochs=5).fit(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_callback_cannot_fit_the_model_that_is_being_fitted(method):
    vae = make(epochs=2)
    with pytest.raises(RuntimeError, match=f"a callback of a fit called {method} of the"):
        vae.fit(X, callbacks=[lambda vae, record: getattr(vae, method)(X)])
    assert vae.partial_fit(X).n_iter_ == 2  # the model is usable


def test_a_fit_that_fails_lets_the_next_one_begin():
    vae = make(epochs=1)
    with pytest.raises(ValueError, match="batch_size"):
        vae.set_params(batch_size=-1).fit(X)
    assert in_threads(lambda: vae.set_params(batch_size=20).fit(X).n_iter_) == [1]


# --- Readers beside a fit -------------------------------------------------------------------------


def test_whatever_is_saved_during_a_fit_is_the_model_after_some_epoch(tmp_path):
    vae = make(epochs=60).partial_fit(X)
    after = {1: digest(vae)}
    path, done = tmp_path / "model.safetensors", threading.Event()

    def train() -> None:
        for _ in range(60):
            vae.partial_fit(X, callbacks=[record])
        done.set()

    def record(vae: VAE, entry: Any) -> None:
        after[entry["epoch"]] = digest(vae)

    def read() -> list[tuple[int, str]]:
        seen = []
        while not done.is_set():
            vae.save(path, training=True)
            copy = load(path)
            seen.append((copy.n_iter_, digest(copy)))
        return seen

    _, seen = in_threads(train, read)
    assert vae.n_iter_ == 61
    assert all(after[epoch] == weights for epoch, weights in seen)


def test_scores_during_a_fit_are_those_of_whole_epochs():
    vae = make(epochs=40)
    expected: set[bytes] = set()
    fitting = make(epochs=40)
    fitting.fit(X, callbacks=[lambda v, _: expected.add(v.score_samples(X).tobytes())])
    seen: set[bytes] = set()
    begun, done = threading.Event(), threading.Event()

    def train() -> None:
        try:
            vae.fit(X, callbacks=[lambda *_: begun.set()])
        finally:
            done.set()

    def read() -> None:
        assert begun.wait(60)
        while not done.is_set():
            seen.add(vae.score_samples(X).tobytes())

    in_threads(train, read, read)
    assert seen and seen <= expected
    assert digest(vae) == digest(fitting)  # readers change no bit of a fit


def test_a_callback_may_wait_for_a_thread_that_reads():
    vae = make(epochs=3)
    codes = []

    def callback(vae: VAE, record: Any) -> None:
        codes.extend(in_threads(lambda: vae.transform(X)))

    vae.fit(X, callbacks=[callback])
    assert len(codes) == 3
    np.testing.assert_array_equal(codes[-1], vae.transform(X))


def test_a_file_that_could_not_be_loaded_replaces_none(tmp_path):
    path = tmp_path / "model.safetensors"
    vae = make(epochs=2).fit(X)
    vae.save(path)
    before = path.read_bytes()
    vae.history_["elbo"].append(0.0)
    with pytest.raises(ValueError, match="history"):
        vae.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


# --- Readers beside readers -----------------------------------------------------------------------

READERS: dict[str, Callable[[VAE, np.ndarray], Any]] = {
    "transform": lambda vae, rows: vae.transform(rows),
    "inverse_transform": lambda vae, rows: vae.inverse_transform(rows[:, :2]),
    "reconstruct": lambda vae, rows: vae.reconstruct(rows),
    "score_samples": lambda vae, rows: vae.score_samples(rows),
    "sample": lambda vae, rows: vae.sample(5, int(1000 * rows[0, 0])),
    "contributions": lambda vae, rows: vae.model_.contributions(rows),
    "log_likelihood": lambda vae, rows: vae.log_likelihood(rows, n_samples=20).rows,
}


@pytest.mark.parametrize("n_threads", [1, 3])
def test_many_threads_get_the_bits_that_each_gets_alone(n_threads):
    vae = make(epochs=1, hidden_layer_sizes=(64,), n_threads=n_threads).fit(X)
    parts = [MANY[k * 500 : k * 500 + size] for k, size in enumerate((1, 7, 60, 500))]
    calls = [(read, part) for read in READERS.values() for part in parts]
    alone = [np.asarray(read(vae, part)).tobytes() for read, part in calls]

    def work(shift: int) -> list[bool]:
        order = [*range(shift, len(calls)), *range(shift)]
        return [
            np.asarray(calls[i][0](vae, calls[i][1])).tobytes() == alone[i]
            for _ in range(3)
            for i in order
        ]

    results = in_threads(*[lambda k=k: work(k) for k in range(8)])
    assert all(all(result) for result in results)


def test_a_short_call_does_not_wait_for_a_long_one():
    vae = make(epochs=1, hidden_layer_sizes=(256,)).fit(X)
    core, begun, over = vae.model_.core, threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        core.log_likelihood(X, 60_000, 0)
        over.set()

    def short() -> bool:
        begun.wait()
        for _ in range(200):
            vae.transform(X[:1])
        return not over.is_set()

    assert in_threads(long, short) == [None, True]


# --- Estimators made of models --------------------------------------------------------------------

SMALL: dict[str, Any] = {"hidden_layer_sizes": (4,), "batch_size": 20, "epochs": 2}
SMALL |= {"random_state": 0, "n_threads": 1, "verbose": False}
GAPS = np.where(X[:, :3] < 0.3, np.nan, X[:, :3])


def frame_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {"a": rows[:, 0].astype(float), "b": np.where(rows[:, 1] < 0.5, "x", "y")}


class Case(NamedTuple):
    """An estimator, two data sets, and what its answers are."""

    make: Callable[[], Any]
    data: tuple[Any, Any]
    answers: Callable[[Any], Any]


CASES = {
    "detector": Case(
        lambda: AnomalyDetector(VAE(**SMALL), 0.1),
        (X, X[:40] ** 2),
        lambda e: [e.decision_function(X).tolist(), e.predict(X).tolist()],
    ),
    "imputer": Case(
        lambda: VAEImputer(
            VAE(missing="mask", likelihood="laplace", **SMALL),
            n_samples=3,
            random_state=0,
            n_threads=1,
        ),
        (GAPS, 5 * GAPS[:60]),
        lambda e: e.transform(GAPS).tolist(),
    ),
    "synthesizer": Case(
        lambda: Synthesizer(VAE(**SMALL), random_state=0, n_threads=1, verbose=False),
        (frame_of(X), frame_of(9 * X[:60])),
        lambda e: [column.tolist() for column in e.sample(5, random_state=0).values()],
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_an_estimator_that_is_fitted_again_is_read_and_saved_as_one_of_both_fits(case, tmp_path):
    make, data, answers = CASES[case]
    expected = [answers(make().fit(rows)) for rows in data]
    assert expected[0] != expected[1]
    estimator, done = make().fit(data[0]), threading.Event()
    path = tmp_path / "file.safetensors"

    def fit() -> None:
        for _ in range(5):
            estimator.fit(data[1]).fit(data[0])

    def begin() -> None:
        try:
            in_threads(fit, fit)
        finally:
            done.set()

    def read() -> list[Any]:
        seen = []
        while not done.is_set():
            estimator.save(path)
            seen += [answers(type(estimator).load(path))]
            seen += [answers(pickle.loads(pickle.dumps(estimator))), answers(deepcopy(estimator))]
        return seen

    _, seen = in_threads(begin, read)
    assert seen and all(answer in expected for answer in seen)
    assert answers(estimator) in expected


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_two_fits_of_an_estimator_at_once_leave_one_of_them(case):
    make, data, answers = CASES[case]
    expected = [answers(make().fit(rows)) for rows in data]
    estimator = make()
    in_threads(*[lambda rows=rows: estimator.fit(rows) for rows in data * 2])
    assert answers(estimator) in expected


def test_a_file_of_an_estimator_that_could_not_be_loaded_replaces_none(tmp_path):
    path = tmp_path / "detector.safetensors"
    detector = AnomalyDetector(VAE(**SMALL), 0.1).fit(X)
    detector.save(path)
    before = path.read_bytes()
    detector.vae_.history_["elbo"].append(0.0)
    with pytest.raises(ValueError, match="history"):
        detector.save(path)
    assert path.read_bytes() == before


# --- The end of the interpreter -------------------------------------------------------------------

DAEMON = """
import sys, threading
import numpy as np
from vaefast import VAE
X = np.random.default_rng(0).random((2000, 20)).astype(np.float32)
vae = VAE(hidden_layer_sizes=(32,), epochs=100_000, verbose=False)
begun = threading.Event()
def work():
    {work}
threading.Thread(target=work, daemon=True).start()
assert begun.wait(60)
sys.exit(7)
"""
WORK = {
    "a fit": "vae.fit(X, callbacks=[lambda *_: begun.set()])",
    "transform": "vae.partial_fit(X); begun.set()\n    while True: vae.transform(X)",
}


@pytest.mark.parametrize("work", WORK)
def test_a_daemon_thread_at_work_leaves_the_exit_code_alone(work):
    code = DAEMON.format(work=WORK[work])
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
        assert (done.returncode, done.stderr) == (7, b"")


# --- Forks ----------------------------------------------------------------------------------------


@needs_fork
def test_a_child_answers_while_other_threads_of_its_parent_read():
    vae = make(epochs=1, hidden_layer_sizes=(64,), n_threads=2).fit(X)
    want, done = vae.transform(MANY).tobytes(), threading.Event()

    def read() -> None:
        while not done.is_set():
            vae.transform(MANY)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            got = in_child(lambda: hashlib.sha256(vae.transform(MANY).tobytes()).digest())
            assert got == hashlib.sha256(want).digest()
            assert in_child(lambda: str(vae.partial_fit(X).n_iter_).encode()) == b"2"
    finally:
        done.set()
        for thread in threads:
            thread.join()


@needs_fork
def test_a_child_refuses_a_model_that_another_thread_was_fitting():
    vae = make(epochs=100_000, batch_size=1, objective="autoencoder")  # never collapses

    def work() -> bytes:
        uses = [
            lambda: vae.transform(X),
            lambda: vae.to_bytes(),
            lambda: vae.partial_fit(X),
            lambda: vae.history_,
        ]
        for use in uses:
            with pytest.raises(RuntimeError, match="another thread was training this model when"):
                use()
        return digest(vae.set_params(epochs=2, batch_size=20).fit(X)).encode()

    with training(vae, MANY):
        answer = in_child(work).decode()
    assert answer == digest(make(epochs=2, objective="autoencoder").fit(X))


@needs_fork
def test_a_callback_may_fork():
    vae = make(epochs=2)
    answers = []

    def callback(vae: VAE, record: Any) -> None:
        got = in_child(lambda: hashlib.sha256(vae.transform(X).tobytes()).digest())
        answers.append(got == hashlib.sha256(vae.transform(X).tobytes()).digest())

    vae.fit(X, callbacks=[callback])
    assert answers == [True, True]


# --- The lock -------------------------------------------------------------------------------------


def test_waiting_readers_go_before_the_next_change():
    access, order = Access(), []
    entered = threading.Event()

    def read() -> None:
        entered.set()
        with access.reading:
            order.append("read")

    thread = threading.Thread(target=read)
    with access.changing:
        thread.start()
        entered.wait()
        while not access.queue:
            pass
        order.append("changed")
    with access.changing:
        order.append("changed again")
    thread.join()
    assert order == ["changed", "read", "changed again"]


def test_a_thread_may_read_what_it_changes_and_enter_twice():
    access = Access()
    with access.changing, access.reading, access.changing, access.reading:
        assert access.is_mine
    assert not access.is_mine and not access.readers
    with access.reading, access.reading:
        pass
    with access.reading, pytest.raises(RuntimeError, match="cannot change a model while it reads"):
        access.changing.__enter__()
    with access.changing:
        pass


def test_pickles_and_copies_of_a_model_take_no_lock_along():
    vae = make(epochs=1).fit(X)
    copy = from_bytes(vae.to_bytes(training=True))
    with vae.model_.access.changing:
        assert in_threads(lambda: digest(copy)) == [digest(vae)]
