"""The imputer of tables: what it fills, what it keeps, scikit-learn's conventions, files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, NotFittedError, VAEImputer, load
from vaefast._engine.container import Part, pack
from vaefast._engine.storage import read_parts
from vaefast._input.normal_scores import NormalScores
from vaefast.imputer.gaussian import Gaussian

D = 6


def small(**params: Any) -> VAEImputer:
    """Return an imputer of tables that trains quickly."""
    vae = VAE(
        2, (32,), likelihood="gaussian", missing="mask", standardize=True,
        learning_rate=0.01, epochs=20, batch_size=32,
    )  # fmt: skip
    return VAEImputer(vae, **{"n_models": 2, "random_state": 0, **params})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Rows near a curve, in units of their own."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, (500, 1))
    rows = np.hstack([t, t**2, np.sin(2 * t), np.exp(t / 2), -t, np.abs(t)])
    return (rows + 0.05 * rng.standard_normal(rows.shape)) * [1, 10, 0.1, 100, 1, 5] + 3


@pytest.fixture(scope="module")
def holes(X: np.ndarray) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(X.shape) < 0.3, np.nan, X)


@pytest.fixture(scope="module")
def imputer(holes: np.ndarray) -> VAEImputer:
    return small().fit(holes)


def rmse(filled: np.ndarray, X: np.ndarray, holes: np.ndarray) -> float:
    """Return the error of the filled values in standard deviations of their columns."""
    return float(np.sqrt(np.mean(((filled - X) / X.std(axis=0))[np.isnan(holes)] ** 2)))


# ------------------------------------------------------------------ filled and known values


def test_filled_values_are_near_the_truth_and_known_ones_keep_their_bits(imputer, X, holes):
    filled = imputer.transform(holes)
    assert filled.dtype == np.float64
    known = ~np.isnan(holes)
    assert filled[known].tobytes() == X[known].tobytes()
    error = rmse(filled, X, holes)
    means = np.broadcast_to(np.nanmean(holes, axis=0), X.shape)
    assert error < 0.7 * rmse(means, X, holes)
    vae = imputer.models_[0]
    at_the_mean = np.where(known, X, vae.reconstruct(holes))
    assert rmse(vae.impute(holes), X, holes) < rmse(at_the_mean, X, holes)
    assert error < max(rmse(vae.impute(holes), X, holes) for vae in imputer.models_)


def test_the_default_imputer_chooses_for_itself_and_trains_on_all_rows(X, holes):
    few = holes[:150]
    filled = VAEImputer(random_state=0).fit(few)
    vae = filled.models_[0]
    assert sum(filled.weights_.values()) == pytest.approx(1)
    assert vae.model_.params["patience"] is None
    assert vae.n_iter_ == vae.model_.params["epochs"] == 640  # of 5 steps
    assert rmse(filled.transform(few), X[:150], few) < 0.7


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_bits_depend_on_the_seed_alone(n_threads, imputer, holes):
    expected = imputer.transform(holes)
    found = small(n_threads=n_threads).fit(holes)
    np.testing.assert_array_equal(found.transform(holes), expected)
    np.testing.assert_array_equal(found.transform(holes[5:7]), expected[5:7])


def test_models_have_seeds_in_a_row(imputer, holes):
    assert [vae.random_state for vae in imputer.models_] == [0, 1]
    second = small(n_models=1, random_state=1).fit(holes)
    np.testing.assert_array_equal(second.models_[0].impute(holes), imputer.models_[1].impute(holes))


def test_a_constant_column_is_filled_with_its_constant(holes):
    rows = np.column_stack([holes, np.full(len(holes), 7.25)])
    rows[::3, D] = np.nan
    filled = small().fit_transform(rows)
    np.testing.assert_array_equal(filled[:, D], 7.25)


def test_filled_values_stay_within_the_known_range(imputer, X):
    far = np.full((2, D), np.nan)
    far[:, 0] = 50, -50
    filled = imputer.transform(far)
    low, high = imputer.ranges_
    assert (filled[:, 1:] >= low[1:]).all() and (filled[:, 1:] <= high[1:]).all()
    np.testing.assert_array_equal(filled[:, 0], far[:, 0])


def test_a_row_without_known_values_gets_the_means_of_the_model(imputer, holes):
    filled = imputer.transform(np.full((1, D), np.nan))[0]
    away = (filled - np.nanmean(holes, axis=0)) / np.nanstd(holes, axis=0)
    assert np.abs(away).max() < 1


def test_a_column_without_known_values_is_an_error_that_names_it(holes):
    rows = holes.copy()
    rows[:, 2] = np.nan
    with pytest.raises(ValueError, match="column 2 of X has no known value"):
        small().fit(rows)


def test_complete_rows_and_other_dtypes(imputer, X):
    np.testing.assert_array_equal(imputer.transform(X), X)
    single = X.astype(np.float32)
    single[0, 0] = np.nan
    filled = imputer.transform(single)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[1:], single[1:])
    whole = np.random.default_rng(0).integers(0, 9, (50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(small().fit_transform(whole), whole)
    hidden = np.ma.masked_array(X, np.isnan(single))
    assert imputer.transform(hidden)[0, 0] == pytest.approx(filled[0, 0], rel=1e-5)


# ------------------------------------------------------------------ normal scores


def test_normal_scores_are_normal_and_go_back_to_the_values():
    rng = np.random.default_rng(0)
    values = np.column_stack([np.exp(2 * rng.standard_normal(4000)), rng.poisson(2, 4000)])
    values[::7, 0] = np.nan
    scores = NormalScores.learn(values)
    found = scores.apply(values)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    assert np.nanmean(found, axis=0) == pytest.approx([0, 0], abs=0.1)
    assert np.nanstd(found, axis=0) == pytest.approx([1, 1], abs=0.1)
    order = np.argsort(values[1::7, 0])
    assert (np.diff(found[1::7, 0][order]) >= 0).all()
    back = scores.undo(found)
    inner = np.abs(found[:, 0]) < 2
    np.testing.assert_allclose(back[inner, 0], values[inner, 0], rtol=0.05)
    np.testing.assert_array_equal(back[:, 1].round(), values[:, 1])
    extreme = scores.undo(np.array([[-9.0, 9.0]]))[0]
    assert (extreme >= np.nanmin(values, axis=0)).all()
    assert (extreme <= np.nanmax(values, axis=0)).all()


def test_vaes_see_normal_scores_where_these_fill_better(tmp_path: Path, X, holes):
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((200, 1)) @ np.ones((1, D))
    skewed = np.exp(1.5 * factor + 0.5 * rng.standard_normal((200, D)))
    gaps = np.isnan(holes[:200])
    rows = np.where(gaps, np.nan, skewed)
    imputer = VAEImputer(n_samples=30, random_state=0).fit(rows)
    assert imputer.normal_scores_
    filled = imputer.transform(rows)
    np.testing.assert_array_equal(filled[~gaps], skewed[~gaps])
    np.testing.assert_array_equal(imputer.transform(rows[5:7]), filled[5:7])
    plain = VAEImputer(imputer.models_[0], n_models=1, random_state=0).fit(rows)
    assert not plain.normal_scores_
    assert rmse(filled, skewed, rows) < 0.97 * rmse(plain.transform(rows), skewed, rows)
    assert np.isfinite(imputer.sample(rows, n=2)).all()
    imputer.save(tmp_path / "imputer.safetensors")
    again = VAEImputer.load(tmp_path / "imputer.safetensors")
    np.testing.assert_array_equal(again.transform(rows), filled)
    with pytest.raises(ValueError, match="5 features, but VAE is expecting 6"):
        imputer.transform(rows[:, :5])


# ------------------------------------------------------------------ the normal distribution


@pytest.fixture(scope="module")
def linear() -> tuple[np.ndarray, np.ndarray]:
    """Rows of a normal distribution in units of their own, and the same with missing values."""
    rng = np.random.default_rng(3)
    X = (rng.standard_normal((600, 3)) @ rng.standard_normal((3, 8))) * 10.0 ** np.arange(-3, 5)
    X += 0.3 * X.std(axis=0) * rng.standard_normal(X.shape) + 5
    return X, np.where(rng.random(X.shape) < 0.3, np.nan, X)


def test_the_normal_distribution_of_complete_rows_is_that_of_their_moments(linear):
    X, _ = linear
    found = Gaussian.learn(X, 0)
    covariance = np.linalg.inv(found.precision) * np.outer(found.scale, found.scale)
    np.testing.assert_allclose(covariance, np.cov(X.T, bias=True), rtol=0.01, atol=1e-12)
    np.testing.assert_allclose(found.centre + found.scale * found.mean, X.mean(axis=0), rtol=1e-6)


def test_conditional_means_and_draws_are_those_of_the_textbook(linear):
    X, holes = linear
    found = Gaussian.learn(holes, 0)
    covariance = np.linalg.inv(found.precision) * np.outer(found.scale, found.scale)
    mean = found.centre + found.scale * found.mean
    filled, draws = found.means(holes), found.draws(holes[:20], 4000, np.random.default_rng(0))
    for i in range(20):
        m = np.isnan(holes[i])
        if not m.any():
            continue
        slope = covariance[np.ix_(m, ~m)] @ np.linalg.inv(covariance[np.ix_(~m, ~m)])
        expected = mean[m] + slope @ (holes[i, ~m] - mean[~m])
        spread = covariance[np.ix_(m, m)] - slope @ covariance[np.ix_(~m, m)]
        np.testing.assert_allclose(filled[i, m], expected, rtol=1e-6)
        sd = np.sqrt(np.diag(spread))
        assert np.abs((draws[:, i, m].mean(axis=0) - expected) / sd).max() < 0.1
        assert np.abs(np.cov(draws[:, i, m].T) / spread - 1).max() < 0.5
    own = found.means(holes, lambda values: values)
    np.testing.assert_allclose(own, filled, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found.means(holes[5:7]), filled[5:7])


def test_linear_tables_are_filled_as_well_as_by_regressions(linear):
    pytest.importorskip("sklearn")
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    X, holes = linear
    imputer = VAEImputer(random_state=0).fit(holes)
    regressions = IterativeImputer(random_state=0, max_iter=30, tol=1e-2).fit_transform(
        (holes - np.nanmean(holes, axis=0)) / np.nanstd(holes, axis=0)
    )
    regressions = regressions * np.nanstd(holes, axis=0) + np.nanmean(holes, axis=0)
    assert rmse(imputer.transform(holes), X, holes) < 1.05 * rmse(regressions, X, holes)
    weights = imputer.weights_
    assert weights["gaussian"] + weights["gaussian_scores"] > 0.5


def test_completions_of_the_default_cover_the_truth(holes, X):
    """Intervals of 90 % of the draws hold about 90 % of the values; the draws' mean is the fill."""
    imputer = VAEImputer(random_state=0).fit(holes)
    gaps = np.isnan(holes)
    draws = imputer.sample(holes, n=200, random_state=0)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    assert np.mean((low <= X) & (high >= X), where=gaps) == pytest.approx(0.9, abs=0.07)
    distance = (draws.mean(axis=0) - imputer.transform(holes)) / draws.std(axis=0).clip(1e-9)
    assert np.sqrt(np.mean(distance[gaps] ** 2)) < 0.2


