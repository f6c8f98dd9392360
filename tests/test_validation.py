"""Bad input raises a clear error and leaves the model as it was."""

from __future__ import annotations

import fractions
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaefast import VAE, DivergenceError, _core
from vaefast._engine import building
from vaefast._input import validation

N, D = 40, 6


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 2, "batch_size": 16, "random_state": 0}
    return VAE(**{**defaults, "verbose": False, **params})


def good() -> np.ndarray:
    return np.random.default_rng(0).random((N, D)).astype(np.float32)


def with_value(value: float, row: int, *column: int, shape: tuple[int, ...] = (N, D)) -> np.ndarray:
    X = good().reshape(shape)
    X[(row, *column)] = value
    X[-1] = value  # the message must name the first one
    return X


@pytest.fixture
def vae() -> VAE:
    return small().fit(good())


def assert_as_before(vae: VAE, before: dict[str, Any]) -> None:
    assert vae.__dict__.keys() == before.keys()
    assert vae.model_ is before["_model"]
    assert vae.n_iter_ == 2
    assert vae.score(good()) == small().fit(good()).score(good())


# ------------------------------------------------------------------ bad data

# The data, the type of the error, and its message.
DATA: dict[str, tuple[Any, type[Exception], str]] = {
    "NaN": (with_value(np.nan, 7, 3), ValueError, r"X holds nan in row 7, column 3 .*Drop or fill"),
    "infinity": (with_value(np.inf, 9, 0), ValueError, "X holds inf in row 9, column 0"),
    "minus infinity": (with_value(-np.inf, 0, 5), ValueError, "X holds -inf in row 0, column 5"),
    "NaN in an image": (
        with_value(np.nan, 4, 1, 2, shape=(N, 2, 3)), ValueError, "nan in row 4, column 5",
    ),
    "too large for float32": (
        with_value(1, 3, 2).astype(np.float64) * np.where(np.arange(N) == 3, 1e300, 1)[:, None],
        ValueError, "row 3, column 0 .*infinite or beyond 3.4e38",
    ),
    "None among numbers": ([[0.5, None] * 3, [0.5] * 6], ValueError, "nan in row 0, column 1"),
    "range": (
        with_value(2.5, 3, 3) - 1, ValueError,
        r"X ranges from -0\.9\d* to 1.5, but likelihood='bernoulli' needs values within \[0, 1\]"
        ".*uint8.*gaussian",
    ),
    "a little too large": (with_value(1.0001, 3, 3), ValueError, "ranges from .* to 1.0001"),
    "no rows": (np.zeros((0, D)), ValueError, r"X has 0 sample\(s\) \(shape=\(0, 6\)\)"),
    "no columns": (np.zeros((3, 0)), ValueError, r"X has 0 feature\(s\) \(shape=\(3, 0\)\)"),
    "no pixels": (np.zeros((3, 4, 0)), ValueError, r"X has 0 feature\(s\)"),
    "an empty list": ([], ValueError, r"shape \(0,\), expected \(n, features\) or images"),
    "one row": (
        good()[0], ValueError, r"X has shape \(6,\), expected .*Reshape your data: X\[None\] is"
    ),
    "five axes": (np.zeros((1,) * 5), ValueError, r"X has shape \(1, 1, 1, 1, 1\), expected"),
    "a number": (0.5, ValueError, r"X has shape \(\), expected"),
    "nothing": (None, TypeError, "X is None, expected an array of numbers"),
    "strings": ([["a", "b"]], TypeError, "X holds <U1, expected numbers"),
    "numbers as strings": (np.array([["1", "2"]]), TypeError, "X holds <U1, expected numbers"),
    "strings among objects": ([["a", object()]], TypeError, "X holds strings, expected numbers"),
    "bytes": (np.array([[b"1"]]), TypeError, "X holds .S1, expected numbers"),
    "objects": ([[object()]], TypeError, "X holds objects, expected numbers"),
    "a dictionary": ({"a": 1}, TypeError, "X holds objects, expected numbers"),
    "a generator": ((row for row in good()), TypeError, "X is a generator, which can be read once"),
    "complex": (good() * 1j, ValueError, "X holds complex64. Complex data"),
    "dates": (np.zeros((2, 2), "M8[s]"), TypeError, "X holds datetime64.*expected numbers"),
    "records": (np.zeros((2, 2), [("a", "f4")]), TypeError, "expected numbers"),
    "an int beyond floats": ([[10**400]], TypeError, "X holds objects.*too large"),
    "ragged": ([[1, 2], [3]], ValueError, "X is not a rectangular array"),
}  # fmt: skip


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", DATA)
def test_bad_data_is_refused_and_a_fitted_model_stays_as_it_was(case, method, vae):
    X, error, message = DATA[case]
    before = dict(vae.__dict__)
    with pytest.raises(error, match=message):
        getattr(vae, method)(X)
    assert_as_before(vae, before)
    with pytest.raises(error, match=message):
        getattr(small(), method)(X)


