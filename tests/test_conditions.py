"""Conditional models: y as labels or numbers, samples for a given y, and invalid y."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, load

N = 60


def small(**params: Any) -> VAE:
    settings = {"hidden_layer_sizes": (8,), "epochs": 2, "batch_size": 16, "random_state": 0}
    settings |= {"likelihood": "gaussian", "conditional": True, "verbose": False}
    return VAE(**{**settings, **params})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)


LABELS = {
    "ints": np.arange(N) % 3,
    "negative ints": np.arange(N) % 3 - 5,
    "bytes": (np.arange(N) % 3).astype(np.uint8),
    "list": (np.arange(N) % 3).tolist(),
    "strings": np.array(["Oslo", "Rome", "Lima"])[np.arange(N) % 3],
    "objects": np.array(["Oslo", "Rome", "Lima"], dtype=object)[np.arange(N) % 3],
    "booleans": np.arange(N) % 3 == 0,
}


# ------------------------------------------------------------------ samples and codes


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, VAE]:
    """Scanned digits of 8 x 8 pixels, their labels, and a model conditioned on the labels."""
    X, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    vae = VAE(
        4, (64,), conditional=True, epochs=30, batch_size=32, random_state=0, verbose=False
    ).fit(X / 16, y)
    return X / 16, y, vae


def test_asked_digits_are_drawn(digits):
    """A classifier trained on the scans recognizes the digits that the model draws."""
    X, y, vae = digits
    judge = pytest.importorskip("sklearn.neighbors").KNeighborsClassifier(5).fit(X, y)
    asked = np.repeat(np.arange(10), 20)
    drawn = vae.sample(len(asked), random_state=0, y=asked)
    assert (judge.predict(drawn) == asked).mean() > 0.97
    assert (judge.predict(vae.sample(50, random_state=1, y=3)) == 3).mean() > 0.9
    assert drawn[asked == 3].std(axis=0).max() > 0.1, "and not the same one each time"


def test_one_code_is_every_digit(digits):
    """The code holds the handwriting, the label the digit: a new label changes the digit."""
    X, y, vae = digits
    judge = pytest.importorskip("sklearn.neighbors").KNeighborsClassifier(5).fit(X, y)
    Z = vae.transform(X[:100], y[:100])
    for label in (1, 6):
        changed = vae.inverse_transform(Z, label)
        assert (judge.predict(changed) == label).mean() > 0.9


def test_numbers_as_conditions_move_what_is_drawn():
    rng = np.random.default_rng(0)
    y = rng.uniform(-2, 2, (2000, 2))
    free = rng.standard_normal(2000)
    X = np.column_stack([y[:, 0] + y[:, 1], y[:, 0] - y[:, 1], free, free, -free])
    X += 0.2 * rng.standard_normal(X.shape)
    vae = small(latent_dim=1, hidden_layer_sizes=(16,), epochs=40, learning_rate=5e-3).fit(X, y)
    for asked in ([1.0, 0.5], [-1.5, 1.0], [0.0, 0.0]):
        drawn = vae.sample(500, random_state=0, y=asked, draw=True)
        expected = [asked[0] + asked[1], asked[0] - asked[1]]
        np.testing.assert_allclose(drawn[:, :2].mean(axis=0), expected, atol=0.2)
        np.testing.assert_allclose(drawn[:, 2:].std(axis=0), np.sqrt(1.04), atol=0.2)
    plain = small(latent_dim=1, hidden_layer_sizes=(16,), epochs=40, conditional=False).fit(X)
    assert vae.score(X, y) > plain.score(X) + 1


def test_z_encodes_only_what_the_label_does_not():
    """The label explains the first column, so the code holds only the other columns."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    free = rng.standard_normal(2000)
    X = np.column_stack([4 * y - 2, free, free, -free]) + 0.2 * rng.standard_normal((2000, 4))
    vae = small(latent_dim=1, epochs=30, learning_rate=5e-3).fit(X, y)
    Z = vae.transform(X, y)[:, 0]
    assert abs(np.corrcoef(Z, y)[0, 1]) < 0.2
    assert abs(np.corrcoef(Z, X[:, 1])[0, 1]) > 0.8


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_are_the_same_labels(kind, X):
    y = LABELS[kind]
    vae = small().fit(X, y)
    order = np.unique(y)
    codes = np.searchsorted(order, y)
    same = small().fit(X, codes)
    np.testing.assert_array_equal(vae.transform(X, y), same.transform(X, codes))
    asked = vae.sample(4, random_state=0, y=y[1])
    np.testing.assert_array_equal(asked, same.sample(4, random_state=0, y=codes[1]))
    np.testing.assert_array_equal(asked, vae.sample(4, random_state=0, y=[y[1]] * 4))


