"""Training: history, callbacks, early stopping, seeds, batches, Ctrl-C, divergence."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, DivergenceError, _core
from vaefast._engine import training
from vaefast._input import windows

N, D = 40, 6
KEYS = ["epoch", "elbo", "reconstruction", "kl", "bound", "validation", "beta", "learning_rate"]
KEYS += ["kl_per_dimension", "active_units", "seconds"]


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 2, "batch_size": 16, "random_state": 0}
    return VAE(**{**defaults, "verbose": False, **params})


def weights(vae: VAE) -> dict[str, np.ndarray]:
    return vae.model_.weights()


def history(vae: VAE) -> dict[str, list[Any]]:
    """Return the reproducible part of the history: all but the seconds."""
    return {key: values for key, values in vae.history_.items() if key != "seconds"}


def same_bits(one: VAE, other: VAE) -> bool:
    pairs = [(tensor, weights(other)[name]) for name, tensor in weights(one).items()]
    return history(one) == history(other) and all(np.array_equal(*pair) for pair in pairs)


def stop_after(epochs: int) -> Any:
    return lambda vae, record: record["epoch"] == epochs


def assert_usable(vae: VAE, X: np.ndarray) -> None:
    """Assert that the model is finite and complete, and that training can continue."""
    assert all(np.isfinite(tensor).all() for tensor in weights(vae).values())
    assert np.isfinite(vae.score_samples(X)).all()
    assert np.isfinite(vae.sample(3, random_state=0)).all()
    assert {len(values) for values in vae.history_.values()} == {vae.n_iter_}
    assert pickle.loads(pickle.dumps(vae)).score(X) == vae.score(X)
    epochs = vae.n_iter_
    vae.set_params(learning_rate=1e-3).partial_fit(X)
    assert vae.n_iter_ == epochs + 1
    assert np.isfinite(vae.score(X))


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((N, D)).astype(np.float32)


# ------------------------------------------------------------------ history and callbacks


def test_history_has_one_entry_for_each_epoch_and_counts_on(X):
    vae = small(epochs=3).fit(X)
    assert list(vae.history_) == KEYS
    vae.partial_fit(X).partial_fit(X, validation=X)
    assert vae.n_iter_ == 5
    assert {len(values) for values in vae.history_.values()} == {5}
    assert vae.history_["epoch"] == [1, 2, 3, 4, 5]
    assert vae.history_["validation"] == [None] * 4 + [vae.score(X)]
    assert all(seconds > 0 for seconds in vae.history_["seconds"])
    figures = np.array([vae.history_[key] for key in ("elbo", "reconstruction", "kl")])
    np.testing.assert_allclose(figures[0], -(figures[1] + figures[2]), rtol=1e-12)
    assert vae.fit(X).history_["epoch"] == [1, 2, 3], "fit starts anew"


def test_history_is_the_mean_over_the_rows_as_they_were_trained_on(X):
    """One batch and a tiny step give the ELBO of the untrained weights, up to noise."""
    vae = small(batch_size=N * 50, epochs=1, learning_rate=1e-12).fit(np.tile(X, (50, 1)))
    for key, figure in vae.evaluate(X).items():
        assert vae.history_[key][0] == pytest.approx(figure, rel=0.01)


def test_partial_fit_is_one_epoch_from_scratch_or_on(X):
    vae = small(epochs=7).partial_fit(X)
    assert vae.n_iter_ == 1
    for _ in range(3):
        vae.partial_fit(X)
    assert same_bits(vae, small(epochs=4).fit(X))


def test_partial_fit_takes_the_rate_that_is_set_now(X):
    still = small().fit(X)
    before = weights(still)
    still.set_params(learning_rate=1e-30).partial_fit(X)
    for name, tensor in weights(still).items():
        np.testing.assert_allclose(tensor, before[name], atol=1e-20)


def test_callbacks_get_the_model_and_the_record(X):
    seen: list[Any] = []

    def callback(vae: VAE, record: dict[str, Any]) -> None:
        seen.append((vae, vae.n_iter_, vae.score(X), copy.deepcopy(record)))
        record["kl_per_dimension"].clear()  # the callback has a copy
        record.clear()

    vae = small(epochs=3, patience=9).fit(X, validation=X, callbacks=[callback])
    assert [entry[:2] for entry in seen] == [(vae, 1), (vae, 2), (vae, 3)]
    assert [entry[2] for entry in seen] == vae.history_["validation"]
    assert [entry[3] for entry in seen] == [
        dict(zip(KEYS, values, strict=True)) for values in zip(*vae.history_.values(), strict=True)
    ]


def test_a_callback_that_returns_true_stops(X):
    calls: list[int] = []
    others = [lambda vae, record: calls.append(1), lambda vae, record: "yes", stop_after(2)]
    vae = small(epochs=9).fit(X, callbacks=iter(others))
    assert vae.n_iter_ == 2 == len(calls)
    assert not vae.interrupted_
    assert same_bits(vae, small(epochs=2).fit(X))


def test_an_error_in_a_callback_passes_and_leaves_a_usable_model(X):
    def fail(vae: VAE, record: dict[str, Any]) -> None:
        raise ZeroDivisionError

    vae = small()
    with pytest.raises(ZeroDivisionError):
        vae.fit(X, callbacks=[fail])
    assert vae.n_iter_ == 1
    assert_usable(vae, X)


# ------------------------------------------------------------------ early stopping


# A model with these settings soon overfits the ten rows.
OVERFITTING = {"learning_rate": 0.02, "hidden_layer_sizes": (32,)}


def test_patience_stops_and_restores_the_best_weights(X):
    train, validation = X[:10], X[10:]
    vae = small(epochs=400, patience=5, **OVERFITTING)
    vae.fit(train, validation=validation)
    record = vae.history_["validation"]
    best = int(np.argmax(record))
    assert vae.n_iter_ == len(record) == best + 1 + 5 < 400
    assert vae.evaluate(validation)["elbo"] == record[best] > record[-1]
    same = small(epochs=best + 1, **OVERFITTING).fit(train)
    for name, tensor in weights(vae).items():
        np.testing.assert_array_equal(tensor, weights(same)[name])


def test_patience_restores_the_best_weights_at_the_last_epoch_too(X):
    vae = small(epochs=100, patience=100, **OVERFITTING).fit(X[:10], validation=X[10:])
    assert vae.n_iter_ == 100
    assert vae.score(X[10:]) == max(vae.history_["validation"]) > vae.history_["validation"][-1]


def test_validation_alone_stops_nothing_and_changes_nothing(X):
    watched = small(epochs=5).fit(X, validation=X[:3])
    assert watched.n_iter_ == 5
    assert watched.history_["validation"][-1] == watched.score(X[:3])
    for name, tensor in weights(small(epochs=5).fit(X)).items():
        np.testing.assert_array_equal(tensor, weights(watched)[name])


def test_patience_without_validation_is_an_error_before_training(X):
    calls: list[int] = []
    vae = small(patience=3)
    with pytest.raises(ValueError, match="patience needs validation rows"):
        vae.fit(X, callbacks=[lambda *_: calls.append(1)])
    assert not calls
    assert not hasattr(vae, "history_")


# ------------------------------------------------------------------ seeds and threads


def test_the_same_seed_gives_the_same_bits_and_another_one_others(X):
    assert same_bits(small().fit(X), small().fit(X))
    assert not same_bits(small().fit(X), small(random_state=1).fit(X))


def test_no_seed_is_a_fresh_one_each_time(X):
    vae = small(random_state=None)
    first = weights(vae.fit(X))
    assert not np.array_equal(first["mu.weight"], weights(vae.fit(X))["mu.weight"])


@pytest.mark.parametrize(
    "make",
    [np.int64, np.random.default_rng, np.random.RandomState, lambda seed: 2**64 + seed],
    ids=["numpy int", "Generator", "RandomState", "more than 64 bits"],
)
def test_every_source_of_randomness_can_be_repeated(make, X):
    vae = small(random_state=make(7)).fit(X)
    assert same_bits(vae, small(random_state=make(7)).fit(X))
    assert not same_bits(vae, small(random_state=make(8)).fit(X))


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_goes_on_from_fit_to_fit(make, X):
    vae = small(random_state=make(7)).fit(X)
    assert not same_bits(vae, small(random_state=vae.random_state).fit(X))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_any_number_of_threads_gives_the_same_bits(n_threads, likelihood):
    X = np.random.default_rng(0).random((300, 300)).astype(np.float32)
    one, many = (
        small(
            likelihood=likelihood, hidden_layer_sizes=(128, 64), latent_dim=5, batch_size=128,
            n_threads=n,
        ).fit(X, validation=X[:99])
        for n in (1, n_threads)
    )  # fmt: skip
    assert many.model_.core.n_threads == n_threads
    assert same_bits(one, many)
    np.testing.assert_array_equal(one.score_samples(X), many.score_samples(X))
    np.testing.assert_array_equal(one.transform(X), many.transform(X))
    np.testing.assert_array_equal(one.sample(99, 0), many.sample(99, 0))


# ------------------------------------------------------------------ batches


def trained_on(X: np.ndarray, **params: Any) -> np.ndarray:
    """Return for each row whether a change of it changes the weights after one epoch."""
    reference = small(epochs=1, **params).fit(X)
    seen = []
    for row in range(len(X)):
        other = X.copy()
        other[row] = 1 - other[row]
        seen.append(not same_bits(small(epochs=1, **params).fit(other), reference))
    return np.array(seen)


@pytest.mark.parametrize(
    ("n", "batch_size"), [(1, 128), (5, 128), (16, 16), (17, 16), (23, 8), (7, 1)]
)
def test_every_row_is_trained_on(n, batch_size, X):
    assert trained_on(X[:n], batch_size=batch_size).all()


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 40), (16, 3), (39, 2), (40, 1), (10**30, 1)])
def test_an_epoch_has_a_step_for_each_batch_and_the_rest(batch_size, steps, X):
    vae = small(batch_size=batch_size).fit(X)
    assert vae.model_.core.optimizer_steps == 2 * steps


def test_a_batch_larger_than_the_data_is_the_data(X):
    assert same_bits(small(batch_size=N).fit(X), small(batch_size=1000).fit(X))


def test_the_order_of_rows_is_new_in_each_epoch(X, monkeypatch):
    orders = []

    def permutation(*args: int) -> np.ndarray:
        orders.append(_core.permutation(*args))
        return orders[-1]

    monkeypatch.setattr(windows, "permutation", permutation)
    small(epochs=3).fit(X).partial_fit(X).partial_fit(X)
    assert len({tuple(order) for order in orders}) == 5
    assert all(sorted(order) == list(range(N)) for order in orders)


# ------------------------------------------------------------------ Ctrl-C


def interrupt(at: int) -> Any:
    """Return a callback that presses Ctrl-C after this epoch."""

    def callback(vae: VAE, record: dict[str, Any]) -> None:
        if record["epoch"] == at:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("verbose", [False, True])
def test_ctrl_c_keeps_the_model_trained_so_far(verbose, X, capsys, interactive):
    vae = small(epochs=9, verbose=verbose)
    assert vae.fit(X, callbacks=[interrupt(3)]) is vae
    assert vae.interrupted_
    assert vae.n_iter_ == 3
    assert same_bits(vae, small(epochs=3).fit(X))
    assert capsys.readouterr().err.startswith("epoch 3/9: elbo" if verbose else "")
    assert_usable(vae, X)
    assert not vae.interrupted_
    assert not vae.fit(X).interrupted_


def test_ctrl_c_reaches_the_caller_of_a_script(X):
    vae = small(epochs=9)
    with pytest.raises(KeyboardInterrupt):
        vae.fit(X, callbacks=[interrupt(3)])
    assert vae.interrupted_
    assert same_bits(vae, small(epochs=3).fit(X))
    with pytest.raises(KeyboardInterrupt):
        vae.partial_fit(X, callbacks=[interrupt(4)])
    assert_usable(vae, X)


def test_ctrl_c_ends_a_search():
    pytest.importorskip("sklearn")
    from sklearn.model_selection import GridSearchCV

    X, fitted = np.random.default_rng(0).random((60, 5)), []

    class Interrupted(VAE):
        def fit(self, X, y=None, **fit_params):
            fitted.append(self)
            return super().fit(X, y, callbacks=[interrupt(1)], **fit_params)

    search = GridSearchCV(Interrupted(2, (4,), epochs=3, verbose=False), {"latent_dim": [1, 2]})
    with pytest.raises(KeyboardInterrupt):
        search.fit(X)
    assert len(fitted) == 1


def test_ctrl_c_keeps_the_last_weights_rather_than_the_best(X, interactive):
    vae = small(epochs=100, patience=100, **OVERFITTING)
    vae.fit(X[:10], validation=X[10:], callbacks=[interrupt(100)])
    assert vae.score(X[10:]) == vae.history_["validation"][-1] < max(vae.history_["validation"])


def test_ctrl_c_amid_an_epoch_keeps_the_steps_done(X, monkeypatch, interactive):
    calls = iter(range(100))

    def advance(*_: object) -> None:
        if next(calls) == 4:  # the second batch of the second epoch
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("vaefast._engine.epoch.POLL_SECONDS", 0)  # polls after every batch
    monkeypatch.setattr(training.Progress, "advance", advance)
    vae = small(epochs=9).fit(X)
    assert vae.interrupted_
    assert vae.n_iter_ == 1
    assert vae.model_.core.optimizer_steps == 5
    assert_usable(vae, X)


SCRIPT = """
import numpy as np
from vaefast import VAE
X = np.random.default_rng(0).random((2000, 100)).astype(np.float32)
vae = VAE(epochs=10**6, batch_size=32, verbose=True, random_state=0)
try:
    vae.fit(X, callbacks=[lambda vae, record: print("epoch", flush=True)])
