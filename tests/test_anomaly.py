"""The anomaly detector: thresholds, contributions of features, scikit-learn conventions."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_outlier_detector
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vaefast
from vaefast import VAE, AnomalyDetector, NotFittedError, datasets, load
from vaefast._engine.container import pack
from vaefast._engine.storage import read_parts

D = 8


def small(**params: object) -> VAE:
    """Return an unfitted model of tables that trains quickly."""
    defaults = {"hidden_layer_sizes": (16,), "epochs": 30, "batch_size": 32, "random_state": 0}
    defaults |= {"likelihood": "gaussian", "learning_rate": 0.01}
    return VAE(**{**defaults, "verbose": False, **params})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Standardized rows near a plane."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((600, 2)) @ rng.standard_normal((2, D))
    rows += 0.1 * rng.standard_normal(rows.shape)
    return ((rows - rows.mean(0)) / rows.std(0)).astype(np.float32)


@pytest.fixture(scope="module")
def vae(X: np.ndarray) -> VAE:
    return small().fit(X[:400])


@pytest.fixture(scope="module")
def detector(vae: VAE, X: np.ndarray) -> AnomalyDetector:
    return AnomalyDetector(vae, contamination=0.05).fit(X[400:])


@pytest.mark.parametrize("share", [0.005, 0.05, 0.5])
def test_the_share_of_anomalies_is_as_asked(share, vae, X):
    answers = AnomalyDetector(vae, contamination=share).fit_predict(X)
    assert set(answers) == {-1, 1}
    assert (answers == -1).mean() == pytest.approx(share, abs=1 / len(X))


def test_scores_are_the_elbo_and_the_threshold_is_at_zero(detector, vae, X):
    scores = detector.score_samples(X)
    np.testing.assert_array_equal(scores, vae.score_samples(X))
    np.testing.assert_array_equal(detector.decision_function(X), scores - detector.offset_)
    np.testing.assert_array_equal(detector.predict(X), np.where(scores < detector.offset_, -1, 1))
    assert detector.offset_ == np.percentile(vae.score_samples(X[400:]), 5)


def test_the_automatic_threshold_lies_35_robust_deviations_below_the_median(vae, X):
    detector = AnomalyDetector(vae).fit(X[400:])
    scores = vae.score_samples(X[400:])
    deviation = 1.4826 * np.median(np.abs(scores - np.median(scores)))
    assert detector.offset_ == pytest.approx(np.median(scores) - 3.5 * deviation, rel=1e-12)
    assert 0 < (detector.predict(X[400:]) == -1).mean() < 0.15
    many = np.repeat(X[400:401], 200, axis=0)
    assert (AnomalyDetector(vae).fit_predict(many) == 1).all()
    many[0] += 9
    assert np.flatnonzero(AnomalyDetector(vae).fit_predict(many) == -1).tolist() == [0]


def test_p_values_are_ranks_among_rows_that_the_model_has_not_seen(detector, vae, X):
    new = np.concatenate([X[:50], X[:1] + 50])
    found, known = detector.p_values(new), vae.score_samples(X[400:])
    expected = [(1 + (known <= score).sum()) / 201 for score in vae.score_samples(new)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[-1] == 1 / 201
    assert detector.p_values(X[400:]).min() == 2 / 201  # equal scores count
    with pytest.raises(ValueError, match=r"rows that the VAE was not trained on.*vae\.fit"):
        AnomalyDetector(small(epochs=1)).fit(X).p_values(X)


def test_rows_off_the_plane_are_found(detector, X):
    off = X[400:].copy()
    rng = np.random.default_rng(1)
    off[np.arange(200), rng.integers(0, D, 200)] += 3
    scores = np.concatenate([detector.score_samples(X[400:]), detector.score_samples(off)])
    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.95
    assert (detector.predict(off) == -1).mean() > 0.8


def test_a_fitted_model_stays_as_it_is(vae, X):
    before = vae.history_
    detector = AnomalyDetector(vae).fit(X)
    assert detector.vae_ is vae
    assert vae.history_ is before


def test_a_copy_of_an_unfitted_model_is_trained(X):
    vae = small()
    detector = AnomalyDetector(vae).fit(X)
    assert not hasattr(vae, "history_")
    np.testing.assert_array_equal(detector.score_samples(X), small().fit(X).score_samples(X))


# ------------------------------------------------------------------ contributions


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_contributions_add_up_to_the_density_of_the_row_at_its_mean(likelihood, X):
    """The reconstruction term, which averages over z, is larger than the density at the mean."""
    from scipy import stats

    rows = X if likelihood == "gaussian" else (X > 0).astype(np.float32)
    vae = small(likelihood=likelihood, sigma=0.5).fit(rows)
    found = AnomalyDetector(vae).fit(rows).contributions(rows)
    assert found.shape == rows.shape
    mean = vae.reconstruct(rows).astype(np.float64)
    density = stats.norm(mean, 0.5).logpdf if likelihood == "gaussian" else (
        stats.bernoulli(mean).logpmf
    )  # fmt: skip
    np.testing.assert_allclose(found, -density(rows), rtol=1e-5, atol=1e-6)
    assert found.sum(axis=1).mean() < vae.evaluate(rows)["reconstruction"]


def test_the_odd_feature_contributes_most(detector, X):
    odd = X[400:].copy()
    column = np.random.default_rng(2).integers(0, D, len(odd))
    odd[np.arange(len(odd)), column] += 4
    excess = detector.contributions(odd) - detector.contributions(X[400:]).mean(axis=0)
    assert (excess.argmax(axis=1) == column).mean() > 0.8


@pytest.mark.parametrize("sigma", ["per_feature", "global", 0.5])
def test_a_missing_value_contributes_nothing_whatever_sigma_is(sigma, X):
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    detector = AnomalyDetector(small(missing="mask", sigma=sigma)).fit(gaps)
    found = detector.contributions(gaps)
    np.testing.assert_array_equal(found[np.isnan(gaps)], 0)
    assert np.isfinite(found).all()
    cost = detector.vae_.evaluate(gaps)["reconstruction"]
    assert found.sum(axis=1).mean() < cost


def test_contributions_of_a_mixed_table_add_up(X):
    """The sum is -log p(x | z) at the mean of the posterior, for any mixture of likelihoods."""
    rng = np.random.default_rng(3)
    kinds = np.eye(3)[rng.integers(0, 3, len(X))]
    rows = np.column_stack([X, rng.poisson(3, (len(X), 2)), kinds]).astype(np.float32)
    rows[0, D + 2 :] = np.nan
    columns = [("laplace", D), ("negative_binomial", 2), ("categorical", 3)]
    vae = small(likelihood=columns, missing="mask").fit(rows)
    found = AnomalyDetector(vae).fit(rows).contributions(rows)
    at_the_mean, _ = vae.model_.core.score(vae.model_.reader.read(rows), 0, deterministic=True)
    np.testing.assert_allclose(found.sum(axis=1), at_the_mean, rtol=1e-4, atol=1e-4)
    assert (found[1:, D + 2 :] != 0).sum(axis=1).max() == 1  # in the column of the row's category
    np.testing.assert_array_equal(found[0, D + 2 :], 0)


def test_scores_may_be_estimates_of_the_log_likelihood(vae, X):
    detector = AnomalyDetector(vae, contamination=0.05, n_samples=50).fit(X)
    expected = vae.log_likelihood(X, n_samples=50).rows
    np.testing.assert_array_equal(detector.score_samples(X), expected)
    assert detector.offset_ == np.percentile(expected, 5)
    with pytest.raises(ValueError, match="n_samples=0 must be at least 1"):
        AnomalyDetector(vae, n_samples=0).fit(X)


def test_counts_are_judged_by_their_exposure():
    rng = np.random.default_rng(0)
    exposure = rng.uniform(0.2, 5, 500)
    X = rng.poisson(exposure[:, None] * [3.0, 8.0, 1.0]).astype(np.float32)
    vae = small(likelihood="poisson", latent_dim=1).fit(X, exposure=exposure)
    detector = AnomalyDetector(vae, contamination=0.02).fit(X, exposure=exposure)
    np.testing.assert_array_equal(
        detector.score_samples(X, exposure=exposure), vae.score_samples(X, exposure=exposure)
    )
    assert (detector.predict(X, exposure=exposure) == -1).mean() == pytest.approx(0.02, abs=0.002)
    assert (detector.predict(X, exposure=exposure / 10) == -1).mean() > 0.5
    terms = detector.contributions(X, exposure=exposure)
    assert terms.sum() < detector.contributions(X, exposure=np.ones(500)).sum()


def test_a_conditional_model_judges_rows_by_their_labels():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    X = (6.0 * y[:, None] + rng.normal(size=(600, D))).astype(np.float32) - 3
    vae = small(conditional=True, epochs=40)
    detector = AnomalyDetector(vae, contamination=0.02).fit(X, y)
    usual, swapped = detector.predict(X, y), detector.predict(X, 1 - y)
    assert (usual == -1).mean() < 0.05 and (swapped == -1).mean() > 0.9
    assert detector.contributions(X, 1 - y).sum() > 2 * detector.contributions(X, y).sum()


def test_contributions_of_images_are_images_and_finite():
    digits = datasets.strokes(600, n_test=0).X
    vae = VAE(hidden_layer_sizes=(32,), epochs=20, batch_size=16, random_state=0, verbose=False)
    detector = AnomalyDetector(vae.fit(digits)).fit(digits)
    spoiled = digits[:50].copy()
    spoiled[:, :6, :6] = 255  # no digit has ink in this corner
    found = detector.contributions(spoiled)
    assert found.shape == spoiled.shape
    assert np.isfinite(found).all()
    assert (found[:, :6, :6].mean(axis=(1, 2)) > 10 * found[:, 6:].mean(axis=(1, 2))).all()
    flat = detector.contributions((spoiled / 255).reshape(50, -1))
    np.testing.assert_allclose(flat, found, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ scikit-learn conventions


def test_it_is_an_estimator_of_scikit_learn(detector, X):
    assert is_outlier_detector(detector)
    twin = clone(detector)
    assert not hasattr(twin, "vae_")
    assert twin.vae.get_params() == detector.vae.get_params()
    scaled = make_pipeline(StandardScaler(), AnomalyDetector(small(), contamination=0.1))
    assert (scaled.fit(X * 50 + 7).predict(X * 50 + 7) == -1).sum() == 60


def test_parameters_of_the_model_are_reached_by_name():
    detector = AnomalyDetector(small()).set_params(vae__latent_dim=3, contamination=0.2)
    params = detector.get_params()
    assert params["vae__latent_dim"] == detector.vae.latent_dim == 3
    assert params["contamination"] == 0.2
    own = {"vae", "contamination", "n_samples", "random_state", "n_threads"}
    assert set(detector.get_params(deep=False)) == own
    with pytest.raises(ValueError, match="'share' is unknown; expected one of vae, contamin"):
        detector.set_params(share=1)
    assert repr(detector) == f"AnomalyDetector(vae={detector.vae!r}, contamination=0.2)"
    detector.set_params(vae__latent_dim=5, vae=small())
    assert detector.vae.latent_dim == 5


def test_it_can_be_kept(detector, X):
    twin = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(twin.predict(X), detector.predict(X))


@pytest.mark.parametrize("method", ["score_samples", "decision_function", "predict", "p_values"])
def test_an_unfitted_detector_raises_not_fitted(method, X):
    with pytest.raises(vaefast.NotFittedError, match="AnomalyDetector is not fitted yet"):
        getattr(AnomalyDetector(small()), method)(X)


@pytest.mark.parametrize("share", [0, -0.1, 0.51, 1, np.nan, "all", None, True])
def test_a_bad_share_is_refused_before_training(share, X):
    detector = AnomalyDetector(small(), contamination=share)
    with pytest.raises((TypeError, ValueError), match="^contamination=.* must be"):
        detector.fit(X)
    assert not hasattr(detector, "vae_")


def test_a_model_of_another_kind_is_refused(X):
    with pytest.raises(TypeError, match="must be a VAE"):
        AnomalyDetector(StandardScaler()).fit(X)


# ------------------------------------------------------------------ files, and PyOD's names


def test_a_detector_comes_back_from_one_file(tmp_path):
    rows = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    vae = VAE(2, (8,), likelihood="gaussian", epochs=2, random_state=0, verbose=False).fit(rows)
    detector = AnomalyDetector(vae, 0.1, n_samples=3).fit(rows[:40])
    path = tmp_path / "detector.safetensors"
    detector.save(path)
    again = AnomalyDetector.load(path)
    assert (again.contamination, again.n_samples, again.offset_) == (0.1, 3, detector.offset_)
    np.testing.assert_array_equal(again.predict(rows), detector.predict(rows))
    np.testing.assert_array_equal(again.labels_, detector.labels_)
    np.testing.assert_array_equal(again.p_values(rows), detector.p_values(rows))
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert load(path).score(rows) == vae.score(rows)
    parts = read_parts(path.read_bytes(), str(path))
    del parts["detector"].fields["offset"]
    path.write_bytes(pack(parts))
    with pytest.raises(ValueError, match=f"{path} does not hold a usable detector: 'offset'"):
        AnomalyDetector.load(path)
    vae.save(path)
    with pytest.raises(ValueError, match="is a model, but no detector"):
        AnomalyDetector.load(path)
    with pytest.raises(NotFittedError):
        AnomalyDetector(vae).save(path)
    AnomalyDetector(clone(vae)).fit(rows).save(path)
    again = AnomalyDetector.load(path)
    assert again.contamination == "auto"
    with pytest.raises(ValueError, match="p_values needs rows"):
        again.p_values(rows)


def test_the_names_of_pyod_have_its_directions():
    rows = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    vae = VAE(2, (8,), likelihood="gaussian", epochs=2, random_state=0, verbose=False).fit(rows)
    detector = AnomalyDetector(vae, 0.1).fit(rows)
    np.testing.assert_array_equal(detector.decision_scores_, -detector.score_samples(rows))
    assert detector.threshold_ == -detector.offset_
    np.testing.assert_array_equal(detector.labels_ == 1, detector.predict(rows) == -1)
    assert detector.labels_.sum() == 8
    assert detector.n_features_in_ == 3
    with pytest.raises(NotFittedError):
        _ = AnomalyDetector(vae).labels_
