"""Every kind of model that `VAE` offers: what it learns, and the contract of the estimator."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cores import python
from vaefast import VAE, DivergenceError, _core, load, optimizers, schedules
from vaefast.tables import Table


def small(**params: Any) -> VAE:
    settings = {"hidden_layer_sizes": (16,), "epochs": 2, "batch_size": 50, "random_state": 0}
    return VAE(**{**settings, "likelihood": "gaussian", "verbose": False, **params})


def weights(vae: VAE) -> dict[str, np.ndarray]:
    return vae.model_.weights()


def factors(n: int, features: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n, features) linear functions of two hidden numbers per row, with variance 1."""
    loadings = rng.standard_normal((2, features))
    return rng.standard_normal((n, 2)) @ (loadings / np.linalg.norm(loadings, axis=0))


def data_of(likelihood: str, n: int = 1000) -> np.ndarray:
    """Return data for the likelihood that depend on two hidden numbers per row."""
    rng = np.random.default_rng(0)
    f = factors(n, 8, rng)
    if likelihood == "categorical":  # eight variables of three values
        cut = (f + 0.2 * rng.standard_normal(f.shape))[..., None] > [-0.5, 0.5]
        return np.eye(3, dtype=np.float32)[cut.sum(axis=2)].reshape(n, 24)
    return {
        "bernoulli": lambda: rng.random(f.shape) < 1 / (1 + np.exp(-4 * f)),
        "continuous_bernoulli": lambda: rng.beta(8 * stats.norm.cdf(f), 8 * stats.norm.sf(f)),
        "gaussian": lambda: f + 0.3 * rng.standard_normal(f.shape),
        "laplace": lambda: f + rng.laplace(scale=0.2, size=f.shape),
        "student_t": lambda: f + 0.2 * rng.standard_t(3, f.shape),
        "poisson": lambda: rng.poisson(np.exp(f + 1)),
        "multinomial": lambda: rng.poisson(np.exp(f + 1)),
        "negative_binomial": lambda: rng.poisson(np.exp(f + 1) * rng.gamma(4, 0.25, f.shape)),
    }[likelihood]().astype(np.float32)  # fmt: skip


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return data_of("gaussian", 400)


# ------------------------------------------------------------------ likelihoods


@pytest.mark.parametrize("likelihood", _core.LIKELIHOODS)
def test_every_likelihood_learns_data_of_its_kind(likelihood):
    """Unseen rows score better than after one epoch, and better than with a collapsed posterior."""
    X = data_of(likelihood)
    columns = [("categorical", 3)] * 8 if likelihood == "categorical" else likelihood
    params = {"likelihood": columns, "epochs": 30, "learning_rate": 5e-3}
    vae = small(**params).fit(X[:800], validation=X[800:])
    blind = small(**params, beta=1000.0).fit(X[:800])  # beta makes the posterior collapse
    validation = vae.history_["validation"]
    assert validation[-1] > validation[0] + 0.1
    assert vae.score(X[800:]) > blind.score(X[800:]) + 0.1
    assert vae.log_likelihood(X[800:], n_samples=100).mean > vae.score(X[800:])


def test_rates_are_recovered_whatever_the_exposure():
    """The counts come from two groups of rows with different rates and from different times."""
    rng = np.random.default_rng(0)
    rates = np.array([[0.5, 4, 1, 6, 2, 3], [5, 0.5, 4, 1, 3, 0.5]])
    group = rng.integers(0, 2, 1500)
    hours = rng.uniform(0.5, 4, 1500)
    X = rng.poisson(hours[:, None] * rates[group])
    vae = small(likelihood="poisson", epochs=40, learning_rate=5e-3).fit(X, exposure=hours)
    for g in (0, 1):
        found = vae.reconstruct(X[group == g]).mean(axis=0)  # per hour
        np.testing.assert_allclose(found, rates[g], rtol=0.15, atol=0.1)
    blind = small(likelihood="poisson", epochs=40, learning_rate=5e-3).fit(X)
    assert vae.evaluate(X, exposure=hours)["elbo"] > blind.evaluate(X)["elbo"]


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("size", [10, 1000, 100_000])
def test_large_counts_train(likelihood, size):
    """Counts up to hundreds train as they are, and larger ones with their size as exposure."""
    rng = np.random.default_rng(0)
    rates = np.exp(factors(600, 6, rng))
    X = rng.poisson(size * rates * rng.gamma(20, 1 / 20, rates.shape))
    vae = small(likelihood=likelihood, epochs=100, learning_rate=0.01)
    vae.fit(X, exposure=None if size < 1000 else np.full(600, size))
    found = vae.reconstruct(X) / (size if size < 1000 else 1)
    assert vae.history_["elbo"][-1] > vae.history_["elbo"][0]
    assert np.sqrt(np.mean((np.log(found) - np.log(rates)) ** 2)) < 0.5
    plain = small(likelihood=likelihood, epochs=1).fit(X)
    assert np.isfinite(plain.score(X))


