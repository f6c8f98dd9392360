"""The anomaly detector without a VAE: an ensemble of small VAEs on a table of numbers."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, AnomalyDetector, load
from vaefast._engine.container import pack
from vaefast._engine.storage import read_parts

D = 6


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Rows near a plane, in columns of very different units."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 2)) @ rng.standard_normal((2, D))
    rows += 0.1 * rng.standard_normal(rows.shape)
    return 10.0 ** np.arange(-3, D - 3) * rows + 7


@pytest.fixture(scope="module")
def detector(X: np.ndarray) -> AnomalyDetector:
    return AnomalyDetector(contamination=0.05, random_state=0).fit(X)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train members for a few steps, where a test does not ask how good they are."""
    monkeypatch.setattr("vaefast.anomaly.member.STEPS", 5)
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 3)


# ------------------------------------------------------------------ what it finds


def test_rows_far_from_all_others_are_found():
    rng = np.random.default_rng(1)
    usual = np.concatenate([rng.normal(0, 1, (150, D)), rng.normal(8, 0.5, (150, D))])
    outliers = rng.uniform(-6, 14, (10, D))
    detector = AnomalyDetector(contamination=10 / 310, random_state=0)
    found = detector.fit_predict(np.concatenate([usual, outliers]))
    assert (found[300:] == -1).sum() >= 9


def test_usual_values_that_do_not_go_together_are_found():
    """Each column is usual; the columns break a dependency that all other rows keep."""
    rng = np.random.default_rng(2)
    a = rng.uniform(-2, 2, (500, 1))
    rows = np.hstack([a, -a, a, 2 * a]) + 0.05 * rng.standard_normal((500, 4))
    broken = rows[:20].copy()
    broken[:, 1] *= -1
    broken = broken[np.abs(broken[:, 0]) > 0.7]
    detector = AnomalyDetector(random_state=0).fit(rows)
    assert detector.score_samples(broken).max() < np.quantile(detector.score_samples(rows), 0.05)


def test_a_usual_row_scores_0_and_the_share_of_anomalies_is_as_asked(detector, X):
    scores = detector.score_samples(X)
    assert abs(np.median(scores)) < 0.2
    assert (detector.predict(X) == -1).sum() == 20
    np.testing.assert_array_equal(detector.decision_function(X), scores - detector.offset_)
    np.testing.assert_array_equal(detector.decision_scores_, -scores)
    np.testing.assert_array_equal(detector.labels_ == 1, detector.predict(X) == -1)
    assert detector.threshold_ == -detector.offset_


def test_without_a_share_the_number_of_anomalies_follows_the_data():
    rng = np.random.default_rng(4)
    usual, outliers = rng.normal(size=(500, D)), rng.normal(0, 10, (50, D))
    clean = AnomalyDetector(random_state=0).fit_predict(usual)
    mixed = AnomalyDetector(random_state=0).fit_predict(np.concatenate([usual, outliers]))
    assert (clean == -1).mean() < 0.04
    assert (mixed[:500] == -1).mean() < 0.04 and (mixed[500:] == -1).mean() > 0.9


@pytest.mark.parametrize(("n", "d"), [(60, 30), (300, 4), (2500, 4)])
def test_usual_new_rows_have_p_values_of_equal_shares(n, d):
    """Members have seen most rows of a small table, so their scores of these would be too good."""
    rng = np.random.default_rng(5)
    mixing = rng.standard_normal((d, d))
    known, new = rng.standard_normal((n, d)) @ mixing, rng.standard_normal((2000, d)) @ mixing
    detector = AnomalyDetector(random_state=0).fit(known)
    found = detector.p_values(new)
    error = 3 / np.sqrt(n)
    for q in (0.05, 0.2, 0.5):
        assert (found <= q).mean() == pytest.approx(q, abs=error * np.sqrt(q))
    assert detector.p_values(new[:1] + 1e3) == 1 / (n + 1)


def test_the_odd_column_contributes_most(detector, X):
    odd = X[:100].copy()
    column = np.random.default_rng(3).integers(0, D, len(odd))
    odd[np.arange(len(odd)), column] += 5 * X.std(axis=0)[column]
    excess = detector.contributions(odd) - detector.contributions(X).mean(axis=0)
    assert (excess.argmax(axis=1) == column).mean() > 0.9


def test_contributions_add_up_to_the_score_without_its_centre(detector, X):
    """What remains is the KL, which is nearly 0 in the members that give the likelihood."""
    total = detector.contributions(X).sum(axis=1) + detector.score_samples(X)
    assert np.ptp(total) < 0.05 * np.ptp(detector.score_samples(X))


# ------------------------------------------------------------------ bits


@pytest.mark.parametrize("n_threads", [1, 3])
def test_bits_do_not_depend_on_the_number_of_threads(n_threads, quick, X):
    two, other = (AnomalyDetector(random_state=3, n_threads=n).fit(X[:100]) for n in (2, n_threads))
    np.testing.assert_array_equal(two.decision_scores_, other.decision_scores_)
    np.testing.assert_array_equal(two.score_samples(X), other.score_samples(X))


