"""The encodings that a table chooses by the values: spikes, tails, few values, names, ties."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pytest

from vaefast.tables import Table

N = 2_000
RNG = np.random.default_rng(0)
GAINS = np.where(RNG.random(N) < 0.9, 0.0, np.exp(RNG.normal(8, 1, N)).round(2))
CITIES = np.array(["Bergen", "Oslo", "Rome"])[RNG.integers(0, 3, N)]


def stored(table):
    return Table.from_dict(json.loads(json.dumps(table.to_dict())))


def encoding(values, **options):
    """Return the encoding of a column beside one that varies."""
    return Table.learn({"x": values, "y": RNG.normal(size=len(values))}, **options).sources[0]


# The choice --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RNG.normal(size=N), "gaussian"),
        (RNG.random(N), "modes"),  # two ends
        (np.exp(RNG.normal(size=N)), "modes"),  # a long tail
        (RNG.choice([-5.0, 5.0], N) + RNG.normal(size=N) / 2, "modes"),  # two humps
        (GAINS, "modes"),
        (RNG.poisson(2, N), "ordinal"),
        (RNG.integers(0, 2, N), "ordinal"),
        (RNG.integers(0, 3, 90), "ordinal"),
        (RNG.integers(0, 12, 90), "modes"),
        (RNG.integers(1, 11, N) / 2, "ordinal"),  # ratings
        (RNG.integers(0, 100, N), "modes"),  # 20 rows each
        (RNG.permutation(N), "modes"),
        (RNG.normal(0, 30, N).round(), "gaussian"),
        (np.arange(N) + 7, "identifier"),
        (np.arange(N)[::-1], "identifier"),
        ([f"Person {i}" for i in range(N)], "identifier"),
        ([f"Remark {i // 2}" for i in range(N)], "identifier"),
        (CITIES, "categorical"),
        (RNG.random(N) < 0.5, "bernoulli"),
        (np.datetime64("2024-01-01") + (np.exp(RNG.normal(size=N)) * 9).astype("m8[D]"), "modes"),
    ],
)
def test_the_choice_follows_from_the_values(values, expected):
    assert encoding(values).likelihood == expected


@pytest.mark.parametrize("rows", [2, 3, 10, 19])
def test_few_rows_suggest_nothing_special(rows):
    whole = RNG.permutation(rows) ** 2
    text = (["a", "b"] * rows)[:rows]
    frame = {"whole": whole, "float": np.exp(RNG.normal(size=rows)), "text": text}
    kinds = [source.likelihood for source in Table.learn(frame).sources]
    assert kinds == ["gaussian", "gaussian", "categorical"]


def test_forty_rows_show_a_long_tail():
    weights = np.exp(RNG.normal(size=40) * 2)
    table = Table.learn({"weight": weights})
    drawn = table.decode(RNG.normal(size=(1_000, 1)))["weight"]
    assert (drawn == weights.min()).mean() < 0.1
    assert 0.4 < (drawn < np.median(weights)).mean() < 0.6


def test_every_choice_can_be_overridden():
    frame = {"gain": GAINS, "n": RNG.poisson(2, N), "id": np.arange(N), "city": CITIES,
             "town": np.char.lower(CITIES)}  # fmt: skip
    assert [s.likelihood for s in Table.learn(frame).sources] == [
        "modes", "ordinal", "identifier", "categorical", "tied",
    ]  # fmt: skip
    chosen = {"gain": "gaussian", "n": "poisson", "id": "gaussian", "city": "identifier",
              "town": "categorical"}  # fmt: skip
    table = Table.learn(frame, likelihoods=chosen)
    assert {source.name: source.likelihood for source in table.sources} == chosen


def test_the_summary_has_a_line_for_each_column():
    frame = {"gain": GAINS, "n": RNG.poisson(2, N), "id": np.arange(N), "city": CITIES,
             "town": np.char.lower(CITIES), "size": RNG.normal(size=N),
             "one": ["x"] * N}  # fmt: skip
    table = Table.learn(frame)
    lines = table.summary().splitlines()
    assert [line.split()[0] for line in lines] == list(frame)
    for line, words in zip(
        lines,
        ["whether it is 0; else normal scores", f"{len(set(frame['n']))} ordered categories",
         "numbered anew", "3 categories", "follows from 'city'", "standardized, gaussian",
         "one value in all rows"],
        strict=True,
    ):  # fmt: skip
        assert words in line


# Spikes and tails --------------------------------------------------------------------------------


def test_a_dominating_value_is_a_category_and_exact():
    frame = {"gain": GAINS, "other": RNG.normal(size=N)}
    table = stored(Table.learn(frame))
    assert table.columns == [("categorical", 2), ("gaussian", 2)]
    assert table.names == ["gain=0", "gain=other", "gain", "other"]
    X = table.encode(frame)
    np.testing.assert_array_equal(X[:, 0], GAINS == 0)
    assert (X[GAINS == 0, 2] == 0).all()
    assert X[GAINS > 0, 2].std() == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(table.decode(X)["gain"], GAINS, rtol=1e-5)
    noisy = X.copy()
    noisy[:, 2] += 3
    assert (table.decode(noisy)["gain"][GAINS == 0] == 0).all(), "a spike ignores the score"
    noisy[:, 2] += 30
    assert table.decode(noisy)["gain"].max() == GAINS.max()


def test_ranks_of_a_long_tail_are_normal():
    tail = np.exp(2 * RNG.normal(size=N))
    frame = {"x": np.where(RNG.random(N) < 0.1, np.nan, tail)}
    table = stored(Table.learn(frame))
    X = table.encode(frame)
    known = X[~np.isnan(frame["x"]), 0]
    assert known.mean() == pytest.approx(0, abs=0.05) and known.std() == pytest.approx(1, abs=0.05)
    assert np.isnan(X[np.isnan(frame["x"]), 0]).all()
    np.testing.assert_allclose(table.decode(X)["x"], frame["x"], rtol=1e-4)
    drawn = table.decode(np.random.default_rng(1).normal(size=(N, 1)))["x"]
    for share in (0.1, 0.5, 0.9):
        known = np.nanquantile(frame["x"], share)
        assert np.quantile(drawn, share) == pytest.approx(known, rel=0.25)


def test_a_far_value_has_a_far_score():
    tail = np.exp(RNG.normal(size=N))
    table = Table.learn({"x": tail})
    usual, far = table.encode({"x": [tail.max(), 3 * tail.max()]})[:, 0]
    assert far > usual + 10


# Ordered categories ------------------------------------------------------------------------------


def test_ordered_categories_take_new_numbers_nearby():
    children = RNG.choice([0, 1, 2, 4], N)
    table = stored(Table.learn({"children": children}))
    assert table.columns == [("categorical", 4)]
    frame = {"children": [0, 1.4, 2.9, 4.2]}
    np.testing.assert_array_equal(table.encode(frame), np.eye(4))
    with pytest.raises(ValueError, match="'children', row 1: 40 is a new value"):
        table.encode({"children": [1, 40]})
    assert np.isnan(table.encode({"children": [1, 40]}, unseen="missing")[1]).all()


def test_ordered_categories_decode_to_the_median():
    table = Table.learn({"n": RNG.choice([0, 1, 2, 50], N)})
    X = [[0.4, 0.0, 0.3, 0.3], [0, 0, 0, 1], [np.nan] * 4]
    assert table.decode(X[:2])["n"].tolist() == [2, 50]
    drawn = table.decode(np.repeat(X[:1], 2_000, axis=0), random_state=0)["n"]
    assert np.mean(drawn == 0) == pytest.approx(0.4, abs=0.06)


# Many categories, and names ----------------------------------------------------------------------


def test_rare_categories_share_a_place():
    rare = [f"rare {i}" for i in range(1_200)]
    names = ["Oslo"] * 3_000 + ["Rome"] * 1_000 + rare + ["rare 0"] * 5
    table = stored(Table.learn({"city": names}))
    assert table.names == ["city=Oslo", "city=Rome", "city=other"]
    X = table.encode({"city": ["Rome", "rare 7", "never seen", None]})
    np.testing.assert_array_equal(X[:3], [[0, 1, 0], [0, 0, 1], [0, 0, 1]])
    assert np.isnan(X[3]).all()
    assert table.decode(X[:2])["city"].tolist() == ["Rome", "rare 0"], "the most frequent rare one"
    drawn = table.decode(np.tile([0, 0, 1], (6_000, 1)), random_state=0)["city"]
    assert set(drawn) <= set(rare) and len(set(drawn)) > 1_000
    assert 12 < sum(drawn == "rare 0") < 60  # 6 of 1,205 rare rows


def test_names_and_numbers_of_rows_are_numbered_anew():
    frame = {
        "id": np.arange(100, 100 + N),
        "name": [f"Person {i}" for i in range(N)],
        "city": CITIES,
    }
    table = stored(Table.learn(frame))
    assert table.names == ["city=Bergen", "city=Oslo", "city=Rome"]
    after = table.decode(np.eye(3))
    assert after["id"].tolist() == [100, 101, 102]
    assert after["name"].tolist() == ["name-1", "name-2", "name-3"]
    np.testing.assert_array_equal(table.encode({"city": ["Oslo"]}), [[0, 1, 0]])


# Columns that say the same -----------------------------------------------------------------------

CODES = {"Bergen": 5, "Oslo": 3, "Rome": 39}


@pytest.fixture
def tied():
    frame = {"city": CITIES.tolist(), "code": [CODES[city] for city in CITIES]}
    frame["city"][5] = frame["code"][5] = None
    return frame, stored(Table.learn(frame))


def test_a_column_that_says_the_same_is_tied(tied):
    frame, table = tied
    assert table.names == ["city=Bergen", "city=Oslo", "city=Rome"]
    after = table.decode(table.encode(frame))
    assert after["city"].tolist() == frame["city"] and after["code"].tolist() == frame["code"]
    drawn = table.decode(np.full((500, 3), 1 / 3), random_state=0)
    assert all(CODES[city] == code for city, code in zip(drawn["city"], drawn["code"], strict=True))


def test_a_broken_pair_is_refused_or_missing(tied):
    table = tied[1]
    broken = {"city": ["Oslo", "Rome", None], "code": [3, 5, 39]}
    with pytest.raises(
        ValueError, match=r"'code', row 1: 5 .* 'Rome' .*'city', which goes with 39"
    ):
        table.encode(broken)
    X = table.encode(broken, unseen="missing")
    np.testing.assert_array_equal(X[0], [0, 1, 0])
    assert np.isnan(X[1]).all()
    np.testing.assert_array_equal(X[2], [0, 0, 1])  # the code says which city it is
    np.testing.assert_array_equal(
        table.encode({"city": [None], "code": [5]}),
        table.encode({"city": ["Bergen"], "code": [None]}),
    )


@pytest.mark.parametrize("change", ["one pair differs", "gaps differ", "few rows"])
def test_columns_that_nearly_say_the_same_are_not_tied(change):
    cities = CITIES.tolist()
    codes = [CODES[city] for city in cities]
    if change == "one pair differs":
        codes[0] = next(code for code in CODES.values() if code != codes[0])
    elif change == "gaps differ":
        codes[0] = None
    else:
        cities, codes = cities[:20], [f"code {code}" for code in codes[:20]]
    table = Table.learn({"city": cities, "code": codes})
    assert [s.likelihood for s in table.sources].count("tied") == 0


# A column that follows from a finer one, and one that never falls below another ------------------

COUNTRIES = {"Bergen": "Norway", "Oslo": "Norway", "Rome": "Italy"}


@pytest.fixture
def followed():
    frame = {"country": [COUNTRIES[city] for city in CITIES], "city": CITIES.tolist(),
             "north": np.array([city != "Rome" for city in CITIES])}  # fmt: skip
    for row in range(0, N, 9):
        frame["city"][row] = None
    return frame, stored(Table.learn(frame))


def test_a_country_follows_from_the_city(followed):
    frame, table = followed
    assert [source.tied_to for source in table.sources] == ["city", None, "city"]
    assert "2 categories; follows from 'city'" in table.summary().splitlines()[0]
    X = table.encode(frame)
    assert table.width == 6, "the country tells something where the city is missing"
    after = table.decode(X)
    assert after["city"].tolist() == frame["city"]
    assert after["country"].tolist() == frame["country"]
    drawn = table.decode(np.full((500, 6), 0.5), random_state=0)
    for city, country, north in zip(*(drawn[name] for name in ("city", "country", "north")),
                                    strict=True):  # fmt: skip
        assert country == COUNTRIES[city] and north == (city != "Rome")


def test_what_a_city_tells_of_a_country(followed):
    table = followed[1]
    bare = {"country": [None, "Italy"], "city": ["Oslo", None], "north": [None, None]}
    X = table.encode(bare)
    np.testing.assert_array_equal(X[0, :2], [0, 1])
    np.testing.assert_array_equal(X[1, :2], [1, 0])
    assert np.isnan(X[1, 2:5]).all()
    broken = {"country": ["Italy"], "city": ["Oslo"], "north": [True]}
    with pytest.raises(ValueError, match="'Italy' does not go with 'Oslo' .* goes with 'Norway'"):
        table.encode(broken)
    X = table.encode(broken, unseen="missing")
    assert np.isnan(X[0, :2]).all() and not np.isnan(X[0, 2:]).any()


@pytest.mark.parametrize("change", ["one row differs", "few rows", "rare", "overridden"])
def test_columns_that_may_follow_by_chance_are_left_alone(change):
    cities, rows, options = CITIES.tolist(), N, {}
    countries = [COUNTRIES[city] for city in cities]
    if change == "one row differs":
        countries[0] = "Italy" if countries[0] == "Norway" else "Norway"
    elif change == "few rows":
        rows = 40
    elif change == "rare":  # one row of 2,000, in a city of few rows
        cities[7:9], countries = ["Ghent", "Ghent"], ["Norway"] * N
        countries[7] = countries[8] = "Belgium"
        cities, countries = cities[7:60], countries[7:60]
        rows = 53
    else:
        options = {"likelihoods": {"country": "categorical"}}
    table = Table.learn({"city": cities[:rows], "country": countries[:rows]}, **options)
    assert all(source.tied_to is None for source in table.sources)


def test_many_rows_of_each_category_are_no_chance():
    city = np.repeat(["Oslo", "Bergen", "Rome"], 4_000)
    table = Table.learn({"city": city, "country": np.where(city == "Rome", "Italy", "Norway")})
    assert table.sources[1].tied_to == "city"


def test_equal_columns_come_back_equal():
    values = RNG.uniform(0, 100, N).round(2)
    frame = dict.fromkeys("abc", values)
    decoded = (table := Table.learn(frame)).decode(table.encode(frame))
    for name in frame:
        np.testing.assert_array_equal(decoded[name], values)


def test_columns_may_have_the_name_0():
    start = RNG.uniform(0, 100, N).round(2)
    for frame in (
        {0: start, 1: (start + RNG.exponential(3, N)).round(2)},
        {0: CITIES, 1: np.where(CITIES == "Rome", "Italy", "Norway"), 2: start},
    ):
        table = Table.learn(frame)
        assert 0 in (table.sources[1].above, table.sources[1].tied_to)
        assert stored(table) == table


def test_an_end_never_falls_below_its_start():
    start = RNG.normal(0, 100, N).round(2)
    day = np.datetime64("2024-01-01") + RNG.integers(0, 900, N).astype("m8[D]")
    frame = {
        "end": np.round(start + RNG.exponential(1, N).round(1), 2),
        "start": start,
        "day": day,
        "next": day + RNG.integers(0, 3, N).astype("m8[D]"),
    }
    table = stored(Table.learn(frame))
    assert [source.above for source in table.sources] == ["start", None, None, "day"]
    assert "never below 'start': the difference, whether it" in table.summary().splitlines()[0]
    X = table.encode(frame)
    after = table.decode(X)
    np.testing.assert_allclose(after["end"], frame["end"], atol=0.02)
    np.testing.assert_array_equal(after["next"], frame["next"])
    apart = X.copy()
    for name in ("start", "day"):
        apart[:, table.names.index(name)] = RNG.permutation(X[:, table.names.index(name)])
    drawn = table.decode(apart, random_state=0)
    assert (drawn["start"] <= drawn["end"]).all() and (drawn["day"] <= drawn["next"]).all()
    assert drawn["end"].max() <= frame["end"].max() and drawn["next"].max() <= frame["next"].max()
    assert np.array_equal(np.round(drawn["end"], 2), drawn["end"])


def test_orders_that_independent_columns_would_keep_are_left_alone():
    frame = {"height": RNG.normal(170, 10, N), "age": RNG.uniform(20, 60, N),
             "low": RNG.normal(size=N), "above": np.full(N, 9.0) + RNG.random(N)}  # fmt: skip
    frame["odd"] = frame["low"] + np.random.default_rng(0).exponential(size=N)
    frame["odd"][3] = frame["low"][3] - 1
    table = Table.learn(frame)
    assert all(source.above is None for source in table.sources)
    frame["odd"][3] = frame["low"][3] + 1
    assert Table.learn(frame).sources[-1].above == "low"
    free = Table.learn(frame, likelihoods={"odd": "gaussian"})
    assert all(source.above is None for source in free.sources)


def test_whole_numbers_that_determine_a_category_are_labels():
    postcode = RNG.integers(0, 300, N) * 37 % 10_000 + 10_000
    age = RNG.integers(18, 90, N)
    group = np.where(age < 30, "young", np.where(age < 60, "middle", "old"))
    frame = {"postcode": postcode, "city": CITIES[postcode % 7], "age": age, "group": group}
    table = stored(Table.learn(frame))
    assert [s.likelihood for s in table.sources[::2]] == ["categorical", "ordinal"]
    assert [s.tied_to for s in table.sources] == [None, "postcode", None, "age"]
    plain = Table.learn(frame, likelihoods={"postcode": "gaussian", "age": "gaussian"})
    assert [s.likelihood for s in plain.sources[::2]] == ["gaussian", "gaussian"]
    alone = Table.learn({"postcode": postcode, "size": RNG.normal(size=N)})
    assert alone.sources[0].likelihood == "modes"


def test_numbers_and_dates_follow_from_a_number_that_names_something():
    patient = np.repeat(RNG.permutation(60), 8)
    born = np.datetime64("1950-01-01") + RNG.permutation(20_000)[:60].astype("m8[D]")
    frame = {
        "patient": patient,
        "born": born[patient],
        "height": RNG.normal(1.7, 0.1, 60).round(2)[patient],
        "ward": RNG.integers(1, 5, 60)[patient],
        "pulse": RNG.normal(70, 10, 480),
    }
    table = stored(Table.learn(frame))
    patients, *others, _ = table.sources
    assert patients.likelihood == "categorical"
    assert {source.tied_to for source in others} == {"patient"}
    decoded = table.decode(RNG.random((100, table.width)))
    first = [patient.tolist().index(value) for value in decoded["patient"]]
    for name in ("born", "height", "ward"):
        assert (decoded[name] == frame[name][first]).all()
    frame["height"][3] += 0.1
    assert Table.learn(frame).sources[2].tied_to is None


def test_a_quantity_is_no_label_of_a_number_that_grows_with_it():
    wage = RNG.integers(100, 500, N)
    table = Table.learn({"wage": wage, "log": np.log(wage).round(3)})
    assert [source.likelihood for source in table.sources] == ["modes", "modes"]
    age = RNG.integers(18, 80, N)
    table = Table.learn({"age": age, "group": age // 20})
    assert [source.likelihood for source in table.sources] == ["ordinal", "ordinal"]
    assert table.sources[1].tied_to == "age"


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y/%m/%d %H:%M", "%d.%m.%Y", "%d-%b-%Y", "%m/%d/%y"])
def test_dates_as_text_are_refused(form):
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(100)]
    frame = {"x": RNG.normal(size=100), "day": [day.strftime(form) for day in days]}
    with pytest.raises(ValueError, match="'day' holds dates as text, such as '.*to dates"):
        Table.learn(frame)
    Table.learn(frame, likelihoods={"day": "identifier"})


def test_amounts_as_text_are_refused():
    frame = {
        "x": RNG.normal(size=N),
        "price": [f"€{amount:,.2f}" for amount in np.exp(RNG.normal(6, 2, N))],
    }
    with pytest.raises(ValueError, match="'price' holds amounts as text, such as '€.*to numbers"):
        Table.learn(frame)
    Table.learn(frame, likelihoods={"price": "identifier"})


@pytest.fixture
def sums():
    parts = RNG.gamma(2, 100, (N, 3)).round()
    shares = (100 * RNG.dirichlet([3, 2, 1], N)).round(1)
    school, work = RNG.integers(8, 20, N), RNG.integers(0, 30, N)
    frame = {
        "total": parts.sum(axis=1).astype(int), "a": parts[:, 0].astype(int),
        "b": parts[:, 1].astype(int), "c": parts[:, 2],
        "x": shares[:, 0], "y": shares[:, 1], "z": (100 - shares[:, 0] - shares[:, 1]).round(1),
        "school": school, "work": work, "age": school + work + 6,
        "mean": (0.5 * (school + parts[:, 0]) + 0.001).round(2),
    }  # fmt: skip
    return frame, stored(Table.learn(frame))


def test_a_total_is_the_sum_of_its_parts(sums):
    frame, table = sums
    lines = table.summary().splitlines()
    assert "is 'a' + 'b' + 'c': left out, and put back by decode" in lines[0]
    assert "is -'y' - 'z' + 100: left out" in lines[4]
    assert "is 'school' + 'work' + 6: left out" in lines[9]
    assert "is 0.5 'a' + 0.5 'school': left out" in lines[10]
    decoded = table.decode(table.encode(frame))
    for name in ("total", "x", "age", "mean"):
        np.testing.assert_allclose(decoded[name], frame[name], atol=0.011)
    drawn = table.decode(RNG.normal(size=(500, table.width)) ** 2)
    assert (drawn["age"] == drawn["school"] + drawn["work"] + 6).all()
    assert drawn["x"].min() >= frame["x"].min()


def test_a_wrong_total_is_refused_or_ignored(sums):
    frame, table = sums
    frame["age"][3] += 1
    with pytest.raises(ValueError, match=r"'age', row 3: .*, which is 'school' \+ 'work' \+ 6 "):
        table.encode(frame)
    assert table.encode(frame, unseen="missing").shape == (N, table.width)
    learned = Table.learn({name: frame[name] for name in ("school", "work", "age")})
    assert all(source.likelihood != "sum" for source in learned.sources)


def test_a_sum_that_is_named_stays_a_column(sums):
    table = Table.learn(sums[0], likelihoods={"total": "gaussian"})
    assert table.sources[0].likelihood == "gaussian"
    assert all(source.likelihood != "sum" for source in table.sources[:4])


def test_values_that_never_occur_together():
    sex = RNG.choice(["f", "m"], N)
    role = np.where(RNG.random(N) < 0.5, np.where(sex == "m", "husband", "wife"), "none")
    frame = {"sex": sex, "role": role, "city": CITIES}
    table = stored(Table.learn(frame))
    assert len(table.excluded) == 1 and table.excluded[0].names == ("sex", "role")
    assert table.excluded[0].pairs == {("f", "husband"), ("m", "wife")}
    assert table.summary().splitlines()[-1].startswith("Never together: sex=f and role=husband;")
    assert not Table.learn(frame, likelihoods={"sex": "categorical"}).excluded
    few = Table.learn({name: values[:30] for name, values in frame.items()})
    assert not few.excluded, "30 rows tell little"


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"modes": None}),
        (0, {"modes": {"spikes": [0.0], "knots": []}}),
        (0, {"modes": {"spikes": [0.0], "knots": [2.0, 1.0]}}),
        (1, {"modes": {"spikes": [], "knots": [1.0]}}),
        (2, {"tied_to": "nothing"}),
        (2, {"tied_to": None}),
        (0, {"likelihood": "sum", "modes": None}),
        (0, {"likelihood": "sum", "modes": None, "terms": [["nothing", 1.0]]}),
        (1, {"terms": [["gain", 1.0]]}),
        (1, {"others": ["x"]}),
        (1, {"others": ["x"], "counts": [0]}),
    ],
)
def test_stored_encodings_are_checked(place, change):
    data = Table.learn({"gain": GAINS, "city": CITIES, "town": np.char.lower(CITIES)}).to_dict()
    data["columns"][place] = {**data["columns"][place], **change}
    with pytest.raises(ValueError):
        Table.from_dict(json.loads(json.dumps(data)))
