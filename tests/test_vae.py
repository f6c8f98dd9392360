"""The estimator: scikit-learn conventions, accepted input, and the meaning of its figures."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, NotFittedError, _core, datasets, from_bytes, load
from vaefast._input.matrix import to_matrix

N, D = 40, 6


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 2, "batch_size": 16, "random_state": 0}
    return VAE(**{**defaults, "verbose": False, **params})


def weights(vae: VAE) -> dict[str, np.ndarray]:
    return vae.model_.weights()


def assert_same_bits(one: VAE, other: VAE) -> None:
    """Assert equal weights, and equal histories apart from the seconds."""
    for name, tensor in weights(one).items():
        np.testing.assert_array_equal(tensor, weights(other)[name], err_msg=name)
    keys = one.history_.keys() - {"seconds"}
    assert {k: one.history_[k] for k in keys} == {k: other.history_[k] for k in keys}


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((N, D)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(X: np.ndarray) -> VAE:
    return small().fit(X)


# ------------------------------------------------------------------ parameters

# No value is valid, since __init__ only stores them.
JUNK = {name: object() for name in inspect.signature(VAE).parameters}


def test_init_only_stores():
    params = VAE(**JUNK).get_params()
    assert params.keys() == JUNK.keys()
    assert all(params[name] is value for name, value in JUNK.items())
    assert VAE(**JUNK).__dict__ == JUNK


def test_set_params_round_trip():
    vae = VAE()
    assert vae.set_params(**JUNK) is vae
    assert vae.get_params() == JUNK
    assert VAE().set_params(**VAE().get_params()).get_params() == VAE().get_params()


def test_set_params_of_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"latent_dims.*latent_dim, hidden_layer_sizes"):
        VAE().set_params(latent_dims=3)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(VAE()) == "VAE()"
    vae = VAE(latent_dim=3, likelihood="gaussian")
    assert repr(vae) == "VAE(latent_dim=3, likelihood='gaussian')"
    assert eval(repr(vae)).get_params() == vae.get_params()


def test_clone_has_the_parameters_and_no_weights(fitted):
    clone = pytest.importorskip("sklearn.base").clone(fitted)
    assert clone.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        clone.transform(np.zeros((1, D)))


def test_a_step_of_a_scikit_learn_pipeline(X):
    pytest.importorskip("sklearn")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler
    from sklearn.utils.validation import check_is_fitted

    pipeline = make_pipeline(MinMaxScaler(clip=True), small())
    Z = pipeline.fit_transform(X)
    np.testing.assert_array_equal(pipeline.transform(X), Z)
    assert pipeline.inverse_transform(Z).shape == X.shape
    assert pipeline.score(X) == pipeline[-1].score(pipeline[0].transform(X))
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(small())


def test_scikit_learn_searches_for_parameters(X):
    selection = pytest.importorskip("sklearn.model_selection")
    search = selection.GridSearchCV(small(), {"latent_dim": [1, 2]}, cv=2).fit(X)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert search.best_params_ == {"latent_dim": search.best_estimator_.latent_dim}
    assert len(selection.cross_val_score(small(), X, cv=3)) == 3


def test_fit_returns_itself_and_ignores_y(X):
    vae = small()
    assert vae.fit(X, object()) is vae
    assert vae.partial_fit(X, ["no", "labels"]) is vae
    assert_same_bits(vae, small().fit(X).partial_fit(X))
    assert vae.score(X, object()) == vae.score(X)


def test_partial_fit_trains_as_the_parameters_are_now_and_keeps_them(X, tmp_path):
    vae = small().fit(X)
    vae.set_params(beta=0.0, learning_rate=0.5)
    with pytest.raises(ValueError, match="features"):
        vae.partial_fit(X[:, :3])
    vae.save(tmp_path / "before.safetensors")
    assert load(tmp_path / "before.safetensors").beta == 1.0  # trained with this beta
    vae.partial_fit(X)
    vae.save(tmp_path / "after.safetensors")
    assert load(tmp_path / "after.safetensors").beta == 0.0


def test_fit_transform_is_fit_then_transform(X):
    np.testing.assert_array_equal(small().fit_transform(X, None), small().fit(X).transform(X))


def test_parameters_set_after_fit_wait_for_the_next_fit(X):
    vae = small().fit(X)
    before = vae.score(X)
    vae.set_params(latent_dim=5, activation="tanh", hidden_layer_sizes=(3, 3))
    assert vae.score(X) == before
    assert vae.transform(X).shape == (N, 2)
    assert pickle.loads(pickle.dumps(vae)).score(X) == before
    assert vae.fit(X).transform(X).shape == (N, 5)


def test_a_list_of_sizes_that_changes_after_fit_changes_nothing(X):
    sizes = [8]
    vae = small(hidden_layer_sizes=sizes).fit(X)
    sizes.append(4)
    assert copy.deepcopy(vae).score(X) == vae.score(X)


@pytest.mark.parametrize(
    "method", ["encode", "transform", "inverse_transform", "reconstruct", "sample"]
    + ["score_samples", "score", "evaluate", "save"],
)  # fmt: skip
def test_using_an_unfitted_model_is_an_error_that_says_so(method, tmp_path):
    argument: Any = {"sample": 2, "save": tmp_path / "model"}.get(method, np.zeros((1, D)))
    with pytest.raises(NotFittedError, match="not fitted yet: call fit"):
        getattr(VAE(), method)(argument)
    assert not hasattr(VAE(), "n_features_in_")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ copies

COPIES = {"pickle": lambda vae: pickle.loads(pickle.dumps(vae)), "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_the_same_model_and_trains_on_to_the_same_bits(kind, optimizer, likelihood, X):
    vae = small(optimizer=optimizer, likelihood=likelihood, learning_rate=0.01).fit(X)
    twin = COPIES[kind](vae)
    assert twin.get_params() == vae.get_params()
    assert (twin.n_iter_, twin.feature_shape_, twin.n_features_in_) == (2, (D,), D)
    np.testing.assert_array_equal(twin.reconstruct(X), vae.reconstruct(X))
    np.testing.assert_array_equal(twin.score_samples(X), vae.score_samples(X))
    before = twin.score(X)
    for _ in range(2):
        vae.partial_fit(X)
    assert twin.score(X) == before, "a copy shares no weights"
    for _ in range(2):
        twin.partial_fit(X)
    assert_same_bits(vae, twin)


def test_an_unfitted_model_is_pickled_too(X):
    vae = pickle.loads(pickle.dumps(small()))
    assert vae.get_params() == small().get_params()
    assert_same_bits(vae.fit(X), small().fit(X))


class Renamed(VAE):
    def __init__(self, label: str = "none", **params: Any) -> None:
        super().__init__(**params)
        self.label = label


class Fixed(VAE):
    def __init__(self, label: str = "none") -> None:
        super().__init__(2, (8,), epochs=1, verbose=False)
        self.label = label


@pytest.mark.parametrize(
    "make", [lambda: Renamed("a", epochs=1, verbose=False), lambda: Fixed("a")], ids=str
)
def test_a_subclass_has_its_own_parameters(make, X):
    vae = make().fit(X)
    assert vae.get_params()["label"] == "a"
    assert "label='a'" in repr(vae)
    clone = pytest.importorskip("sklearn.base").clone
    for twin in (clone(vae), copy.deepcopy(vae), pickle.loads(pickle.dumps(vae))):
        assert type(twin) is type(vae)
        assert twin.get_params() == vae.get_params()
    read = from_bytes(vae.to_bytes(), type(vae))  # a file holds the parameters of a VAE alone
    assert read.get_params() == {**vae.get_params(), "label": "none"}
    np.testing.assert_array_equal(read.transform(X), vae.transform(X))


def test_keywords_of_a_subclass_reach_the_parameters_above():
    vae = Renamed(latent_dim=3)
    assert list(vae.get_params()) == ["label", *VAE().get_params()]
    assert vae.set_params(latent_dim=5).latent_dim == 5
    assert repr(vae) == "Renamed(latent_dim=5)"


# ------------------------------------------------------------------ accepted input

KINDS = {
    "float64": lambda X: X.astype(np.float64),
    "list": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "Fortran order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "big endian": lambda X: X.astype(">f4"),
    "read only": lambda X: np.frombuffer(X.tobytes(), np.float32).reshape(X.shape),
    "objects": lambda X: X.astype(object),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_in_any_form_give_the_same_bits(kind, X, fitted):
    same = KINDS[kind](X)
    assert_same_bits(small().fit(same), fitted)
    np.testing.assert_array_equal(fitted.score_samples(same), fitted.score_samples(X))


def test_bytes_are_read_as_x_over_255(X):
    pixels = (X * 255).astype(np.uint8)
    pixels[0, :2] = 0, 255
    numbers = pixels.astype(np.float32) / np.float32(255)
    vae = small().fit(pixels)
    assert_same_bits(vae, small().fit(numbers))
    np.testing.assert_array_equal(vae.score_samples(pixels), vae.score_samples(numbers))
    np.testing.assert_array_equal(vae.transform(pixels), vae.transform(numbers))
    gaussian = small(likelihood="gaussian")
    assert_same_bits(copy.deepcopy(gaussian).fit(pixels), gaussian.fit(numbers))


def test_booleans_and_small_integers_are_numbers(X):
    bits = X > 0.5
    numbers = bits.astype(np.float32)
    assert_same_bits(small().fit(bits), small().fit(numbers))
    assert_same_bits(small().fit(bits.astype(np.int64)), small().fit(numbers))


def test_a_data_frame_is_an_array(X, fitted):
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcdef"))
    assert_same_bits(small().fit(frame), fitted)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("shape", [(9, 12), (9, 3, 4), (9, 2, 3, 2)])
def test_float32_and_bytes_are_used_in_place(dtype, shape, tmp_path):
    X = np.ones(shape, dtype)
    rows, found = to_matrix(X)
    assert np.shares_memory(rows, X)
    assert rows.shape == (9, 12)
    assert found == shape[1:]
    np.save(tmp_path / "X.npy", X)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    rows, _ = to_matrix(on_disk)
    assert np.shares_memory(rows, on_disk)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_memory_map_gives_the_bits_of_the_array(dtype, X, tmp_path):
    data = (X * (255 if dtype == np.uint8 else 1)).astype(dtype)
    np.save(tmp_path / "X.npy", data)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_same_bits(small().fit(on_disk), small().fit(data))


@pytest.mark.parametrize("shape", [(D,), (2, 3), (1, 2, 3), (3, 2, 1)])
def test_results_have_the_shape_of_the_rows(shape, X, fitted):
    images = X.reshape(N, *shape)
    vae = small().fit(images)
    assert_same_bits(vae, fitted)
    assert vae.feature_shape_ == shape
    assert vae.n_features_in_ == D
    assert vae.transform(images).shape == (N, 2)
    for out in (
        vae.reconstruct(images),
        vae.sample(N, random_state=0),
        vae.inverse_transform(np.zeros((N, 2))),
    ):
        assert out.shape == images.shape
        assert out.dtype == np.float32


def test_flat_rows_and_images_of_the_same_size_are_the_same_rows(X):
    images = X.reshape(N, 2, 3)
    on_images, on_rows = small().fit(images), small().fit(X)
    np.testing.assert_array_equal(on_images.score_samples(X), on_images.score_samples(images))
    assert on_images.reconstruct(X).shape == images.shape
    np.testing.assert_array_equal(on_rows.score_samples(images), on_rows.score_samples(X))
    assert on_rows.reconstruct(images).shape == X.shape


# ------------------------------------------------------------------ results


def test_encode_gives_mean_and_log_variance_and_transform_the_mean(X, fitted):
    mu, logvar = fitted.encode(X)
    assert mu.shape == logvar.shape == (N, 2)
    assert mu.dtype == logvar.dtype == np.float32
    np.testing.assert_array_equal(fitted.transform(X), mu)
    np.testing.assert_array_equal(fitted.reconstruct(X), fitted.inverse_transform(mu))
    kl = 0.5 * (np.exp(logvar) - 1 - logvar + mu**2).sum(axis=1).mean()
    assert fitted.evaluate(X)["kl"] == pytest.approx(kl, rel=1e-4)


def test_scores_are_the_elbo_and_agree_with_each_other(X, fitted):
    figures = fitted.evaluate(X)
    samples = fitted.score_samples(X)
    assert list(figures) == ["elbo", "reconstruction", "kl"]
    assert all(type(figure) is float for figure in figures.values())
    assert figures["elbo"] == -(figures["reconstruction"] + figures["kl"])
    assert figures["kl"] > 0
    assert samples.shape == (N,)
    assert samples.dtype == np.float64
    assert fitted.score(X) == figures["elbo"] == pytest.approx(samples.mean(), rel=1e-12)


def test_a_row_scores_the_same_at_every_call_in_any_company(X, fitted):
    scores = fitted.score_samples(X)
    order = np.random.default_rng(1).permutation(N)
    np.testing.assert_array_equal(fitted.score_samples(X), scores)
    np.testing.assert_array_equal(fitted.score_samples(X[order]), scores[order])
    np.testing.assert_array_equal(fitted.score_samples(X[7:9]), scores[7:9])
    np.testing.assert_array_equal(fitted.score_samples(X[[3, 3, 3]]), scores[[3, 3, 3]])
    many = np.tile(X, (30, 1))
    np.testing.assert_array_equal(fitted.score_samples(many), np.tile(scores, 30))


def test_samples_follow_the_seed(fitted):
    one = fitted.sample(5, random_state=3)
    np.testing.assert_array_equal(one, fitted.sample(5, random_state=3))
    np.testing.assert_array_equal(one, fitted.sample(9, random_state=3)[:5])
    assert not np.array_equal(one, fitted.sample(5, random_state=4))
    assert not np.array_equal(fitted.sample(5), fitted.sample(5))
    assert fitted.sample().shape == (1, D)
    assert one.min() >= 0
    assert one.max() <= 1
    np.testing.assert_array_equal(
        fitted.sample(3, np.random.default_rng(1)), fitted.sample(3, np.random.default_rng(1))
    )


def test_codes_are_numbers_of_any_kind(fitted):
    codes = np.array([[0, 1], [2, 3]])
    expected = fitted.inverse_transform(codes.astype(np.float32))
    for same in (codes, codes.tolist(), codes.astype(np.uint8), codes.astype(np.float64)):
        np.testing.assert_array_equal(fitted.inverse_transform(same), expected)


# ------------------------------------------------------------------ what a model learns


def test_training_beats_the_mean_picture():
    """The ELBO of drawn digits exceeds that of an independent Bernoulli for each pixel."""
    X = datasets.strokes(1500).X
    x = X.reshape(len(X), -1) / 255
    mean = np.clip(x.mean(axis=0), 1e-6, 1 - 1e-6)
    of_mean = (x * np.log(mean) + (1 - x) * np.log(1 - mean)).sum(axis=1).mean()
    vae = VAE(
        latent_dim=4, hidden_layer_sizes=(64,), epochs=8, batch_size=32, random_state=0,
        verbose=False,
    )  # fmt: skip
    history = vae.fit(X).history_["elbo"]
    assert history[0] < of_mean < history[-1]
    assert history == sorted(history)
    assert vae.score(X) > of_mean + 10
    error = np.abs(vae.reconstruct(X) - X / np.float32(255)).mean()
    assert error < 0.8 * np.abs(x - mean).mean()


def linear_data(sigma: np.ndarray, n: int = 2000) -> np.ndarray:
    """Return rows on a line, with noise of a different size in each column."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, 1))
    line = np.resize([1.0, -1.0], (1, len(sigma)))
    return (z @ line + sigma * rng.standard_normal((n, len(sigma)))).astype(np.float32)