@pytest.mark.parametrize("dtype", ["category", "string", "Int64", "object"])
def test_labels_of_pandas_are_labels(dtype, X):
    pandas = pytest.importorskip("pandas")
    labels = LABELS["ints"] if dtype == "Int64" else LABELS["strings"]
    y = pandas.Series(labels, dtype=dtype)
    vae, same = small().fit(X, y), small().fit(X, labels)
    assert vae.score(X, y) == same.score(X, labels) == vae.score(X, labels)


CONTAINERS = {
    "pandas.Categorical": lambda pandas, y: pandas.Categorical(y),
    "pandas.DataFrame": lambda pandas, y: pandas.DataFrame({"y": y}),
    "pandas.DataFrame of categories": lambda pandas, y: pandas.DataFrame(
        {"y": y}, dtype="category"
    ),
    "pandas.Series of Arrow": lambda pandas, y: pandas.Series(y).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "polars.Series": lambda polars, y: polars.Series(y),
    "polars.DataFrame": lambda polars, y: polars.DataFrame({"y": y}),
    "polars.Categorical": lambda polars, y: polars.Series(
        y.astype(str).tolist(), dtype=polars.Categorical
    ),
    "polars.Enum": lambda polars, y: polars.Series(
        y.astype(str).tolist(), dtype=polars.Enum(sorted(set(y.astype(str))))
    ),
    "pyarrow.Array": lambda pyarrow, y: pyarrow.array(y),
    "pyarrow.ChunkedArray": lambda pyarrow, y: pyarrow.chunked_array([y[:7], y[7:]]),
    "pyarrow.DictionaryArray": lambda pyarrow, y: pyarrow.array(y).dictionary_encode(),
    "pyarrow.Table": lambda pyarrow, y: pyarrow.table({"y": y}),
}


