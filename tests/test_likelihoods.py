"""The likelihoods of `VAE`: densities, draws, and the data that each one accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from vaefast import VAE, _core, load

OUT = np.array([-3.0, -0.4, 0.0, 1.5], dtype=np.float32)  # decoder's output for four features
SCALE = np.array([0.3, 1.0, 2.0, 5.0])
DF = 5.0


def constant(likelihood: str | Sequence[tuple[str, int]], **params: Any) -> VAE:
    """Return a model whose decoder gives OUT and SCALE for any z."""
    X = np.tile(np.eye(4, dtype=np.float32)[2], (8, 1))  # valid for every likelihood
    vae = VAE(
        1, (), likelihood=likelihood, df=DF, epochs=1, random_state=0, verbose=False, **params
    ).fit(X)
    tensors = {name: np.zeros_like(tensor) for name, tensor in vae.model_.weights().items()}
    tensors["output.bias"] = OUT
    for name in tensors:
        if "log_" in name:
            tensors[name] = np.log(SCALE).astype(np.float32)[: len(tensors[name])]
    vae.model_.set_weights(tensors)
    return vae


LOGITS = OUT.astype(np.float64)
RATE = np.exp(LOGITS)
SCIPY = {  # distribution of each of the four features
    "bernoulli": stats.bernoulli(1 / (1 + np.exp(-LOGITS))),
    "gaussian": stats.norm(LOGITS, SCALE),
    "laplace": stats.laplace(LOGITS, SCALE),
    "student_t": stats.t(DF, LOGITS, SCALE),
    "poisson": stats.poisson(RATE),
    "negative_binomial": stats.nbinom(SCALE, SCALE / (SCALE + RATE)),
}
# Integrals over [0, 1] of exp(a x), x exp(a x) and x^2 exp(a x)
MASS, FIRST, SECOND = (
    np.array([integrate.quad(lambda x, a=a, k=k: x**k * np.exp(a * x), 0, 1)[0] for a in LOGITS])
    for k in range(3)
)


def mean_and_variance(likelihood: str) -> tuple[Any, Any]:
    if likelihood in ("categorical", "multinomial"):
        return RATE / RATE.sum(), RATE / RATE.sum() * (1 - RATE / RATE.sum())
    if likelihood == "continuous_bernoulli":
        return FIRST / MASS, SECOND / MASS - (FIRST / MASS) ** 2
    return SCIPY[likelihood].mean(), SCIPY[likelihood].var()


def log_density(likelihood: str, X: np.ndarray) -> Any:
    """Return log p(x | z) of each row."""
    if likelihood in ("categorical", "multinomial"):
        return stats.multinomial(1, RATE / RATE.sum()).logpmf(X)
    if likelihood == "continuous_bernoulli":
        return (LOGITS * X - np.log(MASS)).sum(axis=1)
    of = SCIPY[likelihood]
    return (of.logpdf if hasattr(of.dist, "pdf") else of.logpmf)(X).sum(axis=1)


def distribution_function(likelihood: str, X: np.ndarray) -> Any:
    """Return P(x' <= x) of each number, which is uniform if x follows the likelihood."""
    if likelihood == "continuous_bernoulli":
        a = np.where(LOGITS == 0, 1, LOGITS)
        return np.where(LOGITS == 0, X, np.expm1(a * X) / np.expm1(a))
    return SCIPY[likelihood].cdf(X)


def test_every_likelihood_is_tested_here():
    assert sorted(_core.LIKELIHOODS) == sorted(
        [*SCIPY, "continuous_bernoulli", "categorical", "multinomial"]
    )


# ------------------------------------------------------------------ densities and draws


@pytest.mark.parametrize("likelihood", _core.LIKELIHOODS)
def test_the_mean_is_that_of_the_distribution(likelihood):
    rows = constant(likelihood).sample(3, random_state=0)
    np.testing.assert_allclose(rows, np.tile(mean_and_variance(likelihood)[0], (3, 1)), rtol=2e-5)


@pytest.mark.parametrize("likelihood", _core.LIKELIHOODS)
def test_scores_are_log_densities_with_all_constants(likelihood):
    vae = constant(likelihood)
    X = vae.sample(20, random_state=1, draw=True)
    expected = log_density(likelihood, X.astype(np.float64))
    np.testing.assert_allclose(vae.score_samples(X), expected, rtol=1e-4, atol=1e-5)
    assert vae.evaluate(X)["kl"] == 0  # the output ignores z, so the ELBO is log p(x)


@pytest.mark.parametrize("likelihood", _core.LIKELIHOODS)
def test_draws_have_the_moments_of_the_distribution(likelihood):
    n = 40_000
    X = constant(likelihood).sample(n, random_state=2, draw=True).astype(np.float64)
    mean, variance = mean_and_variance(likelihood)
    assert X.shape == (n, 4)
    assert (np.abs(X.mean(axis=0) - mean) < 4.5 * np.sqrt(variance / n)).all()
    fourth = ((X - mean) ** 4).mean(axis=0)
    assert (np.abs(((X - mean) ** 2).mean(axis=0) - variance) < 5 * np.sqrt(fourth / n)).all()
    if likelihood not in ("categorical", "multinomial"):  # their columns form one variable
        assert np.abs(np.corrcoef(X.T) - np.eye(4)).max() < 5 / np.sqrt(n)


@pytest.mark.parametrize("likelihood", ["continuous_bernoulli", "gaussian", "laplace", "student_t"])
def test_draws_of_numbers_have_the_distribution(likelihood):
    X = constant(likelihood).sample(4000, random_state=3, draw=True).astype(np.float64)
    for uniform in distribution_function(likelihood, X).T:
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("likelihood", _core.LIKELIHOODS)
def test_draws_are_values_that_the_likelihood_takes(likelihood):
    vae = constant(likelihood)
    X = vae.sample(500, random_state=4, draw=True)
    assert X.dtype == np.float32
    assert np.isfinite(vae.score_samples(X)).all()  # raises an error for other values
    np.testing.assert_array_equal(vae.sample(500, random_state=4, draw=True), X)
    assert not np.array_equal(vae.sample(500, random_state=5, draw=True), X)


def test_draws_of_a_continuous_bernoulli_have_extreme_means():
    vae = constant("continuous_bernoulli")
    tensors = vae.model_.weights()
    tensors["output.bias"] = np.array([-5000, 5000, 1e-4, -60], dtype=np.float32)
    vae.model_.set_weights(tensors)
    X = vae.sample(20_000, random_state=6, draw=True).astype(np.float64)
    np.testing.assert_allclose(X.mean(axis=0)[[0, 2, 3]], [1 / 5000, 0.5, 1 / 60], rtol=0.03)
    assert 1 - X[:, 1].mean() == pytest.approx(1 / 5000, rel=0.03)
    assert X.min() >= 0
    assert X.max() <= 1


def test_columns_of_several_kinds_are_drawn_each_by_its_own():
    columns = [("gaussian", 1), ("poisson", 1), ("categorical", 2)]
    X = np.tile(np.float32([0, 1, 0, 1]), (8, 1))
    vae = VAE(1, (), likelihood=columns, epochs=1, random_state=0, verbose=False).fit(X)
    tensors = {name: np.zeros_like(tensor) for name, tensor in vae.model_.weights().items()}
    tensors["output.bias"] = OUT
    tensors["columns.0.log_sigma"] = np.log(np.float32([0.25]))
    vae.model_.set_weights(tensors)
    X = vae.sample(20_000, random_state=7, draw=True).astype(np.float64)
    assert stats.kstest(X[:, 0], stats.norm(-3, 0.25).cdf).pvalue > 1e-3
    assert X[:, 1].mean() == pytest.approx(RATE[1], rel=0.03)
    assert X[:, 1].var() == pytest.approx(RATE[1], rel=0.05)
    assert X[:, 3].mean() == pytest.approx(1 / (1 + np.exp(-1.5)), rel=0.02)
    np.testing.assert_array_equal(X[:, 2] + X[:, 3], 1)


def terms_of_large_counts(likelihood: str, x: np.ndarray, log_rate: np.ndarray) -> np.ndarray:
    """Return what the core adds to -log p(x|z) for each count; the dispersion is 100."""
    params: dict[str, Any] = {} if likelihood == "poisson" else {"sigma": 100.0}
    vae = VAE(1, (), likelihood=likelihood, epochs=1, random_state=0, verbose=False, **params)
    vae.fit(x)
    tensors = {
        name: tensor if "log_" in name else np.zeros_like(tensor)
        for name, tensor in vae.model_.weights().items()
    }
    tensors["output.bias"] = log_rate
    vae.model_.set_weights(tensors)
    return vae.model_.contributions(vae.model_.reader.read(x))[0].astype(np.float64)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6, 1e7])
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_scores_of_large_counts_are_as_exact_as_documented(size, factor):
    x = np.round(size * np.random.default_rng(0).uniform(1, 2, (1, 200))).astype(np.float32)
    log_rate = np.log(factor * (x[0] + np.sqrt(x[0]))).astype(np.float32)
    rate, ulp = np.exp(log_rate.astype(np.float64)), np.spacing(np.maximum(log_rate, np.log(x[0])))
    count = x[0].astype(np.float64)
    off = np.abs(terms_of_large_counts("poisson", x, log_rate) + stats.poisson(rate).logpmf(count))
    assert (off <= 1.5 * np.abs(rate - count) * ulp + 1e-4).all()
    spread = stats.nbinom(100, 100 / (100 + rate))
    off = np.abs(terms_of_large_counts("negative_binomial", x, log_rate) + spread.logpmf(count))
    assert off.max() <= 1e-3


