"""Automatic sizes and budgets: the rules, the rows that are watched, and what is kept."""

import numpy as np
import pytest

import vaefast
from vaefast import VAE, Checkpoint, schedules
from vaefast._engine.automatic import choose
from vaefast.errors import ConvergenceWarning

rng = np.random.default_rng(0)
X = (rng.standard_normal((400, 2)) @ rng.standard_normal((2, 6))).astype(np.float32)
X += 0.3 * rng.standard_normal(X.shape).astype(np.float32)
ALL = dict.fromkeys(
    ("latent_dim", "hidden_layer_sizes", "batch_size", "learning_rate", "epochs"), "auto"
)
QUICK = {"likelihood": "gaussian", "hidden_layer_sizes": (8,), "random_state": 0, "verbose": False}


def plan(n: int, features: int, **params):
    given = {**VAE().get_params(), "likelihood": "gaussian", **ALL, **params}
    return choose(given, n, features, 0, has_validation=False, whole=True)


@pytest.mark.parametrize(
    ("n", "features", "expected"),
    [  # batch_size, latent_dim, width, epochs, patience, rows watched
        (150, 4, (32, 4, 256, 1600, 400, 15)),
        (569, 30, (32, 16, 256, 500, 125, 57)),
        (400, 12_288, (32, 32, 256, 667, 167, 40)),
        (30_000, 784, (128, 32, 512, 64, 16, 3_000)),
        (600_000, 20, (512, 16, 512, 17, 5, 5_000)),
        (60, 3, (32, 3, 256, 4_000, None, 0)),
    ],
)
def test_the_rules_on_data_of_known_size(n, features, expected):
    choice = plan(n, features)
    params = choice.params
    found = [params[name] for name in ("batch_size", "latent_dim")]
    found += [*params["hidden_layer_sizes"], params["epochs"], params["patience"]]
    assert (*found, choice.n_watched) == expected


def test_large_nets_get_fewer_steps_and_a_smaller_rate():
    large = plan(1_000, 20_000).params
    assert large["epochs"] * 29 < 8_000
    assert large["learning_rate"] == schedules.Cosine(1e-3)
    assert plan(1_000, 20).params["learning_rate"] == schedules.Cosine(2e-3)


def test_what_is_given_stays():
    choice = plan(500, 6, latent_dim=3, batch_size=50, hidden_layer_sizes=(7, 5))
    assert choice.params["latent_dim"] == 3
    assert choice.params["batch_size"] == 50
    assert sorted(choice.given) == ["epochs", "learning_rate", "patience"]
    plain = choose(VAE(epochs=4).get_params(), 500, 6, 0, has_validation=False, whole=True)
    assert (plain.given, plain.n_watched, plain.text) == ({}, 0, "")


def test_a_fit_watches_a_tenth_and_restores_the_best_weights():
    vae = VAE(**QUICK).fit(X)
    assert vae.chosen_ == {"epochs": 2_667, "patience": 667}
    assert None not in vae.history_["validation"]
    assert vae.n_iter_ < 2_667
    best = int(np.argmax(vae.history_["validation"])) + 1
    assert vae.n_iter_ == best + 667
    choice = choose(vae.get_params(), 400, 6, 0, has_validation=False, whole=True)
    train, watched = choice.split(400, vae.model_.seed)
    assert sorted([*train, *watched]) == list(range(400))
    assert len(watched) == 40
    # Scores draw their noise by the content of a row: the watched rows give the best ELBO again.
    assert vae.score(X[watched]) == pytest.approx(max(vae.history_["validation"]), abs=1e-9)


def test_the_watched_rows_are_not_trained():
    """Training on the other rows alone gives the same weights."""
    vae = VAE(**QUICK, batch_size=45).fit(X)
    choice = choose(vae.get_params(), 400, 6, 0, has_validation=False, whole=True)
    train, watched = choice.split(400, vae.model_.seed)
    alone = VAE(**QUICK, batch_size=45).set_params(**vae.chosen_)
    alone.fit(X[train], validation=X[watched])
    for name, tensor in alone.model_.weights().items():
        np.testing.assert_array_equal(tensor, vae.model_.weights()[name], err_msg=name)
    assert alone.history_["elbo"] == vae.history_["elbo"]


