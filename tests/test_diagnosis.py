"""`diagnose`, the latent units in the history, and the warning of posterior collapse."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from vaefast import VAE, CollapseWarning, datasets
from vaefast.metrics.diagnosis import Diagnosis, active_units, diagnose, kl_per_dimension
from vaefast.schedules import SigmoidWarmup

K = 6


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (16,), "epochs": 4, "batch_size": 32, "random_state": 0}
    return VAE(**{**defaults, "latent_dim": K, "verbose": False, **params})


def posteriors(mu: Any, sigma: Any) -> Diagnosis:
    """Return the diagnosis of posteriors N(mu, sigma^2); mu and sigma are (n,) or (n, k)."""
    mu, sigma = np.broadcast_arrays(np.asarray(mu, np.float32), np.asarray(sigma, np.float32))
    if mu.ndim == 1:
        mu, sigma = mu[:, None], sigma[:, None]
    return diagnose(mu, 2 * np.log(sigma))


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Rows in [0, 1] that depend on three hidden factors."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((1200, 3)) @ rng.standard_normal((3, 12))
    return (1 / (1 + np.exp(-hidden))).astype(np.float32)


@pytest.fixture(scope="module")
def vae(X: np.ndarray) -> VAE:
    return small(epochs=10, learning_rate=0.01).fit(X)


# ------------------------------------------------------------------ the figures


def test_the_kl_of_the_units_adds_up_to_the_kl_of_the_rows(vae, X):
    found = vae.diagnose(X)
    assert found.kl.shape == (K,)
    assert found.kl.sum() == pytest.approx(vae.evaluate(X)["kl"], rel=1e-5)
    mu, logvar = (a.astype(np.float64) for a in vae.encode(X))
    np.testing.assert_allclose(
        found.kl, -0.5 * (1 + logvar - mu**2 - np.exp(logvar)).mean(0), rtol=1e-6
    )


def test_active_units_are_those_whose_mean_varies_by_more_than_a_hundredth(vae, X):
    """Burda et al. (2016) define active units so."""
    found = vae.diagnose(X)
    variance = vae.transform(X).var(axis=0, dtype=np.float64)
    np.testing.assert_allclose(found.mean_variance, variance)
    np.testing.assert_array_equal(found.active, variance > 0.01)
    assert found.active_units == active_units(vae.transform(X)) == (variance > 0.01).sum()
    z = np.random.default_rng(0).standard_normal((100_000, 4))
    assert active_units((z * [0.12, 0.08, 0.5, 0]).astype(np.float32)) == 2


def test_the_moments_of_the_aggregate_posterior_are_those_of_draws_from_it(vae, X):
    found = vae.diagnose(X)
    mu, logvar = vae.encode(X)
    noise = np.random.default_rng(0).standard_normal((400, *mu.shape))
    z = (mu + np.exp(logvar / 2) * noise).reshape(-1, K)
    np.testing.assert_allclose(found.mean, z.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.covariance, np.cov(z.T), atol=0.02)


@pytest.mark.parametrize(("center", "width"), [(2.0, 1.0), (0.0, 0.5), (-1.0, 3.0), (0.0, 1.0)])
def test_equal_posteriors_have_no_information_and_their_kl_as_distance(center, width):
    found = posteriors(np.full(50, center), width)
    expected = (center**2 + width**2 - 1 - 2 * math.log(width)) / 2
    np.testing.assert_allclose(found.kl, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.distance, expected, atol=1e-4)
    np.testing.assert_allclose(found.information, 0, atol=1e-4)


@pytest.mark.parametrize("width", [0.9, 0.5, 0.1, 0.02])
def test_posteriors_that_add_up_to_the_prior_have_no_distance(width):
    """A Gaussian channel with means of variance 1 - width^2 transmits -log(width) nats."""
    centers = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000) * math.sqrt(1 - width**2)
    found = posteriors(centers, width)
    np.testing.assert_allclose(found.distance, 0, atol=2e-3)
    np.testing.assert_allclose(found.information, -math.log(width), atol=5e-3)
    np.testing.assert_allclose(found.covariance, 1, atol=1e-3)


def test_the_distance_of_a_mixture_is_its_integral():
    rng = np.random.default_rng(0)
    centers, widths = rng.normal(0.5, 2, 5), rng.uniform(0.2, 1, 5)

    def integrand(z: float) -> float:
        q = stats.norm.pdf(z, centers, widths).mean()
        return q * (math.log(q) - stats.norm.logpdf(z))

    expected, _ = integrate.quad(integrand, -9, 9, limit=200)
    found = posteriors(centers, widths)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-3)
    np.testing.assert_allclose(found.kl, found.information + found.distance, rtol=1e-6)


def test_far_and_narrow_posteriors_stay_finite_with_at_most_log_n_nats():
    found = posteriors([[0.0, -300], [50.0, 300], [90.0, 0]], [[1e-4, 1e-9]])
    for name in ("kl", "information", "distance", "mean", "covariance"):
        assert np.isfinite(getattr(found, name)).all()
    np.testing.assert_allclose(found.information, math.log(3))
    assert np.isfinite(posteriors([0.0], 1.0).distance).all(), "one row is enough"


def test_the_number_of_rows_at_a_time_changes_nothing(vae, X, monkeypatch):
    whole = vae.diagnose(X)
    monkeypatch.setattr("vaefast.metrics.diagnosis.ROWS", 100)
    np.testing.assert_allclose(vae.diagnose(X).distance, whole.distance, atol=1e-6)


# ------------------------------------------------------------------ the object


def test_it_prints_a_table_with_the_largest_kl_first(vae, X):
    found = vae.diagnose(X)
    head, titles, *lines = str(found).splitlines()
    assert head == (
        f"{found.active_units} of {K} units active, KL {found.kl.sum():.2f} nats per row, "
        "1,200 rows"
    )
    assert titles.split()[:4] == ["unit", "KL", "information", "distance"]
    order = [int(line.split()[0]) for line in lines]
    assert order == sorted(range(K), key=lambda k: -found.kl[k])
    for k, line in zip(order, lines, strict=True):
        assert line.split()[1] == f"{found.kl[k]:.3f}"
        assert line.endswith("inactive") != found.active[k]
    assert repr(found) == str(found)


def test_a_long_table_is_cut():
    mu = np.random.default_rng(0).standard_normal((20, 80)).astype(np.float32)
    lines = str(diagnose(mu, np.zeros_like(mu))).splitlines()
    assert len(lines) == 2 + 50 + 1
    assert lines[-1].startswith("and 30 more with KL ")


def test_it_can_be_kept(vae, X):
    found = vae.diagnose(X)
    twin = pickle.loads(pickle.dumps(found))
    assert str(twin) == str(found)
    assert all(type(value) in (int, np.ndarray) for value in vars(found).values())


# ------------------------------------------------------------------ in the history


def test_the_history_has_the_units_of_the_validation_rows(X):
    watched = X[:90]
    vae = small(epochs=3).fit(X, validation=watched)
    found = vae.diagnose(watched)
    assert [len(units) for units in vae.history_["kl_per_dimension"]] == [K] * 3
    np.testing.assert_allclose(vae.history_["kl_per_dimension"][-1], found.kl, rtol=1e-12)
    assert vae.history_["active_units"][-1] == found.active_units


def test_without_validation_the_history_has_the_units_of_the_same_rows_each_epoch(X, monkeypatch):
    looked_at = []
    real = kl_per_dimension

    def spy(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
        looked_at.append(mu.copy())
        return real(mu, logvar)

    monkeypatch.setattr("vaefast._engine.training.kl_per_dimension", spy)
    vae = small(epochs=3).fit(X)
    assert [mu.shape for mu in looked_at] == [(120, K)] * 3
    codes = vae.transform(X)
    found = (looked_at[-1][:, None] == codes).all(axis=2).any(axis=0)
    assert found.sum() == 120
    other = small(epochs=1, random_state=7).fit(X)
    same = (looked_at[-1][:, None] == other.transform(X)).all(axis=2).any(axis=0)
    np.testing.assert_array_equal(same, found)
    small(epochs=1).fit(X[:70])
    assert looked_at[-1].shape == (70, K), "all of a few rows"
    small(epochs=1, hidden_layer_sizes=()).fit(np.tile(X[:, :2], (10, 1)))
    assert looked_at[-1].shape == (1000, K), "a thousand of many"


# ------------------------------------------------------------------ the warning


def collapsed(**params: Any) -> VAE:
    """Return a model whose beta is so large that the posterior collapses."""
    return small(beta=30, learning_rate=0.01, batch_size=4, **params)


def test_a_collapse_is_warned_of_once_with_remedies(X):
    vae = collapsed()
    with pytest.warns(CollapseWarning, match="0 of 6 latent units are active") as caught:
        vae.fit(X)
    assert len(caught) == 1
    assert caught[0].filename == __file__, "it points to the call of fit"
    text = str(caught[0].message)
    assert all(help in text for help in ("smaller beta", "LinearWarmup", "free_bits", "wider"))
    assert vae.history_["active_units"][-1] == 0
    assert vae.diagnose(X).active_units == 0
    vae.partial_fit(X)  # one epoch of partial_fit does not warn


def test_short_training_is_not_judged(X):
    vae = collapsed(epochs=3).fit(X)
    assert vae.history_["active_units"][-1] == 0
    assert vae.model_.core.optimizer_steps < 1000


def test_an_interrupted_training_is_not_judged(X, interactive):
    def press_ctrl_c(vae: VAE, record: dict[str, Any]) -> None:
        if record["epoch"] == 4:
            raise KeyboardInterrupt

    assert collapsed(epochs=9).fit(X, callbacks=[press_ctrl_c]).interrupted_


@pytest.mark.filterwarnings("ignore:X has columns far from unit variance")
def test_the_weights_that_patience_restored_are_judged_not_the_last(X):
    """The rising beta makes the units inactive, but the best ELBO belongs to an earlier epoch."""
    params: dict[str, Any] = {"beta": SigmoidWarmup(6, end=30), "batch_size": 4, "epochs": 6}
    params |= {"likelihood": "gaussian", "learning_rate": 0.01}
    vae = small(**params, patience=6).fit(X, validation=X[:99])
    assert vae.history_["active_units"][-1] == 0
    assert vae.diagnose(X).active_units > 0
    with pytest.warns(CollapseWarning):
        vae.set_params(patience=None).fit(X, validation=X[:99])


def test_units_to_spare_are_no_collapse(X):
    """With three factors and forty units, most units stay at the prior, and no warning comes."""
    vae = small(latent_dim=40, learning_rate=0.01, batch_size=8, epochs=10).fit(X)
    assert vae.model_.core.optimizer_steps >= 1000
    assert 4 <= vae.history_["active_units"][-1] < 40


def test_drawn_digits_do_not_collapse():
    digits = datasets.strokes(3000, n_test=0).X
    vae = small(latent_dim=10, hidden_layer_sizes=(64,), epochs=11, batch_size=30).fit(digits)
    assert vae.model_.core.optimizer_steps >= 1000
    assert vae.history_["active_units"][-1] >= 2