except KeyboardInterrupt:
    print("caught")
print(vae.interrupted_, vae.n_iter_ >= 2, bool(np.isfinite(vae.score(X))), len(vae.sample(3)))
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
def test_a_real_sigint_ends_training_cleanly():
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for _ in range(2):
                assert process.stdout.readline() == "epoch\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert out.splitlines()[-2:] == ["caught", "True True True 3"]
    assert "Traceback" not in err
    assert err.endswith("\n"), "the bar is closed"


# ------------------------------------------------------------------ divergence


def diverge(vae: VAE, X: np.ndarray) -> str:
    with pytest.raises(DivergenceError) as caught:
        vae.fit(X)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore:X has columns far from unit variance")
@pytest.mark.parametrize("batch_size", [7, 1000])
@pytest.mark.parametrize("learning_rate", [1e8, 1e30, 1e300])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_divergence_stops_with_an_error_and_keeps_finite_weights(
    optimizer, learning_rate, batch_size, X, capsys
):
    vae = small(
        likelihood="gaussian", optimizer=optimizer, learning_rate=learning_rate, epochs=50,
        batch_size=batch_size, verbose=True,
    )  # fmt: skip
    message = diverge(vae, 1000 * X)
    epoch = vae.n_iter_ + 1
    assert f"NaN in epoch {epoch}, " in message
    assert f"learning_rate={learning_rate:g} may be too large" in message
    assert "unit variance" in message
    kept = "they had before training" if epoch == 1 else f"of epoch {epoch - 1}."
    assert kept in message
    assert capsys.readouterr().err.endswith("\n"), "the bar is closed"
    vae.set_params(verbose=False)
    assert_usable(vae, X)


