"""Many models side by side: the bits of each alone, errors, and Ctrl-C."""

import numpy as np
import pytest

from vaefast import VAE, DivergenceError, from_bytes
from vaefast.ensembles import fit_all, run_side_by_side
from vaefast.errors import NotFittedError

X = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)


def models(count: int = 5, **params) -> list[VAE]:
    settings = {"likelihood": "gaussian", "epochs": 3, "batch_size": 32, **params}
    return [VAE(2, (16,), **settings, random_state=seed) for seed in range(count)]


def test_each_model_has_the_bits_of_a_fit_alone():
    for vae, alone in zip(fit_all(models(), X, n_threads=3), models(verbose=False), strict=True):
        alone.fit(X)
        for name, tensor in vae.model_.weights().items():
            np.testing.assert_array_equal(tensor, alone.model_.weights()[name], err_msg=name)
        assert vae.history_["elbo"] == alone.history_["elbo"]


def test_models_are_fitted_in_place_and_keep_their_parameters():
    given = models(n_threads=2)
    fitted = fit_all(given, X)
    assert all(vae is other for vae, other in zip(given, fitted, strict=True))
    assert [vae.random_state for vae in fitted] == list(range(5))
    assert all(vae.n_threads == 2 and vae.verbose for vae in fitted)
    assert fitted[0].model_.core.n_threads == 2
    loaded = from_bytes(fitted[3].to_bytes())
    assert (loaded.verbose, loaded.n_threads, loaded.random_state) == (True, 2, 3)


def test_a_checkpoint_of_several_models_is_refused(tmp_path):
    given = models(2)
    with pytest.raises(ValueError, match="checkpoint= is the file of one training"):
        fit_all(given, X, checkpoint=tmp_path / "state.safetensors")
    with pytest.raises(NotFittedError):
        given[0].transform(X)
    fitted = fit_all(given, X, checkpoint=None, callbacks=None)
    assert [vae.n_iter_ for vae in fitted] == [3, 3]


def test_models_that_share_a_generator_differ_and_repeat():
    def fitted() -> list[VAE]:
        rng = np.random.default_rng(5)
        return fit_all([vae.set_params(random_state=rng) for vae in models(3)], X, n_threads=3)

    first, again = fitted(), fitted()
    codes = [vae.transform(X) for vae in first]
    assert not np.array_equal(codes[0], codes[1])
    for expected, vae in zip(codes, again, strict=True):
        np.testing.assert_array_equal(vae.transform(X), expected)


def test_arguments_of_fit_are_passed_on_and_shapes_may_differ():
    seen = []
    grid = [VAE(k, (8,), likelihood="gaussian", epochs=2, random_state=0) for k in (1, 2, 3)]
    fit_all(grid, X, validation=X[:50], callbacks=[lambda vae, record: seen.append(vae.latent_dim)])
    assert sorted(seen) == [1, 1, 2, 2, 3, 3]
    assert all(None not in vae.history_["validation"] for vae in grid)


def test_the_first_error_ends_all():
    wild = models(3, learning_rate=1e30)
    with pytest.raises(DivergenceError):
        fit_all([*wild, *models(3, epochs=10**6)], X, n_threads=2)


def test_ctrl_c_ends_all():
    ended = []

    def interrupted(stop):
        raise KeyboardInterrupt

    def waiting(stop):
        ended.append(stop.wait(timeout=30))

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([waiting, interrupted], 2)
    assert ended == [True]


def test_results_keep_the_order_of_the_tasks():
    assert run_side_by_side([lambda stop, i=i: i for i in range(20)], 4) == list(range(20))
    assert run_side_by_side([], None) == []


def test_a_model_must_not_occur_twice():
    vae = models(1)[0]
    with pytest.raises(ValueError, match="models holds the same model twice"):
        fit_all([vae, vae], X)
    with pytest.raises(ValueError, match="n_threads=0"):
        fit_all(models(2), X, n_threads=0)