# ------------------------------------------------------------------ accepted data

GOOD = {  # a valid row of two features
    **dict.fromkeys(("bernoulli", "continuous_bernoulli"), [0.25, 1.0]),
    **dict.fromkeys(("gaussian", "laplace", "student_t"), [-1.5, 3.0]),
    **dict.fromkeys(("poisson", "negative_binomial", "multinomial"), [0.0, 7.0]),
    "categorical": [0.0, 1.0],
}
BAD = {  # an invalid row, and the error message
    "a probability above 1": ("bernoulli", [0.5, 1.5], r"1\.5.*needs values within \[0, 1\]"),
    "a probability below 0": ("continuous_bernoulli", [0.5, -0.1], r"needs values within \[0, 1\]"),
    "an infinite number": ("gaussian", [0.5, np.inf], "inf in row 5, column 1"),
    "an infinite number, laplace": ("laplace", [0.5, -np.inf], "-inf in row 5, column 1"),
    "NaN": ("student_t", [0.5, np.nan], "nan in row 5, column 1.*missing='mask'"),
    "NaN among counts": ("poisson", [1, np.nan], "nan in row 5, column 1.*missing='mask'"),
    "a negative count": ("poisson", [1, -1], r"-1 in row 5, column 1 .*counts: 0, 1, 2"),
    "half a count": ("negative_binomial", [1, 2.5], r"2\.5 in row 5, column 1 .*counts: 0, 1, 2"),
    "a negative count of a row": ("multinomial", [1, -1], r"-1 in row 5, .*counts: 0, 1, 2"),
    "half a count of a row": ("multinomial", [1, 2.5], r"2\.5 in row 5, column 1 .*counts: 0, 1"),
    "an infinite count": ("poisson", [1, np.inf], "inf in row 5, column 1"),
    "no category": ("categorical", [0, 0], "0 ones in row 5, columns 0 to 1.*exactly one"),
    "two categories": ("categorical", [1, 1], "2 ones in row 5, columns 0 to 1.*exactly one"),
    "shares of categories": ("categorical", [0.5, 0.5], r"0\.5 in row 5, column 0 .*one-hot"),
}