@pytest.mark.filterwarnings("ignore:posterior collapse")  # the large beta causes it
def test_the_dispersion_is_recovered():
    rng = np.random.default_rng(0)
    X = rng.poisson(4 * rng.gamma(2.0, 1 / 2.0, (3000, 6)))
    vae = small(likelihood="negative_binomial", sigma="global", epochs=30, learning_rate=5e-3)
    vae.set_params(beta=100.0).fit(X)
    np.testing.assert_allclose(np.exp(weights(vae)["log_dispersion"]), 2.0, rtol=0.15)


@pytest.mark.parametrize("sigma", ["per_feature", "global", "optimal", 0.25])
def test_sigma_can_be_set_in_four_ways(sigma):
    noise = np.linspace(0.1, 0.6, 6)
    rng = np.random.default_rng(1)
    X = (factors(2000, 6, rng) + noise * rng.standard_normal((2000, 6))).astype(np.float32)
    vae = small(sigma=sigma, epochs=30, learning_rate=5e-3).fit(X)
    found = np.exp(weights(vae)["log_sigma"])
    mu, logvar = vae.encode(X)
    x = vae.inverse_transform(mu + np.exp(logvar / 2) * rng.standard_normal(mu.shape))
    best = np.sqrt(((X - x) ** 2).mean(axis=0))  # per column: the sigma that maximizes the ELBO
    if sigma == "per_feature":
        np.testing.assert_allclose(found, best, rtol=0.1)
        assert (np.diff(found[1:]) > 0).all(), "as the noise of the columns"
    else:
        one = 0.25 if sigma == 0.25 else np.sqrt((best**2).mean())
        np.testing.assert_allclose(found, one, rtol=0.05)
        assert len(set(found.tolist())) == 1
    draws = vae.sample(4000, random_state=0, draw=True) - vae.sample(4000, random_state=0)
    np.testing.assert_allclose(draws.std(axis=0), found, rtol=0.05)


def test_heavy_tails_are_for_student_t():
    rng = np.random.default_rng(0)
    X = factors(1200, 6, rng) + 0.2 * rng.standard_t(2, (1200, 6))
    scores = {
        likelihood: small(likelihood=likelihood, df=2.0, epochs=30, learning_rate=5e-3)
        .fit(X[:1000]).score(X[1000:])
        for likelihood in ("gaussian", "student_t")
    }  # fmt: skip
    assert scores["student_t"] > scores["gaussian"] + 1


def people(n: int) -> dict[str, np.ndarray]:
    """Return a table of people; height, weight, smoking and visits depend on sex."""
    rng = np.random.default_rng(0)
    sex = rng.random(n) < 0.4
    height = np.where(sex, 178, 165) + 7 * rng.standard_normal(n)
    weight = 0.9 * (height - 100) + 6 * rng.standard_normal(n)
    return {
        "height": height,
        "weight": weight,
        "sex": np.where(sex, "m", "f"),
        "city": rng.choice(["Lima", "Oslo", "Rome"], n, p=[0.2, 0.5, 0.3]),
        "smoker": rng.random(n) < np.where(sex, 0.4, 0.1),
        "visits": rng.poisson(np.where(sex, 1.0, 4.0)),
    }