def test_after_divergence_the_weights_are_those_of_the_epoch_before(X):
    """The data explode in the third epoch."""
    vae = small(likelihood="gaussian", epochs=9)

    def explode(vae: VAE, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            X_bad[:] = 1e30  # training uses the array in place

    X_bad = X.copy()
    with pytest.raises(DivergenceError, match="in epoch 3, at batch 1.*those of epoch 2"):
        vae.fit(X_bad, callbacks=[explode])
    assert same_bits(vae, small(likelihood="gaussian", epochs=2).fit(X))
    assert_usable(vae, X)


def test_the_very_last_step_is_checked_too(X):
    """No later step would reveal the damage."""
    vae = small(epochs=1, batch_size=N, likelihood="gaussian", learning_rate=1e30)
    assert "in epoch 1, after its last batch" in diverge(vae, X)
    assert vae.n_iter_ == 0
    assert_usable(vae, X)


def test_a_validation_elbo_that_is_not_finite_is_divergence(X):
    far = np.full((3, D), 1e30, np.float32)
    vae = small(likelihood="gaussian")
    with pytest.raises(DivergenceError, match="in epoch 1, on the validation rows"):
        vae.fit(X, validation=far)
    assert_usable(vae, X)


def test_divergence_in_partial_fit_keeps_what_there_was(X):
    vae = small(likelihood="gaussian").fit(X)
    scores = vae.score_samples(X)
    vae.set_params(learning_rate=1e30)
    with pytest.raises(DivergenceError, match="in epoch 3"):
        vae.partial_fit(X)
    np.testing.assert_array_equal(vae.score_samples(X), scores)
    assert vae.n_iter_ == 2
    assert_usable(vae, X)