@pytest.mark.parametrize("method", ["transform", "encode", "reconstruct", "score", "score_samples"])
@pytest.mark.parametrize("case", DATA)
def test_bad_data_is_refused_in_use(case, method, vae):
    X, error, message = DATA[case]
    before = dict(vae.__dict__)
    with pytest.raises(error, match=message):
        getattr(vae, method)(X)
    assert_as_before(vae, before)


@pytest.mark.parametrize("case", [case for case in DATA if case != "nothing"])
def test_bad_validation_rows_are_refused_by_that_name(case, vae):
    X, error, message = DATA[case]
    before = dict(vae.__dict__)
    with pytest.raises(error, match=re.sub(r"\bX\b", "validation", message)):
        vae.fit(good(), validation=X)
    assert_as_before(vae, before)


@pytest.mark.parametrize(
    ("fitted_on", "X", "message"),
    [
        ((N, D), (3, 5), "has 5 features, but VAE is expecting 6 features as input"),
        ((N, D), (3, 2, 4), r"rows of shape \(2, 4\), but the model was fitted on 6 features"),
        ((N, 2, 3), (3, 3, 2), r"shape \(3, 2\), but .* fitted on images of shape \(2, 3\)"),
        ((N, 2, 3), (3, 7), r"shape \(7,\), but .* fitted on images of shape \(2, 3\)"),
        ((N, 2, 3), (2, 3), r"shape \(3,\), but .*; for a single image pass X\[None\]"),
        ((N, 1, 2, 3), (3, 2, 3), r"fitted on images of shape \(1, 2, 3\)"),
    ],
)
def test_rows_of_another_shape_are_refused(fitted_on, X, message):
    vae = small().fit(good().reshape(fitted_on))
    before = dict(vae.__dict__)
    for method in (vae.transform, vae.reconstruct, vae.score, vae.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(np.zeros(X))
    with pytest.raises(ValueError, match=message.replace(r"X\[", r"validation\[")):
        vae.fit(good().reshape(fitted_on), validation=np.zeros(X))
    assert_as_before(vae, before)


@pytest.mark.parametrize(
    ("Z", "error", "message"),
    [
        (np.zeros((3, 3)), ValueError, r"Z has rows of shape \(3,\), expected \(2,\)"),
        (np.zeros((3, 2, 1)), ValueError, r"Z has rows of shape \(2, 1\), expected \(2,\)"),
        (np.zeros(2), ValueError, r"Z has shape \(2,\).*Z\[None\] is one row"),
        (np.zeros((0, 2)), ValueError, "Z has 0 sample"),
        ([[0, np.nan]], ValueError, "Z holds nan in row 0, column 1"),
        ([[0, 1e39]], ValueError, "Z holds inf in row 0, column 1"),
        ([["0", "1"]], TypeError, "Z holds <U1, expected numbers"),
    ],
)
def test_bad_codes_are_refused(Z, error, message, vae):
    with pytest.raises(error, match=message):
        vae.inverse_transform(Z)


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None, True, np.array([3])])
def test_a_bad_number_of_samples_is_refused(n, vae):
    with pytest.raises((TypeError, ValueError), match=r"n=.* must be"):
        vae.sample(n)


@pytest.mark.parametrize("random_state", [-1, 1.5, "1", True, np.random, [1]])
def test_a_bad_seed_is_refused(random_state, vae):
    for use in (lambda: vae.sample(2, random_state), small(random_state=random_state).fit):
        with pytest.raises((TypeError, ValueError), match="random_state=.* must be"):
            use(*[good()] * (use.__name__ == "fit"))


def test_a_bad_value_is_named_in_a_later_chunk_too(monkeypatch):
    """Large arrays are checked in chunks, and rows are numbered across the chunks."""
    monkeypatch.setattr(validation, "_CHUNK", 4 * D)
    for value, message in [
        (np.nan, "holds nan in row 27, column 4"),
        (9, r"ranges from 0\.\d* to 9,"),
        (-3, r"ranges from -3 to 0\.\d*,"),
    ]:
        X = good()
        X[27, 4] = value
        with pytest.raises(ValueError, match=message):
            small().fit(X)
    validation.check_values(good(), "bernoulli")