def test_a_table_drawn_looks_like_the_table():
    frame = people(3000)
    table = Table.learn(frame, counts=["visits"])
    X = table.encode(frame)
    vae = VAE(
        4, (64,), likelihood=table.columns, epochs=60, learning_rate=3e-3, batch_size=100,
        random_state=0, verbose=False,
    ).fit(X)  # fmt: skip
    drawn = table.decode(vae.sample(6000, random_state=1, draw=True))
    assert list(drawn) == list(frame)
    for name in ("height", "weight", "visits"):
        assert drawn[name].mean() == pytest.approx(frame[name].mean(), abs=0.15 * frame[name].std())
        assert drawn[name].std() == pytest.approx(frame[name].std(), rel=0.15)
    for name in ("sex", "city"):
        for value in np.unique(frame[name]):
            share = (frame[name] == value).mean()
            assert (drawn[name] == value).mean() == pytest.approx(share, abs=0.06)
    assert drawn["smoker"].mean() == pytest.approx(frame["smoker"].mean(), abs=0.05)

    def joint(of: dict[str, np.ndarray]) -> list[float]:
        man = of["sex"] == "m"
        return [
            np.corrcoef(of["height"], of["weight"])[0, 1],
            (of["height"][man].mean() - of["height"][~man].mean()) / 10,
            (of["visits"][man].mean() - of["visits"][~man].mean()) / 5,
            of["smoker"][man].mean() - of["smoker"][~man].mean(),
        ]

    np.testing.assert_allclose(joint(drawn), joint(frame), atol=0.15)


# ------------------------------------------------------------------ objectives


def test_a_plain_autoencoder_has_no_kl_and_reconstructs_better(X):
    params = {"sigma": 0.3, "epochs": 40, "learning_rate": 5e-3}
    vae, plain = (small(**params, objective=name).fit(X) for name in ("elbo", "autoencoder"))
    assert plain.evaluate(X)["kl"] == 0
    assert plain.evaluate(X)["elbo"] == -plain.evaluate(X)["reconstruction"]
    assert set(plain.history_["kl"]) == {0.0}
    assert plain.history_["kl_per_dimension"][-1] == [0.0, 0.0]
    assert plain.evaluate(X)["reconstruction"] < vae.evaluate(X)["reconstruction"] - 0.1

    def error(model: VAE) -> float:
        return float(np.mean((X - model.reconstruct(X)) ** 2))

    assert error(plain) < error(vae)
    residual = (X - plain.reconstruct(X)) / 0.3  # the code is mu
    nll = (0.5 * residual**2 + np.log(0.3) + 0.5 * np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(plain.score_samples(X), -nll, rtol=1e-4, atol=1e-5)
    for method in (plain.log_likelihood, plain.diagnose):
        with pytest.raises(ValueError, match="autoencoder"):
            method(X)


def test_the_bound_of_iwae_is_the_elbo_for_one_sample_and_rises_with_more(X):
    bounds = []
    for n_samples in (1, 5, 50):
        vae = small(
            objective="iwae", n_samples=n_samples, learning_rate=0.01, epochs=20, sigma=0.3
        ).fit(X)
        bounds.append(np.mean(vae.history_["bound"][-5:]))
        if n_samples == 1:
            assert vae.history_["bound"] != vae.history_["elbo"]  # its KL is sampled
            assert bounds[0] == pytest.approx(np.mean(vae.history_["elbo"][-5:]), abs=0.1)
    assert bounds[0] + 0.05 < bounds[1] < bounds[2]


@pytest.mark.parametrize(
    "params",
    [
        {"n_samples": 4},
        {"gradient_estimator": "stl"},
        {"objective": "iwae", "n_samples": 4},
        {"objective": "iwae", "n_samples": 4, "gradient_estimator": "stl"},
        {"objective": "iwae", "n_samples": 4, "gradient_estimator": "dreg"},
    ],
    ids=str,
)
def test_estimators_of_the_gradient_reach_the_same_model(params, X):
    settings = {"sigma": 0.3, "epochs": 60, "learning_rate": 5e-3}
    plain, other = small(**settings).fit(X), small(**settings, **params).fit(X)
    assert not np.array_equal(other.transform(X), plain.transform(X))
    exact = [vae.log_likelihood(X, n_samples=300).mean for vae in (plain, other)]
    assert exact[1] == pytest.approx(exact[0], abs=0.35)


def test_free_bits_and_capacity_hold_the_kl():
    X = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)  # independent columns
    params = {"sigma": 1.0, "epochs": 60, "learning_rate": 5e-3}
    kl = {
        name: small(**params, **held).fit(X).evaluate(X)["kl"]
        for name, held in {
            "nothing": {},
            "free bits": {"free_bits": 0.5},
            "capacity": {"capacity": 2.0, "beta": 10.0},
            "rising": {"capacity": schedules.LinearWarmup(30, end=2.0), "beta": 10.0},
        }.items()
    }
    assert kl["nothing"] < 0.3
    assert kl["free bits"] == pytest.approx(1.0, abs=0.3)  # 0.5 nats for each of two dimensions
    assert kl["capacity"] == pytest.approx(2.0, abs=0.2)
    assert kl["rising"] == pytest.approx(2.0, abs=0.2)


