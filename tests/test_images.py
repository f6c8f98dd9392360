"""Pictures made of images: layout, size and colour."""

from __future__ import annotations

from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vaefast import pictures
from vaefast.pictures import images


def flat(*values: float, side: int = 28) -> np.ndarray:
    """Return images of a single grey value each."""
    return np.stack([np.full((side, side), value, dtype=np.float32) for value in values])


def cells(picture: Image.Image, columns: int, rows: int) -> np.ndarray:
    """Return the colour in the middle of each cell of a sheet, (rows, columns, 3)."""
    pixels = np.asarray(picture)
    y = ((np.arange(rows) + 0.5) * pixels.shape[0] / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * pixels.shape[1] / columns).astype(int)
    return pixels[np.ix_(y, x)]


class Decoder:
    """A stand-in for a model of two latent dimensions: the first is red, the second green."""

    def __init__(self, latent_dim: int = 2) -> None:
        self.model_ = SimpleNamespace(latent_dim=latent_dim)

    def inverse_transform(self, z: np.ndarray) -> np.ndarray:
        share = np.vectorize(NormalDist().cdf)(z)
        colour = np.concatenate([share, np.zeros((len(z), 1))], axis=1)
        return np.broadcast_to(colour[:, None, None, :], (len(z), 4, 4, 3))


def test_sheet_sets_images_row_after_row_and_leaves_the_rest_empty():
    picture = images.sheet(flat(0.0, 0.2, 0.4, 0.6, 0.8), columns=3)
    grey = cells(picture, columns=3, rows=2)
    assert grey[..., 0].tolist() == [[0, 51, 102], [153, 204, images.BACKGROUND[0]]]
    assert picture.mode == "RGB"


def test_sheet_is_about_square_and_enlarges_small_images_by_a_whole_factor():
    picture = images.sheet(flat(*[0.5] * 16))
    assert picture.size == (4 * 84 + 5 * images.GUTTER,) * 2
    large = images.sheet(flat(0.5, side=500))
    assert large.size == (500 + 2 * images.GUTTER,) * 2


def test_sheet_keeps_a_gutter_between_images():
    pixels = np.asarray(images.sheet(flat(1.0, 1.0), columns=2))
    middle = pixels.shape[1] // 2
    assert tuple(pixels[40, middle]) == images.BACKGROUND
    assert tuple(pixels[0, 0]) == images.BACKGROUND
    assert tuple(pixels[40, middle + images.GUTTER]) == (255, 255, 255)


def test_sheet_shows_uint8_and_colour_as_they_are():
    rgb = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    rgb[0] = 10, 20, 30
    rgb[1] = 200, 100, 0
    assert cells(images.sheet(rgb, columns=2), 2, 1).tolist() == [[[10, 20, 30], [200, 100, 0]]]
    grey = cells(images.sheet(rgb[..., :1], columns=2), 2, 1)
    assert grey.tolist() == [[[10] * 3, [200] * 3]]


def test_sheet_clips_to_the_given_black_and_white():
    grey = cells(images.sheet(flat(-3.0, 0.0, 9.0), columns=3, black_white=(-1, 1)), 3, 1)
    assert grey[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0.2, 0.4]), (0, 1)),
        (np.array([0, 255], dtype=np.uint8), (0, 1)),
        (np.array([-2.0, 16.0]), (-2, 16)),
        (np.array([5.0, 5.0]), (5, 6)),
    ],
)
def test_value_range_is_that_of_the_data_only_beyond_0_and_1(values, expected):
    assert pictures.value_range(values) == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((4, 784)), r"\(4, 784\)"),
        (np.zeros((0, 8, 8)), r"\(0, 8, 8\)"),
        (np.zeros((2, 8, 8, 2)), r"\(2, 8, 8, 2\)"),
        (np.zeros((2, 8, 8), dtype=np.int64), "int64"),
    ],
)
def test_sheet_says_what_is_wrong_with_its_images(wrong, message):
    with pytest.raises(ValueError, match=message):
        images.sheet(wrong)


def test_missing_values_are_mid_grey_and_do_not_change_the_range():
    gaps = np.array([[[-3.0, np.nan], [np.nan, 5.0]]], np.float32).repeat(14, 1).repeat(14, 2)
    assert pictures.value_range(gaps) == (-3, 5)
    assert pictures.value_range(np.full((1, 2, 2), np.nan)) == (0, 1)
    picture = np.asarray(images.sheet(gaps, black_white=(-3, 5)).convert("L"))
    assert set(np.unique(picture)) >= {0, 128, 255}


def test_sheet_refuses_a_negative_number_of_columns():
    with pytest.raises(ValueError, match="at least 1, got -1"):
        images.sheet(flat(0.5), columns=-1)