def test_a_row_wider_than_a_chunk_is_checked(monkeypatch):
    monkeypatch.setattr(validation, "_CHUNK", 2)
    with pytest.raises(ValueError, match="row 3, column 4"):
        validation.check_values(with_value(np.nan, 3, 4), "gaussian")


def test_a_gaussian_warns_of_columns_that_are_not_standardized(vae):
    raw = np.random.default_rng(0).normal(0, 300, (20, D)).astype(np.float32)
    with pytest.warns(UserWarning, match=r"far from unit variance.*standardize=True"):
        vae.set_params(likelihood="gaussian").fit(raw)
    vae.fit(raw / 300)  # no warning


def test_a_column_of_missing_values_alone_is_warned_of():
    X = good()
    X[:, 2] = np.nan
    with pytest.warns(UserWarning, match="column 2 of X has no value in any row"):
        small(missing="mask").fit(X)


def test_a_failed_set_params_sets_nothing(vae):
    with pytest.raises(ValueError, match="parameter='nope' is unknown"):
        vae.set_params(latent_dim=7, nope=1)
    assert vae.latent_dim == 2


def test_what_pandas_calls_missing_is_missing():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(good()).astype("Float64").mask(good() > 0.9)
    filled = small(missing="mask").fit(frame).impute(frame)
    known = good() <= 0.9
    np.testing.assert_array_equal(filled[known], good()[known])


@pytest.mark.filterwarnings("ignore:X has columns far from unit variance")
def test_the_gaussian_likelihood_takes_any_finite_values():
    X = 1000 * good() - 500
    assert np.isfinite(small(likelihood="gaussian").fit(X).score(X))
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="in row 3, column 1"):
            small(likelihood="gaussian").fit(with_value(value, 3, 1))


def test_the_borders_of_the_range_are_within(vae):
    assert np.isfinite(vae.score(np.array([[0, 1, 0, 1, -0.0, 1]])))


def test_odd_numbers_are_numbers(vae):
    half = fractions.Fraction(1, 2)
    np.testing.assert_array_equal(vae.transform([[half] * D]), vae.transform([[0.5] * D]))


def test_a_data_frame_with_text_is_refused(vae):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="expected numbers"):
        vae.fit(pandas.DataFrame({"a": [0.5, 1], "b": ["x", "y"]}))


# ------------------------------------------------------------------ parameters

NAMES = {
    "likelihood": _core.LIKELIHOODS,
    "activation": _core.ACTIVATIONS,
    "optimizer": _core.OPTIMIZERS,
    "sigma": ("per_feature", "global", "optimal"),
}


@pytest.mark.parametrize("value", ["nonsense", "", "RELU", None, 3, ("relu",), np.array(["adam"])])
@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_name_lists_those_there_are(name, value, vae):
    before = dict(vae.__dict__)
    error, message = ValueError, rf"{name}=.* is unknown; expected one of {', '.join(NAMES[name])}"
    if name == "sigma" and not isinstance(value, str):
        if value == 3:
            return  # a sigma
        error, message = TypeError, "sigma=.* must be a number"
    with pytest.raises(error, match=message):
        vae.set_params(**{name: value}).fit(good())
    assert_as_before(vae, {**before, name: value})


