"""The anomaly detector on tables of mixed columns: numbers, text, booleans and dates."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from vaefast import AnomalyDetector
from vaefast._engine.container import pack
from vaefast._engine.storage import read_parts

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

CURRENCY = {"NO": "NOK", "SE": "SEK", "DK": "DKK"}
NAMES = ["invoice", "country", "currency", "amount", "date", "online", "urgent"]
N = 600


@pytest.fixture(scope="module")
def frame() -> Any:
    """Payments: the currency follows from the country, and each has a number of its own."""
    rng = np.random.default_rng(0)
    country = rng.choice(list(CURRENCY), N, p=[0.5, 0.3, 0.2]).astype(object)
    days = np.datetime64("2024-01-01") + rng.integers(0, 365, N).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "invoice": [f"N{i:04}" for i in range(N)],
            "country": pd.Series(country, dtype=object),
            "currency": pd.Categorical([CURRENCY[c] for c in country]),
            "amount": rng.lognormal(3, 0.5, N).round(2),
            "date": days.astype("datetime64[ns]"),
            "online": pd.Series(list(rng.random(N) < 0.3), dtype=object),
            "urgent": (rng.random(N) < 0.2).astype(int),
        }
    )


@pytest.fixture(scope="module")
def detector(frame: Any) -> AnomalyDetector:
    return AnomalyDetector(random_state=0).fit(frame)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train members for a few steps, where a test does not ask how good they are."""
    monkeypatch.setattr("vaefast.anomaly.member.STEPS", 5)
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 3)


def changed(frame: Any, **cells: Any) -> Any:
    """Return the first 40 rows of the frame with other values in some columns."""
    return frame.head(40).assign(**cells)


def excess(detector: AnomalyDetector, frame: Any, rows: Any) -> np.ndarray:
    """Return the contributions to rows beyond those to usual rows."""
    return detector.contributions(rows) - np.median(detector.contributions(frame), axis=0)


# ------------------------------------------------------------------ what it finds


def test_categories_that_do_not_go_together_are_found(detector, frame):
    """Both values are frequent, but no row has them together."""
    odd = frame[frame["country"] == "NO"].assign(currency="SEK")
    limit = np.quantile(detector.score_samples(frame), 0.05)
    assert (detector.score_samples(odd) < limit).mean() > 0.9
    blamed = excess(detector, frame, odd).mean(axis=0).argmax()
    assert NAMES[blamed] in ("country", "currency")


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount", -4000.0), ("date", pd.Timestamp("2039-01-01")), ("currency", "USD"), ("urgent", 7)],
)
def test_an_odd_value_is_found_and_its_column_contributes_most(column, value, detector, frame):
    odd = changed(frame, **{column: value})
    assert (detector.score_samples(odd) < detector.score_samples(frame.head(40)) - 0.5).all()
    assert NAMES[excess(detector, frame, odd).mean(axis=0).argmax()] == column


def test_a_new_category_is_more_unusual_than_any_known_one(detector, frame):
    new = detector.score_samples(changed(frame, currency="USD")).mean()
    known = [detector.score_samples(changed(frame, currency=c)).mean() for c in CURRENCY.values()]
    assert new < min(known)


def test_rare_and_new_categories_share_a_place(quick):
    """Only 100 categories have places of their own, so wide columns do not crowd out others."""
    rng = np.random.default_rng(0)
    shops = np.repeat([f"shop{i}" for i in range(100)], 5).tolist() + [f"rare{i}" for i in range(9)]
    data = {"shop": shops, "amount": rng.normal(size=509), "hour": rng.normal(size=509)}
    detector = AnomalyDetector(random_state=0).fit(data)
    one = {"shop": ["rare3", "rare8", "new"], "amount": np.zeros(3), "hour": np.zeros(3)}
    assert len(set(detector.score_samples(one))) == 1


def test_missing_cells_are_neither_odd_nor_an_error(detector, frame):
    with_gaps = changed(frame, country=None, amount=np.nan, date=pd.NaT)
    scores = detector.score_samples(with_gaps)
    assert np.isfinite(scores).all()
    assert np.median(scores) > np.quantile(detector.score_samples(frame), 0.1)
    assert np.isfinite(detector.contributions(with_gaps)).all()


def test_names_and_numbers_of_rows_are_ignored(detector, frame):
    np.testing.assert_array_equal(
        detector.score_samples(changed(frame, invoice="X")), detector.score_samples(frame.head(40))
    )
    assert not detector.contributions(frame)[:, 0].any()


# ------------------------------------------------------------------ the frame


def test_features_and_contributions_are_those_of_the_frame(detector, frame):
    assert detector.n_features_in_ == len(NAMES)
    assert detector.feature_names_in_.tolist() == NAMES
    assert detector.contributions(frame).shape == (N, len(NAMES))


def test_polars_and_dicts_give_the_same_bits(quick, frame):
    texts = {"country": str, "currency": str, "online": bool}
    others = [pl.DataFrame(frame.astype(texts).to_dict("list"))]
    others.append({name: frame[name].to_numpy() for name in frame})
    expected = AnomalyDetector(random_state=0).fit(frame)
    for other in others:
        detector = AnomalyDetector(random_state=0).fit(other)
        np.testing.assert_array_equal(detector.decision_scores_, expected.decision_scores_)
        np.testing.assert_array_equal(expected.score_samples(other), -expected.decision_scores_)
        assert detector.feature_names_in_.tolist() == NAMES


