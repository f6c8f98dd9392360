"""`vaefast train` on folders of photographs, and `sample` from the model."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

import vaefast
from commands import fail, names, succeed
from vaefast import VAE

rng = np.random.default_rng(0)
PATTERNS = rng.standard_normal((6, 12, 16, 3))


def photographs(folder, n, size=(12, 16), suffix="png"):
    """Write smooth images in colour, (height, width) each; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        pixels = 128 + 25 * np.tensordot(rng.standard_normal(6), PATTERNS, 1)
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        image.resize(size[::-1]).save(folder / f"{i:03}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    photographs(folder / "data", 60)
    succeed("train", folder / "data", "--out", folder / "run", "--seed", 0, "--no-verbose")
    return folder / "run"


def test_a_folder_of_photographs_gets_the_recipe(model):
    vae = vaefast.load(model / "model.safetensors")
    assert vae.feature_shape_ == (12, 16, 3)
    assert (vae.likelihood, vae.activation, vae.components) == ("gaussian", "silu", 30)
    X = vaefast.datasets.load(model.parent / "data").X / np.float32(255)
    error = np.sqrt(np.mean((vae.reconstruct(X) - X) ** 2))
    assert error < 0.5 * X.std()
    assert {"samples.png", "reconstructions.png"} <= names(model)


def test_the_choice_is_told_in_a_line(tmp_path):
    data = photographs(tmp_path / "data", 12)
    out = succeed("train", data, "--out", tmp_path / "run", "--epochs", 2, "--no-verbose")
    (line,) = (line for line in out.splitlines() if line.startswith("Fit"))
    assert "6 principal components at most, sigma 0." in line
    assert line.endswith("2 steps of 11 rows (2 epochs)")


def test_components_without_a_fixed_sigma_are_refused(tmp_path):
    np.save(tmp_path / "rows.npy", rng.standard_normal((40, 5)).astype(np.float32))
    options = ("--likelihood", "gaussian", "--no-standardize", "--components", 3)
    message = fail("train", tmp_path / "rows.npy", "--out", tmp_path / "run", *options)
    assert "components need --likelihood gaussian and a sigma" in message


def test_what_is_given_stays(monkeypatch, tmp_path):
    seen = {}

    class Stop(ValueError):
        pass

    def fit(self, *args, **kwargs):
        seen.update(self.get_params())
        raise Stop

    monkeypatch.setattr(VAE, "fit", fit)
    data = photographs(tmp_path / "data", 12)
    run = ["train", data, "--out", tmp_path / "run"]
    fail(*run, "--latent-dim", 2, "--sigma", 0.2)
    assert (seen["latent_dim"], seen["sigma"], seen["components"]) == (2, 0.2, 6)
    fail(*run, "--likelihood", "bernoulli")
    assert (seen["components"], seen["hidden_layer_sizes"]) == (None, "auto")
    for options in (
        ["--checkpoint"],
        ["--sigma", "optimal"],
        ["--patience", 3, "--validation", 0.2],
    ):
        fail(*run, *options, "--force")
        assert (seen["likelihood"], seen["components"], seen["epochs"]) == (
            "gaussian",
            None,
            "auto",
        )


def test_photographs_of_all_sizes_are_made_alike(tmp_path):
    photographs(tmp_path / "data" / "a", 6, (150, 200), "jpg")
    photographs(tmp_path / "data" / "b", 5, (130, 200))
    run = ["train", tmp_path / "data", "--out", tmp_path / "run", "--no-verbose", "--epochs", 1]
    out = succeed(*run)
    assert "Size  cropped around the centre and resized to 48x64, from 2 sizes; --image-size" in out
    assert "48x64x3 pixels" in out
    assert "32x32x3 pixels" in succeed(*run, "--image-size", 32, "--force")


def test_broken_files(tmp_path):
    data = photographs(tmp_path / "data", 12)
    (data / "005.png").write_bytes((data / "005.png").read_bytes()[:200])
    (data / "007.png").write_text("no image")
    run = ["train", data, "--out", tmp_path / "run", "--no-verbose", "--epochs", 1]
    assert "005.png: not an image" in fail(*run) and "--skip-broken." in fail(*run)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        out = succeed(*run, "--skip-broken")
    assert "left out 2 of 12 files that can't be read: 005.png, 007.png" in out
    assert "9 rows of 12x16x3 pixels, 1 for the test" in out


@pytest.mark.parametrize("n", [1, 3])
def test_images_that_do_not_differ(tmp_path, n):
    data = photographs(tmp_path / "data", 1)
    for i in range(1, n):
        (data / f"{i:03}.png").write_bytes((data / "000.png").read_bytes())
    out = fail("train", data, "--out", tmp_path / "run")
    assert f"data: X holds only one distinct image (n={n})" in out
    assert "Traceback" not in out


def test_two_images_that_differ_are_a_model(tmp_path):
    data = photographs(tmp_path / "data", 2)
    succeed("train", data, "--out", tmp_path / "run", "--no-verbose", "--epochs", 5)


def test_new_images_at_twice_their_size(model, tmp_path):
    out = tmp_path / "new.png"
    text = succeed("sample", model, "-n", 4, "--scale", 2, "--seed", 0, "--out", out)
    assert "4 samples at 2 times their size: interpolated, with the detail of 12x16 pixels" in text
    with Image.open(out) as picture:
        assert picture.size == (2 * 32 + 3 * 2, 2 * 24 + 3 * 2)
    rows = tmp_path / "rows.npy"
    np.save(rows, rng.standard_normal((50, 3)).astype(np.float32))
    succeed("train", rows, "--likelihood", "gaussian", "--epochs", 1, "--out", tmp_path / "run")
    assert "--scale is for images" in fail("sample", tmp_path / "run", "--scale", 2, code=2)


def test_colours_of_new_images_are_those_of_the_model(model, tmp_path):
    """Decoded values beyond 0 and 1 are clipped; they don't stretch the range of the picture."""
    succeed("sample", model, "-n", 1, "--scale", 1, "--seed", 3, "--out", tmp_path / "new.png")
    with Image.open(tmp_path / "new.png") as picture:
        drawn = np.asarray(picture)[2:-2, 2:-2]
    image = vaefast.load(model / "model.safetensors").sample(1, random_state=3)[0]
    np.testing.assert_array_equal(drawn, np.rint(np.clip(image, 0, 1) * 255))
