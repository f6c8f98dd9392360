"""Training on principal components: the folded network, and its loss."""

from __future__ import annotations

import numpy as np
import pytest

import vaefast
from vaefast import VAE

rng = np.random.default_rng(0)
CODES = rng.standard_normal((300, 3)).astype(np.float32)
X = np.tanh(CODES @ rng.standard_normal((3, 48)).astype(np.float32)) / 4 + 0.5
X += 0.02 * rng.standard_normal(X.shape).astype(np.float32)
IMAGES = np.rint(np.clip(X, 0, 1) * 255).astype(np.uint8).reshape(-1, 4, 4, 3)
SMALL = {
    "latent_dim": 4,
    "hidden_layer_sizes": (32,),
    "activation": "silu",
    "likelihood": "gaussian",
    "sigma": 0.05,
    "components": 12,
    "batch_size": 32,
    "epochs": 120,
    "learning_rate": 2e-3,
    "random_state": 0,
    "verbose": False,
}


def test_the_folded_network_has_the_losses_of_the_training():
    vae = VAE(**SMALL).fit(IMAGES[:250], validation=IMAGES[250:])
    # An ELBO is estimated from one z a row, whose noise depends on the bits of the row.
    assert vae.score(IMAGES[250:]) == pytest.approx(vae.history_["validation"][-1], abs=2)
    assert vae.score(IMAGES[:250]) == pytest.approx(vae.history_["elbo"][-1], abs=3)
    error = vae.reconstruct(IMAGES[250:]) - IMAGES[250:] / np.float32(255)
    assert np.sqrt(np.mean(error**2)) < 0.04
    assert vae.sample(5, random_state=0).shape == (5, 4, 4, 3)
    scale = vae.model_.weights()["log_sigma"]
    np.testing.assert_allclose(np.exp(scale), 0.05, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(), (16,), (16, 8)])
def test_networks_of_any_depth_and_with_conditions(sizes):
    params = {**SMALL, "hidden_layer_sizes": sizes, "conditional": True}
    y = (CODES[:, 0] > 0).astype(int)
    vae = VAE(**params).fit(IMAGES, y)
    assert vae.score(IMAGES, y) == pytest.approx(vae.history_["elbo"][-1], abs=3)


def test_all_components_are_no_worse_than_the_features_themselves():
    full = VAE(**{**SMALL, "components": None}).fit(IMAGES)
    rotated = VAE(**{**SMALL, "components": 48}).fit(IMAGES)
    assert rotated.score(IMAGES) > full.score(IMAGES) - 3


def test_callbacks_see_the_folded_model_and_its_figures():
    seen = []

    def record(vae, figures):
        seen.append((figures["elbo"], vae.history_["elbo"][-1], vae.sample(2).shape))
        return len(seen) == 3

    vae = VAE(**SMALL).fit(IMAGES, callbacks=[record])
    assert vae.n_iter_ == 3
    assert [elbo for elbo, _, _ in seen] == vae.history_["elbo"]
    assert all(mine == theirs and shape == (2, 4, 4, 3) for mine, theirs, shape in seen)


def test_the_bits_do_not_depend_on_the_number_of_threads():
    models = [VAE(**{**SMALL, "epochs": 5}, n_threads=n) for n in (1, 3)]
    with pytest.warns(vaefast.errors.ConvergenceWarning):
        codes = [model.fit(IMAGES).transform(IMAGES) for model in models]
    np.testing.assert_array_equal(*codes)


def test_a_file_keeps_the_model(tmp_path):
    vae = VAE(**SMALL).fit(IMAGES)
    vae.save(tmp_path / "model.safetensors")
    loaded = vaefast.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.transform(IMAGES), vae.transform(IMAGES))
    assert loaded.get_params()["components"] == 12


def test_partial_fit_goes_on_with_the_folded_network():
    vae = VAE(**SMALL).fit(IMAGES)
    before = vae.score(IMAGES)
    vae.learning_rate = 1e-4
    assert vae.partial_fit(IMAGES).n_iter_ == 121
    assert vae.score(IMAGES) > before - 10


def test_partial_fit_alone_trains_on_the_features():
    with_it, without = (
        VAE(**{**SMALL, "components": n, "epochs": 1}).partial_fit(IMAGES) for n in (12, None)
    )
    np.testing.assert_array_equal(with_it.transform(IMAGES), without.transform(IMAGES))


def test_sparse_rows_are_for_validation_only():
    sparse = pytest.importorskip("scipy.sparse")
    rows = np.where(X > 0.6, X, 0)
    params = {**SMALL, "epochs": 3}
    with pytest.raises(ValueError, match="components need dense rows"):
        VAE(**params).fit(sparse.csr_matrix(rows))
    with pytest.warns(vaefast.errors.ConvergenceWarning):
        one, other = (
            VAE(**params).fit(rows, validation=form(rows)) for form in (np.array, sparse.csr_matrix)
        )
    assert one.history_["validation"] == other.history_["validation"]


def test_rows_that_are_all_alike():
    same = np.repeat(IMAGES[:1], 20, axis=0)
    with pytest.warns(UserWarning):  # of few steps, or of a collapse: there is nothing to learn
        vae = VAE(**{**SMALL, "epochs": 3}).fit(same)
    assert np.isfinite(vae.score(same))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"likelihood": "bernoulli"}, "components need likelihood='gaussian'"),
        ({"sigma": "optimal"}, "sigma that is a number, such as sigma=0.08, got .*'optimal'"),
        ({"standardize": True}, "components needs standardize=False, got True"),
        ({"missing": "mask"}, "components needs missing='error', got 'mask'"),
        ({"normalize": "l2"}, "components needs normalize=None, got 'l2'"),
        ({"components": 0}, "components"),
    ],
)
def test_parameters_that_do_not_go_together(params, message):
    with pytest.raises(ValueError, match=message):
        VAE(**{**SMALL, **params}).fit(IMAGES / np.float32(255))


def test_there_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="principal components .* has no checkpoint"):
        VAE(**SMALL).fit(IMAGES, checkpoint=tmp_path / "state")
