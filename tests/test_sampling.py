"""Codes of new rows: the prior, and distributions that are fitted to the codes of the fit."""

import base64
import threading

import numpy as np
import pytest

import vaefast
from commands import succeed
from vaefast import VAE
from vaefast._engine.container import pack
from vaefast._engine.priors import Mixture, Posteriors, mixture
from vaefast._engine.storage import parts_of
from vaefast.explore.content import page_content

FITTED = ("gaussian", "mixture", "second_stage")
rng = np.random.default_rng(0)
GROUPS = rng.integers(0, 3, 600)
CENTRES = np.array([[4.0, 0, 0, 1], [-4, 3, 0, -1], [0, -5, 4, 0]])
X = (CENTRES[GROUPS] + 0.3 * rng.standard_normal((600, 4))).astype(np.float32)


def fit(rows=X, y=None, **params) -> VAE:
    settings = {"likelihood": "gaussian", "epochs": 60, "batch_size": 32, "learning_rate": 3e-3}
    vae = VAE(2, (32,), **{**settings, "random_state": 0, "verbose": False, **params})
    return vae.fit(rows, y)


@pytest.fixture(scope="module")
def vae() -> VAE:
    return fit()


def distances(rows: np.ndarray) -> np.ndarray:
    """Return how far each row is from the nearest of the three groups."""
    return np.sqrt(((rows[:, None] - CENTRES) ** 2).sum(axis=2)).min(axis=1)


def test_samples_of_the_mixture_lie_where_the_rows_lie(vae):
    far = {prior: (distances(vae.sample(500, 0, prior=prior)) > 2).mean() for prior in
           ("prior", "mixture", "second_stage")}  # fmt: skip
    assert far["mixture"] < 0.05
    assert far["mixture"] < far["prior"] / 2  # the prior has codes between the groups
    assert far["second_stage"] < far["prior"]
    drawn = vae.sample(3_000, 0, draw=True)
    shares = np.bincount(((drawn[:, None] - CENTRES) ** 2).sum(axis=2).argmin(axis=1)) / 3_000
    np.testing.assert_allclose(shares, np.bincount(GROUPS) / 600, atol=0.05)


def test_the_default_is_the_mixture(vae):
    np.testing.assert_array_equal(vae.sample(5, 1), vae.sample(5, 1, prior="mixture"))


def test_a_gaussian_has_the_moments_of_the_codes(vae):
    mu, logvar = vae.encode(X)
    codes = vae.transform(X)
    fitted = Mixture.fit(Posteriors(mu, logvar).draw(20_000, np.random.default_rng(1)), 1)
    np.testing.assert_allclose(fitted.means[0], codes.mean(axis=0), atol=0.05)
    covariance = np.cov(codes.T) + np.diag(np.exp(logvar).mean(axis=0))
    np.testing.assert_allclose(fitted.factors[0] @ fitted.factors[0].T, covariance, atol=0.1)


def test_expectation_maximization_finds_groups_and_their_number():
    codes = np.concatenate([rng.normal(c, 0.1, (700, 2)) for c in ((0, 0), (3, 0), (0, 3), (3, 3))])
    posteriors = Posteriors(codes.astype(np.float32), np.full(codes.shape, -9, np.float32))
    found = mixture(posteriors)
    assert 4 <= len(found.shares) <= 16
    fresh = np.concatenate([rng.normal(c, 0.1, (200, 2)) for c in ((0, 0), (3, 0), (0, 3), (3, 3))])
    best_possible = -np.log(4) - np.log(2 * np.pi * 0.1**2) - 1  # nats per code
    assert found.log_density(fresh).mean() > best_possible - 0.15


@pytest.mark.parametrize("value", [0.0, 3.0, 4e29])
def test_codes_that_are_all_alike_have_a_mixture_too(value):
    alike = Posteriors(np.full((50, 3), value, np.float32), np.full((50, 3), -np.inf, np.float32))
    drawn = mixture(alike).draw(20, np.random.default_rng(0), 1.0)
    np.testing.assert_allclose(drawn, value, rtol=1e-4, atol=1e-4)


def test_a_density_integrates_to_one(vae):
    vae.sample(1, 0)
    found = vae.model_.priors["mixture"]
    axis = np.linspace(-8, 8, 321)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert np.exp(found.log_density(grid)).sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(
        1, 0.02
    )


