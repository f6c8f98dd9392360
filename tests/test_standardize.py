"""standardize=True: the network sees standardized columns, and the user never does."""

import base64

import numpy as np
import pytest

import vaefast
from vaefast import VAE, AnomalyDetector, export
from vaefast._engine.container import pack
from vaefast._engine.storage import parts_of
from vaefast.explore.content import page_content

rng = np.random.default_rng(0)
UNITS = np.array([1, 10, 1e-3, 1e4, 0.5, 3.0])
CENTRES = np.array([0, 5, 1, 2e4, -7, 0.3])
HIDDEN = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 6))
X = ((HIDDEN + 0.3 * rng.standard_normal((300, 6))) * UNITS + CENTRES).astype(np.float32)
HOLES = np.where(rng.random(X.shape) < 0.2, np.nan, X).astype(np.float32)
SETTINGS = {
    "likelihood": "gaussian",
    "hidden_layer_sizes": (16,),
    "epochs": 8,
    "batch_size": 32,
    "random_state": 0,
    "verbose": False,
}


def fit(rows: np.ndarray, y=None, **params) -> VAE:
    return VAE(**{**SETTINGS, **params}).fit(rows, y)


def twins(rows: np.ndarray, **params) -> tuple[VAE, VAE, np.ndarray, np.ndarray]:
    """Return a model that standardizes, one of rows standardized by hand, these rows, and the
    term of each value that turns nats of the one into nats of the other."""
    vae = fit(rows, standardize=True, **params)
    units = vae.model_.reader.standardization
    by_hand = (rows - units.means) * (np.float32(1) / units.scales)
    terms = np.where(np.isnan(rows), 0, np.log(units.scales.astype(np.float64)))
    return vae, fit(by_hand, **params), by_hand, terms


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"likelihood": "laplace"},
        {"likelihood": "student_t", "sigma": "global"},
        {"sigma": "optimal"},
        {"objective": "iwae", "n_samples": 3},
        {"objective": "autoencoder"},
        {"missing": "mask"},
        {"free_bits": 0.1, "denoising": ("gaussian", 0.3)},
        {"likelihood": [("gaussian", 4), ("laplace", 2)], "missing": "mask"},
    ],
    ids=str,
)
def test_it_equals_standardizing_by_hand(params):
    rows = HOLES if "missing" in params else X
    vae, plain, by_hand, terms = twins(rows, **params)
    for name, tensor in vae.model_.weights().items():
        np.testing.assert_array_equal(tensor, plain.model_.weights()[name], err_msg=name)
    scores = plain.score_samples(by_hand) - terms.sum(axis=1)
    np.testing.assert_allclose(vae.score_samples(rows), scores, rtol=0, atol=1e-10)
    for key, sign in (("elbo", -1), ("bound", -1), ("reconstruction", 1), ("kl", 0)):
        expected = np.array(plain.history_[key]) + sign * terms.sum(axis=1).mean()
        np.testing.assert_allclose(vae.history_[key], expected, rtol=0, atol=1e-10, err_msg=key)
    np.testing.assert_array_equal(vae.transform(rows), plain.transform(by_hand))
    if params.get("objective") != "autoencoder":
        estimate = vae.log_likelihood(rows[:20], n_samples=50).rows
        expected = plain.log_likelihood(by_hand[:20], n_samples=50).rows - terms[:20].sum(axis=1)
        np.testing.assert_allclose(estimate, expected, rtol=0, atol=1e-10)
    found = AnomalyDetector(vae).fit(rows).contributions(rows)
    expected = AnomalyDetector(plain).fit(by_hand).contributions(by_hand) + terms
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_reconstructions_draws_and_filled_values_are_in_the_units_of_the_rows():
    vae, plain, by_hand, _ = twins(HOLES, missing="mask")
    units = vae.model_.reader.standardization

    def in_units(values):
        return values * units.scales + units.means

    np.testing.assert_allclose(vae.reconstruct(HOLES), in_units(plain.reconstruct(by_hand)), 1e-5)
    filled = vae.impute(HOLES)
    np.testing.assert_allclose(filled, in_units(plain.impute(by_hand)), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(filled[~np.isnan(HOLES)], HOLES[~np.isnan(HOLES)])
    drawn = [v.sample(50, random_state=3, draw=True) for v in (vae, plain)]
    np.testing.assert_allclose(drawn[0], in_units(drawn[1]), rtol=1e-4, atol=1e-4)


def test_a_fixed_sigma_is_in_the_units_of_the_rows():
    sigma = 2.5
    vae = fit(X, standardize=True, sigma=sigma, objective="autoencoder")
    squares = (X.astype(np.float64) - vae.reconstruct(X)) ** 2
    nats = 0.5 * squares / sigma**2 + np.log(sigma) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(-vae.score_samples(X), nats.sum(axis=1), rtol=1e-4)


def test_only_real_valued_columns_that_vary_are_changed():
    counts = rng.poisson(1000, (300, 1))
    constant = np.full((300, 1), 3.25)
    rows = np.hstack([X[:, :2], constant, counts, X[:, 3:4] > 2e4]).astype(np.float32)
    columns = [("gaussian", 3), ("poisson", 1), ("bernoulli", 1)]
    units = fit(rows, standardize=True, likelihood=columns).model_.reader.standardization
    np.testing.assert_allclose(units.means, [*rows[:, :2].mean(0, np.float64), 3.25, 0, 0], 1e-6)
    np.testing.assert_allclose(units.scales, [*rows[:, :2].std(0, dtype=float), 1, 1, 1], 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_the_network_sees_a_constant_as_0(dtype):
    rows = rng.integers(0, 200, (300, 6)).astype(dtype)
    raised = rows.copy()
    rows[:, 2], raised[:, 2] = 0, 255 if dtype == np.uint8 else 1e7 + 1
    models = [fit(data, standardize=True) for data in (rows, raised)]
    for name, tensor in models[0].model_.weights().items():
        np.testing.assert_array_equal(tensor, models[1].model_.weights()[name], err_msg=name)
    np.testing.assert_array_equal(
        *(m.score(d) for m, d in zip(models, (rows, raised), strict=True))
    )
    constant = models[1].reconstruct(raised)[:, 2]
    np.testing.assert_allclose(constant, 1 if dtype == np.uint8 else 1e7 + 1, atol=2)


def test_the_first_partial_fit_sets_the_units_and_needs_two_rows():
    vae = VAE(**SETTINGS, standardize=True)
    with pytest.raises(ValueError, match="first partial_fit: pass at least 2 rows"):
        vae.partial_fit(X[:1])
    with pytest.raises(ValueError, match="at least 2 rows"):
        vae.partial_fit(X[:3], sample_weight=[0, 1, 0])
    units = vae.partial_fit(X[:50]).model_.reader.standardization
    np.testing.assert_allclose(units.scales, X[:50].std(axis=0, dtype=float), 1e-6)
    assert vae.partial_fit(X[50:51]).model_.reader.standardization is units


@pytest.mark.parametrize("likelihood", ["bernoulli", [("categorical", 4), ("poisson", 2)]])
def test_a_model_without_real_valued_columns_does_not_standardize(likelihood):
    with pytest.raises(ValueError, match="standardize=True is for .* gaussian, laplace, student_t"):
        fit(np.eye(6), standardize=True, likelihood=likelihood)


def test_missing_values_and_weights_count_as_they_should():
    weights = rng.integers(0, 3, len(HOLES))
    model = VAE(**SETTINGS, missing="mask", standardize=True)
    units = model.fit(HOLES, sample_weight=weights).model_.reader.standardization
    repeated = np.repeat(HOLES, weights, axis=0).astype(np.float64)
    np.testing.assert_allclose(units.means, np.nanmean(repeated, axis=0), 1e-6)
    np.testing.assert_allclose(units.scales, np.nanstd(repeated, axis=0), 1e-6)


def test_bytes_are_standardized_as_they_are_read():
    images = rng.integers(0, 256, (300, 4, 4), dtype=np.uint8)
    by_bytes = fit(images, standardize=True)
    by_floats = fit((images / np.float32(255)), standardize=True)
    for name, tensor in by_bytes.model_.weights().items():
        np.testing.assert_allclose(tensor, by_floats.model_.weights()[name], atol=1e-5)
    shown = by_bytes.reconstruct(images)
    assert shown.shape == images.shape
    assert abs(shown.mean() - images.mean() / 255) < 0.02


@pytest.mark.parametrize("training", [False, True])
def test_files_keep_the_units(training, tmp_path):
    vae = fit(X, standardize=True)
    vae.save(tmp_path / "model.safetensors", training=training)
    loaded = vaefast.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.score_samples(X), vae.score_samples(X))
    np.testing.assert_array_equal(loaded.reconstruct(X), vae.reconstruct(X))
    loaded.set_params(n_threads=1)  # builds another core
    np.testing.assert_array_equal(loaded.score_samples(X), vae.score_samples(X))
    if training:
        np.testing.assert_array_equal(
            loaded.partial_fit(X).transform(X), vae.partial_fit(X).transform(X)
        )


def test_a_file_with_broken_units_is_refused():
    for scales in ([1, 1, 0, 1, 1, 1], [1, 1, np.nan, 1, 1, 1], [1, 1]):
        parts = parts_of(fit(X, standardize=True).model_, training=False)
        parts["standardization"].tensors["scales"] = np.array(scales, np.float32)
        with pytest.raises(ValueError, match="scales"):
            vaefast.from_bytes(pack(parts))
    parts = parts_of(fit(X, standardize=True).model_, training=False)
    del parts["standardization"]
    with pytest.raises(ValueError, match="standardization"):
        vaefast.from_bytes(pack(parts))


def test_the_fit_is_the_same_for_any_number_of_threads():
    models = [fit(X, standardize=True, n_threads=n) for n in (1, 3)]
    np.testing.assert_array_equal(*(model.score_samples(X) for model in models))


def test_no_warning_of_scale_is_needed_but_offsets_that_float32_loses_are_named():
    fit(1e-5 * X, standardize=True)  # would warn without
    rows = X.astype(np.float64)
    rows[:, 2] += 1e3
    with pytest.warns(UserWarning, match="column 2 of X has mean 1001 .* subtract an offset"):
        fit(rows, standardize=True)


def test_standardize_must_be_a_boolean():
    with pytest.raises(TypeError, match="standardize='yes' must be True or False"):
        fit(X, standardize="yes")


@pytest.mark.parametrize("kind", ["bars", "image"])
def test_the_page_draws_images_in_their_units_and_bars_in_standard_deviations(kind):
    rows = X if kind == "bars" else (HIDDEN * 0.2 + 0.5).astype(np.float32).reshape(-1, 2, 3)
    vae = fit(rows, standardize=True, hidden_layer_sizes=())
    content = page_content(vae, rows, None, columns=None, directions=None, source="rows")
    assert content["kind"] == kind
    weights = content["decoder"]["weights"]
    dtype = np.dtype(weights["type"]).newbyteorder("<")
    flat = np.frombuffer(base64.b64decode(weights["base64"]), dtype).astype(np.float32)
    weight, bias = flat[:12].reshape(2, 6), flat[12:]
    codes = rng.standard_normal((9, 2)).astype(np.float32)
    expected = vae.inverse_transform(codes).reshape(9, 6)
    if kind == "bars":
        units = vae.model_.reader.standardization
        expected = (expected - units.means) / units.scales
        assert np.abs(content["range"]).max() < 10
    np.testing.assert_allclose(codes @ weight + bias, expected, atol=0.005)  # float16 weights


def test_the_description_of_an_export_says_so():
    assert export.describe(fit(X, standardize=True))["standardize"] is True
    assert export.describe(fit((X - CENTRES) / UNITS))["standardize"] is False