def test_a_learned_sigma_reaches_the_noise_of_each_column():
    sigma = np.array([0.1, 0.2, 0.2, 0.4, 0.4, 0.8, 0.1, 0.3])
    vae = small(
        likelihood="gaussian", latent_dim=1, hidden_layer_sizes=(), epochs=40, batch_size=50,
        learning_rate=0.01,
    ).fit(linear_data(sigma))  # fmt: skip
    np.testing.assert_allclose(np.exp(weights(vae)["log_sigma"]), sigma, rtol=0.15)


def test_a_fixed_sigma_stays():
    X = linear_data(np.full(8, 0.3), 100)
    vae = small(likelihood="gaussian", sigma=0.5).fit(X)
    np.testing.assert_array_equal(weights(vae)["log_sigma"], np.float32(np.log(0.5)))
    residual = (X - vae.reconstruct(X)) / 0.5
    nll = 0.5 * residual**2 + np.log(0.5) + 0.5 * np.log(2 * np.pi)
    assert vae.evaluate(X)["reconstruction"] == pytest.approx(nll.sum(axis=1).mean(), rel=0.2)
    learned = small(likelihood="gaussian").fit(X)
    assert (weights(learned)["log_sigma"] != 0).all()


def test_a_larger_beta_gives_a_smaller_kl(X):
    tight, loose = (small(beta=beta, epochs=20).fit(X) for beta in (5, 0))
    assert tight.evaluate(X)["kl"] < loose.evaluate(X)["kl"]
    figures = {key: values[-1] for key, values in tight.history_.items()}
    elbo = -(figures["reconstruction"] + figures["kl"])  # for any beta
    assert figures["elbo"] == pytest.approx(elbo, rel=1e-12)


def test_layers_are_as_asked(X):
    vae = small(latent_dim=3, hidden_layer_sizes=(9, 5), decoder_layer_sizes=None).fit(X)
    shapes = {name: tensor.shape for name, tensor in weights(vae).items()}
    assert shapes["encoder.0.weight"] == (D, 9)
    assert shapes["mu.weight"] == shapes["logvar.weight"] == (5, 3)
    assert shapes["decoder.0.weight"] == (3, 5)
    assert shapes["output.weight"] == (9, D)
    assert "log_sigma" not in shapes
    other = small(hidden_layer_sizes=9, decoder_layer_sizes=[4, 7]).fit(X)
    assert weights(other)["decoder.1.weight"].shape == (4, 7)
    assert weights(small(hidden_layer_sizes=()).fit(X)).keys() == {
        f"{name}.{kind}" for name in ("mu", "logvar", "output") for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("name", ["activation", "optimizer"])
def test_names_choose_different_models(name, X):
    choices = {"activation": _core.ACTIVATIONS, "optimizer": _core.OPTIMIZERS}[name]
    scores = {small(**{name: choice}, learning_rate=0.01).fit(X).score(X) for choice in choices}
    assert len(scores) == len(choices) >= 3
    assert np.isfinite(list(scores)).all()
