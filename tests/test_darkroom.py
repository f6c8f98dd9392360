"""Restyled photographs and dreams: what comes from the photograph, and what from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import fail, succeed
from vaefast import VAE, darkroom, datasets


def photo(height: int = 60, width: int = 80) -> np.ndarray:
    """A bright disc on a dark ground, grey."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    disc = np.where(x**2 + y**2 < 0.4, 0.85, 0.15)
    return np.repeat(np.rint(255 * disc)[..., None], 3, axis=2).astype(np.uint8)


def stripes(height: int = 72, width: int = 96) -> np.ndarray:
    """Red stripes, from dark at the left to bright at the right."""
    y, x = np.mgrid[:height, :width]
    light = 0.1 + 0.8 * x / width + 0.15 * np.sign(np.sin(1.3 * y))
    red = np.stack([light, 0.2 * light, 0.1 * light], axis=-1)
    return np.rint(255 * np.clip(red, 0, 1)).astype(np.uint8)


def write(path: Path, pixels: np.ndarray, mode: str = "RGB", **options: object) -> Path:
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


@pytest.fixture(scope="module")
def digits() -> VAE:
    X = datasets.strokes(2000, random_state=0).X
    vae = VAE(8, (128,), likelihood="gaussian", sigma=0.1, epochs=10, random_state=0, verbose=False)
    return vae.fit(X)


# ------------------------------------------------------------------ restyle


def test_light_comes_from_the_photograph_and_colour_and_texture_from_the_painting():
    picture = darkroom.restyle(photo(), stripes(), random_state=0)
    assert picture.shape == (60, 80, 3) and picture.dtype == np.uint8
    light = picture.mean(axis=2)
    inside = photo()[..., 0] > 128
    assert light[inside].mean() > 1.8 * light[~inside].mean()
    red, green, blue = picture.reshape(-1, 3).mean(axis=0)
    assert red > 2.5 * green and red > 2.5 * blue
    rows = light[20:40, 30:50]  # within the disc, where the photograph is flat
    assert np.abs(np.diff(rows, axis=0)).mean() > 3 * np.abs(np.diff(rows, axis=1)).mean()


def test_a_seed_gives_the_same_picture():
    one, same, other = (
        darkroom.restyle(photo(40, 40), stripes(), random_state=s) for s in (1, 1, 2)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (9, 300), (641, 30)])
def test_photographs_and_paintings_of_any_size(shape):
    assert darkroom.restyle(photo(*shape), stripes(30, 40)).shape == (*shape, 3)
    assert darkroom.restyle(photo(30, 40), stripes(*shape)).shape == (30, 40, 3)


def test_large_pictures_are_drawn_in_bands_without_seams(monkeypatch):
    monkeypatch.setattr("vaefast.darkroom.restyling.WORKING", 60)
    large = photo(230, 170)
    whole = darkroom.restyle(large, stripes(150, 200), random_state=0)
    monkeypatch.setattr("vaefast.darkroom.restyling.BAND", 3)
    assert (
        np.abs(darkroom.restyle(large, stripes(150, 200), random_state=0) - 1.0 * whole).max() <= 1
    )


def test_a_painting_of_one_colour_and_grey_floats():
    blue = np.full((30, 30, 3), (20, 40, 220), np.uint8)
    red, green, strong = darkroom.restyle(photo(), blue).reshape(-1, 3).mean(axis=0)
    assert strong > 2 * red and strong > 2 * green
    grey = darkroom.restyle(photo()[..., 0] / 255, stripes()[..., 0])
    assert np.ptp(grey.astype(int), axis=2).max() <= 2


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 4)), r"photo must have shape .* got \(4, 4, 4\)"),
        (np.zeros((0, 4)), "photo must have shape"),
        (np.full((4, 4), 2.0), "floats from 0 to 1, got float64 from 2 to 2"),
        (np.full((4, 4), np.nan), "floats from 0 to 1"),
        (np.zeros((4, 4), int), "must be uint8, or floats from 0 to 1, got int64"),
    ],
)
def test_an_array_that_is_no_photograph_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        darkroom.restyle(image, stripes())


# ------------------------------------------------------------------ dream