def tiny(**params: Any) -> VAE:
    settings = {"hidden_layer_sizes": (4,), "epochs": 1, "random_state": 0, "verbose": False}
    return VAE(**{**settings, **params})


@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("case", BAD)
def test_a_value_that_has_no_density_is_refused_and_leaves_the_fit(case, missing):
    likelihood, bad, message = BAD[case]
    if missing == "mask" and np.isnan(bad).any():
        pytest.skip("NaN is a missing value then")
    X = np.tile(np.float32(GOOD[likelihood]), (9, 1))
    vae = tiny(likelihood=likelihood, missing=missing).fit(X)
    before = vae.score_samples(X)
    X_bad = X.copy()
    X_bad[5] = bad
    for method in (vae.fit, vae.partial_fit, vae.transform, vae.score_samples):
        with pytest.raises(ValueError, match=message):
            method(X_bad)
    with pytest.raises(ValueError, match="validation"):
        vae.fit(X, validation=X_bad)
    np.testing.assert_array_equal(vae.score_samples(X), before)
    assert vae.n_iter_ == 1


@pytest.mark.parametrize("case", BAD)
def test_in_a_table_row_and_column_are_named(case):
    likelihood, bad, message = BAD[case]
    columns = [("gaussian", 3), (likelihood, 2), ("poisson", 1)]
    X = np.tile(np.float32([0, 0, 0, *GOOD[likelihood], 1]), (9, 1))
    vae = tiny(likelihood=columns).fit(X)
    before = vae.score_samples(X)
    X[5, 3:5] = bad
    where = "columns 3 to 4" if "ones in row" in message else "column [34]"
    with pytest.raises(ValueError, match=f"row 5, {where}.*{likelihood}"):
        vae.fit(X)
    X[5, 3:5] = GOOD[likelihood]
    np.testing.assert_array_equal(vae.score_samples(X), before)