@pytest.mark.parametrize("prior", FITTED)
def test_a_fitted_prior_is_kept_in_the_file(prior, vae, tmp_path):
    expected = vae.sample(7, 3, prior=prior, draw=True)
    vae.save(tmp_path / "model.safetensors")
    loaded = vaefast.load(tmp_path / "model.safetensors")
    assert prior in loaded.model_.priors
    np.testing.assert_array_equal(loaded.sample(7, 3, prior=prior, draw=True), expected)


@pytest.mark.parametrize("prior", FITTED)
def test_a_file_can_fit_its_prior_after_it_is_loaded(prior, tmp_path):
    fresh = fit(epochs=2)
    fresh.save(tmp_path / "model.safetensors")
    loaded = vaefast.load(tmp_path / "model.safetensors")
    assert not loaded.model_.priors
    np.testing.assert_array_equal(loaded.sample(7, 3, prior=prior), fresh.sample(7, 3, prior=prior))


def test_more_training_fits_the_prior_anew():
    fresh = fit(epochs=2)
    fresh.sample(1, 0)
    before = fresh.model_.priors["mixture"]
    fresh.partial_fit(X)
    fresh.sample(1, 0)
    assert fresh.model_.priors["mixture"] is not before


def test_codes_of_earlier_batches_stay():
    vae = VAE(2, (8,), likelihood="gaussian", random_state=0, verbose=False)
    for rows in (X[GROUPS == 0], X[GROUPS == 1], X[GROUPS == 2]):
        vae.partial_fit(rows)
    assert len(vae.model_.posteriors.mu) == len(X)
    again = vaefast.from_bytes(vae.to_bytes(training=True))
    rows = np.repeat(X[GROUPS == 1], 20, axis=0)  # 4,000: many more than are kept
    for model in (vae, again):
        model.partial_fit(rows[:2_000])
    mu = vae.model_.posteriors.mu
    assert len(mu) == 2_048
    np.testing.assert_array_equal(again.model_.posteriors.mu, mu)
    now = vae.transform(rows[:2_000])
    fresh = (np.abs(mu[:, None] - np.unique(now, axis=0)).max(axis=2).min(axis=1) == 0).mean()
    assert 0.7 < fresh < 0.85  # 2,000 of 2,600 rows
    vae.partial_fit(np.tile(rows, (10, 1)))
    now = np.unique(vae.transform(rows), axis=0)
    fresh = (np.abs(vae.model_.posteriors.mu[:, None] - now).max(axis=2).min(axis=1) == 0).mean()
    assert fresh > 0.9  # old ones fade


def test_a_whole_fit_starts_anew():
    vae = fit(X, epochs=1)
    assert len(vae.fit(X[:100]).model_.posteriors.mu) == 100


def test_other_weights_have_no_codes(vae):
    copy = vaefast.from_bytes(vae.to_bytes())
    copy.sample(1, 0)
    copy.model_.set_weights(copy.model_.weights())
    assert copy.model_.posteriors is None and not copy.model_.priors
    np.testing.assert_array_equal(copy.sample(3, 0), copy.sample(3, 0, prior="prior"))
    with pytest.raises(ValueError, match="or its weights were replaced"):
        copy.sample(3, 0, prior="gaussian")


def test_early_stopping_keeps_codes_of_the_best_weights():
    vae = fit(X[:500], epochs="auto")
    codes = vae.model_.posteriors.mu
    now = vae.transform(X[:500])
    assert np.abs(codes[:, None] - now).max(axis=2).min(axis=1).max() < 1e-6


@pytest.mark.parametrize("prior", ["prior", "gaussian", "mixture"])
def test_more_rows_from_a_seed_begin_with_the_same_ones(prior, vae):
    first, more = (vae.sample(n, 4, prior=prior) for n in (5, 50))
    np.testing.assert_allclose(more[:5], first, rtol=1e-5, atol=1e-5)


def test_samples_do_not_wait_for_training(vae):
    copy = vaefast.from_bytes(vae.to_bytes())
    drawn = []

    def draw(model, record):
        thread = threading.Thread(target=lambda: drawn.append(copy.sample(2, 0)), daemon=True)
        thread.start()
        thread.join(timeout=60)

    copy.partial_fit(X, callbacks=[draw])
    assert len(drawn) == 1 and np.isfinite(drawn[0]).all()


