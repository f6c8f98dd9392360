"""Folders of images."""

from __future__ import annotations

import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from vaefast import datasets
from vaefast.datasets.folders import suggested_size

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 8), np.uint8)
COLOUR = RNG.integers(0, 256, (6, 8, 3), np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "pgm", "PNG"])
def test_grey_stays_grey(tmp_path, suffix):
    save(tmp_path / f"b.{suffix}", GREY)
    save(tmp_path / f"a.{suffix}", 255 - GREY)
    data = datasets.load(tmp_path)
    assert data.X.dtype == np.uint8 and data.y is None
    np.testing.assert_array_equal(data.X, [255 - GREY, GREY])  # in the order of the file names


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_colour(tmp_path, suffix):
    save(tmp_path / f"a.{suffix}", COLOUR, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(datasets.load(tmp_path).X, [COLOUR])


def test_jpeg(tmp_path):
    smooth = np.linspace(0, 255, 48).reshape(6, 8).astype(np.uint8)
    save(tmp_path / "a.jpg", smooth, quality=95)
    save(tmp_path / "b.jpeg", smooth, quality=95)
    X = datasets.load(tmp_path).X
    assert X.shape == (2, 6, 8)
    assert abs(X.astype(int) - smooth).max() < 10


def test_one_image_with_colour_makes_all_rgb(tmp_path):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "b.png", COLOUR)
    save(tmp_path / "c.png", 255 - GREY)
    X = datasets.load(tmp_path).X
    assert X.shape == (3, 6, 8, 3)
    np.testing.assert_array_equal(X[0], np.stack([GREY] * 3, axis=-1))
    np.testing.assert_array_equal(X[1], COLOUR)
    np.testing.assert_array_equal(X[2, ..., 1], 255 - GREY)


def test_grey_in_a_colour_format_is_grey(tmp_path):
    save(tmp_path / "a.png", np.stack([GREY] * 3, axis=-1))
    Image.fromarray(GREY).convert("P").save(tmp_path / "b.png")
    save(tmp_path / "c.png", GREY > 127)
    X = datasets.load(tmp_path).X
    np.testing.assert_array_equal(X, [GREY, GREY, np.where(GREY > 127, 255, 0)])


def test_sixteen_bits_become_eight(tmp_path):
    save(tmp_path / "a.png", GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(datasets.load(tmp_path).X, [GREY])


@pytest.mark.parametrize("pixels", [np.ones((4, 4), np.float32), np.full((4, 4), -1, np.int32)])
def test_values_that_do_not_fit_into_bytes(tmp_path, pixels):
    save(tmp_path / "a.tif", pixels)
    with pytest.raises(ValueError, match=r"a\.tif: .*(floating-point|16 bits)"):
        datasets.load(tmp_path)


def test_transparent_parts_are_laid_on_white(tmp_path):
    rgba = np.dstack([COLOUR, np.full((6, 8), 255, np.uint8)])
    rgba[0, 0, 3] = 0
    save(tmp_path / "a.png", rgba)
    expected = COLOUR.copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(datasets.load(tmp_path).X, [expected])


def test_orientation_of_the_camera_is_undone(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    save(tmp_path / "a.png", COLOUR, exif=exif)
    np.testing.assert_array_equal(datasets.load(tmp_path).X, [np.rot90(COLOUR, -1)])


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(datasets.load(tmp_path).X, np.full((1, 4, 4), 10))


def test_images_of_several_sizes_need_image_size(tmp_path):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "b.png", GREY)
    save(tmp_path / "c.png", GREY.T)
    message = r"2 sizes.*: 6 x 8 \(2 of 3\), 8 x 6 \(1 of 3\).*image_size=\(6, 8\)"
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path)
    X = datasets.load(tmp_path, image_size=(6, 8)).X
    assert X.shape == (3, 6, 8)
    np.testing.assert_array_equal(X[0], GREY)  # this image already has the size


