"""Synthetic frames: values, gaps, conditions, constraints, files, and bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import vaefast
from vaefast import VAE, NotFittedError, Synthesizer

pandas = pytest.importorskip("pandas")

N = 1_500


def customers() -> pandas.DataFrame:
    """Return a frame in which members spend, others mostly don't, and members have gaps."""
    rng = np.random.default_rng(0)
    member = rng.random(N) < 0.4
    city = np.where(rng.random(N) < np.where(member, 0.8, 0.2), "Oslo", "Rome")
    start = rng.normal(10, 2, N).round(1)
    frame = pandas.DataFrame(
        {
            "member": member,
            "city": city,
            "code": pandas.Series(city).map({"Oslo": 3, "Rome": 39}),
            "spent": np.where(
                rng.random(N) < np.where(member, 0.1, 0.9), 0, rng.exponential(50, N)
            ),
            "start": start,
            "end": start + rng.exponential(1, N).round(1),
            "age": np.where(member & (rng.random(N) < 0.5), np.nan, rng.normal(45, 10, N).round()),
            "id": np.arange(1, N + 1),
        }
    )
    frame["spent"] = frame["spent"].round(2)
    return frame


def small(**options: object) -> Synthesizer:
    """Return a synthesizer that trains within a second."""
    vae = VAE(6, (32,), epochs=25, batch_size=64, learning_rate=3e-3, beta=0.5)
    return Synthesizer(vae, random_state=0, verbose=False, **options)


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return small(constraints=["start <= end", ("member", "city")]).fit(customers())


@pytest.fixture(scope="module")
def synthetic(fitted: Synthesizer) -> pandas.DataFrame:
    return fitted.sample(3_000, random_state=1)


# Values ------------------------------------------------------------------------------------------


def test_a_synthetic_frame_has_the_columns_and_types(fitted, synthetic):
    real = customers()
    assert synthetic.dtypes.equals(real.dtypes) and list(synthetic) == list(real)
    assert len(synthetic) == 3_000
    pandas.testing.assert_frame_equal(synthetic, fitted.sample(3_000, random_state=1))
    assert not synthetic.equals(fitted.sample(3_000, random_state=2))
    assert len(fitted.sample()) == 1


def test_shares_and_dependencies_are_those_of_the_data(synthetic):
    real = customers()
    for frame in (real, synthetic):
        frame["none"] = frame["spent"] == 0
    assert synthetic["none"].mean() == pytest.approx(real["none"].mean(), abs=0.05)
    for name in ("none", "code"):
        before = real.groupby("member")[name].mean()
        after = synthetic.groupby("member")[name].mean()
        assert (before - after).abs().max() < 0.12 * (before.max() - before.min()) + 0.05
    assert synthetic["start"].corr(synthetic["end"]) > 0.7


def test_columns_that_say_the_same_agree_in_every_row(synthetic):
    assert (synthetic["code"] == synthetic["city"].map({"Oslo": 3, "Rome": 39})).all()


def test_rows_are_numbered_anew(synthetic):
    assert synthetic["id"].tolist() == list(range(1, 3_001))


def test_gaps_are_drawn_where_the_table_has_them(synthetic):
    real = customers().isna()
    gaps = synthetic.isna()
    assert not gaps.drop(columns="age").any().any()
    assert gaps["age"].mean() == pytest.approx(real["age"].mean(), abs=0.04)
    member = synthetic["member"]
    assert gaps.loc[member, "age"].mean() > 0.3 and gaps.loc[~member, "age"].mean() < 0.15


@pytest.mark.parametrize("library", ["polars", "dict"])
def test_frames_of_other_libraries(library):
    frame = {"city": ["Oslo", "Rome", None] * 50, "x": np.arange(150) ** 2 / 7}
    if library == "polars":
        frame = pytest.importorskip("polars").DataFrame(frame)
    synthetic = small().fit(frame).sample(20, {"city": "Rome"}, random_state=0)
    assert type(synthetic) is type(frame)
    assert len(synthetic["x"]) == 20 and set(synthetic["city"]) == {"Rome"}