def test_frames_of_numbers_keep_the_bits_of_arrays(quick):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(90, 3)), rng.random(90) < 0.5])
    X[3, 1] = np.nan
    expected = AnomalyDetector(random_state=0).fit(X)
    frame = pd.DataFrame(X, columns=list("abcd"))
    objects = frame.astype({"a": object, "b": "Float64"})
    by_name = {name: frame[name].to_numpy() for name in frame}
    for rows in (frame, frame.astype({"d": bool}), objects, pl.from_pandas(frame), by_name):
        detector = AnomalyDetector(random_state=0).fit(rows)
        np.testing.assert_array_equal(detector.score_samples(rows), expected.score_samples(X))
        np.testing.assert_array_equal(detector.contributions(rows), expected.contributions(X))


def test_columns_may_have_numbers_for_names(quick):
    data = pd.DataFrame({0: [1.0, 2.0, 3.0] * 20, 1: ["a", "b", "b"] * 20})
    detector = AnomalyDetector(random_state=0).fit(data)
    assert detector.n_features_in_ == 2
    with pytest.raises(AttributeError, match="no names"):
        _ = detector.feature_names_in_


def test_many_columns_are_shared_among_the_members(quick, monkeypatch):
    """A member sees whole columns of text, of at most 256 one-hot columns in total."""
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 24)
    rng = np.random.default_rng(0)
    data = {f"c{i}": rng.choice(list("abcdefgh"), 80) for i in range(60)}
    detector = AnomalyDetector(random_state=0).fit(data)
    assert np.isfinite(detector.decision_scores_).all()
    assert detector.contributions(data).any(axis=0).all()


def test_a_column_without_values_is_named_and_ignored(quick, frame):
    with pytest.warns(UserWarning, match=r"column 7 \(note\) of X has no value"):
        detector = AnomalyDetector(random_state=0).fit(frame.assign(note=None))
    expected = AnomalyDetector(random_state=0).fit(frame)
    np.testing.assert_array_equal(detector.decision_scores_, expected.decision_scores_)


# ------------------------------------------------------------------ threads, files, copies


@pytest.mark.parametrize("n_threads", [1, 3])
def test_bits_do_not_depend_on_the_number_of_threads(n_threads, quick, frame):
    expected = AnomalyDetector(random_state=0, n_threads=2).fit(frame)
    detector = AnomalyDetector(random_state=0, n_threads=n_threads).fit(frame)
    np.testing.assert_array_equal(detector.decision_scores_, expected.decision_scores_)


def test_a_score_does_not_depend_on_the_other_rows(detector, frame):
    np.testing.assert_array_equal(
        detector.score_samples(frame.iloc[7:9]), detector.score_samples(frame)[7:9]
    )


def test_it_comes_back_from_one_file_and_from_a_pickle(detector, tmp_path, frame):
    path = tmp_path / "detector.safetensors"
    detector.save(path)
    gaps = changed(frame, country=None, amount=np.nan)
    for again in (AnomalyDetector.load(path), pickle.loads(pickle.dumps(detector))):
        for rows in (frame, gaps):
            for method in ("score_samples", "predict", "contributions", "p_values"):
                found, expected = (getattr(each, method)(rows) for each in (again, detector))
                np.testing.assert_array_equal(found, expected)
        assert again.feature_names_in_.tolist() == NAMES
    parts = read_parts(path.read_bytes(), str(path))
    del parts["detector"].fields["ensemble"]["columns"][1]
    path.write_bytes(pack(parts))
    with pytest.raises(ValueError, match="does not hold a usable detector: the columns of the"):
        AnomalyDetector.load(path)


def test_clones_and_parameters_work_as_with_numbers(quick, frame):
    clone = pytest.importorskip("sklearn.base").clone
    detector = AnomalyDetector(random_state=0)
    found = clone(detector).set_params(contamination=0.1).fit_predict(frame)
    assert (found == -1).sum() == N // 10
    detector.fit(frame)
    usual_new = detector.p_values(frame.sample(50, random_state=0))
    assert ((usual_new > 0) & (usual_new <= 1)).all()


# ------------------------------------------------------------------ errors


def test_frames_with_other_columns_are_refused(detector, frame):
    for other, message in (
        (frame.drop(columns="amount"), "X lacks columns of the fit: amount"),
        (frame.assign(tip=1.0), "X has columns that the model was not fitted on: tip"),
        (frame.rename(columns={"date": "day"}), "column 4 of X is 'day', .* fitted with 'date'"),
        (frame[NAMES[::-1]], "put the columns in the order invoice, country"),
        (frame.assign(amount="12 EUR"), "column 'amount' of X held numbers .* now holds text"),
        (frame.assign(country=1), "column 'country' of X held text .* now holds whole numbers"),
        (frame.assign(amount=np.inf), "column 'amount' of X holds inf in row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            detector.predict(other)
    with pytest.raises(TypeError, match="expected a pandas or polars DataFrame, or a dict"):
        detector.predict(frame.to_numpy())


def test_frames_that_teach_nothing_are_refused(frame):
    with pytest.raises(ValueError, match="every column names or numbers the rows"):
        AnomalyDetector().fit(frame[["invoice"]])
    with pytest.raises(TypeError, match="column 'country' holds a list in row 0"):
        AnomalyDetector().fit(frame.assign(country=[[1]] * N))
    with pytest.raises(ValueError, match="1 sample"):
        AnomalyDetector().fit(frame.head(1)[["country", "amount"]])
