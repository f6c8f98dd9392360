"""At home in scikit-learn: its own checks, pipelines, searches, frames, clones and routing."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import vaefast
from vaefast import VAE, AnomalyDetector, VAEImputer

pytest.importorskip("sklearn", minversion="1.6")
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator


def small(**params: Any) -> VAE:
    defaults = {"latent_dim": 2, "hidden_layer_sizes": (8,), "likelihood": "gaussian"}
    return VAE(**{**defaults, "epochs": 2, "random_state": 0, "verbose": False, **params})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


# Checks of scikit-learn that an estimator can't pass, with the reason.
EXPECTED_TO_FAIL: dict[type, dict[str, str]] = {
    VAE: {
        "check_sample_weight_equivalence_on_dense_data": "a row's noise and batch depend on its "
        "position, so that a weight of 2 is a row twice in expectation only",
        "check_sample_weight_equivalence_on_sparse_data": "the same",
    },
    AnomalyDetector: {},
    VAEImputer: {},
}


@pytest.fixture
def short_fits(monkeypatch):
    """Make ensembles and budgets small, so that the many fits of the checks take little time."""
    monkeypatch.setattr("vaefast.imputer.fitting.LEAST_BUDGET", 0.02)
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 3)
    monkeypatch.setattr("vaefast.anomaly.member.STEPS", 5)


@pytest.mark.parametrize(
    "estimator",
    [
        small(),
        AnomalyDetector(small()),
        AnomalyDetector(),
        VAEImputer(small(missing="mask"), n_models=2, n_samples=5, random_state=0),
        VAEImputer(),
    ],
    ids=["VAE", "detector", "ensemble", "imputer", "default imputer"],
)
@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings
def test_every_check_of_scikit_learn_passes(estimator, short_fits):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert set(failed) == set(EXPECTED_TO_FAIL[type(estimator)]), failed
    assert sum(r["status"] == "passed" for r in results) > 40


# ------------------------------------------------------------------ composition


def test_a_pipeline_searches_over_the_latent_space(X):
    y = (X[:, 0] > 0).astype(int)
    pipeline = make_pipeline(StandardScaler(), small(), LogisticRegression())
    search = GridSearchCV(pipeline, {"vae__latent_dim": [1, 3]}, cv=2).fit(X, y)
    assert set(search.best_params_) == {"vae__latent_dim"}
    assert search.best_estimator_[1].model_.latent_dim == search.best_params_["vae__latent_dim"]
    assert len(cross_val_score(pipeline, X, y, cv=3)) == 3


def test_a_search_over_the_vae_of_a_detector(X):
    pipeline = make_pipeline(StandardScaler(), AnomalyDetector(small()))
    names = ("anomalydetector__vae__latent_dim", "anomalydetector__contamination")
    grid = {names[0]: [1, 2], names[1]: [0.1]}
    search = GridSearchCV(
        pipeline, grid, cv=2, scoring=lambda e, X, y=None: e.score_samples(X).mean()
    )
    search.fit(X)
    assert search.best_estimator_[1].vae_.model_.latent_dim == search.best_params_[names[0]]


def test_processes_of_joblib_give_the_same_search(X):
    grid = {"latent_dim": [1, 2], "optimizer": ["adam", vaefast.optimizers.SGD(0.5)]}
    one, two = (
        GridSearchCV(small(), grid, cv=2, n_jobs=n).fit(X).cv_results_["mean_test_score"]
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_a_clone_is_unfitted_with_the_same_parameters(X):
    vae = small(optimizer=vaefast.optimizers.AdamW(weight_decay=0.5)).fit(X)
    twin = clone(vae)
    assert twin.get_params() == vae.get_params()
    assert not hasattr(twin, "model_")


# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("way", ["method", "global"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_codes_come_as_frames(library, way, X):
    module = pytest.importorskip(library)
    vae = small().fit(X)
    codes = vae.transform(X)
    if way == "method":
        assert vae.set_output(transform=library) is vae
        found = vae.transform(X)
        assert type(clone(vae).fit_transform(X)) is module.DataFrame
        assert isinstance(vae.set_output(transform="default").transform(X), np.ndarray)
    else:
        with sklearn.config_context(transform_output=library):
            found = vae.transform(X)
    assert type(found) is module.DataFrame
    assert list(found.columns) == ["vae0", "vae1"]
    np.testing.assert_array_equal(found.to_numpy(), codes)


def test_the_index_of_a_frame_survives(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(60) + 100)
    codes = small().set_output(transform="pandas").fit_transform(frame)
    assert codes.index.equals(frame.index)
    with pytest.raises(ValueError, match="transform='xarray' is unknown"):
        small().set_output(transform="xarray")


def test_reconstruction_works_with_any_output(X):
    vae = small().fit(X).set_output(transform="pandas")
    assert vae.reconstruct(X).shape == X.shape


def test_a_column_transformer_takes_a_vae(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    transformer = make_column_transformer((small(), ["a", "b", "c"]), (PCA(1), ["c", "d"]))
    out = transformer.set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == ["vae__vae0", "vae__vae1", "pca__pca0"]


# ------------------------------------------------------------------ metadata


def test_exposure_is_routed_to_the_vae():
    counts = np.random.default_rng(0).poisson(3.0, (40, 3)).astype(float)
    hours = np.full(40, 2.0)
    with sklearn.config_context(enable_metadata_routing=True):
        vae = small(likelihood="poisson").set_fit_request(exposure=True)
        pipeline = make_pipeline("passthrough", clone(vae)).fit(counts, exposure=hours)
        assert pipeline[-1].model_.reader.exposed
        with pytest.raises(Exception, match="exposure"):
            make_pipeline("passthrough", small(likelihood="poisson")).fit(counts, exposure=hours)
    with pytest.raises(ValueError, match="fit argument='nothing' is unknown"):
        vae.set_fit_request(nothing=True)


def test_y_and_exposure_are_routed_to_a_detector():
    rng = np.random.default_rng(0)
    hours, y = rng.uniform(1, 9, 60), np.arange(60) % 2
    counts = rng.poisson(hours[:, None] * (1 + y[:, None]), (60, 3))
    params: dict[str, Any] = {"likelihood": "poisson", "conditional": True}
    detector = AnomalyDetector(small(**params), 0.1).set_fit_request(exposure=True)
    detector.set_predict_request(y=True, exposure=True)
    detector.set_decision_function_request(y=True, exposure="hours")
    alone = clone(detector).fit(counts, y, exposure=hours)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline("passthrough", clone(detector)).fit(counts, y, exposure=hours)
        labels = pipeline.predict(counts, y=y, exposure=hours)
        scores = pipeline.decision_function(counts, y=y, hours=hours)
        pipeline[-1].set_predict_request(exposure=None)
        with pytest.raises(Exception, match="exposure"):
            pipeline.predict(counts, y=y, exposure=hours)
    np.testing.assert_array_equal(labels, alone.predict(counts, y, exposure=hours))
    np.testing.assert_array_equal(scores, alone.decision_function(counts, y, exposure=hours))
    assert not np.array_equal(scores, alone.decision_function(counts, 1 - y, exposure=hours))


def test_y_is_routed_to_transform_and_back(X):
    y = np.arange(60) % 2
    vae = small(conditional=True)
    vae.set_transform_request(y=True).set_inverse_transform_request(y=True)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), vae)
        assert pipeline.fit_transform(X, y).shape == (60, 2)
        codes = pipeline.transform(X, y=y)
        rows = pipeline.inverse_transform(codes, y=y)
    scaled = pipeline[0].transform(X)
    np.testing.assert_array_equal(codes, pipeline[1].transform(scaled, y))
    expected = pipeline[0].inverse_transform(pipeline[1].inverse_transform(codes, y))
    np.testing.assert_array_equal(rows, expected)


# ------------------------------------------------------------------ errors, pictures


@pytest.mark.parametrize("estimator", [small(), AnomalyDetector(small())], ids=["VAE", "detector"])
def test_an_unfitted_estimator_raises_both_errors(estimator, X):
    for kind in (NotFittedError, vaefast.NotFittedError):
        with pytest.raises(kind, match="is not fitted yet") as caught:
            estimator.score_samples(X)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is vaefast.NotFittedError
    assert str(again) == str(caught.value)


def test_a_notebook_shows_a_diagram(X):
    html = make_pipeline(StandardScaler(), small())._repr_html_()
    assert "VAE" in html and "VAE" in small()._repr_html_()
    assert "AnomalyDetector" in AnomalyDetector(small())._repr_html_()


# ------------------------------------------------------------------ a fitted VAE in a detector


def test_a_clone_of_a_detector_keeps_a_fitted_vae(X):
    vae = small().fit(X)
    twin = clone(AnomalyDetector(vae, 0.1))
    assert twin.vae is vae
    assert not hasattr(twin, "vae_")
    assert twin.fit(X[:20]).vae_ is vae
    unfitted = small()
    assert clone(AnomalyDetector(unfitted)).vae is not unfitted


def test_a_frozen_vae_is_used_as_it_is(X):
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    vae = small().fit(X)
    detector = AnomalyDetector(frozen(vae)).fit(X[:20])
    assert detector.vae_ is vae
    assert clone(AnomalyDetector(frozen(vae))).fit(X[:20]).vae_ is vae


def test_parameters_of_a_fitted_vae_are_not_set_in_silence(X):
    detector = AnomalyDetector(small().fit(X))
    assert detector.set_params(vae__n_threads=1, contamination=0.2).contamination == 0.2
    with pytest.raises(ValueError, match="vae__latent_dim can't be set: .* is fitted"):
        detector.set_params(vae__latent_dim=3)
    for other in (PCA(), GridSearchCV(small(), {"latent_dim": [1, 2]})):
        with pytest.raises(TypeError, match="must be a VAE"):
            AnomalyDetector(other).fit(X)