def test_resizing_crops_around_the_centre_and_keeps_proportions(tmp_path):
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 15:25] = 200  # a square in the middle
    save(tmp_path / "a.png", wide)
    X = datasets.load(tmp_path, image_size=(5, 5)).X
    assert X.shape == (1, 5, 5)
    assert X.min() > 180 and X.max() < 210  # the filter rings a little at the edges
    assert datasets.load(tmp_path, image_size=(5, 10)).X.shape == (1, 5, 10)


def test_sub_folders_are_classes(tmp_path):
    save(tmp_path / "dog" / "1.png", GREY)
    save(tmp_path / "cat" / "2.png", 255 - GREY)
    save(tmp_path / "cat" / "1.png", GREY)
    save(tmp_path / ".thumbnails" / "1.png", COLOUR)
    (tmp_path / "empty").mkdir()
    data = datasets.load(tmp_path)
    assert data.y.tolist() == ["cat", "cat", "dog"]
    np.testing.assert_array_equal(data.X, [GREY, 255 - GREY, GREY])
    assert data.files.tolist() == ["cat/1.png", "cat/2.png", "dog/1.png"]
    assert data.files_test is None


def test_images_beside_sub_folders_of_images(tmp_path):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "cat" / "b.png", GREY)
    with pytest.raises(ValueError, match=r"images \(a\.png\) and sub-folders of images \(cat\)"):
        datasets.load(tmp_path)


def test_other_files_are_skipped(tmp_path):
    save(tmp_path / "a.png", GREY)
    for name in (".hidden.png", "._a.png", "labels.txt", "Thumbs.db", "README"):
        (tmp_path / name).write_bytes(b"not an image")
    (tmp_path / "folder.png").mkdir()
    assert len(datasets.load(tmp_path).X) == 1


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"holds no images; expected files ending in .*\.png"):
        datasets.load(tmp_path)