NOT_A_COUNT = [0, -3, 2.5, "2", None, True, [2], np.nan, 1 + 1j]
NOT_POSITIVE = [0, -1e-3, np.nan, np.inf, "1", None, True, [1.0], 10**400, 1j]
BAD: dict[str, list[Any]] = {
    "latent_dim": [*NOT_A_COUNT, 10**9, 2**31, 2**63, 10**30],
    "hidden_layer_sizes": [None, "256", b"ab", 2.5, True, (0,), (8, -1), (8.0,), ("8",), ((8,),)]
    + [{8}, {8: 8}, np.array(8.0), np.ones((2, 2), int), object(), (10**9,), (2**31 - 1,) * 2]
    + [(8, 2**32), (2**63,), 10**30],
    "decoder_layer_sizes": ["256", 2.5, (0,), ((8,),), (None,), (10**9,), (2**64,)],
    "sigma": [*NOT_POSITIVE, -1, "learned"],
    "beta": [-1e-9, np.nan, np.inf, "1", None, True, 10**400],
    "learning_rate": NOT_POSITIVE,
    "batch_size": NOT_A_COUNT,
    "epochs": NOT_A_COUNT,
    "patience": [value for value in NOT_A_COUNT if value is not None],
    "random_state": [-1, 1.5, "1", True, [1]],
    "n_threads": [*(value for value in NOT_A_COUNT if value is not None), 10**6, 10**9, 2**64],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_parameter_is_refused_by_name(name, value, vae):
    likelihood = "gaussian" if name == "sigma" else "bernoulli"
    before = dict(vae.__dict__)
    for method in ("fit",) if name == "epochs" else ("fit", "partial_fit"):
        new = small(likelihood=likelihood, **{name: value})
        with pytest.raises((TypeError, ValueError), match=f"^{name}") as caught:
            getattr(new, method)(good(), validation=good())
        assert "must be" in str(caught.value) or "is unknown" in str(caught.value)
        assert not hasattr(new, "history_")
    with pytest.raises((TypeError, ValueError), match=f"^{name}"):
        vae.set_params(**{name: value}).fit(good(), validation=good())
    vae.n_threads = before["n_threads"]  # used as it is set now, in every method
    assert_as_before(vae, {**before, name: value})


@pytest.mark.parametrize("name", ["batch_size", "learning_rate", "beta"])
def test_partial_fit_of_a_fitted_model_checks_what_it_uses(name, vae):
    before = dict(vae.__dict__)
    with pytest.raises((TypeError, ValueError), match=f"^{name}=-1 must be"):
        vae.set_params(**{name: -1}).partial_fit(good())
    assert_as_before(vae, {**before, name: -1})


@pytest.mark.parametrize("callbacks", [5, None, [5], print, ["print"], [print, None]])
def test_bad_callbacks_are_refused_before_training(callbacks, vae):
    before = dict(vae.__dict__)
    for method in (vae.fit, vae.partial_fit):
        with pytest.raises(TypeError, match=r"^callbacks.* must be a"):
            method(good(), callbacks=callbacks)
    assert_as_before(vae, before)


def test_a_net_beyond_memory_is_a_clean_error(vae, monkeypatch):
    """The test fakes the MemoryError, because some systems grant any amount of memory."""

    def refuse(**shape: Any) -> None:
        raise MemoryError("std::bad_alloc")

    before = dict(vae.__dict__)
    monkeypatch.setattr(building, "Core", refuse)
    with pytest.raises(MemoryError, match=r"layers of \[6, 9, 2, 9, 6\] units do not fit"):
        vae.set_params(hidden_layer_sizes=(9,)).fit(good())
    monkeypatch.undo()
    assert_as_before(vae, {**before, "hidden_layer_sizes": (9,)})


# Values that people and programs pass by mistake. Sizes are small or absurd, with nothing between.
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.integers(min_value=2**31),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from(
        [*_core.LIKELIHOODS, *_core.ACTIVATIONS, *_core.OPTIMIZERS, "per_feature", "iwae", "mask"]
    ),
    st.sampled_from([np.int8(3), np.float16(0.5), np.bool_(True), np.str_("relu"), np.array(3)]),
    st.builds(object),
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.lists(SCALARS, max_size=3).map(tuple)


@given(st.dictionaries(st.sampled_from(sorted(VAE().get_params())), VALUES, max_size=3))
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
def test_no_parameters_do_more_than_work_or_raise(params):
    params.pop("verbose", None)
    if isinstance(params.get("epochs"), int) and params["epochs"] > 20:
        del params["epochs"]  # valid, but it would train for long
    X = good()
    vae = small(epochs=1).set_params(**params)
    try:
        vae.fit(X, validation=X)
    except (TypeError, ValueError) as error:
        assert str(error).startswith(("X holds", *params)), error
        assert not hasattr(vae, "history_")
    except DivergenceError:
        assert np.isfinite(vae.score(X))
    else:
        assert vae.n_iter_ == vae.epochs or vae.patience is not None
        assert np.isfinite(vae.score(X))


@given(
    VALUES
    | st.lists(st.lists(SCALARS, max_size=3), max_size=3)
    | st.tuples(
        st.sampled_from("?bBhHiIqQefdgFDSUOMmV"), st.lists(st.integers(0, 3), max_size=5)
    ).map(lambda spec: np.zeros(spec[1], spec[0]))
)
@settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_no_data_does_more_than_work_or_raise(vae, X):
    for use in (small(epochs=1).fit, vae.transform):
        try:
            use(X)
        except (TypeError, ValueError) as error:
            assert str(error).startswith("X ")
        except FileNotFoundError:
            assert isinstance(X, str) or all(isinstance(part, str) for part in X)