@pytest.mark.parametrize("likelihood", ["categorical", "multinomial"])
def test_a_variable_is_missing_in_all_of_its_columns_or_in_none(likelihood):
    X = np.tile(np.float32([0, 1, 0]), (6, 1))
    X[2] = np.nan
    vae = tiny(likelihood=likelihood, missing="mask").fit(X)
    X[4, :2] = np.nan
    with pytest.raises(ValueError, match="row 4, columns 0 to 2.*all of them or none"):
        vae.fit(X)


COLUMNS = {
    "a name that is none": ("gauss", "gauss.*bernoulli, continuous_bernoulli, gaussian"),
    "a name in a list": ([("gauss", 6)], r"likelihood\[0\]='gauss' is unknown.*gaussian"),
    "too few": ([("gaussian", 3), ("poisson", 2)], "5 columns in all, but the rows have 6"),
    "too many": ([("gaussian", 3), ("poisson", 4)], "7 columns in all, but the rows have 6"),
    "none": ([("gaussian", 6), ("poisson", 0)], r"likelihood\[1\]\[1\]=0 must be at least 1"),
    "half of one": ([("gaussian", 5.5), ("poisson", 0.5)], "must be a whole number"),
    "names alone": (["gaussian", "poisson"], r"pairs such as \[\('gaussian', 3\)"),
    "an empty list": ([], "0 columns in all"),
    "a number": (3, "is unknown; expected one of"),
    "nothing": (None, "is unknown; expected one of"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_do_not_fit_are_refused_and_leave_the_fit(case):
    likelihood, message = COLUMNS[case]
    X = np.ones((9, 6), dtype=np.float32)
    vae = tiny().fit(X)
    before = vae.score(X)
    vae.set_params(likelihood=likelihood)
    with pytest.raises((ValueError, TypeError), match=message):
        vae.fit(X)
    assert vae.score(X) == before


# ------------------------------------------------------------------ bytes, exposure


@pytest.mark.parametrize(
    "likelihood", ["poisson", "negative_binomial", "multinomial", "categorical"]
)
def test_bytes_are_counts_and_categories(likelihood):
    X = np.random.default_rng(0).integers(0, 9, (20, 4), dtype=np.uint8)
    if likelihood == "categorical":
        X = np.eye(4, dtype=np.uint8)[X[:, 0] % 4]
    vae, same = (tiny(likelihood=likelihood).fit(X.astype(kind)) for kind in (np.uint8, np.float32))
    np.testing.assert_array_equal(vae.score_samples(X), same.score_samples(X.astype(np.float32)))
    np.testing.assert_array_equal(vae.transform(X), vae.transform(X.astype(np.float64)))


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian", "laplace"])
@pytest.mark.parametrize("missing", ["error", "mask"])
def test_bytes_of_images_are_divided_by_255(likelihood, missing):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 2, 3), dtype=np.uint8)
    numbers = pixels / np.float32(255)
    vae, same = (tiny(likelihood=likelihood, missing=missing).fit(X) for X in (pixels, numbers))
    np.testing.assert_array_equal(vae.score_samples(pixels), same.score_samples(numbers))
    if missing == "mask":
        np.testing.assert_array_equal(vae.impute(pixels), numbers)


def test_bytes_of_a_table_are_numbers():
    X = np.random.default_rng(0).integers(0, 2, (20, 3), dtype=np.uint8)
    columns = [("bernoulli", 1), ("poisson", 1), ("gaussian", 1)]
    vae, same = (tiny(likelihood=columns).fit(X.astype(kind)) for kind in (np.uint8, np.float32))
    np.testing.assert_array_equal(vae.score_samples(X), same.score_samples(X.astype(np.float32)))


