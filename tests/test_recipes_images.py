"""Parameters for images, chosen by looking at them."""

from __future__ import annotations

import numpy as np
import pytest

from vaefast import VAE, datasets, recipes

rng = np.random.default_rng(0)


def photographs(n: int, size: int = 16, rank: int = 400) -> np.ndarray:
    """Return smooth images in colour that differ in many ways, uint8 (n, size, size, 3)."""
    weights = rng.standard_normal((n, rank)) / np.arange(1, rank + 1) ** 0.25
    rows = weights @ rng.standard_normal((rank, size * size * 3))
    rows = 0.5 + 0.15 * rows / rows.std()
    return np.rint(np.clip(rows, 0, 1) * 255).astype(np.uint8).reshape(n, size, size, 3)


@pytest.mark.parametrize(
    ("n", "expected"),
    [  # latent_dim, components, batch_size, epochs
        (100, (32, 50, 32, 500)),
        (400, (64, 200, 32, 154)),
        (2_000, (128, 300, 64, 125)),
        (10_000, (128, 300, 128, 76)),
    ],
)
def test_photographs_by_their_number(n, expected):
    chosen = recipes.images(photographs(n))
    names = ("latent_dim", "components", "batch_size", "epochs")
    assert tuple(chosen[name] for name in names) == expected
    assert chosen["likelihood"] == "gaussian"
    assert 0.05 <= chosen["sigma"] < 0.15


def test_images_that_differ_in_few_ways_get_few_dimensions():
    chosen = recipes.images(photographs(600, rank=4))
    assert chosen["latent_dim"] <= 4
    assert chosen["sigma"] <= 0.05


def test_floats_are_read_as_their_bytes_are():
    X = photographs(150)
    from_bytes, from_floats = recipes.images(X), recipes.images(X / np.float32(255))
    assert repr(from_bytes) == repr(from_floats)


def test_ink_is_bernoulli_and_left_to_the_data():
    chosen = recipes.images(datasets.strokes(100, random_state=0).X)
    assert chosen["likelihood"] == "bernoulli"
    assert set(chosen.values()) == {"bernoulli", "auto"}


def test_the_recipe_learns_photographs():
    """Held-out images are reconstructed nearly as well as by as many principal components."""
    X = photographs(500, rank=12)
    vae = VAE(**recipes.images(X[:400]), random_state=0, verbose=False).fit(X[:400])
    rows = X.reshape(500, -1) / 255
    mean = rows[:400].mean(axis=0)
    axes = np.linalg.svd(rows[:400] - mean, full_matrices=False)[2][: vae.latent_dim]
    ours = vae.reconstruct(X[400:]).reshape(100, -1)
    theirs = (rows[400:] - mean) @ axes.T @ axes + mean
    errors = [float(np.sqrt(np.mean((found - rows[400:]) ** 2))) for found in (ours, theirs)]
    assert errors[0] < 1.3 * errors[1]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_images_that_do_not_differ(n):
    X = np.repeat(photographs(1), n, axis=0)
    with pytest.raises(ValueError, match="X holds only one distinct image"):
        recipes.images(X)


def test_few_images_still_have_a_recipe():
    assert VAE(**recipes.images(photographs(2)), verbose=False).get_params()["latent_dim"] == 1


@pytest.mark.parametrize("X", [np.zeros((5, 3)), np.zeros((5, 3, 4), np.int32)])
def test_rows_that_are_no_images(X):
    with pytest.raises(ValueError, match=r"expected images of shape \(n, h, w\)"):
        recipes.images(X)