def test_codes_of_rows():
    synthesizer = small(codes="rows").fit(customers())
    synthetic = synthesizer.sample(2_000, random_state=0)
    assert (synthetic["spent"] == 0).mean() == pytest.approx(0.58, abs=0.1)
    assert 0.1 < synthetic["age"].isna().mean() < 0.3


def test_the_recipe_depends_on_rows_and_width_alone():
    from vaefast._engine.recipe import recipe

    def steps(n: int, width: int) -> int:
        made = recipe(n, width)
        return made["epochs"] * -(-n // made["batch_size"])

    assert recipe(24_000, 400) == recipe(24_000, 400)
    assert 7_000 < steps(24_000, 400) < 8_000
    assert 15_000 < steps(400_000, 40) < 17_000
    assert 3_500 < steps(1_000, 20) < 4_500
    assert 2_900 < steps(4_000, 20) < 3_200
    assert steps(400_000, 10_000) < 4_000, "a wide table has a budget"
    assert recipe(2, 3)["batch_size"] == 2 and recipe(2, 3)["latent_dim"] == 3


# Conditions --------------------------------------------------------------------------------------


def test_conditions_hold_and_other_columns_follow(fitted):
    real = customers()
    zero = real["spent"] == 0
    for member in (True, False):
        rows = fitted.sample(800, {"member": member}, random_state=0)
        assert (rows["member"] == member).all()
        expected = zero[real["member"] == member].mean()
        assert (rows["spent"] == 0).mean() == pytest.approx(expected, abs=0.12)


def test_conditions_on_numbers_spikes_and_tied_columns(fitted):
    rows = fitted.sample(300, {"spent": 0, "code": 39}, random_state=0)
    assert (rows["spent"] == 0).all() and (rows["city"] == "Rome").all()
    assert (rows["code"] == 39).all()
    rows = fitted.sample(300, {"start": 12.5, "age": 50}, random_state=0)
    assert (rows["start"] == 12.5).all() and (rows["age"] == 50).all()
    assert (rows["end"] >= 12.5).all() and rows["end"].median() < 16


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"town": "Oslo"}, ["'town'", "no such column", "'city'"]),
        ({"city": "Paris"}, ["'city'", "'Paris' is a new value", "'Oslo'"]),
        ({"city": "Oslo", "code": 39}, ["'code'", "does not go with 'Oslo'"]),
        ({"city": None}, ["'city'", "missing"]),
        ({"id": 3}, ["'id'", "numbered anew"]),
        ({"city": 3}, ["'city'", "text"]),
        ({"start": 10.0, "end": 1e4}, ["fit too few", "fewer conditions"]),
    ],
)
def test_conditions_that_cannot_hold(fitted, conditions, words):
    with pytest.raises(ValueError) as caught:
        fitted.sample(5, conditions, random_state=0)
    for word in words:
        assert word in str(caught.value)


def test_conditions_need_a_likelihood_with_weights():
    frame = {"n": np.random.default_rng(0).poisson(3, 200), "x": np.arange(200.0) ** 0.5}
    synthesizer = small(likelihoods={"n": "poisson"}).fit(frame)
    with pytest.raises(ValueError, match="poisson"):
        synthesizer.sample(5, {"n": 3})


# Constraints -------------------------------------------------------------------------------------


def test_constraints_hold_in_every_row(synthetic):
    assert (synthetic["start"] <= synthetic["end"]).all()
    free = {"end": "gaussian"}  # and not the difference from the start
    loose = small(likelihoods=free).fit(customers()).sample(2_000, random_state=0)
    assert not (loose["start"] <= loose["end"]).all()
    strict = small(likelihoods=free, constraints=["start <= end"]).fit(customers())
    rows = strict.sample(2_000, random_state=0)
    assert (rows["start"] <= rows["end"]).all()