def test_a_score_does_not_depend_on_the_other_rows(detector, X):
    alone = np.concatenate([detector.score_samples(X[i : i + 1]) for i in range(10)])
    np.testing.assert_array_equal(alone, detector.score_samples(X)[:10])


def test_seeds_differ_and_a_generator_is_a_seed(quick, X):
    def scores(seed: Any) -> np.ndarray:
        return AnomalyDetector(random_state=seed).fit(X[:50]).decision_scores_

    assert not np.array_equal(scores(0), scores(1))
    np.testing.assert_array_equal(*(scores(np.random.default_rng(4)) for _ in range(2)))


def test_large_tables_are_learned_from_some_of_their_rows(quick, monkeypatch, X):
    monkeypatch.setattr("vaefast.anomaly.ensemble.POOL", 90)
    detector = AnomalyDetector(contamination=0.05, random_state=0).fit(X)
    assert detector.decision_scores_.shape == (400,)
    np.testing.assert_array_equal(detector.decision_scores_, -detector.score_samples(X))
    assert detector.labels_.sum() == 20


# ------------------------------------------------------------------ data


def test_missing_values_are_neither_odd_nor_an_error(X):
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    gaps[0] = np.nan
    gaps[1, 2] = X[:, 2].mean() + 10 * X[:, 2].std()
    detector = AnomalyDetector(random_state=0).fit(gaps)
    scores = detector.score_samples(gaps)
    assert np.isfinite(scores).all() and np.isfinite(detector.contributions(gaps)).all()
    assert 1 in scores.argsort()[:3]
    holey = np.isnan(gaps[2:]).any(axis=1)
    flagged = scores[2:] < np.quantile(scores, 0.1)
    assert flagged[holey].mean() < 2 * flagged[~holey].mean() + 0.1


def test_a_usual_row_that_misses_half_of_its_values_scores_as_usual(X):
    detector = AnomalyDetector(random_state=0).fit(X[:300])
    gaps = np.where(np.random.default_rng(1).random((100, D)) < 0.5, np.nan, X[300:])
    full, holey = detector.score_samples(X[300:]), detector.score_samples(gaps)
    spread = np.subtract(*np.quantile(full, [0.9, 0.1]))
    assert abs(np.median(holey) - np.median(full)) < 0.2 * spread
    assert (holey < np.quantile(full, 0.05)).mean() < 0.1
    assert abs(detector.score_samples(np.full((1, D), np.nan))) < 0.2 * spread


def test_an_anomaly_with_gaps_stays_an_anomaly(detector, X):
    odd = X[:100].copy()
    odd[:, 2] += 8 * X[:, 2].std()
    full = detector.score_samples(odd)
    assert (detector.predict(odd) == -1).all()
    odd[:, 4:] = np.nan
    assert (detector.predict(odd) == -1).all()
    assert np.median(detector.score_samples(odd)) < 0.7 * np.median(full)


def test_a_missing_value_contributes_what_its_column_does_in_usual_rows(detector, X):
    gaps = np.where(np.random.default_rng(1).random(X.shape) < 0.3, np.nan, X)
    usual = np.median(detector.contributions(X), axis=0)
    for column in range(D):
        missing = np.isnan(gaps[:, column])
        found = detector.contributions(gaps)[missing, column]
        assert np.median(found) == pytest.approx(usual[column], abs=0.15)


def test_masked_values_and_none_are_missing_values(quick, X):
    gaps = X[:60].copy()
    gaps[:9, 1] = np.nan
    masked = np.ma.masked_array(np.nan_to_num(gaps, nan=1e9), np.isnan(gaps))
    objects = np.where(np.isnan(gaps), None, gaps.astype(np.float32))
    first, *others = (
        AnomalyDetector(random_state=0).fit(rows).decision_scores_ for rows in (gaps, masked)
    )
    np.testing.assert_array_equal(first, *others)
    assert np.isfinite(AnomalyDetector().fit(objects).decision_scores_).all()


@pytest.mark.parametrize("n", [2, 3, 6, 20])
def test_a_few_rows_suffice(n, quick, X):
    detector = AnomalyDetector(random_state=0).fit(X[:n])
    assert np.isfinite(detector.score_samples(X)).all()


def test_a_single_row_is_refused(X):
    with pytest.raises(ValueError, match="X has 1 sample .* at least 2"):
        AnomalyDetector().fit(X[:1])


def test_columns_that_never_or_rarely_change_do_no_harm(quick, X):
    rows = np.column_stack([X, np.full(400, 5.0), np.arange(400) == 17, X[:, 0] > 7])
    detector = AnomalyDetector(random_state=0).fit(rows)
    assert np.isfinite(detector.decision_scores_).all()
    assert np.isfinite(AnomalyDetector().fit(np.ones((30, 3))).decision_scores_).all()
    assert np.isfinite(AnomalyDetector().fit(X[:, :1]).decision_scores_).all()