# ------------------------------------------------------------------ log p(x)


def linear_gaussian() -> tuple[VAE, Any]:
    """Return a model x = W z + b + sigma e with a posterior nearly right, and the exact p(x)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 5))
    vae = small(
        latent_dim=2, hidden_layer_sizes=(), activation="identity", sigma=0.5, epochs=1,
        missing="mask", n_threads=1,
    ).fit(X)  # fmt: skip
    W, b, sigma = rng.standard_normal((2, 5)), rng.standard_normal(5), 0.5
    precision = np.eye(2) + W @ W.T / sigma**2
    to_mean = W.T @ np.linalg.inv(precision) / sigma**2
    tensors = {
        "mu.weight": to_mean,
        "mu.bias": -b @ to_mean,
        "logvar.weight": np.zeros((5, 2)),
        "logvar.bias": -np.log(np.diag(precision)) + 0.3,  # slightly wide, and without covariance
        "output.weight": W,
        "output.bias": b,
        "log_sigma": np.full(5, np.log(sigma)),
    }
    vae.model_.set_weights({name: value.astype(np.float32) for name, value in tensors.items()})
    return vae, stats.multivariate_normal(b, W.T @ W + sigma**2 * np.eye(5))


def test_log_likelihood_agrees_with_the_exact_marginal_within_its_errors():
    vae, marginal = linear_gaussian()
    X = marginal.rvs(200, random_state=1).astype(np.float32)
    estimate = vae.log_likelihood(X, n_samples=2000)
    exact = marginal.logpdf(X)
    off = (estimate.rows - exact) / estimate.row_errors
    assert estimate.rows.shape == estimate.row_errors.shape == (200,)
    assert (estimate.row_errors < 0.1).all()
    assert np.abs(off).max() < 5
    assert 0.7 < off.std() < 1.3, "the errors are neither too small nor too large"
    assert abs(estimate.mean - exact.mean()) < 4 * estimate.standard_error
    many = marginal.rvs(20_000, random_state=2).astype(np.float32)  # the gap is 0.08 nats
    assert vae.score(many) < marginal.logpdf(many).mean() - 0.02, "the ELBO is not log p(x)"
    few = vae.log_likelihood(X, n_samples=20)
    assert few.standard_error > 5 * estimate.standard_error
    assert str(estimate).startswith(f"log p(x) = {estimate.mean:.3f} +- ")


def test_log_likelihood_of_partly_missing_rows_is_that_of_the_marginal():
    vae, marginal = linear_gaussian()
    X = marginal.rvs(50, random_state=1).astype(np.float32)
    X[:, [1, 4]] = np.nan
    tensors = {name: 0 * t if name[:2] in ("mu", "lo") else t for name, t in weights(vae).items()}
    vae.model_.set_weights({**tensors, "log_sigma": weights(vae)["log_sigma"]})  # q is the prior
    known = [0, 2, 3]
    exact = stats.multivariate_normal(marginal.mean[known], marginal.cov[np.ix_(known, known)])
    estimate = vae.log_likelihood(X, n_samples=20_000)
    off = (estimate.rows - exact.logpdf(X[:, known])) / estimate.row_errors
    assert (estimate.row_errors < 0.15).all()
    assert np.abs(off).max() < 4.5


@pytest.mark.parametrize(
    ("own", "asked", "shown"),
    [(False, True, True), (False, None, False), (True, None, True), (True, False, False)],
)
def test_log_likelihood_shows_progress_where_it_is_asked_for(X, own, asked, shown, capfd):
    vae = small(epochs=1).fit(X)
    capfd.readouterr()
    vae.set_params(verbose=own).log_likelihood(X, n_samples=5, verbose=asked)
    assert ("log p(x): -" in capfd.readouterr().err) == shown


def test_log_likelihood_takes_no_more_memory_for_more_rows_and_samples():
    done = python(
        """
import resource
import warnings
import numpy as np
from vaefast import VAE

def peak():  # kilobytes, but on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