def test_a_model_without_codes_draws_from_the_prior_only():
    parts = parts_of(fit(epochs=1).model_, training=False)
    del parts["codes"]
    old = vaefast.from_bytes(pack(parts))
    np.testing.assert_array_equal(old.sample(3, 0), old.sample(3, 0, prior="prior"))
    with pytest.raises(ValueError, match="prior='mixture' needs codes of the fit"):
        old.sample(3, 0, prior="mixture")


def test_an_unknown_prior_is_named(vae):
    with pytest.raises(ValueError, match="prior='flow' is unknown; expected one of prior, gauss"):
        vae.sample(1, prior="flow")


@pytest.mark.parametrize("prior", ["prior", *FITTED])
def test_temperature_scales_the_spread(prior, vae):
    samples = [vae.sample(400, 0, prior=prior, temperature=t) for t in (0.2, 1.0)]
    if prior == "mixture":  # around its own means
        assert distances(samples[0]).mean() < distances(samples[1]).mean()
    else:
        assert samples[0].std(axis=0).mean() < samples[1].std(axis=0).mean()
    still = vae.sample(30, 0, prior=prior, temperature=0)
    assert np.isfinite(still).all()
    components = len(vae.model_.priors["mixture"].shares) if prior == "mixture" else 1
    assert len(np.unique(still.round(4), axis=0)) <= components


@pytest.mark.parametrize("prior", FITTED)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_a_handful_of_rows_is_enough(prior, n):
    assert np.isfinite(fit(X[:n], epochs=2, standardize=True).sample(20, 0, prior=prior)).all()


@pytest.mark.parametrize("prior", FITTED)
def test_autoencoders_and_conditional_models_have_fitted_priors(prior):
    assert np.isfinite(fit(objective="autoencoder", epochs=3).sample(9, 0, prior=prior)).all()
    labelled = fit(X, GROUPS, conditional=True, epochs=3)
    assert labelled.sample(9, 0, prior=prior, y=1).shape == (9, 4)


def test_weights_weigh_the_codes():
    weights = np.where(GROUPS == 0, 1.0, 1e-6)
    weighted = VAE(2, (32,), likelihood="gaussian", epochs=30, random_state=0, verbose=False)
    rows = weighted.fit(X, sample_weight=weights).sample(300, 0)
    assert (np.abs(rows - CENTRES[0]).max(axis=1) < 3).mean() > 0.95


@pytest.mark.parametrize("broken", ["mu", "shares", "shape"])
def test_broken_codes_and_priors_are_refused(broken):
    fresh = fit(epochs=1)
    fresh.sample(1, 0)
    parts = parts_of(fresh.model_, training=False)
    if broken == "mu":
        parts["codes"].tensors["mu"] = np.full_like(parts["codes"].tensors["mu"], np.nan)
    elif broken == "shares":
        parts["priors"].tensors["mixture/shares"] = -parts["priors"].tensors["mixture/shares"]
    else:
        parts["priors"].tensors["mixture/means"] = np.zeros((1, 7))
    with pytest.raises(ValueError, match=r"usable model: .*(codes|shares|shapes)"):
        vaefast.from_bytes(pack(parts))


def test_the_command_draws_from_each_prior(vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vae.save("model.safetensors")
    for prior in ("prior", "gaussian", "mixture"):
        arguments = ["model.safetensors", "-n", "5", "--seed", "1", "--prior", prior]
        succeed("sample", *arguments, "--out", f"{prior}.csv")
        written = np.loadtxt(f"{prior}.csv", delimiter=",", skiprows=1, dtype=np.float32)
        np.testing.assert_array_equal(written, vae.sample(5, 1, prior=prior))


def test_the_page_takes_its_random_codes_from_the_mixture(vae):
    content = page_content(vae, None, None, columns=None, directions=None, source="rows")
    draws = np.frombuffer(base64.b64decode(content["draws"]["base64"]), "<f4").reshape(-1, 2)
    assert len(draws) > 100
    assert (distances(vae.inverse_transform(draws)) > 2).mean() < 0.05