def faint_digit() -> tuple[np.ndarray, np.ndarray]:
    """A dark photograph with a faint digit in rows 40 to 99 and columns 60 to 119; the digit."""
    content = np.full((160, 240, 3), 70, np.uint8)
    digit = Image.fromarray(datasets.strokes(200, random_state=3).X[5])
    large = np.asarray(digit.resize((60, 60), Image.Resampling.BICUBIC))
    content[40:100, 60:120] += (large // 5)[..., None]
    return content, large


def test_a_dream_draws_what_the_model_knows_into_the_photograph(digits):
    content, digit = faint_digit()
    dreamt = darkroom.dream(digits, content, random_state=0)
    assert dreamt.shape == content.shape and dreamt.dtype == np.uint8
    clearer = dreamt[40:100, 60:120].mean(axis=2)
    assert np.corrcoef(clearer.ravel(), digit.ravel())[0, 1] > 0.6
    assert clearer.std() > 1.5 * content[40:100, 60:120].std()
    assert np.array_equal(dreamt, darkroom.dream(digits, content, random_state=0))


def test_a_flat_photograph_stays_as_it_is(digits):
    flat = np.full((90, 120, 3), 90, np.uint8)
    assert np.abs(darkroom.dream(digits, flat, random_state=0) - 90.0).max() <= 1


def test_small_photographs_are_dreamt_in_too(digits):
    assert darkroom.dream(digits, photo(5, 3), random_state=0).shape == (5, 3, 3)


def test_models_of_colour_images_draw_colours():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    balls = (x**2 + y**2 < rng.uniform(0.2, 0.6, (300, 1, 1)))[..., None] * np.array(
        [0.9, 0.2, 0.1]
    )
    vae = VAE(2, (32,), likelihood="gaussian", sigma=0.1, epochs=20, random_state=0, verbose=False)
    dreamt = darkroom.dream(vae.fit(balls.astype(np.float32)), photo(96, 128), random_state=0)
    assert (dreamt[..., 0].astype(int) - dreamt[..., 2]).max() > 60


def test_models_of_images_with_one_channel_dream_too():
    X = datasets.strokes(2000, random_state=0).X[..., None]
    vae = VAE(8, (128,), likelihood="gaussian", sigma=0.1, epochs=10, random_state=0, verbose=False)
    vae.fit(X)
    content, _ = faint_digit()
    dreamt = darkroom.dream(vae, content, random_state=0)
    assert dreamt[40:100, 60:120].std() > 1.5 * content[40:100, 60:120].std()


def test_models_that_cannot_dream_are_refused(digits):
    rows = VAE(2, (8,), likelihood="gaussian", epochs=1, verbose=False)
    rows.fit(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    with pytest.raises(ValueError, match=r"a model of images, but its rows have shape \(5,\)"):
        darkroom.dream(rows, photo())
    given = VAE(2, (8,), conditional=True, epochs=1, verbose=False)
    given.fit(np.zeros((10, 8, 8), np.float32), np.arange(10) % 2)
    with pytest.raises(ValueError, match="without conditions"):
        darkroom.dream(given, photo())


# ------------------------------------------------------------------ files and commands


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "CMYK"), ("a.png", "L"), ("a.png", "RGBA"), ("a.gif", "P"), ("a.png", "1")],
)
def test_files_of_any_mode_are_read_as_colours(tmp_path, name, mode):
    pixels = darkroom.read(write(tmp_path / name, photo(), mode))
    assert pixels.shape == (60, 80, 3) and pixels.dtype == np.uint8
    assert pixels[30, 40].min() > 190 and pixels[0, 0].max() < 60


def test_transparency_and_orientation_are_applied(tmp_path):
    clear = Image.fromarray(photo())
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    assert (darkroom.read(tmp_path / "clear.png") == 255).all()
    turned = Image.Exif()
    turned[0x0112] = 6
    write(tmp_path / "turned.jpg", photo(), exif=turned)
    assert darkroom.read(tmp_path / "turned.jpg").shape == (80, 60, 3)


def test_a_huge_image_is_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("vaefast.darkroom.photographs.LARGEST", 1200)
    assert darkroom.read(write(tmp_path / "a.png", photo())).shape == (30, 40, 3)


def test_the_commands_write_pictures(tmp_path, digits):
    given, painting = write(tmp_path / "a.png", photo()), write(tmp_path / "b.png", stripes())
    said = succeed("restyle", given, painting, "--seed", 0, "-o", tmp_path / "c.jpg")
    assert "a.png with the strokes of b.png" in said
    digits.save(tmp_path / "model.safetensors")
    options = ("--model", tmp_path / "model.safetensors", "--seed", 0)
    assert "in a.png" in succeed("dream", given, *options, "-o", tmp_path / "d.png")
    for name in ("c.jpg", "d.png"):
        assert darkroom.read(tmp_path / name).std() > 5


def test_the_commands_refuse_in_one_line_before_they_work(tmp_path):
    given = write(tmp_path / "a.png", photo())
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(given.read_bytes()[:60])
    out = tmp_path / "out.png"
    assert "broken.jpg: not an image" in fail("restyle", given, broken, "-o", out)
    assert "broken.jpg: not an image" in fail("dream", broken, "-o", out)
    assert "must name a picture" in fail("restyle", given, given, "-o", tmp_path / "out.txt")
    assert "already exists" in fail("dream", given, "-o", given)
    assert not out.exists()