def test_comparison_sets_each_result_below_its_original():
    originals, results = flat(*np.arange(12) / 20), flat(*np.arange(12) / 20 + 0.3)
    pixels = np.asarray(images.comparison(originals, results))
    where = np.argwhere((pixels[..., 0] == round(0.1 * 255)) & (np.ptp(pixels, axis=-1) == 0))
    y, x = np.median(where, axis=0).astype(int)
    below = pixels[y + 84 + images.GUTTER, x]
    assert below.tolist() == [102] * 3  # 0.1 + 0.3


def test_comparison_breaks_into_rows_of_ten_pairs():
    ten = images.comparison(flat(*[0.5] * 10), flat(*[0.5] * 10))
    twelve = images.comparison(flat(*[0.5] * 12), flat(*[0.5] * 12))
    assert twelve.width == ten.width
    assert twelve.height > 1.9 * ten.height


def test_comparison_takes_uint8_originals_and_float_results():
    original = np.full((1, 28, 28), 51, dtype=np.uint8)
    pixels = np.asarray(images.comparison(original, flat(0.2)))
    assert (pixels == 51).all(axis=-1).sum() == 2 * 84 * 84


def test_comparison_refuses_two_shapes():
    with pytest.raises(ValueError, match=r"\(2, 28, 28\) and \(3, 28, 28\)"):
        images.comparison(flat(0, 0), flat(0, 0, 0))


def test_manifold_lies_at_the_quantiles_with_large_second_coordinates_on_top():
    picture = images.manifold(Decoder(), n=5)
    colours = cells(picture, 5, 5) / 255
    shares = (np.arange(5) + 0.5) / 5
    np.testing.assert_allclose(colours[0, :, 0], shares, atol=1 / 255)  # increases to the right
    np.testing.assert_allclose(colours[:, 0, 1], shares[::-1], atol=1 / 255)  # increases to the top
    assert picture.width % 5 == 0  # no gutters


def test_manifold_needs_two_latent_dimensions():
    decoder = Decoder(latent_dim=3)
    with pytest.raises(ValueError, match="2 latent dimensions, but this model has 3"):
        images.manifold(decoder)


def test_strips_set_rows_of_different_lengths_below_each_other():
    picture = images.strips([flat(0.2, 0.4, 0.6), flat(0.8)])
    pixels = np.asarray(picture)[..., 0]
    top, left = images.EDGE + 42, images.EDGE + 42 + (84 + images.GUTTER) * np.arange(3)
    assert pixels[top, left].tolist() == [51, 102, 153]
    below = top + 84 + images.GUTTER
    assert pixels[below, left].tolist() == [204, images.BACKGROUND[0], images.BACKGROUND[0]]
    assert picture.size == (3 * 86 - 2 + 2 * images.EDGE, 2 * 86 - 2 + 2 * images.EDGE)


def test_strips_take_floats_beside_bytes():
    row = [np.full((28, 28), 51, np.uint8), flat(0.2)[0]]
    pixels = np.asarray(images.strips([row]))
    assert (pixels == 51).all(axis=-1).sum() == 2 * 84 * 84


def test_strips_make_room_for_names_heads_captions_and_breaks():
    rows = [flat(0.5, 0.5), flat(0.5, 0.5)]
    plain = images.strips(rows)
    named = images.strips(rows, names=["a long name\nof two lines", "b"])
    headed = images.strips(rows, heads=["one", "a head that is wider than all the images are"])
    captioned = images.strips(rows, captions=[["1", "2"], ["3", "4"]])
    broken = images.strips(rows, breaks=[1])
    assert named.width > plain.width + 60 and named.height == plain.height
    assert headed.height > plain.height and headed.width > plain.width
    assert captioned.height == plain.height + 2 * images.CAPTION
    assert broken.width == plain.width + images.BREAK
    for picture in (named, headed, captioned):  # the text is drawn
        assert (np.asarray(picture) > 180).any()


def test_strips_frame_the_chosen_images():
    pixels = np.asarray(images.strips([flat(0.5, 0.5)], framed=[(0, 1)]))
    framed = (pixels == images.FRAME).all(axis=-1)
    columns = np.flatnonzero(framed.any(axis=0))
    second = images.EDGE + 84 + images.GUTTER
    assert abs(columns[0] - second) <= 2 and abs(columns[-1] - (second + 84)) <= 2


def test_strips_refuse_images_of_two_sizes():
    with pytest.raises(ValueError, match=r"one size.*\(14, 14\), \(28, 28\)"):
        images.strips([flat(0.5), flat(0.5, side=14)])