EXPOSURES = {
    "0": ([1, 1, 0, 1], r"exposure holds 0 in row 2"),
    "negative": ([1, 1, 1, -2], r"exposure holds -2 in row 3"),
    "NaN": ([1, np.nan, 1, 1], r"exposure holds nan in row 1"),
    "infinite": ([np.inf, 1, 1, 1], r"exposure holds inf in row 0"),
    "too few": ([1, 1, 1], r"shape \(3,\), expected a number for each of 4 rows"),
    "a column": (np.ones((4, 1)), r"shape \(4, 1\), expected a number for each of 4 rows"),
    "one for all": (2.0, r"shape \(\), expected a number for each of 4 rows"),
    "text": (list("abcd"), "expected a number for each of 4 rows"),
}


@pytest.mark.parametrize("case", EXPOSURES)
def test_a_bad_exposure_is_refused_and_leaves_the_fit(case):
    exposure, message = EXPOSURES[case]
    X = np.arange(8).reshape(4, 2)
    vae = tiny(likelihood="poisson").fit(X)
    before = vae.score_samples(X)
    for method in (vae.fit, vae.partial_fit, vae.score_samples, vae.evaluate, vae.log_likelihood):
        with pytest.raises(ValueError, match=message):
            method(X, exposure=exposure)
    np.testing.assert_array_equal(vae.score_samples(X), before)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_training_on_counts_begins_at_their_rates(likelihood):
    rates = np.array([2_000.0, 0.5, 30_000.0, 0.0])
    exposure = np.array([1.0, 2.0, 0.5] * 40)
    X = np.random.default_rng(0).poisson(exposure[:, None] * rates).astype(np.float32)
    X[::7, 0] = np.nan
    columns = [("gaussian", 1), (likelihood, 4)]
    vae = VAE(1, (4,), likelihood=columns, missing="mask", epochs=1, learning_rate=1e-9,
              random_state=0, verbose=False)  # fmt: skip
    vae.fit(np.column_stack([np.zeros(120), X]), exposure=exposure)
    biases = vae.model_.weights()["output.bias"]
    known = np.nansum(X, axis=0) / (exposure @ ~np.isnan(X))
    np.testing.assert_allclose(np.exp(biases[1:3]), known[:2], rtol=0.02)
    np.testing.assert_allclose(np.exp(biases[3]), 30_000, rtol=0.01)
    assert np.exp(biases[4]) < 0.01  # small but positive for a count that is always 0
    assert abs(biases[0]) <= 0.5  # a gaussian column starts as usual


def test_a_count_that_was_never_seen_stays_finite():
    X = np.column_stack([np.arange(20.0), np.full(20, np.nan)])
    with pytest.warns(UserWarning, match="column 1 of X has no value in any row"):
        vae = tiny(likelihood="poisson", missing="mask").fit(X)
    assert np.isfinite(vae.impute(X)).all() and np.isfinite(vae.sample(5)).all()
    assert np.isfinite(vae.score(np.nan_to_num(X)))


def test_a_model_of_rates_asks_for_the_exposure_of_what_it_scores(tmp_path):
    exposure = np.array([1.0, 2.0, 0.5, 4.0])
    X = np.arange(8).reshape(4, 2)
    vae = tiny(likelihood="poisson", missing="mask").fit(X, exposure=exposure)
    vae.save(tmp_path / "rates.safetensors")
    for model in (vae, load(tmp_path / "rates.safetensors")):
        methods = (
            model.score_samples, model.evaluate, model.score, model.log_likelihood,
            model.impute, model.partial_fit,
        )  # fmt: skip
        for method in methods:
            with pytest.raises(ValueError, match="with exposure, so X needs that of its rows"):
                method(X)
        with pytest.raises(ValueError, match="with exposure, so validation needs"):
            model.partial_fit(X, exposure=exposure, validation=X)
        assert model.score(X, exposure=exposure) == model.evaluate(X, exposure=exposure)["elbo"]
        assert model.transform(X).shape == (4, 2)  # the encoder needs no exposure
        model.partial_fit(X, exposure=exposure, validation=(X, None, exposure))