def test_what_holds_in_all_rows_holds_in_synthetic_rows():
    frame = customers().drop(columns="code")
    towns = np.where(np.arange(N) % 2, "Bergen", "Oslo")
    frame["town"] = np.where(frame["city"] == "Oslo", towns, "Rome")
    frame.loc[::7, "town"] = None
    synthesizer = small().fit(frame)
    rows = synthesizer.sample(2_000, random_state=0)
    assert (rows["start"] <= rows["end"]).all()
    assert ((rows["town"] == "Rome") == (rows["city"] == "Rome"))[rows["town"].notna()].all()
    assert rows["town"].isna().mean() == pytest.approx(1 / 7, abs=0.06)
    given = synthesizer.sample(300, {"city": "Rome"}, random_state=0)
    assert (given["city"] == "Rome").all() and set(given["town"].dropna()) == {"Rome"}
    with pytest.raises(ValueError, match=r"'end', which is encoded as the difference from 'start'"):
        synthesizer.sample(5, {"end": 12.0})


def test_parts_add_up_in_synthetic_rows(tmp_path):
    rng = np.random.default_rng(0)
    shares = (100 * rng.dirichlet([3, 2, 1], N)).round(1)
    frame = pandas.DataFrame(shares[:, :2], columns=["food", "rent"])
    frame["rest"] = (100 - frame["food"] - frame["rent"]).round(1)
    frame["paid"], frame["owed"] = rng.poisson(90, N), rng.poisson(70, N)
    frame["total"] = frame["paid"] + frame["owed"]
    fitted = small().fit(frame)
    fitted.save(tmp_path / "sums.safetensors")
    rows = Synthesizer.load(tmp_path / "sums.safetensors").sample(500, random_state=0)
    assert (rows["total"] == rows["paid"] + rows["owed"]).all()
    np.testing.assert_allclose(rows[["food", "rent", "rest"]].sum(axis=1), 100, atol=1e-9)
    assert (rows[["food", "rent", "rest"]].min() >= frame[["food", "rent", "rest"]].min()).all()
    with pytest.raises(ValueError, match="'total', which is 'paid' \\+ 'owed': give these columns"):
        fitted.sample(1, {"total": 150})


def test_values_that_never_occur_together_do_not_in_synthetic_rows():
    frame = customers().drop(columns="code")
    frame["plan"] = np.where(frame["city"] == "Oslo", "gold", "basic")
    frame.loc[::5, "plan"] = "free"
    synthesizer = small().fit(frame)
    rows = synthesizer.sample(2_000, random_state=0)
    assert not ((rows["city"] == "Oslo") & (rows["plan"] == "basic")).any()
    both = {"city": "Oslo", "plan": "free"}
    assert (synthesizer.sample(50, both, random_state=0)["plan"] == "free").all()


def test_combinations_functions_and_numbers():
    frame = customers()
    frame = frame[~(frame["member"] & (frame["city"] == "Rome"))].reset_index(drop=True)
    constraints = [("member", "city"), "start > 9", lambda rows: rows["end"] < 14]
    synthetic = small(constraints=constraints).fit(frame).sample(400, random_state=0)
    assert len(synthetic) == 400
    assert not (synthetic["member"] & (synthetic["city"] == "Rome")).any()
    assert synthetic["start"].min() > 9 and synthetic["end"].max() < 14


@pytest.mark.parametrize(
    ("constraints", "error", "words"),
    [
        (["start"], ValueError, "not a comparison"),
        (["start <= stop"], ValueError, "'stop'.*no such column"),
        (["start <= city"], ValueError, "can't be ordered"),
        (["city < city"], ValueError, "can't be ordered"),
        ([("city", "town")], ValueError, "'town'.*no such column"),
        ([3], TypeError, "must be text such as"),
        ("start <= end", TypeError, "list of constraints"),
    ],
)
def test_constraints_that_make_no_sense(constraints, error, words):
    with pytest.raises(error, match=words):
        small(constraints=constraints).fit(customers())


