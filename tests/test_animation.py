"""Animations: the order, duration and format of the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from vaefast.pictures.animation import save_animation

GREYS = [0, 60, 120, 180]


def frames_of(path: Path) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Return the colour in the middle of each frame and its duration in milliseconds."""
    with Image.open(path) as animation:
        assert animation.info["loop"] == 0
        colours, times = [], []
        for frame in ImageSequence.Iterator(animation):
            colours.append(frame.convert("RGB").getpixel((frame.width // 2, frame.height // 2)))
            times.append(frame.info["duration"])
    return colours, times


def grey_images() -> np.ndarray:
    return np.stack([np.full((28, 28), grey, np.uint8) for grey in GREYS])


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_frames_go_there_and_back_and_hold_where_asked(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    save_animation(grey_images(), path, seconds=0.05, hold=[0, 3])
    colours, times = frames_of(path)
    np.testing.assert_allclose([c[0] for c in colours], [0, 60, 120, 180, 120, 60], atol=2)
    assert times == [500, 50, 50, 500, 50, 50]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_frames_can_be_played_in_one_direction_only(tmp_path):
    save_animation(grey_images(), tmp_path / "a.gif", back=False)
    assert [c[0] for c in frames_of(tmp_path / "a.gif")[0]] == GREYS  # GIF keeps grey exactly


def test_frames_in_colour_and_floats(tmp_path):
    images = np.zeros((2, 8, 8, 3), np.float32)
    images[0, ..., 0] = images[1, ..., 2] = 2.0
    save_animation(images, tmp_path / "a.gif", black_white=(0, 2))
    assert frames_of(tmp_path / "a.gif")[0] == [(255, 0, 0), (0, 0, 255)]


def test_one_image_is_an_animation_too(tmp_path):
    save_animation(grey_images()[:1], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 1
        assert animation.size == (224, 224)


def test_other_formats_and_wrong_images_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"a\.png: an animation must be a \.gif or \.webp file"):
        save_animation(grey_images(), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"\(4, 784\)"):
        save_animation(grey_images().reshape(4, -1), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