X = np.random.default_rng(0).random((1000, 400), dtype=np.float32)
warnings.simplefilter("ignore")  # of a single step
vae = VAE(2, (16,), epochs=1, n_threads=2, verbose=False).fit(X)
vae.log_likelihood(X[:200], n_samples=200)
before = peak()
vae.log_likelihood(X, n_samples=2000)  # a gigabyte and a half, if all x of all z were kept
print(peak() / before)
"""
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.1


def test_log_likelihood_is_the_same_at_every_call_in_any_company_by_any_threads(tmp_path):
    vae, marginal = linear_gaussian()
    X = marginal.rvs(40, random_state=1).astype(np.float32)
    estimate = vae.log_likelihood(X, n_samples=700)
    again = vae.log_likelihood(X, n_samples=700)
    np.testing.assert_array_equal(again.rows, estimate.rows)
    np.testing.assert_array_equal(again.row_errors, estimate.row_errors)
    np.testing.assert_array_equal(
        vae.log_likelihood(X[7:9], n_samples=700).rows, estimate.rows[7:9]
    )
    other = vae.log_likelihood(X, n_samples=700, random_state=1)
    assert not np.array_equal(other.rows, estimate.rows)
    vae.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "model.safetensors").log_likelihood(X, n_samples=700).rows, estimate.rows
    )
    for n_threads in (2, 3):
        twin = small(**{**vae.get_params(), "n_threads": n_threads}).fit(X)
        twin.model_.set_weights(weights(vae))
        rows = twin.log_likelihood(X, n_samples=700).rows
        np.testing.assert_array_equal(rows, estimate.rows)


# ------------------------------------------------------------------ missing values


def test_masked_training_fills_half_missing_data_better_than_means():
    rng = np.random.default_rng(0)
    X = (factors(2000, 10, rng) + 0.2 * rng.standard_normal((2000, 10))).astype(np.float32)
    hidden = rng.random(X.shape) < 0.5
    holes = np.where(hidden, np.nan, X)
    vae = small(missing="mask", hidden_layer_sizes=(64,), epochs=60, learning_rate=3e-3).fit(holes)
    filled = vae.impute(holes)
    means = np.broadcast_to(np.nanmean(holes, axis=0), X.shape)

    def error(guess: np.ndarray) -> float:
        return float(np.sqrt(np.mean((guess - X)[hidden] ** 2)))

    assert error(filled) < 0.7 * error(means)
    np.testing.assert_array_equal(filled[~hidden], X[~hidden])
    assert np.isfinite(filled).all()
    assert error(filled) < error(vae.reconstruct(holes))
    np.testing.assert_array_equal(vae.impute(holes[7:9]), filled[7:9])
    assert (vae.impute(holes, random_state=1) != filled).any()
    with pytest.raises(ValueError, match="n_samples=0 must be at least 1"):
        vae.impute(holes, n_samples=0)
    np.testing.assert_array_equal(vae.impute(X), X)
    exact = X.astype(np.float64)
    masked = np.ma.masked_array(exact, hidden)
    np.testing.assert_array_equal(vae.impute(masked), vae.impute(np.where(hidden, np.nan, exact)))


def test_a_plain_autoencoder_fills_what_it_reconstructs(X):
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
    vae = small(missing="mask", objective="autoencoder").fit(holes)
    filled, gone = vae.impute(holes), np.isnan(holes)
    np.testing.assert_array_equal(filled[gone], vae.reconstruct(holes)[gone])


def test_missing_cells_of_a_table_get_values_of_their_kind():
    frame = people(1500)
    table = Table.learn(frame, counts=["visits"])
    X = table.encode(frame)
    rng = np.random.default_rng(1)
    holes = X.copy()
    first = 0
    for _, count in table.columns:  # all columns of a category, or none
        gone = rng.random(len(X)) < 0.2
        holes[gone, first : first + count] = np.nan
        first += count
    vae = VAE(
        3, (32,), likelihood=table.columns, missing="mask", epochs=30, learning_rate=3e-3,
        random_state=0, verbose=False,
    ).fit(holes)  # fmt: skip
    filled = vae.impute(holes)
    known = ~np.isnan(holes)
    assert filled[known].tobytes() == X[known].tobytes()
    back = table.decode(filled)
    assert set(np.unique(back["city"])) == {"Lima", "Oslo", "Rome"}
    guessed = ~known[:, table.names.index("sex=m")]
    assert (back["sex"] == frame["sex"])[guessed].mean() > 0.75


@pytest.mark.filterwarnings("ignore:column 3 of X has no value in any row")
def test_missing_values_carry_no_information():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 4)).astype(np.float32)
    X[:, 3] = np.nan
    vae = small(missing="mask").fit(X)
    assert np.isfinite(vae.impute(X)).all()
    empty = np.full((2, 4), np.nan)
    assert vae.evaluate(empty)["reconstruction"] == 0
    np.testing.assert_array_equal(vae.transform(empty)[0], vae.transform(empty)[1])
    assert np.isfinite(vae.impute(empty)).all()
    assert weights(vae)["log_sigma"][3] == 0, "of a column that is never known"


def test_without_mask_nan_is_an_error_that_names_row_and_column(X):
    vae = small().fit(X)
    before = vae.score(X)
    holes = X.copy()
    holes[7, 3] = np.nan
    for method in (vae.fit, vae.partial_fit, vae.transform, vae.score_samples):
        with pytest.raises(ValueError, match=r"nan in row 7, column 3.*missing='mask'"):
            method(holes)
    with pytest.raises(ValueError, match="missing='mask'"):
        vae.impute(X)
    assert vae.score(X) == before


def test_missing_counts_are_filled_for_their_exposure():
    rng = np.random.default_rng(0)
    hours = rng.uniform(0.5, 5, 600)
    X = rng.poisson(hours[:, None] * [2.0, 5.0, 1.0]).astype(np.float32)
    holes = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    vae = small(likelihood="poisson", missing="mask", epochs=40, learning_rate=5e-3)
    vae.fit(holes, exposure=hours)
    gone = np.isnan(holes)
    known, unknown = hours, np.ones(600)
    errors = [np.abs(vae.impute(holes, exposure=e) - X)[gone].mean() for e in (known, unknown)]
    assert errors[0] < 0.6 * errors[1]


# ------------------------------------------------------------------ regularization


@pytest.mark.parametrize("kind", ["mask", "gaussian", "salt_and_pepper"])
def test_denoising_takes_noise_away(kind):
    """A model trained with noise on its input reconstructs the clean row from a noisy one."""
    rng = np.random.default_rng(0)
    clean = (1 / (1 + np.exp(-4 * factors(1500, 12, rng)))).astype(np.float32)
    flips = rng.random(clean.shape) < 0.3
    noisy = {
        "mask": np.where(flips, 0, clean),
        "gaussian": np.clip(clean + 0.4 * rng.standard_normal(clean.shape), 0, 1),
        "salt_and_pepper": np.where(flips, rng.random(clean.shape) < 0.5, clean),
    }[kind].astype(np.float32)
    params = {"likelihood": "bernoulli", "objective": "autoencoder", "latent_dim": 3}
    params |= {"hidden_layer_sizes": (32,), "epochs": 40, "learning_rate": 5e-3}
    plain = small(**params).fit(clean)
    denoising = small(**params, denoising=(kind, 0.4 if kind == "gaussian" else 0.3)).fit(clean)
    errors = [np.mean((vae.reconstruct(noisy) - clean) ** 2) for vae in (plain, denoising)]
    assert errors[1] < 0.8 * errors[0]
    assert small(denoising=(kind, 0.0)).fit(clean).score(clean) == small().fit(clean).score(clean)


def test_dropout_acts_only_in_training(X):
    vae = small(dropout=0.5, epochs=40).fit(X)
    plain = small(epochs=40).fit(X)
    np.testing.assert_array_equal(vae.reconstruct(X), vae.reconstruct(X))
    assert vae.history_["elbo"][-1] < plain.history_["elbo"][-1], "harder to train"
    assert vae.score(X) > vae.history_["elbo"][-1], "than to use"


def test_clipping_bounds_the_step(X):
    """A step of plain gradient descent is the learning rate times the gradient."""
    params = {"optimizer": optimizers.SGD(0.0), "learning_rate": 0.1, "epochs": 1}
    params |= {"batch_size": len(X)}

    def step(**more: Any) -> float:
        one = small(**params, **more).fit(X)
        start = small(**{**params, "learning_rate": 1e-30}, **more).fit(X)
        squares = [((weights(one)[k] - v) ** 2).sum() for k, v in weights(start).items()]
        return float(np.sqrt(sum(squares))) / 0.1

    norm = step()
    assert norm > 1
    assert step(max_grad_norm=0.5) == pytest.approx(0.5, rel=1e-3)
    assert step(max_grad_norm=2 * norm) == norm


def test_clipping_prevents_divergence():
    X = 50 * data_of("gaussian", 200)
    params = {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 3, "sigma": 0.1}
    with pytest.raises(DivergenceError), pytest.warns(UserWarning, match="standardize"):
        small(**params).fit(X)
    with pytest.warns(UserWarning, match="standardize"):
        vae = small(**params, max_grad_norm=1.0).fit(X)
    assert np.isfinite(vae.score(X))


# ------------------------------------------------------------------ conventions of all models

COLUMNS = [("gaussian", 4), ("laplace", 2), ("student_t", 2)]
KINDS: dict[str, dict[str, Any]] = {
    "columns": {"likelihood": COLUMNS},
    "columns, one sigma": {"likelihood": COLUMNS, "sigma": "global"},
    "fixed sigma": {"likelihood": "laplace", "sigma": 0.7},
    "student t": {"likelihood": "student_t", "df": 3.0},
    "optimal": {"sigma": "optimal"},
    "mask": {"missing": "mask"},
    "iwae": {"objective": "iwae", "n_samples": 3, "gradient_estimator": "dreg"},
    "autoencoder": {"objective": "autoencoder"},
    "free bits": {"free_bits": 0.1},
    "capacity": {"capacity": schedules.LinearWarmup(3, end=2.0)},
    "dropout": {"dropout": 0.2},
    "denoising": {"denoising": ("gaussian", 0.1)},
    "clipping": {"max_grad_norm": 0.5},
    "all": {"likelihood": COLUMNS, "missing": "mask", "objective": "iwae", "n_samples": 2}
    | {"dropout": 0.1, "denoising": ("mask", 0.1), "max_grad_norm": 1.0, "sigma": "global"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_every_kind_follow_the_same_conventions(kind, X, tmp_path):
    vae = small(**KINDS[kind], learning_rate=5e-3, epochs=3)
    seen: list[int] = []
    vae.fit(X, validation=X[:50], callbacks=[lambda _, record: seen.append(record["epoch"])])
    assert seen == [1, 2, 3]
    assert vae.history_["validation"][-1] == vae.score(X[:50])
    score, drawn = vae.score_samples(X), vae.sample(5, random_state=0, draw=True)
    assert np.isfinite(score).all()
    assert np.isfinite(drawn).all()
    vae.save(tmp_path / "model.safetensors")
    for twin in (pickle.loads(pickle.dumps(vae)), load(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(twin.score_samples(X), score)
        np.testing.assert_array_equal(twin.sample(5, random_state=0, draw=True), drawn)
        assert twin.history_ == vae.history_
    again = small(**KINDS[kind], learning_rate=5e-3, epochs=3, n_threads=2).fit(X)
    np.testing.assert_array_equal(again.score_samples(X), score)
    twin = copy.deepcopy(vae)
    for model in (vae, twin):
        model.partial_fit(X)
        assert model.n_iter_ == 4
    np.testing.assert_array_equal(vae.score_samples(X), twin.score_samples(X))
    assert not np.array_equal(vae.score_samples(X), score)


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learn_copies_searches_and_chains_them(kind, X):
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    vae = small(**KINDS[kind], epochs=1)
    assert base.clone(vae).get_params() == vae.get_params()
    assert eval(repr(vae), {"VAE": VAE, **vars(schedules)}).get_params() == vae.get_params()
    pipeline = make_pipeline(StandardScaler(), vae)
    search = GridSearchCV(pipeline, {"vae__latent_dim": [1, 2]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.transform(X).shape == (len(X), search.best_params_["vae__latent_dim"])


def test_a_search_tries_likelihoods_and_columns(X):
    GridSearchCV = pytest.importorskip("sklearn.model_selection").GridSearchCV
    grid = {"likelihood": ["gaussian", "laplace", COLUMNS], "denoising": [None, ("mask", 0.1)]}
    search = GridSearchCV(small(epochs=1), grid, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_fit_transform_takes_what_fit_takes():
    X = data_of("poisson", 200)
    hours = np.linspace(1, 2, 200)
    params = {"likelihood": "poisson", "epochs": 1}
    watched = (X[:20], None, hours[:20])
    Z = small(**params).fit_transform(X, exposure=hours, validation=watched)
    np.testing.assert_array_equal(Z, small(**params).fit(X, exposure=hours).transform(X))


# ------------------------------------------------------------------ combinations that are refused

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "optimal laplace": ({"likelihood": "laplace", "sigma": "optimal"}, "likelihood='gaussian'"),
    "optimal columns": ({"likelihood": COLUMNS, "sigma": "optimal"}, "likelihood='gaussian'"),
    "optimal mask": ({"sigma": "optimal", "missing": "mask"}, "can't go with missing='mask' or"),
    "optimal iwae": ({"sigma": "optimal", "objective": "iwae"}, "or objective='iwae'"),
    "no such sigma": ({"sigma": "learned"}, "sigma='learned' is unknown; expected one of per_f"),
    "sigma 0": ({"sigma": 0.0}, "sigma=0.0 must be greater than 0"),
    "df 0": ({"df": 0}, "df=0 must be greater than 0"),
    "dreg elbo": ({"gradient_estimator": "dreg"}, "objective='elbo', which allows standard, stl"),
    "stl autoencoder": (
        {"gradient_estimator": "stl", "objective": "autoencoder"},
        "objective='autoencoder', which allows standard",
    ),
    "no such estimator": ({"gradient_estimator": "path"}, "expected one of standard, stl, dreg"),
    "no such objective": ({"objective": "vae"}, "'vae' is unknown; expected one of elbo, iwae"),
    "free bits iwae": ({"free_bits": 0.1, "objective": "iwae"}, "free_bits needs objective='elbo'"),
    "free bits stl": ({"free_bits": 0.1, "gradient_estimator": "stl"}, "gradient_estimator='stand"),
    "capacity autoencoder": (
        {"capacity": 1.0, "objective": "autoencoder"},
        "capacity needs objective='elbo'",
    ),
    "both": ({"capacity": 1.0, "free_bits": 0.1}, "exclude each other: set one of them"),
    "capacity below 0": ({"capacity": -1.0}, "capacity=-1.0 must be at least 0"),
    "free bits below 0": ({"free_bits": -1}, "free_bits=-1 must be at least 0"),
    "samples of none": ({"n_samples": 5, "objective": "autoencoder"}, "n_samples needs samples"),
    "no samples": ({"n_samples": 0}, "n_samples=0 must be at least 1"),
    "too many samples": ({"n_samples": 10**6}, "n_samples=1000000 must be at most 1000"),
    "dropout of all": ({"dropout": 1.0}, "dropout=1.0 must be less than 1"),
    "a noise alone": ({"denoising": "mask"}, r"a kind of noise and an amount, such as \('mask'"),
    "no such noise": ({"denoising": ("blur", 1)}, "'blur' is unknown; expected one of mask, drop"),
    "noise below 0": ({"denoising": ("gaussian", -1)}, "must be at least 0"),
    "mask of all": ({"denoising": ("mask", 1.0)}, "must be less than 1"),
    "clipped to 0": ({"max_grad_norm": 0}, "max_grad_norm=0 must be greater than 0"),
    "no such missing": ({"missing": "nan"}, "missing='nan' is unknown; expected one of error"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_combinations_are_refused_and_leave_the_fit(case, X):
    params, message = REFUSED[case]
    vae = small(epochs=1).fit(X)
    before = vae.score(X)
    with pytest.raises((ValueError, TypeError), match=message):
        vae.set_params(**params).fit(X)
    with pytest.raises((ValueError, TypeError), match=message):
        small(**params).partial_fit(X)
    assert vae.score(X) == before
    assert vae.n_iter_ == 1


def test_partial_fit_goes_on_as_fitted_whatever_is_set(X, tmp_path):
    vae = small(objective="iwae", n_samples=2).fit(X)
    vae.set_params(capacity=3.0)
    with pytest.raises(ValueError, match="capacity needs objective='elbo'"):
        vae.partial_fit(X)
    vae.set_params(capacity=None, objective="autoencoder", missing="mask").partial_fit(X)
    assert vae.history_["kl"][-1] > 0
    plain = small(objective="autoencoder").fit(X)
    plain.set_params(objective="elbo").partial_fit(X, validation=X)
    assert plain.history_["validation"][-1] == plain.score(X)
    assert plain.history_["kl"][-1] == 0
    plain.save(tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").objective == "autoencoder"


def test_weight_decay_keeps_weights_small(X):
    def size(decay: float) -> float:
        vae = small(
            optimizer=optimizers.AdamW(weight_decay=decay), learning_rate=1e-2, epochs=20
        ).fit(X)
        return float(sum(np.square(w).sum() for w in weights(vae).values() if w.ndim == 2))

    sizes = [size(decay) for decay in (0.0, 0.3, 3.0)]
    assert sizes[0] > 1.1 * sizes[1] > 1.1**2 * sizes[2]