@pytest.mark.parametrize("size", [None, (6, 8)])
def test_a_file_that_is_no_image(tmp_path, size):
    save(tmp_path / "a.png", GREY)
    (tmp_path / "b.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"b\.png: not an image, or truncated or corrupt"):
        datasets.load(tmp_path, image_size=size)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tif"])
@pytest.mark.parametrize("size", [None, (40, 40)])
def test_truncated_images(tmp_path, suffix, size):
    noise = RNG.integers(0, 256, (60, 60, 3), np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise)
    whole = path.read_bytes()
    for part in (0, 0.01, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(ValueError, match=rf"a\.{suffix}: not an image, or truncated"):
            datasets.load(tmp_path, image_size=size)


def test_corrupt_image(tmp_path):
    path = save(tmp_path / "a.png", RNG.integers(0, 256, (60, 60), np.uint8))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"a\.png: not an image, or truncated or corrupt"):
        datasets.load(tmp_path)


# --- Broken, huge and odd files ---


def bomb(path, side=70_000):
    """Write a small PNG file whose header announces 4.9 gigapixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + kind + body
        chunks += struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


@pytest.mark.parametrize("size", [None, (8, 8)])
@pytest.mark.parametrize(
    "side", [10_000, 70_000]
)  # Pillow warns of the first, and refuses the other
def test_a_file_that_expands_to_gigabytes_is_refused_by_its_header(tmp_path, side, size):
    path = bomb(tmp_path / "bomb.png", side)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.png: the image has more than 89 million pixels"):
        datasets.load(tmp_path, image_size=size)
    assert tracemalloc.get_traced_memory()[1] < 20e6 and path.stat().st_size < 10_000
    tracemalloc.stop()


def test_a_large_photograph_becomes_small(tmp_path):
    ramp = np.linspace(0, 255, 1_600).astype(np.uint8)
    save(tmp_path / "a.jpg", np.broadcast_to(ramp, (1_200, 1_600)), quality=95)
    X = datasets.load(tmp_path, image_size=(12, 16)).X
    assert X.shape == (1, 12, 16)
    np.testing.assert_allclose(X[0, 5], 255 * (np.arange(16) + 0.5) / 16, atol=2)


def test_broken_files_are_left_out_and_named(tmp_path):
    for i, name in enumerate(("cat", "dog")):
        save(tmp_path / name / "1.png", GREY + i)
        save(tmp_path / name / "3.png", COLOUR + i)
    (tmp_path / "cat" / "2.png").write_text("not an image")
    bomb(tmp_path / "dog" / "2.png")
    with pytest.raises(ValueError, match=r"2\.png"):
        datasets.load(tmp_path)
    for size in (None, (6, 8)):
        with pytest.warns(
            UserWarning, match="left out 2 of 6 files .*: cat.2.png, dog.2.png"
        ) as caught:
            data = datasets.load(tmp_path, image_size=size, skip_broken=True)
        assert caught[0].filename == __file__
        assert data.X.shape == (4, 6, 8, 3)
        assert data.y.tolist() == ["cat", "cat", "dog", "dog"]
        np.testing.assert_array_equal(data.X[3], COLOUR + 1)


def test_broken_files_of_training_and_test_images(tmp_path):
    for name in ("train", "test"):
        for i in range(3):
            save(tmp_path / name / f"{i}.png", GREY + i)
    (tmp_path / "train" / "1.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="left out 1 of 6 files"):
        data = datasets.load(tmp_path, skip_broken=True)
    np.testing.assert_array_equal(data.X, [GREY, GREY + 2])
    assert data.X_test.shape == (3, 6, 8)
    for i in range(3):
        (tmp_path / "test" / f"{i}.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning),
        pytest.raises(ValueError, match="none of the files can be read"),
    ):
        datasets.load(tmp_path, skip_broken=True)


def test_a_folder_of_broken_files_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="none of the files can be read as an image"):
        datasets.load(tmp_path, skip_broken=True)


def test_skip_broken_is_for_folders(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="skip_broken is for folders of images"):
        datasets.load(tmp_path / "rows.npy", skip_broken=True)


def test_cmyk_becomes_rgb(tmp_path):
    flat = Image.new("RGB", (8, 6), (200, 30, 90)).convert("CMYK")
    flat.save(tmp_path / "a.jpg", quality=100)
    flat.save(tmp_path / "b.tif")
    X = datasets.load(tmp_path).X
    assert X.shape == (2, 6, 8, 3)
    assert abs(X.astype(int) - (200, 30, 90)).max() < 6


def test_modes_and_sizes_of_all_kinds_together(tmp_path):
    for i, mode in enumerate(("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")):
        image = Image.fromarray(COLOUR).resize((20 + i, 30))
        image = (
            image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
        )
        image.save(tmp_path / f"{i}.{'tif' if mode == 'CMYK' else 'png'}")
    assert datasets.load(tmp_path, image_size=(10, 8)).X.shape == (8, 10, 8, 3)


# --- The size to train on ---


@pytest.mark.parametrize(
    ("shapes", "size", "note"),
    [
        ([(28, 20), (28, 20)], (28, 20), ""),
        ([(96, 96)], (96, 96), ""),
        ([(300, 400)] * 3, (48, 64), "resized from 300x400 to 48x64"),
        ([(400, 300), (300, 300), (800, 600)], (64, 48), "cropped .* to 64x48, from 3 sizes"),
        ([(20, 30), (30, 30), (10, 30)], (20, 30), "cropped .* to 20x30, from 3 sizes"),
        ([(1, 500)], (1, 64), "resized"),
    ],
)
def test_the_size_that_is_suggested(tmp_path, shapes, size, note):
    for i, (height, width) in enumerate(shapes):
        save(tmp_path / f"{i}.png", np.zeros((height, width), np.uint8))
    found, text = suggested_size(tmp_path)
    assert found == size
    assert re.match(note, text) and bool(text) == bool(note)
    assert datasets.load(tmp_path, image_size=found).X.shape == (len(shapes), *size)