def test_the_bits_do_not_depend_on_the_number_of_threads():
    models = [VAE(**QUICK, n_threads=n).fit(X) for n in (1, 3)]
    np.testing.assert_array_equal(*(vae.transform(X) for vae in models))


@pytest.mark.parametrize(
    "params", [{"beta": 2.0}, {"free_bits": 0.1}, {"capacity": 2.0}, {"beta": schedules.Cyclical()}]
)
def test_nothing_is_watched_if_the_objective_is_another(params):
    choice = plan(500, 6, **params)
    assert choice.n_watched == 0
    assert choice.params["patience"] is None


def test_rows_that_the_user_passes_are_watched():
    vae = VAE(**QUICK).set_params(patience=20).fit(X[:300], validation=X[300:])
    assert vae.chosen_ == {"epochs": 2_667}
    assert max(vae.history_["validation"]) == pytest.approx(vae.score(X[300:]), abs=1e-9)
    vae = VAE(**QUICK).set_params(patience=20).fit(X)  # a tenth, and the user's patience
    assert len(vae.history_["validation"]) == int(np.argmax(vae.history_["validation"])) + 21


def test_files_and_clones_keep_auto(tmp_path):
    vae = VAE(**{**QUICK, **ALL, "hidden_layer_sizes": "auto"}).fit(X)
    vae.save(tmp_path / "model.safetensors")
    loaded = vaefast.load(tmp_path / "model.safetensors")
    assert loaded.chosen_ == vae.chosen_
    assert loaded.get_params()["epochs"] == "auto"
    assert loaded.patience is None
    np.testing.assert_array_equal(loaded.transform(X), vae.transform(X))
    np.testing.assert_array_equal(loaded.fit(X).transform(X), vae.transform(X))


def test_a_checkpoint_continues_an_automatic_fit(tmp_path):
    whole = VAE(**QUICK).fit(X)
    path = tmp_path / "run.safetensors"
    VAE(**QUICK).fit(X, checkpoint=Checkpoint(path, 10), max_time=1e-9)
    resumed = VAE(**QUICK).fit(X, checkpoint=Checkpoint(path, 10_000))
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))
    assert resumed.chosen_ == whole.chosen_


def test_partial_fit_goes_on_at_a_rate_above_zero():
    vae = VAE(**{**QUICK, **ALL}).fit(X)
    before = vae.model_.weights()
    vae.partial_fit(X)
    assert not np.array_equal(before["mu.weight"], vae.model_.weights()["mu.weight"])
    assert vae.history_["learning_rate"][-1] == pytest.approx(1e-3)
    fresh = VAE(**{**QUICK, **ALL}).partial_fit(X)
    assert fresh.n_iter_ == 1
    assert fresh.history_["learning_rate"] == [pytest.approx(1e-3)]
    assert fresh.history_["validation"] == [None]


def test_weights_and_conditions_go_with_the_rows():
    labels = rng.integers(0, 3, 400)
    vae = VAE(**QUICK, conditional=True, batch_size=45)
    vae.fit(X, labels, sample_weight=rng.random(400) + 0.1)
    assert np.isfinite(vae.score(X, labels))


def test_what_was_chosen_is_said_in_a_line(capsys):
    VAE(**{**QUICK, **ALL, "verbose": True}).fit(X)
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith("chosen automatically: latent_dim 6, hidden_layer_sizes 256,")
    assert "epochs 667, patience 167, 40 rows watched" in said


@pytest.mark.filterwarnings("error")
def test_a_fit_of_a_few_steps_warns():
    with pytest.warns(ConvergenceWarning, match="only 12 steps: raise epochs from 3"):
        VAE(**QUICK, epochs=3).fit(X)
    with pytest.warns(ConvergenceWarning, match="the ELBO was still rising"):
        VAE(**QUICK, epochs=40, batch_size=32, learning_rate=1e-4).fit(X)
    VAE(**QUICK, epochs=150, batch_size=32, learning_rate=3e-3).fit(X)


def test_other_texts_are_refused():
    for name in ALL:
        with pytest.raises((TypeError, ValueError), match=f"{name}='many'"):
            VAE(**{**QUICK, name: "many"}).fit(X)
