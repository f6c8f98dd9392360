"""The built-in digits."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaefast.datasets import strokes

FACTORS = ["style", "slant", "size", "aspect", "x", "y", "thickness", "wobble"]


@pytest.fixture(scope="module")
def data():
    return strokes(4_000, n_test=500)


def ink_box(images):
    """Return the first and last row and column with ink, for each image."""
    rows, columns = images.any(axis=2), images.any(axis=1)
    side = images.shape[1]
    return (
        rows.argmax(1),
        side - 1 - rows[:, ::-1].argmax(1),
        columns.argmax(1),
        side - 1 - columns[:, ::-1].argmax(1),
    )


def test_shapes_and_types(data):
    assert data.X.shape == (4_000, 28, 28) and data.X.dtype == np.uint8
    assert data.X.flags.c_contiguous
    assert data.y.shape == (4_000,) and data.y.dtype == np.int64
    assert data.X_test.shape == (500, 28, 28) and data.y_test.shape == (500,)
    assert list(data.factors) == FACTORS
    assert all(f.shape == (4_000,) and f.dtype == np.float32 for f in data.factors.values())
    assert list(data.factors_test) == FACTORS
    assert all(f.shape == data.y_test.shape for f in data.factors_test.values())


def test_every_digit_is_there_about_equally_often(data):
    counts = np.bincount(data.y, minlength=10)
    assert len(counts) == 10
    assert counts.min() > 300 and counts.max() < 500


def test_white_ink_on_black_and_nothing_at_the_border(data):
    assert (data.X.max(axis=(1, 2)) == 255).all()
    assert 0.05 < data.X.mean() / 255 < 0.2
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    assert not data.X[:, border].any()


def test_edges_are_smooth(data):
    grey = (data.X > 0) & (data.X < 255)
    assert grey.sum() > 0.3 * (data.X > 0).sum()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**64))
def test_a_longer_draw_begins_with_the_shorter_one(n, more, seed):
    short = strokes(n, n_test=more, random_state=seed)
    long = strokes(n + more, n_test=more, random_state=seed)
    np.testing.assert_array_equal(short.X, long.X[:n])
    np.testing.assert_array_equal(short.y, long.y[:n])
    for name in FACTORS:
        np.testing.assert_array_equal(short.factors[name], long.factors[name][:n])
    np.testing.assert_array_equal(short.X_test, long.X_test)
    np.testing.assert_array_equal(short.y_test, long.y_test)


def test_seeds_and_test_images_differ():
    a, b = strokes(50, n_test=50, random_state=1), strokes(50, n_test=50, random_state=2)
    assert (a.X != b.X).any(axis=(1, 2)).all()
    assert (a.X_test != a.X).any(axis=(1, 2)).all()
    u, v = strokes(50, random_state=None), strokes(50, random_state=None)
    assert (u.X != v.X).any()


def test_the_image_does_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    expected = strokes(300, n_test=0).X
    module = sys.modules[strokes.__module__]  # vaefast.datasets.strokes is the function
    monkeypatch.setattr(module, "CHUNK", 7)
    np.testing.assert_array_equal(strokes(300, n_test=0).X, expected)


def test_factors_say_how_the_digit_was_drawn(data):
    f = data.factors
    top, bottom, left, right = ink_box(data.X)
    # The box of the ink is centred at (x, y), to within a pixel.
    np.testing.assert_allclose((left + right) / 2 - 13.5, f["x"], atol=1.01)
    np.testing.assert_allclose((top + bottom) / 2 - 13.5, f["y"], atol=1.01)
    # Its height is the size plus the thickness of the pen, apart from the wobble.
    extra = bottom - top + 1 - f["size"] - f["thickness"]
    assert (abs(extra) < 2 * f["wobble"] + 2.5).all()
    # A thicker pen leaves more ink; a slant moves the top of a 1 to the right of its foot.
    ones = data.X[data.y == 1].astype(float)
    assert np.corrcoef(ones.sum((1, 2)), f["thickness"][data.y == 1])[0, 1] > 0.8
    columns = np.arange(28)
    rows = np.arange(28) - 13.5
    tilt = [
        -np.polyfit(rows[i.any(1)], (i[i.any(1)] @ columns) / i[i.any(1)].sum(1), 1)[0]
        for i in ones
    ]
    assert np.corrcoef(tilt, np.tan(np.deg2rad(f["slant"][data.y == 1])))[0, 1] > 0.8


def count_holes(image):
    """Count the black regions enclosed by ink, by a flood fill over four neighbours."""
    free = image < 128
    regions = 0
    while free.any():
        todo, size = [tuple(np.argwhere(free)[0])], 0
        while todo:
            r, c = todo.pop()
            if 0 <= r < 28 and 0 <= c < 28 and free[r, c]:
                free[r, c] = False
                size += 1
                todo += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        regions += size > 3  # smaller ones lie where two strokes part
    return regions - 1  # the outside is also a region


@pytest.mark.parametrize(
    ("digit", "holes"), [(0, 1), (1, 0), (2, 0), (3, 0), (5, 0), (6, 1), (7, 0), (8, 2), (9, 1)]
)
def test_loops_are_closed_and_nothing_else_is(data, digit, holes):
    images = data.X[data.y == digit][:60]
    right = [count_holes(image) == holes for image in images]
    assert np.mean(right) >= 0.95  # a thick pen sometimes fills a small loop


def test_a_nearest_neighbour_classifier_recognizes_the_digits(data):
    """The nearest of 2,000 other drawings shows the same digit."""
    train = data.X[:2_000].reshape(2_000, -1) / np.float32(255)
    test = data.X_test.reshape(500, -1) / np.float32(255)
    distance = (train**2).sum(1) - 2 * test @ train.T
    assert (data.y[distance.argmin(1)] == data.y_test).mean() > 0.95


def test_none_and_one():
    assert strokes(0, n_test=0).X.shape == (0, 28, 28)
    assert strokes(1, n_test=0).X.shape == (1, 28, 28)


@pytest.mark.parametrize("n", [-1, 2.5, "many", None])
def test_bad_counts(n):
    with pytest.raises(ValueError, match="^n: expected a whole number of at least 0, got"):
        strokes(n)
    with pytest.raises(ValueError, match="^n_test: expected a whole number of at least 0, got"):
        strokes(1, n_test=n)


@pytest.mark.parametrize("seed", [-1, 0.5, "seed"])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="random_state: expected a whole number of at least 0"):
        strokes(1, random_state=seed)