def test_a_column_without_values_is_named(quick, X):
    rows = X.copy()
    rows[:, 2] = np.nan
    with pytest.warns(UserWarning, match="column 2 of X has no value in any row"):
        detector = AnomalyDetector(random_state=0).fit(rows)
    assert np.isfinite(detector.score_samples(X)).all()


def test_large_offsets_keep_their_precision(quick):
    """Times in seconds since 1970 are not numbers of float32."""
    rows = np.random.default_rng(0).normal(size=(100, 2))
    near, far = (AnomalyDetector(random_state=0).fit(rows + at) for at in (0, 2.0**31))
    assert np.corrcoef(near.decision_scores_, far.decision_scores_)[0, 1] > 0.98


def test_unusable_rows_are_refused(quick, X):
    rows = X.copy()
    rows[3, 1] = np.inf
    with pytest.raises(ValueError, match="X holds inf in row 3, column 1 .* set it to NaN"):
        AnomalyDetector().fit(rows)
    with pytest.raises(TypeError, match=r"X holds .*, expected numbers. vaefast\.tables\.Table"):
        AnomalyDetector().fit(X.astype(str))
    detector = AnomalyDetector().fit(X)
    with pytest.raises(ValueError, match="5 features, but AnomalyDetector is expecting 6"):
        detector.predict(X[:, :5])
    with pytest.raises(ValueError, match="exposure is for a VAE of counts"):
        detector.score_samples(X, exposure=np.ones(400))
    with pytest.raises(ValueError, match="n_samples=5 is for the log p"):
        AnomalyDetector(n_samples=5).fit(X)
    with pytest.raises(ValueError, match="n_threads=0 must be at least 1"):
        AnomalyDetector(n_threads=0).fit(X)


def test_images_have_contributions_of_their_shape(quick):
    images = np.random.default_rng(0).integers(0, 256, (40, 5, 4), np.uint8)
    detector = AnomalyDetector(random_state=0).fit(images)
    assert detector.contributions(images).shape == images.shape
    assert detector.n_features_in_ == 20


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_give_the_scores_of_their_numbers(library, quick, X):
    module = pytest.importorskip(library)
    names = [f"x{i}" for i in range(D)]
    columns = dict(zip(names, X.T, strict=True))
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    detector = AnomalyDetector(random_state=0).fit(frame)
    assert detector.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(
        detector.score_samples(frame), AnomalyDetector(random_state=0).fit(X).score_samples(X)
    )
    swapped = frame.select(names[::-1]) if library != "pandas" else frame[names[::-1]]
    with pytest.raises(ValueError, match="column 0 of X is 'x5', but the model was fitted with"):
        detector.predict(swapped)


# ------------------------------------------------------------------ files, VAEs


def test_it_comes_back_from_one_file(detector, tmp_path, X):
    path = tmp_path / "detector.safetensors"
    detector.save(path)
    again = AnomalyDetector.load(path)
    assert again.get_params() == detector.get_params()
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    np.testing.assert_array_equal(again.predict(X), detector.predict(X))
    np.testing.assert_array_equal(again.contributions(X), detector.contributions(X))
    np.testing.assert_array_equal(again.labels_, detector.labels_)
    np.testing.assert_array_equal(again.p_values(X), detector.p_values(X))
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    np.testing.assert_array_equal(again.score_samples(gaps), detector.score_samples(gaps))
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    with pytest.raises(ValueError, match=r"ensemble of a detector: AnomalyDetector\.load reads"):
        load(path)
    parts = read_parts(path.read_bytes(), str(path))
    del parts["detector"].tensors["3/references"]
    path.write_bytes(pack(parts))
    with pytest.raises(ValueError, match="does not hold a usable detector: '3/references'"):
        AnomalyDetector.load(path)


def test_a_pickle_gives_the_same_scores(detector, X):
    twin = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(twin.score_samples(X), detector.score_samples(X))


def test_the_ensemble_has_no_vae_and_a_vae_replaces_it(quick, X):
    detector = AnomalyDetector(random_state=0).fit(X)
    with pytest.raises(AttributeError, match="ensemble, not of one VAE"):
        _ = detector.vae_
    with pytest.raises(AttributeError, match="no names"):
        _ = detector.feature_names_in_
    with pytest.raises(ValueError, match="vae=None must be a VAE for vae__latent_dim"):
        detector.set_params(vae__latent_dim=3)
    vae = VAE(2, (8,), likelihood="gaussian", standardize=True, epochs=1, verbose=False).fit(X)
    detector.set_params(vae=vae).fit(X)
    assert detector.vae_ is vae
    np.testing.assert_array_equal(detector.score_samples(X), vae.score_samples(X))
