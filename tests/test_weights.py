"""Sample weights: exact where they can be, and the same bits without rows of weight 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vaefast import VAE

N, D = 64, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)).astype(np.float32)
COUNTS = RNG.poisson(3, (N, D)).astype(np.float32)
WEIGHTS = RNG.uniform(0.2, 3, N)


def small(**params: Any) -> VAE:
    defaults = {"latent_dim": 2, "hidden_layer_sizes": (8,), "likelihood": "gaussian", "epochs": 3}
    return VAE(**{**defaults, "batch_size": 16, "random_state": 0, "verbose": False, **params})


def assert_same_weights(one: VAE, other: VAE, tolerance: float = 0.0) -> None:
    for name, tensor in one.model_.weights().items():
        theirs = other.model_.weights()[name]
        np.testing.assert_allclose(tensor, theirs, rtol=0, atol=tolerance, err_msg=name)


def test_rows_of_weight_0_leave_no_trace():
    weights = np.where(np.arange(N) % 3 == 0, 0.0, WEIGHTS)
    kept = weights > 0
    y = np.arange(N) % 3  # label 0 occurs in left-out rows only
    one = small(conditional=True).fit(X, y, sample_weight=weights)
    other = small(conditional=True).fit(X[kept], y[kept], sample_weight=weights[kept])
    assert one.model_.conditions.classes == (1, 2)
    assert_same_weights(one, other)
    for key in ("elbo", "kl", "bound"):
        assert one.history_[key] == other.history_[key]


def test_one_condition_for_all_rows_goes_with_weights_of_0():
    weights = np.where(np.arange(N) % 3 == 0, 0.0, WEIGHTS)
    kept = weights > 0
    for y, one in ((np.arange(N) % 3, 1), (X[:, :2].astype(float), X[3, :2].astype(float))):
        vae = small(conditional=True).fit(X, y)
        scores = vae.evaluate(X, one, sample_weight=weights)
        assert scores == vae.evaluate(X[kept], one, sample_weight=weights[kept])


def test_a_y_or_an_exposure_of_other_rows_is_refused_with_weights_of_0():
    weights = np.where(np.arange(N) % 3 == 0, 0.0, WEIGHTS)
    few = np.ones(int((weights > 0).sum()))  # as many as are kept: they would be other rows
    with pytest.raises(ValueError, match="y has shape .*, expected one entry for each of 64 rows"):
        small(conditional=True).fit(X, few, sample_weight=weights)
    with pytest.raises(ValueError, match="exposure has shape .*, expected one entry for each"):
        small(likelihood="poisson").fit(COUNTS, exposure=few, sample_weight=weights)
    vae = small().fit(X, few, sample_weight=weights)  # which ignores y
    assert np.isfinite(vae.score(X, few, sample_weight=weights))


def test_equal_weights_are_no_weights():
    one = small().fit(X, sample_weight=np.full(N, 0.5))
    assert_same_weights(one, small().fit(X))
    assert one.history_["elbo"] == pytest.approx(small().fit(X).history_["elbo"], rel=1e-6)


def test_a_weight_of_2_is_a_row_twice_in_a_step_on_all_rows():
    weights = np.where(np.arange(N) % 4 == 0, 2, 1)
    twice = np.repeat(X, weights, axis=0)
    params = {"objective": "autoencoder", "epochs": 5, "batch_size": 1000}  # no noise
    one = small(**params).fit(X, sample_weight=weights)
    assert_same_weights(one, small(**params).fit(twice), tolerance=1e-5)
    other = small(**params).fit(twice)
    np.testing.assert_allclose(one.history_["elbo"], other.history_["elbo"], rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_counts_start_at_weighted_rates(likelihood):
    weights = np.where(np.arange(N) < 8, 5, 1)
    twice = np.repeat(COUNTS, weights, axis=0)
    params = {"likelihood": likelihood, "epochs": 1, "learning_rate": 1e-12}
    one, other = small(**params).fit(COUNTS, sample_weight=weights), small(**params).fit(twice)
    name = "output.bias"
    np.testing.assert_allclose(one.model_.weights()[name], other.model_.weights()[name], atol=1e-5)


def test_evaluation_weighs_exactly():
    vae = small().fit(X)
    scores = vae.score_samples(X)
    expected = np.average(scores, weights=WEIGHTS.astype(np.float32))
    assert vae.score(X, sample_weight=WEIGHTS) == pytest.approx(expected, rel=1e-12)
    parts = vae.evaluate(X, sample_weight=WEIGHTS)
    assert parts["elbo"] == -(parts["reconstruction"] + parts["kl"])
    zero = np.where(np.arange(N) < 30, 0, 1)
    assert vae.score(X, sample_weight=zero) == vae.score(X[30:])


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_any_number_of_threads_gives_the_same_bits(n_threads):
    one = small(n_threads=1).fit(X, sample_weight=WEIGHTS).partial_fit(X, sample_weight=WEIGHTS)
    many = small(n_threads=n_threads).fit(X, sample_weight=WEIGHTS)
    assert_same_weights(one, many.partial_fit(X, sample_weight=WEIGHTS))


def test_heavy_rows_are_fitted_better():
    weights = np.where(np.arange(N) < 8, 100.0, 0.01)
    vae = small(epochs=200, hidden_layer_sizes=(32,)).fit(X, sample_weight=weights)
    scores = vae.score_samples(X)
    assert scores[:8].mean() > scores[8:].mean() + 1


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(N - 1), r"sample_weight has shape \(63,\), expected a number for each"),
        (np.ones((N, 1)), r"sample_weight has shape \(64, 1\)"),
        (
            np.full(N, -1.0),
            "sample_weight holds -1 in row 0, expected finite numbers",
        ),
        (np.full(N, np.nan), "sample_weight holds nan in row 0"),
        (np.full(N, 1e300), "sample_weight holds inf in row 0"),
        (np.zeros(N), "sample_weight is 0 for every row"),
        (["1"] * N, "expected a number for each of 64 rows"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    vae = small().fit(X)
    for method in (small().fit, vae.partial_fit, vae.evaluate):
        with pytest.raises(ValueError, match=message):
            method(X, sample_weight=weights)
