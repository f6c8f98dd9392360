"""The imputer of frames of mixed columns: what it fills, what it keeps, types, files, errors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, NotFittedError, VAEImputer, load
from vaefast.tables import Table
from vaefast.tables.frames import is_mixed

pd = pytest.importorskip("pandas")

N = 400
COUNTRIES = {"Lima": "Peru", "Oslo": "Norway", "Bergen": "Norway", "Rome": "Italy"}


def small(**params: Any) -> VAEImputer:
    """Return an imputer that trains quickly."""
    vae = VAE(
        4, (32,), likelihood="gaussian", missing="mask", standardize=True,
        learning_rate=0.01, epochs=60, batch_size=50,
    )  # fmt: skip
    own = {"n_samples": 30, "random_state": 0, "n_threads": 1}
    return VAEImputer(vae, **own).set_params(**params)


def made_up() -> Any:
    """Return a frame in which the job says much about the pay, the team and the day of hiring."""
    rng = np.random.default_rng(0)
    job = rng.integers(0, 3, N)
    started = pd.Timestamp("2020-01-01") + pd.to_timedelta(300 * job + rng.integers(0, 90, N), "D")
    grade = pd.Categorical.from_codes(2 - job, ["low", "middle", "high"], ordered=True)
    return pd.DataFrame(
        {
            "job": np.array(["cook", "driver", "nurse"])[job],
            "team": np.array(["kitchen", "road", "ward"])[np.where(rng.random(N) < 0.9, job, 0)],
            "grade": grade,
            "pay": (1000.0 + 700 * job + 100 * rng.standard_normal(N)).round(2),
            "children": rng.integers(0, 15, N) + 3 * job,
            "night": pd.array(np.where(rng.random(N) < 0.95, job == 2, job == 0), dtype="boolean"),
            "hired": started,
            "shift": pd.to_timedelta(4 * job + rng.integers(0, 3, N), "h"),
            "badge": [f"badge {i}" for i in range(N)],
        },
        index=np.arange(N) + 1000,
    )


def pierced(frame: Any, share: float = 0.15) -> Any:
    """Return a frame in which cells are missing, with the types that then can hold the others."""
    gaps = np.random.default_rng(1).random(frame.shape) < share
    return frame.mask(gaps).astype({"grade": frame["grade"].dtype, "night": "boolean"})


@pytest.fixture(scope="module")
def frame() -> Any:
    return made_up()


@pytest.fixture(scope="module")
def holes(frame: Any) -> Any:
    return pierced(frame)


@pytest.fixture(scope="module")
def imputer(holes: Any) -> VAEImputer:
    return small().fit(holes)


@pytest.fixture(scope="module")
def filled(imputer: VAEImputer, holes: Any) -> Any:
    return imputer.transform(holes)


def right(filled: Any, frame: Any, holes: Any, names: Any) -> float:
    """Return the share of the missing cells of some columns that have the true value."""
    hits = [(filled[n] == frame[n])[holes[n].isna()].to_numpy(bool) for n in names]
    return float(np.concatenate(hits).mean())


# ------------------------------------------------------------------ filled and known values


def test_missing_cells_are_filled_and_known_ones_are_the_same(filled, holes):
    left = filled.isna().sum()
    assert left.pop("badge") == holes["badge"].isna().sum() > 0  # a name of a row stays missing
    assert not left.any()
    pd.testing.assert_frame_equal(filled.where(holes.notna()), holes)


def test_types_names_and_index_are_those_of_the_frame(filled, holes):
    assert filled.columns.equals(holes.columns) and filled.index.equals(holes.index)
    assert (filled.dtypes == holes.dtypes).all()
    assert holes["hired"].isna().any()  # the frame that was passed keeps its gaps


def test_filled_values_use_the_relations_between_columns(filled, frame, holes):
    names = ["job", "team", "grade", "night"]
    most_frequent = holes.fillna({name: holes[name].mode()[0] for name in names})
    assert right(filled, frame, holes, names) > 0.8 > right(most_frequent, frame, holes, names)
    gaps = holes["pay"].isna()
    error = (filled["pay"] - frame["pay"])[gaps].std()
    assert error < 0.5 * frame["pay"].std()
    away = (filled["hired"] - frame["hired"])[holes["hired"].isna()].abs()
    assert away.median() < pd.Timedelta(60, "D")


def test_numbers_and_dates_keep_range_decimals_and_units(filled, holes):
    for name in ("pay", "children", "hired", "shift"):
        known = holes[name].dropna()
        assert filled[name].between(known.min(), known.max()).all()
    np.testing.assert_array_equal(filled["pay"].round(2), filled["pay"])
    np.testing.assert_array_equal(filled["children"].round(), filled["children"])
    assert (filled["hired"] == filled["hired"].dt.normalize()).all()
    assert not (filled["shift"] % pd.Timedelta(1, "h")).any()


def test_the_values_are_those_of_a_table_and_a_vae(imputer, filled, holes):
    table, (vae,) = imputer.table_, imputer.models_
    assert table == Table.learn(holes) and vae.table_ == table
    decoded = table.decode(vae.impute(table.encode(holes), n_samples=30)).set_axis(holes.index)
    pd.testing.assert_frame_equal(filled.drop(columns="badge"),
                                  holes.fillna(decoded).drop(columns="badge"))  # fmt: skip


def test_the_default_fills_as_well_as_the_route_by_hand(frame, holes):
    imputer = VAEImputer(random_state=0, n_threads=1).fit(holes)
    (vae,) = imputer.models_
    assert vae.model_.params["patience"] is None
    assert vae.n_iter_ == vae.model_.params["epochs"]
    table = Table.learn(holes)
    rows = table.encode(holes)
    own: dict[str, Any] = dict.fromkeys(("batch_size", "learning_rate", "epochs"), "auto")
    own |= {"random_state": 0, "verbose": False, "n_threads": 1}
    by_hand = VAE("auto", "auto", likelihood=table.columns, missing="mask", **own).fit(rows)
    decoded = table.decode(by_hand.impute(rows)).set_axis(holes.index)
    names = ["job", "team", "grade", "night"]
    expected = right(holes.fillna(decoded), frame, holes, names)
    assert right(imputer.transform(holes), frame, holes, names) > expected - 0.03


def test_several_models_are_averaged_in_the_encoded_rows(holes):
    imputer = small(n_models=2).fit(holes)
    table, vaes = imputer.table_, imputer.models_
    assert [vae.random_state for vae in vaes] == [0, 1]
    rows = table.encode(holes)
    mean = np.mean([vae.impute(rows, n_samples=30).astype(float) for vae in vaes], axis=0)
    decoded = table.decode(mean).set_axis(holes.index)
    pd.testing.assert_series_equal(imputer.transform(holes)["pay"],
                                   holes["pay"].fillna(decoded["pay"]))  # fmt: skip


def test_the_bits_depend_on_the_seed_alone(imputer, filled, holes):
    pd.testing.assert_frame_equal(small(n_threads=2).fit(holes).transform(holes), filled)
    pd.testing.assert_frame_equal(imputer.transform(holes.iloc[5:9]), filled.iloc[5:9])


def test_a_column_with_one_value_is_filled_with_it(holes):
    constant = holes.assign(firm=np.where(np.arange(N) % 3, "Acme", None))
    assert (small().fit_transform(constant)["firm"] == "Acme").all()


# ------------------------------------------------------------------ relations between columns


def related() -> Any:
    """Return a frame with a country of each city, an end after each start, and a total."""
    rng = np.random.default_rng(0)
    city = rng.choice(list(COUNTRIES), N)
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**5, N), "min")
    frame = pd.DataFrame(
        {
            "city": city,
            "country": pd.Series(city).map(COUNTRIES),
            "start": start,
            "end": start + pd.to_timedelta(rng.integers(1, 100, N), "min"),
            "a": rng.integers(0, 50, N),
            "b": rng.integers(0, 500, N),
        }
    )
    return frame.assign(total=frame["a"] + frame["b"])


@pytest.fixture(scope="module")
def relations() -> tuple[VAEImputer, Any, Any]:
    """Return an imputer of complete related columns, the columns, and the same with gaps."""
    frame = related()
    holes = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.3)
    return small(vae__epochs=20).fit(frame), frame, holes


def holds(filled: Any) -> Any:
    """Return a frame of booleans: whether each row keeps each of the relations."""
    return pd.DataFrame(
        {
            "country": filled["city"].map(COUNTRIES) == filled["country"],
            "end": filled["end"] >= filled["start"],
            "total": filled["a"] + filled["b"] == filled["total"],
        }
    )


def test_filled_cells_do_not_contradict_known_ones(relations):
    imputer, _, holes = relations
    summary = imputer.table_.summary()
    assert all(part in summary for part in ("follows from 'city'", "never below", "'a' + 'b'"))
    filled = imputer.transform(holes)
    assert not filled.isna().any().any()
    assert holds(filled).all().all()
    for each in imputer.sample(holes, 3, random_state=0):
        assert holds(each).all().all()


def test_narrow_differences_are_found_in_frames_with_gaps(relations):
    _, frame, holes = relations
    imputer = small(vae__epochs=20).fit(holes)
    assert "never below 'start'" in imputer.table_.summary()
    filled = imputer.transform(holes)
    assert holds(filled)["end"].all() and holds(filled)["country"].all()
    wide = frame.assign(later=frame["start"] + pd.to_timedelta(10_000 * frame["a"], "min"))
    columns = ["city", "start", "later"]
    assert "never below" in Table.learn(wide[columns]).summary()
    assert "never below" not in small(vae__epochs=1).fit(wide[columns]).table_.summary()


def test_a_known_cell_fills_the_one_that_it_determines(relations):
    imputer, frame, _ = relations
    holes = frame.astype({"a": float}).copy()
    holes.loc[:200, ["country", "a", "start"]] = None
    filled = imputer.transform(holes)
    np.testing.assert_array_equal(filled["country"], frame["country"])
    np.testing.assert_array_equal(filled["a"], frame["a"])
    assert (filled["start"] - frame["start"]).abs().max() <= pd.Timedelta(100, "min")


def test_cells_that_contradict_each_other_are_kept(relations):
    imputer, frame, _ = relations
    odd = frame.head(3).astype({"a": float}).copy()
    odd.loc[0, ["city", "country"]] = "Rome", "Peru"
    odd.loc[1, "total"] = 10**6
    odd.loc[1, "a"] = np.nan
    odd.loc[2, "end"] = odd.loc[2, "start"] - pd.Timedelta(5, "D")
    filled = imputer.transform(odd)
    pd.testing.assert_frame_equal(filled.where(odd.notna()), odd)
    assert filled.loc[1, "a"] == frame["a"].max()


# ------------------------------------------------------------------ other frames


def test_a_new_category_is_kept_and_read_as_missing(imputer, holes):
    row = holes.iloc[[0]].assign(job="pilot", team=None, pay=np.nan)
    unknown = row.assign(job=None)
    filled, expected = imputer.transform(row), imputer.transform(unknown)
    assert filled["job"].item() == "pilot"
    columns = ["team", "pay"]
    pd.testing.assert_frame_equal(filled[columns], expected[columns], check_dtype=False)


def test_columns_may_have_another_order_and_other_types(imputer, filled, holes):
    some = holes.iloc[:20]
    turned = imputer.transform(some[list(some)[::-1]])
    assert list(turned) == list(some)[::-1]
    pd.testing.assert_frame_equal(turned[list(some)], filled.iloc[:20])
    other = some.astype({"children": "Int64", "job": object, "team": "category"})
    again = imputer.transform(other.drop(columns="badge"))
    assert (again.dtypes.drop("team") == other.dtypes.drop(["badge", "team"])).all()
    assert again["team"].dtype == "category"
    assert (again.astype(filled.drop(columns="badge").dtypes) == filled.iloc[:20][list(again)]).all(
        axis=None
    )


def test_a_row_of_gaps_gets_values_of_the_types_of_the_fit(imputer, holes):
    blank = pd.DataFrame(np.nan, index=["x"], columns=holes.columns)
    filled = imputer.transform(blank)
    assert filled.index.tolist() == ["x"] and not filled.drop(columns="badge").isna().any(axis=None)
    assert filled["hired"].dtype == holes["hired"].dtype
    assert filled["grade"].dtype == holes["grade"].dtype


def test_frames_of_polars(filled, holes):
    polars = pytest.importorskip("polars")
    columns = {n: [None if v is pd.NA or v != v else v for v in holes[n]] for n in holes}
    own = polars.DataFrame(columns, strict=False).with_columns(
        polars.col("grade").cast(polars.Enum(["low", "middle", "high"])),
        polars.col("team").cast(polars.Categorical),
        polars.col("hired").cast(polars.Date),
        polars.col("children").cast(polars.Int16),
    )
    imputer = small().fit(own)
    found = imputer.transform(own)
    assert found.schema == own.schema
    assert found.drop("badge").null_count().sum_horizontal().item() == 0
    assert found.filter(own["pay"].is_not_null())["pay"].equals(own["pay"].drop_nulls())
    assert found["job"].to_list() == filled["job"].tolist()
    assert found["children"].to_list() == filled["children"].tolist()
    assert type(imputer.sample(own, 1)[0]) is polars.DataFrame
    crossed = imputer.transform(holes)  # a frame of another library keeps its own types
    assert (crossed.dtypes == holes.dtypes).all()


def test_dicts_of_lists_and_arrays():
    columns = {
        "city": ["Oslo", "Rome", None] * 50,
        "warm": np.array([False, True, None] * 50, dtype=object),
        "degrees": np.array([4.5, 21.5, np.nan] * 50),
        "day": np.array(["2024-01-01", "2024-07-01", "NaT"] * 50, "datetime64[D]"),
    }
    filled = small().fit_transform(columns)
    assert isinstance(filled["city"], list) and None in columns["city"]
    for name in ("warm", "degrees", "day"):
        assert filled[name].dtype == columns[name].dtype
    assert set(filled["city"]) == {"Oslo", "Rome"} and set(filled["warm"]) == {False, True}
    assert set(zip(filled["city"][:2], filled["degrees"][:2], strict=True)) == {
        ("Oslo", 4.5), ("Rome", 21.5),
    }  # fmt: skip
    assert not np.isnat(filled["day"]).any()


def test_frames_of_numbers_are_no_mixed_ones():
    polars = pytest.importorskip("polars")
    numbers = pd.DataFrame(
        {"a": [1.5, np.nan], "b": pd.array([1, None], "Int64"), "c": [True, False]}
    )
    objects = pd.DataFrame({"a": pd.Series([1, None, 2.5], dtype=object)})
    for X in (numbers, objects, numbers.to_numpy(float), polars.DataFrame({"a": [1, None]})):
        assert not is_mixed(X)
    for column in (["x"], pd.array([True, None], "boolean"), pd.Series([True, None], dtype=object)):
        assert is_mixed(pd.DataFrame({"a": column}))
    rows = np.random.default_rng(0).standard_normal((60, 3))
    rows[::5, 0] = np.nan
    named = VAEImputer(random_state=0).fit(pd.DataFrame(rows, columns=list("abc")))
    assert named.table_ is None and isinstance(named.transform(rows), np.ndarray)


# ------------------------------------------------------------------ several completions


def test_completions_are_drawn_together(imputer, frame, holes):
    draws = imputer.sample(holes, 20, random_state=0)
    assert len(draws) == 20
    for each in draws:
        pd.testing.assert_frame_equal(each.where(holes.notna()), holes)
        assert (each.dtypes == holes.dtypes).all()
    assert imputer.sample(holes, 2, random_state=0)[1].equals(
        imputer.sample(holes, 2, random_state=0)[1]
    )
    both = holes["job"].isna() & holes["pay"].isna()
    pay = pd.concat([each[both].groupby("job")["pay"].mean() for each in draws], axis=1).mean(
        axis=1
    )
    assert pay["nurse"] > pay["driver"] + 300 > pay["cook"] + 600  # each pay goes with its job
    drawn = pd.concat([each.loc[holes["pay"].isna(), "pay"] for each in draws], axis=1)
    assert 50 < drawn.std(axis=1).median() < 0.6 * frame["pay"].std()


# ------------------------------------------------------------------ scikit-learn and files


def test_names_clones_and_containers(imputer, filled, holes):
    assert imputer.n_features_in_ == holes.shape[1]
    assert list(imputer.feature_names_in_) == list(imputer.get_feature_names_out()) == list(holes)
    assert imputer.weights_ == {"vae": 1.0} and not imputer.normal_scores_
    assert imputer.ranges_ is None
    twin = pickle.loads(pickle.dumps(imputer))
    pd.testing.assert_frame_equal(twin.set_output(transform="pandas").transform(holes), filled)
    with pytest.raises(ValueError, match="asks for a polars DataFrame, .* X is a pandas DataFrame"):
        twin.set_output(transform="polars").transform(holes)
    sklearn = pytest.importorskip("sklearn")
    assert not hasattr(sklearn.base.clone(imputer), "table_")


def test_a_pipeline_fills_before_it_encodes(holes):
    pytest.importorskip("sklearn")
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    known = holes[holes["grade"].notna()]
    encoder = make_column_transformer((OneHotEncoder(), ["job", "team"]), remainder="drop")
    model = make_pipeline(small(), encoder, LogisticRegression())
    assert model.fit(known.drop(columns="grade"), known["grade"]).score(
        known.drop(columns="grade"), known["grade"]
    ) > 0.8  # fmt: skip


def test_files_hold_the_table(tmp_path: Path, imputer, filled, holes):
    path = tmp_path / "imputer.safetensors"
    imputer.save(path)
    loaded = VAEImputer.load(path)
    assert loaded.table_ == imputer.table_ == load(path).table_
    pd.testing.assert_frame_equal(loaded.transform(holes), filled)
    pd.testing.assert_frame_equal(loaded.set_params(random_state=0, n_threads=1)
                                  .fit(holes).transform(holes), filled)  # fmt: skip
    assert list(loaded.feature_names_in_) == list(holes)


def test_a_fit_on_numbers_follows_a_fit_on_mixed_columns(holes):
    imputer = small().fit(holes)
    rows = np.random.default_rng(0).standard_normal((60, 3))
    rows[0, 0] = np.nan
    assert np.isfinite(imputer.fit(rows).transform(rows)).all()
    assert imputer.table_ is None and imputer.ranges_.shape == (2, 3)
    assert small().set_output(transform="pandas").fit(holes).table_ is not None


# ------------------------------------------------------------------ refusals


def test_unusable_frames_are_explained(imputer, holes):
    for change, error, message in (
        ({"team": None}, ValueError, "column 'team' holds missing values only"),
        ({"team": [[1]] * N}, TypeError, "column 'team' holds a list in row 0"),
        ({"pay": np.inf}, ValueError, "column 'pay', row 0: expected a finite number"),
    ):
        with pytest.raises(error, match=message):
            small().fit(holes.assign(**change))
    with pytest.raises(ValueError, match="no rows"):
        small().fit(holes.iloc[:0])
    with pytest.raises(ValueError, match="lacks columns that the table learned: 'job'"):
        imputer.transform(holes.drop(columns="job"))
    with pytest.raises(ValueError, match="did not learn: 'extra'"):
        imputer.transform(holes.assign(extra=1))
    with pytest.raises(ValueError, match="'pay' held numbers when .* now holds text"):
        imputer.transform(holes.assign(pay="much"))
    with pytest.raises(TypeError, match="expected a pandas or polars DataFrame"):
        imputer.transform(np.zeros((2, 9)))
    with pytest.raises(NotFittedError, match="VAEImputer"):
        small().transform(holes)
    with pytest.raises(ValueError, match="needs missing='mask'"):
        small(vae__missing="error").fit(holes)