def test_exposure_is_for_counts():
    with pytest.raises(ValueError, match="exposure is for .*poisson and negative_binomial"):
        tiny().fit(np.zeros((4, 2)), exposure=np.ones(4))


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_exposure_multiplies_the_rate(likelihood):
    vae = constant(likelihood)
    X = np.random.default_rng(0).poisson(2.0, (6, 4))
    exposure = np.array([0.25, 1, 2, 10, 1, 0.5])
    m = exposure[:, None] * RATE
    of = stats.poisson(m) if likelihood == "poisson" else stats.nbinom(SCALE, SCALE / (SCALE + m))
    scores = vae.score_samples(X, exposure=exposure)
    np.testing.assert_allclose(scores, of.logpmf(X).sum(axis=1), rtol=1e-4)
    one = vae.score_samples(X, exposure=np.ones(6))
    np.testing.assert_array_equal(one, vae.score_samples(X))
    assert vae.evaluate(X, exposure=exposure)["elbo"] == pytest.approx(scores.mean(), rel=1e-12)
    of_rows = vae.log_likelihood(X, exposure=exposure, n_samples=3).rows
    np.testing.assert_allclose(of_rows, scores, rtol=1e-5)


# ------------------------------------------------------------------ multinomial


def test_a_multinomial_has_the_log_mass_of_scipys():
    vae, rng = constant("multinomial"), np.random.default_rng(0)
    X = rng.poisson([0.2, 5.0, 40.0, 3_000.0], (30, 4)).astype(np.float32)
    X[3] = 0
    expected = stats.multinomial.logpmf(X, X.sum(axis=1), np.tile(RATE / RATE.sum(), (30, 1)))
    np.testing.assert_allclose(vae.score_samples(X), expected, rtol=2e-5)
    assert vae.score_samples(X)[3] == 0
    rows = vae.model_.reader.read(X)
    terms = vae.model_.contributions(rows)
    np.testing.assert_allclose(terms.sum(axis=1), -expected, rtol=1e-4)


def test_draws_of_a_multinomial_have_the_totals_of_the_rows_of_the_fit(tmp_path):
    rng = np.random.default_rng(0)
    totals = rng.choice([3, 40], 200, p=[0.75, 0.25])
    X = rng.multinomial(totals, [0.1, 0.2, 0.3, 0.4]).astype(np.float32)
    vae = tiny(likelihood=[("gaussian", 1), ("multinomial", 4)]).fit(
        np.column_stack([np.zeros(200), X])
    )
    vae.save(tmp_path / "counts.safetensors")
    drawn = vae.sample(2_000, random_state=0, draw=True)
    sums = drawn[:, 1:].sum(axis=1)
    assert set(sums) == {3.0, 40.0}
    assert (sums == 40).mean() == pytest.approx((totals == 40).mean(), abs=0.05)
    again = load(tmp_path / "counts.safetensors").sample(2_000, random_state=0, draw=True)
    np.testing.assert_array_equal(again, drawn)
    probabilities = vae.sample(5, random_state=0)[:, 1:]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_a_multinomial_takes_no_exposure():
    with pytest.raises(ValueError, match="exposure is for the likelihoods poisson and negative"):
        tiny(likelihood="multinomial").fit(np.ones((4, 2)), exposure=np.ones(4))


# ------------------------------------------------------------------ rows of length 1


@pytest.mark.parametrize("likelihood", ["multinomial", "poisson", "bernoulli", "gaussian"])
def test_a_normalizing_encoder_sees_directions_alone(likelihood, tmp_path):
    X = np.random.default_rng(0).integers(0, 2, (40, 9)).astype(np.float32)
    X[3] = 0
    vae = tiny(likelihood=likelihood, normalize="l2").fit(X)
    if likelihood in ("multinomial", "poisson"):
        np.testing.assert_allclose(vae.transform(4 * X), vae.transform(X), rtol=1e-5, atol=1e-6)
        assert not np.array_equal(vae.score_samples(4 * X), vae.score_samples(X))
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-9)
    plain = tiny(likelihood="gaussian").fit(X)
    plain.model_.set_weights({name: tensor for name, tensor in vae.model_.weights().items()
                              if name in plain.model_.weights()}
                             | {"log_sigma": np.zeros(9, np.float32)})  # fmt: skip
    np.testing.assert_allclose(vae.transform(X), plain.transform(unit), rtol=1e-5, atol=1e-6)
    vae.save(tmp_path / "unit.safetensors")
    loaded = load(tmp_path / "unit.safetensors")
    assert loaded.normalize == "l2"
    np.testing.assert_array_equal(loaded.transform(X), vae.transform(X))


def test_normalize_is_checked():
    X = np.ones((9, 2))
    with pytest.raises(ValueError, match="normalize='l1' is unknown; expected one of l2"):
        tiny(normalize="l1").fit(X)
    with pytest.raises(ValueError, match="normalize and standardize exclude each other"):
        tiny(normalize="l2", standardize=True, likelihood="gaussian").fit(X)