@pytest.mark.parametrize("kind", ["ints", "strings", "booleans"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_labels_in_any_container_are_labels(container, kind, X):
    library = pytest.importorskip(container.partition(".")[0])
    if "Arrow" in container:
        pytest.importorskip("pyarrow")
    labels: Any = LABELS[kind]
    y = CONTAINERS[container](library, labels)
    if container in ("polars.Categorical", "polars.Enum"):  # categories of polars are text
        labels = labels.astype(str)
    vae, same = small().fit(X, y), small().fit(X, labels)
    assert vae.model_.conditions.classes == same.model_.conditions.classes
    assert vae.score(X, y) == same.score(X, labels)


def test_every_method_takes_y(X):
    y = LABELS["ints"]
    vae = small(epochs=20).fit(X, y)
    other = (y + 1) % 3
    for method in (vae.transform, vae.reconstruct, vae.score_samples):
        assert not np.array_equal(method(X, y), method(X, other))
        np.testing.assert_array_equal(method(X[:5], y[:5]), method(X, y)[:5])
    mu, logvar = vae.encode(X, y)
    np.testing.assert_array_equal(mu, vae.transform(X, y))
    np.testing.assert_array_equal(vae.reconstruct(X, y), vae.inverse_transform(mu, y))
    assert vae.score(X, y) == vae.evaluate(X, y)["elbo"]
    assert vae.score(X, y) == pytest.approx(vae.score_samples(X, y).mean(), rel=1e-12)
    assert vae.score(X, y) != vae.score(X, other)
    assert vae.diagnose(X, y).n_rows == N
    estimate = vae.log_likelihood(X, y, n_samples=200)
    assert estimate.mean > vae.score(X, y)
    assert vae.log_likelihood(X, 1, n_samples=50).mean != estimate.mean
    np.testing.assert_array_equal(small(epochs=20).fit_transform(X, y), mu)


# ------------------------------------------------------------------ training


def test_validation_early_stopping_and_partial_fit_take_y(X):
    y = LABELS["strings"]
    vae = small(epochs=40, patience=2, learning_rate=0.05)
    vae.fit(X[:40], y[:40], validation=(X[40:], y[40:]))
    assert vae.history_["validation"][-1] is not None
    assert vae.score(X[40:], y[40:]) == max(vae.history_["validation"])
    epochs = vae.n_iter_
    vae.partial_fit(X, y, validation=(X, y))
    assert vae.n_iter_ == epochs + 1
    assert vae.history_["validation"][-1] == vae.score(X, y)
    with pytest.raises(ValueError, match="the model is conditional: pass y"):
        vae.fit(X, y, validation=X)


@pytest.mark.parametrize("kind", ["ints", "strings", "booleans", "numbers"])
@pytest.mark.parametrize("way", ["pickle", "deepcopy", "file"])
def test_a_copy_knows_the_labels(way, kind, X, tmp_path):
    y: Any = {**LABELS, "numbers": X[:, :2] + 1}[kind]
    vae = small().fit(X, y)
    if way == "file":
        vae.save(tmp_path / "model.safetensors")
        twin = load(tmp_path / "model.safetensors")
    else:
        twin = copy.deepcopy(vae) if way == "deepcopy" else pickle.loads(pickle.dumps(vae))
    assert twin.get_params() == vae.get_params()
    np.testing.assert_array_equal(twin.score_samples(X, y), vae.score_samples(X, y))
    np.testing.assert_array_equal(
        twin.sample(4, random_state=0, y=y[1]), vae.sample(4, random_state=0, y=y[1])
    )
    with pytest.raises(ValueError, match="pass y"):
        twin.transform(X)
    if way != "file":  # save without training=True drops the moments
        vae.partial_fit(X, y)
        twin.partial_fit(X, y)
    np.testing.assert_array_equal(twin.score_samples(X, y), vae.score_samples(X, y))


def test_a_search_for_parameters_hands_labels_on(X):
    selection = pytest.importorskip("sklearn.model_selection")
    y = LABELS["strings"]
    search = selection.GridSearchCV(small(), {"latent_dim": [1, 2], "free_bits": [0.0, 0.1]}, cv=3)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.sample(2, y="Lima").shape == (2, 3)


def test_a_pipeline_hands_labels_on(X):
    pytest.importorskip("sklearn")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y = LABELS["ints"]
    pipeline = make_pipeline(StandardScaler(), small())
    Z = pipeline.fit_transform(5 * X, y)
    assert Z.shape == (N, 2)
    scaled = pipeline[0].transform(5 * X)
    np.testing.assert_array_equal(Z, pipeline[-1].transform(scaled, y))
    assert pipeline.score(5 * X, y) == pipeline[-1].score(scaled, y)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(n_threads):
    rng = np.random.default_rng(0)
    X, y = rng.random((600, 100)), rng.integers(0, 5, 600)
    one, more = (
        VAE(4, (64,), conditional=True, epochs=1, random_state=0, verbose=False, n_threads=n)
        .fit(X, y)
        for n in (1, n_threads)
    )  # fmt: skip
    np.testing.assert_array_equal(one.score_samples(X, y), more.score_samples(X, y))


# ------------------------------------------------------------------ invalid y

Y_BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "none": (None, ValueError, "conditional=True needs y"),
    "too few": (np.arange(5), ValueError, rf"shape \(5,\), expected one .* each of {N} rows"),
    "one for all": (3, ValueError, r"shape \(\), expected one"),
    "three axes": (np.ones((N, 2, 2)), ValueError, r"shape \(60, 2, 2\), expected one"),
    "no columns": (np.ones((N, 0)), ValueError, r"shape \(60, 0\)"),
    "two columns of strings": (
        np.stack([LABELS["strings"]] * 2, axis=1),
        ValueError,
        r"y\.ravel\(\)",
    ),
    "Nones": ([None] * N, TypeError, "y holds None in row 0, expected labels or numbers"),
    "strings and None": (
        ["a", None] * (N // 2),
        TypeError,
        "y holds None in row 1, expected labels",
    ),
    "a dict": ({"a": 1}, TypeError, "expected labels or numbers"),
    "complex": (np.ones(N) * 1j, TypeError, "y holds complex128"),
    "dates": (np.full(N, "2020-01-01", "M8[D]"), TypeError, "y holds datetime64"),
    "NaN": (np.full(N, np.nan), ValueError, "y holds a value that is NaN or infinite"),
    "beyond float32": (np.full((N, 2), 1e300), ValueError, "infinite"),
    "ragged": ([[1.0], [1.0, 2.0]] * (N // 2), ValueError, "y is not a rectangular array"),
}


@pytest.mark.parametrize("case", Y_BAD)
def test_a_bad_y_is_refused_and_leaves_the_fit(case, X):
    y, error, message = Y_BAD[case]
    vae = small().fit(X, LABELS["ints"])
    before = vae.score_samples(X, LABELS["ints"])
    with pytest.raises(error, match=message):
        vae.fit(X, y)
    with pytest.raises(error, match=message):
        small().partial_fit(X, y)
    np.testing.assert_array_equal(vae.score_samples(X, LABELS["ints"]), before)
    assert vae.sample(2, y=2).shape == (2, 3)


def test_labels_by_the_thousand_are_refused():
    X = np.zeros((1001, 2))
    with pytest.raises(ValueError, match="1001 different labels.*floats"):
        small().fit(X, np.arange(1001))


USES = ["transform", "reconstruct", "score_samples", "score", "evaluate", "log_likelihood"]
USES += ["partial_fit", "inverse_transform", "diagnose", "sample"]
NOT_OF_LABELS: dict[str, tuple[Any, str]] = {
    "none": (None, r"conditional: pass y, one of the labels 'Lima', 'Oslo', 'Rome'"),
    "an unknown label": (
        "Bonn",
        r"'Bonn' in row 0, expected one of the labels 'Lima', 'Oslo', 'Rome'",
    ),
    "a number": (1, "1 in row 0, expected one of the labels"),
    "in a later row": (["Rome"] * 7 + ["Bonn"] + ["Rome"] * 52, "'Bonn' in row 7"),
    "too few": (["Rome", "Oslo"], r"shape \(2,\) and dtype <U4, expected .* or once for all"),
    "one-hot": (np.eye(3)[LABELS["ints"]], r"shape \(60, 3\) and dtype float64, expected one of"),
}
NOT_OF_NUMBERS: dict[str, tuple[Any, str]] = {
    "none": (None, "conditional: pass y, 2 numbers"),
    "one number": (1.5, r"dtype float64, expected 2 numbers for each of 60 rows, or once"),
    "three numbers": ([1.0, 2.0, 3.0], r"shape \(60, 3\) and dtype float64, expected 2 numbers"),
    "three in each row": (np.ones((N, 3)), r"shape \(60, 3\) and dtype float64, expected 2 n"),
    "one row": (np.ones((1, 2)), r"shape \(1, 2\) and dtype float64, expected 2 numbers"),
    "strings": (["a", "b"], "expected 2 numbers"),
    "NaN": ([np.nan, 1], "NaN or infinite"),
    "beyond float32": ([1e300, 1], "infinite"),
    "transposed": (np.ones((2, N)), r"shape \(2, 60\), expected one label or row"),
}


@pytest.mark.parametrize("method", USES)
@pytest.mark.parametrize(
    ("kind", "case"),
    [("strings", case) for case in NOT_OF_LABELS] + [("numbers", case) for case in NOT_OF_NUMBERS],
)
def test_a_y_unlike_that_of_the_fit_is_refused(kind, case, method, X):
    y, message = (NOT_OF_LABELS if kind == "strings" else NOT_OF_NUMBERS)[case]
    good = LABELS["strings"] if kind == "strings" else X[:, :2]
    vae = small(epochs=1).fit(X, good)
    before = vae.score_samples(X, good)
    given: Any = {"sample": N, "inverse_transform": np.zeros((N, 2))}.get(method, X)
    with pytest.raises(ValueError, match=message):
        getattr(vae, method)(given, y=y)
    np.testing.assert_array_equal(vae.score_samples(X, good), before)


def test_only_a_conditional_model_uses_y(X):
    vae = small(conditional=False).fit(X, LABELS["strings"])
    assert vae.score(X, "ignored, for pipelines") == vae.score(X)
    with pytest.raises(ValueError, match="conditional=True"):
        vae.sample(3, y="Rome")


@pytest.mark.parametrize("value", ["yes", 1, None, [True]])
def test_conditional_is_yes_or_no(value, X):
    with pytest.raises(TypeError, match="^conditional=.* must be True or False"):
        small(conditional=value).fit(X, LABELS["ints"])


@pytest.mark.parametrize("constant", [0.1, 1e9 + 0.1, -7.0])
def test_a_constant_number_keeps_its_unit(constant, X):
    y = np.column_stack([np.full(N, constant), np.arange(N) / N])
    conditions = small().fit(X, y).model_.conditions
    assert (conditions.means[0], conditions.scales[0]) == (0, 1)
    assert conditions.scales[1] == pytest.approx(y[:, 1].std())


def test_draws_of_rows_that_share_one_row_of_numbers(X):
    y = np.random.default_rng(1).standard_normal((N, 3))
    vae = small().fit(X, y)
    drawn = vae.reconstruct(X[:3], y[0], n=2, random_state=0)  # three rows, and y has three numbers
    each = vae.reconstruct(X[:3], np.tile(y[0], (3, 1)), n=2, random_state=0)
    np.testing.assert_array_equal(drawn, each)
