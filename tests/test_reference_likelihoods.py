"""The reference's likelihoods against SciPy, numerical integrals and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit, softmax

import reference_likelihoods as rl

Array = rl.Array
WITH_SCALE = [name for name, kind in rl.LIKELIHOODS.items() if kind.scale]
DISPERSIONS = np.log([0.02, 0.7, 5.0, 900.0])


def one_hot(index: Array | list[int], n: int) -> Array:
    return np.eye(n)[np.asarray(index, int)]


def some(name: str, n: int = 200, width: int = 5, seed: int = 0) -> tuple[Array, Array, Array]:
    """Return typical outputs, log scales and data for the likelihood."""
    rng = np.random.default_rng(seed)
    out, s = rng.normal(0, 2, (n, width)), rng.normal(0, 0.8, width)
    if name in ("bernoulli", "continuous_bernoulli"):
        return out, s, rng.random((n, width))
    if name in ("poisson", "negative_binomial", "multinomial"):
        return out, s, rng.poisson(np.exp(rng.normal(1, 1.5, (n, width)))).astype(float)
    if name == "categorical":
        return out, s, one_hot(rng.integers(0, width, n), width)
    return out, s, out + rng.normal(0, 3, (n, width))


# --- Densities and masses -------------------------------------------------------------------------


def scipy_log_density(name: str, out: Array, s: Array, x: Array, df: float) -> Array:
    scale = np.exp(s)
    match name:
        case "bernoulli":
            return np.asarray(stats.bernoulli.logpmf(x, expit(out)))
        case "gaussian":
            return np.asarray(stats.norm.logpdf(x, out, scale))
        case "laplace":
            return np.asarray(stats.laplace.logpdf(x, out, scale))
        case "student_t":
            return np.asarray(stats.t.logpdf(x, df, out, scale))
        case "poisson":
            return np.asarray(stats.poisson.logpmf(x, np.exp(out)))
        case "negative_binomial":  # SciPy takes r successes of probability r / (r + m)
            return np.asarray(stats.nbinom.logpmf(x, scale, scale / (scale + np.exp(out))))
    raise ValueError(name)


@pytest.mark.parametrize("df", [1.0, 4.0, 30.0])
@pytest.mark.parametrize(
    "name", ["bernoulli", "gaussian", "laplace", "student_t", "poisson", "negative_binomial"]
)
def test_nll_is_scipys_log_density(name: str, df: float) -> None:
    out, s, x = some(name)
    x = np.round(x) if name == "bernoulli" else x
    np.testing.assert_allclose(
        rl.make(name, df).nll(out, s, x),
        -scipy_log_density(name, out, s, x, df),
        rtol=1e-10,
        atol=1e-10,
    )


def test_categorical_is_scipys_multinomial_of_one_draw() -> None:
    out, s, x = some("categorical")
    nll = rl.make("categorical").nll(out, s, x)
    want = -stats.multinomial.logpmf(x, 1, softmax(out, axis=1))
    np.testing.assert_allclose(nll.sum(axis=1), want, rtol=1e-10)
    np.testing.assert_array_equal(nll[x == 0], 0)


def test_multinomial_is_scipys() -> None:
    out, s, x = some("multinomial")
    x[3], p = 0, softmax(out, axis=1)
    got = rl.make("multinomial").nll(out, s, x).sum(axis=1)
    want = -stats.multinomial.logpmf(x, x.sum(axis=1), p)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
    assert got[3] == 0
    x = one_hot(np.arange(200) % 5, 5)
    got, one = (rl.make(name).nll(out, s, x).sum(axis=1) for name in ("multinomial", "categorical"))
    np.testing.assert_allclose(got, one, rtol=1e-10)


def test_no_exposure_changes_a_multinomial() -> None:
    likelihood, (out, s, x) = rl.make("multinomial"), some("multinomial")
    more = out + np.log(7)
    np.testing.assert_allclose(likelihood.nll(more, s, x), likelihood.nll(out, s, x), rtol=1e-9)
    np.testing.assert_allclose(likelihood.mean(more), likelihood.mean(out), rtol=1e-12)


def test_bernoulli_is_linear_in_x_and_exact_far_out() -> None:
    likelihood, logits = rl.make("bernoulli"), np.linspace(-30, 30, 61)
    of_zero, of_one, of_grey = (likelihood.nll(logits, logits, np.full(61, x)) for x in (0, 1, 0.3))
    p, q = expit(logits), expit(-logits)  # q by itself, because 1 - p loses digits
    for got, prob in ((of_one, p), (of_zero, q)):
        want = -stats.bernoulli.logpmf(1, prob)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(of_grey, 0.7 * of_zero + 0.3 * of_one, rtol=1e-12)

    logits = np.array([1000.0, 1000.0, -1000.0, -1000.0, 1000.0])
    x = np.array([1.0, 0.0, 0.0, 1.0, 0.25])
    np.testing.assert_array_equal(likelihood.nll(logits, logits, x), [0, 1000, 0, 1000, 750])


LOGITS = [-700.0, -40.0, -3.0, -0.21, -0.2, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 0.2, 0.21, 3.0, 40.0]


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_integrates_to_1_and_has_its_mean(logit: float) -> None:
    likelihood, out = rl.make("continuous_bernoulli"), np.array([logit])
    edge = 40 / max(abs(logit), 40)  # nearly all of the mass is this close to 0 or 1
    edge = edge if logit < 0 else 1 - edge

    def integral(power: int) -> float:
        def integrand(x: float) -> float:
            nll = likelihood.nll(out, out, np.array([x]))
            return x**power * math.exp(-nll[0])

        points = [edge] if 0 < edge < 1 else None
        return float(integrate.quad(integrand, 0, 1, points=points, epsabs=1e-13)[0])

    assert integral(0) == pytest.approx(1, rel=1e-10)
    assert likelihood.mean(out)[0] == pytest.approx(integral(1), rel=1e-10)


def test_continuous_bernoulli_has_the_normaliser_of_its_paper() -> None:
    """p(x) = C p^x (1 - p)^(1 - x), C = 2 artanh(1 - 2 p) / (1 - 2 p) (Loaiza-Ganem 2019)."""
    p, x = np.array([0.01, 0.3, 0.499, 0.7, 0.999]), np.linspace(0, 1, 5)
    constant = 2 * np.arctanh(1 - 2 * p) / (1 - 2 * p)
    log_density = np.log(constant) + x * np.log(p) + (1 - x) * np.log1p(-p)
    nll = rl.make("continuous_bernoulli").nll(np.log(p / (1 - p)), p, x)
    np.testing.assert_allclose(nll, -log_density, rtol=1e-11, atol=1e-14)


def test_continuous_bernoulli_is_scipys_truncated_exponential() -> None:
    """The rate is |l| on [0, 1]. The density falls from 0 where l < 0, and from 1 where l > 0."""
    logits, x = np.array([-30.0, -4.0, -0.1, 0.1, 4.0, 30.0])[:, None], np.linspace(0, 1, 7)
    size, from_end = abs(logits), np.where(logits < 0, x, 1 - x)
    want = -stats.truncexpon.logpdf(from_end, size, scale=1 / size)
    got = rl.make("continuous_bernoulli").nll(logits, logits, x)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    mean = stats.truncexpon.mean(size, scale=1 / size)
    mean = np.where(logits < 0, mean, 1 - mean)
    np.testing.assert_allclose(rl.make("continuous_bernoulli").mean(logits), mean, rtol=1e-10)


def test_continuous_bernoulli_is_smooth_where_its_series_begins_and_finite_far_out() -> None:
    likelihood = rl.make("continuous_bernoulli")
    near = np.concatenate([sign * np.array([0.2 - 1e-13, 0.2 + 1e-13]) for sign in (-1, 1)])
    below, above = likelihood.mean(near).reshape(2, 2).T
    np.testing.assert_allclose(below, above, rtol=0, atol=1e-13)
    far = np.array([-1e30, -1e4, 1e4, 1e30])
    np.testing.assert_allclose(likelihood.mean(far), [0, 1e-4, 1 - 1e-4, 1], rtol=1e-12, atol=1e-29)
    x = np.array([0.0, 0.0, 1.0, 1.0])  # the likely end, where the density is |l|
    np.testing.assert_allclose(likelihood.nll(far, far, x), -np.log(abs(far)), rtol=1e-12)


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_count_masses_sum_to_1_and_have_their_mean(name: str) -> None:
    likelihood = rl.make(name)
    x = np.arange(40_000.0)
    for s in DISPERSIONS[1:]:
        out = np.log([0.3, 4.0, 60.0])[:, None]
        mass = np.exp(-likelihood.nll(out, np.array([s]), x))
        np.testing.assert_allclose(mass.sum(axis=1), 1, rtol=1e-9)
        np.testing.assert_allclose(mass @ x, likelihood.mean(out)[:, 0], rtol=1e-9)
        m = likelihood.mean(out)[:, 0]
        variance = m + (m**2 / np.exp(s) if name == "negative_binomial" else 0)
        np.testing.assert_allclose(mass @ x**2 - m**2, variance, rtol=1e-8)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "student_t"])
def test_densities_integrate_to_1_and_have_their_mean(name: str) -> None:
    out, s = np.array([0.7]), np.array([-0.4])

    def integral(function: str) -> float:
        def integrand(x: float) -> float:
            density = math.exp(-rl.make(name).nll(out, s, np.array([x]))[0])
            return density * (x if function == "mean" else 1)

        halves = [(-math.inf, 0.7), (0.7, math.inf)]
        return sum(float(integrate.quad(integrand, *half)[0]) for half in halves)

    assert integral("one") == pytest.approx(1, rel=1e-7)
    assert rl.make(name).mean(out)[0] == pytest.approx(integral("mean"), rel=1e-6)


def test_means_of_bernoulli_and_categorical_are_probabilities() -> None:
    out, _, _ = some("bernoulli")
    np.testing.assert_allclose(rl.make("bernoulli").mean(out), expit(out), rtol=1e-14)
    np.testing.assert_allclose(rl.make("categorical").mean(out), softmax(out, 1), rtol=1e-13)


@pytest.mark.parametrize("dispersion", [1e3, 1e6])
def test_a_negative_binomial_with_a_large_dispersion_is_nearly_poisson(dispersion: float) -> None:
    out, _, x = some("poisson")
    got = rl.make("negative_binomial").nll(out, np.full(5, math.log(dispersion)), x)
    want = rl.make("poisson").nll(out, out, x)
    bound = (np.square(x - np.exp(out)) + x + 1) / dispersion  # leading term of the difference
    assert (abs(got - want) <= bound).all()


# --- Gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", rl.LIKELIHOODS)
def test_d_out_is_the_slope_of_the_nll(name: str) -> None:
    likelihood, (out, s, x), h = rl.make(name), some(name), 1e-5
    if name == "categorical":
        x[::2] *= 0.3  # the formulas also hold if x does not add up to 1
    got = likelihood.d_out(out, s, x)
    for j in range(out.shape[1]):  # sums the row: every categorical output affects every column
        step = h * np.eye(out.shape[1])[j]
        up, down = (likelihood.nll(out + d, s, x).sum(axis=1) for d in (step, -step))
        np.testing.assert_allclose(got[:, j], (up - down) / (2 * h), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WITH_SCALE)
def test_d_scale_is_the_slope_of_the_nll(name: str) -> None:
    likelihood, (out, s, x), h = rl.make(name), some(name), 1e-5
    up, down = (likelihood.nll(out, s + d, x) for d in (h, -h))
    got = likelihood.d_scale(out, s, x)
    np.testing.assert_allclose(got, (up - down) / (2 * h), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WITH_SCALE)
def test_the_expected_slope_at_the_truth_is_zero(name: str) -> None:
    """E[d log p / d parameter] is 0 for any normalized density, so the constants are right."""
    n, s = 200_000, np.array([0.3])
    rng, out = np.random.default_rng(5), np.full((n, 1), 0.5)
    scale, m = np.exp(s[0]), math.exp(0.5)
    draws = {
        "gaussian": lambda: rng.normal(0.5, scale, n),
        "laplace": lambda: rng.laplace(0.5, scale, n),
        "student_t": lambda: 0.5 + scale * rng.standard_t(4, n),
        "negative_binomial": lambda: rng.negative_binomial(scale, scale / (scale + m), n),
    }
    x = np.asarray(draws[name](), float)[:, None]
    for slope in (rl.make(name).d_out, rl.make(name).d_scale):
        values = slope(out, s, x)
        assert abs(values.mean()) < 4 * values.std() / math.sqrt(n)


@pytest.mark.parametrize("name", rl.LIKELIHOODS)
def test_everything_is_finite_at_large_outputs(name: str) -> None:
    size = 80.0 if rl.LIKELIHOODS[name].counts else 1e4
    out = np.array([[-size, -1.0, 0.0, 1.0, size]])
    x = np.array([[0.0, 0.0, 1.0, 1.0, 0.0]])
    for s in (np.full(5, -7.0), np.full(5, 7.0)):
        values = [rl.make(name).nll(out, s, x), rl.make(name).d_out(out, s, x)]
        values += [rl.make(name).d_scale(out, s, x)] if name in WITH_SCALE else []
        assert all(np.isfinite(value).all() for value in values)


@pytest.mark.parametrize("name", rl.LIKELIHOODS)
def test_float32_stays_float32(name: str) -> None:
    """The tests of the core use these formulas in float32 to measure rounding errors."""
    out, s, x = (array.astype(np.float32) for array in some(name))
    values = [rl.make(name).nll(out, s, x), rl.make(name).d_out(out, s, x), rl.make(name).mean(out)]
    values += [rl.make(name).d_scale(out, s, x)] if name in WITH_SCALE else []
    assert {value.dtype for value in values} == {np.dtype(np.float32)}


# --- The analytically optimal sigma ---------------------------------------------------------------


def test_the_optimal_sigma_is_the_best_one_and_stays_in_its_range() -> None:
    out, _, x = some("gaussian")
    gaussian = rl.Gaussian()
    s = gaussian.optimal_log_sigma(out, x)
    assert s.shape == (5,) and len(set(s)) == 1
    best = gaussian.nll(out, s, x).sum()
    assert all(gaussian.nll(out, s + d, x).sum() > best for d in (-0.01, 0.01))
    np.testing.assert_array_equal(gaussian.optimal_log_sigma(x, x), -7)
    np.testing.assert_array_equal(gaussian.optimal_log_sigma(x, x + 1e9), 14)


# --- Columns --------------------------------------------------------------------------------------


def test_blocks_are_consecutive_and_their_scales_numbered() -> None:
    got = rl.blocks([("gaussian", 2), ("categorical", 3), ("student_t", 1)], 6, df=7.0)
    assert [(b.columns.start, b.columns.stop) for b in got] == [(0, 2), (2, 5), (5, 6)]
    assert [b.scale for b in got] == ["columns.0.log_sigma", "", "columns.2.log_scale"]
    assert [b.mode for b in got] == ["per_feature"] * 3
    assert got[2].likelihood == rl.StudentT(7.0)
    (alone,) = rl.blocks([("negative_binomial", 4)], 4, "global")
    assert (alone.scale, alone.mode) == ("log_dispersion", "global")


def test_blocks_that_make_no_sense_are_refused() -> None:
    two = [("gaussian", 2), ("laplace", 2)]
    with pytest.raises(ValueError, match="not 5 features"):
        rl.blocks(two, 5)
    with pytest.raises(ValueError, match="with scales"):
        rl.blocks(two, 4, ["fixed"])
    for columns in (two, "laplace"):
        with pytest.raises(ValueError, match="one gaussian block"):
            rl.blocks(columns, 4, "optimal")