def test_few_values_give_equal_weights_and_many_columns_have_vaes_alone():
    rng = np.random.default_rng(0)
    few = np.where(rng.random((60, 6)) < 0.2, np.nan, rng.standard_normal((60, 6)))
    weights = VAEImputer(random_state=0).fit(few).weights_
    assert list(weights.values()) == pytest.approx([1 / 3] * 3)
    wide = np.where(rng.random((40, 201)) < 0.2, np.nan, rng.standard_normal((40, 201)))
    imputer = VAEImputer(n_samples=5, random_state=0).fit(wide)
    assert imputer.weights_ == {"vae": 1.0}
    assert np.isfinite(imputer.sample(wide, n=2)).all()


# ------------------------------------------------------------------ several completions


def test_completions_spread_as_the_missing_values_are_uncertain():
    """The last column is the first one plus noise of a known size."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal(1500)
    X = np.column_stack([first, -first, first + 0.5 * rng.standard_normal(1500)])
    holes = X.copy()
    holes[::2, 2] = np.nan
    imputer = small(n_models=2).fit(holes)
    completions = imputer.sample(holes, n=40, random_state=0)
    assert completions.shape == (40, *X.shape)
    assert (completions[:, 1::2] == X[1::2]).all()
    missing = completions[:, ::2, 2]
    assert missing.std(axis=0).mean() == pytest.approx(0.5, rel=0.2)
    filled = imputer.transform(holes)[::2, 2]
    assert np.sqrt(np.mean((missing.mean(axis=0) - filled) ** 2)) < 0.15
    low, high = np.quantile(missing, [0.1, 0.9], axis=0)
    assert np.mean((low < X[::2, 2]) & (X[::2, 2] < high)) == pytest.approx(0.8, abs=0.08)
    np.testing.assert_array_equal(imputer.sample(holes, n=40, random_state=0), completions)
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        imputer.sample(holes, n=0)


def test_plain_autoencoders_fill_but_have_nothing_to_draw_from(holes):
    imputer = small().set_params(vae__objective="autoencoder").fit(holes)
    assert np.isfinite(imputer.transform(holes)).all()
    with pytest.raises(ValueError, match="there is nothing to draw"):
        imputer.sample(holes)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("params", "message"),
    {
        "no models": ({"n_models": 0}, "n_models=0 must be at least 1"),
        "no samples": ({"n_samples": 0}, "n_samples=0 must be at least 1"),
        "no mask": ({"vae__missing": "error"}, "missing='error', but VAEImputer needs"),
        "conditional": ({"vae__conditional": True}, "use VAE.impute"),
    }.values(),
)
def test_unusable_parameters_are_explained(params, message, holes):
    with pytest.raises(ValueError, match=message):
        small().set_params(**params).fit(holes)


def test_unusable_tables_are_explained(imputer, holes):
    with pytest.raises(TypeError, match="must be a VAE or None"):
        VAEImputer("mean").fit(holes)
    infinite = np.where(np.isnan(holes), np.inf, holes)
    for method in (VAEImputer().fit, imputer.transform):
        with pytest.raises(ValueError, match="X holds inf in row 0, column 2"):
            method(infinite)
    with pytest.raises(ValueError, match="expected a table"):
        small().fit(np.zeros((4, 3, 3)))
    with pytest.raises(ValueError, match="5 features, but VAE is expecting 6"):
        imputer.transform(holes[:, :5])
    with pytest.raises(NotFittedError, match="VAEImputer"):
        small().transform(holes)


def test_text_in_an_array_is_refused_with_the_way_to_go():
    rows = np.array([[1.0, "Rome"], [np.nan, "Oslo"]], dtype=object)
    with pytest.raises(TypeError, match=r"X holds strings.*tables\.Table"):
        small().fit(rows)


# ------------------------------------------------------------------ scikit-learn, frames, files


def test_frames_keep_names_and_index(imputer, holes):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(holes, columns=list("abcdef"), index=np.arange(len(holes)) + 100)
    named = small().set_output(transform="pandas").fit(frame)
    filled = named.transform(frame)
    assert list(filled.columns) == list(named.feature_names_in_) == list("abcdef")
    assert (filled.index == frame.index).all()
    np.testing.assert_array_equal(filled.to_numpy(), imputer.transform(holes))
    assert list(imputer.get_feature_names_out()) == [f"x{i}" for i in range(D)]
    with pytest.raises(ValueError, match="column 0 of X is 'f'"):
        named.transform(frame[list("fbcdea")])


def test_in_a_pipeline_and_a_search(X, holes):
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(small(n_models=1), Ridge())
    grid = {"vaeimputer__vae__latent_dim": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(holes[:, 1:], X[:, 0])
    assert search.best_score_ > 0.5
    twin = clone(small(n_samples=7))
    assert twin.n_samples == 7 and twin.vae.hidden_layer_sizes == (32,)


def test_files_without_weights_hold_vaes_alone(tmp_path: Path, imputer, holes):
    path = tmp_path / "imputer.safetensors"
    imputer.save(path)
    parts = read_parts(path.read_bytes(), "the file")
    old = parts["imputer"]
    fields = {name: value for name, value in old.fields.items() if name != "sees_scores"}
    tensors = {name: value for name, value in old.tensors.items() if name != "weights"}
    path.write_bytes(pack({**parts, "imputer": Part(1, fields, tensors)}))
    np.testing.assert_array_equal(VAEImputer.load(path).transform(holes), imputer.transform(holes))
    tensors["knots"] = NormalScores.learn(holes).knots
    path.write_bytes(pack({**parts, "imputer": Part(1, fields, tensors)}))
    assert VAEImputer.load(path).normal_scores_


def test_pickles_and_files_fill_the_same_bits(tmp_path: Path, imputer, holes):
    expected = imputer.transform(holes)
    again = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(again.transform(holes), expected)
    path = tmp_path / "imputer.safetensors"
    imputer.save(path)
    loaded = VAEImputer.load(path)
    np.testing.assert_array_equal(loaded.transform(holes), expected)
    assert (loaded.n_models, loaded.n_samples, loaded.vae.latent_dim) == (2, 100, 2)
    np.testing.assert_array_equal(load(path).impute(holes), imputer.models_[0].impute(holes))
    parts = read_parts(path.read_bytes(), "the file")
    del parts["imputer"].tensors["ranges"]
    path.write_bytes(pack(parts))
    with pytest.raises(ValueError, match="does not hold a usable imputer: 'ranges'"):
        VAEImputer.load(path)
    imputer.models_[0].save(path)
    with pytest.raises(ValueError, match="is a model, but no imputer"):
        VAEImputer.load(path)