def test_constraints_that_nothing_satisfies():
    synthesizer = small(constraints=["start > 1000"]).fit(customers())
    with pytest.raises(
        ValueError, match=r"only 0 of 2\d,\d{3} drawn rows can be kept.*start > 1000"
    ):
        synthesizer.sample(5)
    odd = small(constraints=[lambda rows: [1, 2]]).fit(customers())
    with pytest.raises(ValueError, match="expected a boolean for each"):
        odd.sample(5)


# Files -------------------------------------------------------------------------------------------


def test_a_file_holds_everything(fitted, tmp_path):
    path = tmp_path / "customers.safetensors"
    fitted.save(path)
    loaded = Synthesizer.load(path)
    pandas.testing.assert_frame_equal(
        loaded.sample(200, {"member": True}, random_state=3),
        fitted.sample(200, {"member": True}, random_state=3),
    )
    assert loaded.constraints == fitted.constraints
    assert vaefast.load(path).table_ == fitted.table_


def test_copies(fitted):
    base = pytest.importorskip("sklearn.base")
    twin = base.clone(fitted)
    assert twin.constraints == fitted.constraints and not hasattr(twin, "vae_")
    assert "Synthesizer" in (fitted._repr_html_() or "")
    same = pickle.loads(pickle.dumps(fitted))
    pandas.testing.assert_frame_equal(
        same.sample(20, random_state=0), fitted.sample(20, random_state=0)
    )


def test_files_that_are_no_synthesizers(fitted, tmp_path):
    path = tmp_path / "vae.safetensors"
    fitted.vae_.save(path)
    with pytest.raises(ValueError, match=r"no synthesizer: vaefast\.load"):
        Synthesizer.load(path)
    with pytest.raises(FileNotFoundError):
        Synthesizer.load(tmp_path / "nothing")
    function = small(constraints=[lambda rows: rows["start"] > 0]).fit(customers())
    with pytest.raises(ValueError, match="a function, which a file can't hold"):
        function.save(path)


# Bad input ---------------------------------------------------------------------------------------


def test_parameters_that_cannot_be_used():
    with pytest.raises(NotFittedError):
        Synthesizer().sample(3)
    with pytest.raises(ValueError, match="codes='row'"):
        small(codes="row").fit(customers())
    with pytest.raises(TypeError, match="must be a VAE"):
        Synthesizer(vae=3).fit(customers())
    with pytest.raises(ValueError, match="conditional=True"):
        Synthesizer(VAE(conditional=True)).fit(customers())
    with pytest.raises(ValueError, match="'size'"):
        small(likelihoods={"size": "gaussian"}).fit(customers())


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_numbers_of_rows_that_make_no_sense(fitted, n):
    with pytest.raises((ValueError, TypeError), match="n="):
        fitted.sample(n)


def test_infinite_values_and_columns_without_values_are_refused():
    with pytest.raises(ValueError, match="'x', row 1"):
        small().fit({"x": [1.0, np.inf, 3.0]})
    with pytest.raises(ValueError, match="'x' holds missing values only"):
        small().fit({"x": [None, None], "y": [1, 2]})
    with pytest.raises(ValueError, match="nothing to model"):
        small().fit({"x": [1, 1], "y": ["a", "a"]})


def test_two_rows_and_columns_of_one_value():
    frame = {"x": [1.5, 2.5], "same": ["a", "a"], "text": ["p", "q"]}
    synthetic = Synthesizer(random_state=0, verbose=False).fit(frame).sample(30, random_state=0)
    assert set(synthetic["same"]) == {"a"} and set(synthetic["text"]) <= {"p", "q"}
    assert synthetic["x"].min() >= 1.5 and synthetic["x"].max() <= 2.5


def test_a_column_of_floats_that_all_differ():
    values = np.random.default_rng(0).normal(size=300) / 3
    synthetic = small().fit({"x": values, "y": values**2}).sample(300, random_state=0)
    assert len(set(synthetic["x"])) > 290
    assert set(synthetic["x"]) & set(values) <= {values.min(), values.max()}
