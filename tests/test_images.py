"""Pictures: what lies where, in which size and colour."""

from __future__ import annotations

import math
import sys
from statistics import NormalDist

import numpy as np
import pytest
from PIL import Image

from vaefast import images


def flat(*values: float, side: int = 28) -> np.ndarray:
    """Images of one grey value each."""
    return np.stack([np.full((side, side), value, dtype=np.float32) for value in values])


def cells(picture: Image.Image, columns: int, rows: int) -> np.ndarray:
    """The colour in the middle of each cell of a sheet, (rows, columns, 3)."""
    pixels = np.asarray(picture)
    y = ((np.arange(rows) + 0.5) * pixels.shape[0] / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * pixels.shape[1] / columns).astype(int)
    return pixels[np.ix_(y, x)]


class Decoder:
    """Stands for a model of two latent dimensions: red is the first, green the second."""

    latent_dim = 2

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
    assert images.value_range(values) == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((4, 784)), r"\(4, 784\)"),
        (np.zeros((0, 8, 8)), r"\(0, 8, 8\)"),
        (np.zeros((2, 8, 8, 2)), r"\(2, 8, 8, 2\)"),
        (np.zeros((2, 8, 8), dtype=np.int64), "int64"),
        (np.full((2, 8, 8), np.nan), "NaN"),
    ],
)
def test_sheet_says_what_is_wrong_with_its_images(wrong, message):
    with pytest.raises(ValueError, match=message):
        images.sheet(wrong)


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
    np.testing.assert_allclose(colours[0, :, 0], shares, atol=1 / 255)  # to the right
    np.testing.assert_allclose(colours[:, 0, 1], shares[::-1], atol=1 / 255)  # to the top
    assert picture.width % 5 == 0  # no gutters


def test_manifold_needs_two_latent_dimensions():
    decoder = Decoder()
    decoder.latent_dim = 3
    with pytest.raises(ValueError, match="2 latent dimensions, this model has 3"):
        images.manifold(decoder)


HISTORY = {
    "epoch": [1, 2, 3],
    "elbo": [-200.0, -170.0, -160.0],
    "reconstruction": [197.0, 165.0, 154.5],
    "kl": [3.0, 5.0, 5.5],
    "validation": [-190.0, None, -165.0],
    "seconds": [0.2, 0.2, 0.2],
}


def test_loss_curve_gives_each_part_its_panel():
    pytest.importorskip("matplotlib")
    panels = images.loss_curve(HISTORY).axes
    assert [panel.get_title().split()[0] for panel in panels] == ["ELBO", "Reconstruction", "KL"]
    for panel, key in zip(panels, ("elbo", "reconstruction", "kl"), strict=True):
        assert panel.lines[0].get_xdata().tolist() == HISTORY["epoch"]
        assert panel.lines[0].get_ydata().tolist() == HISTORY[key]
    assert "nats" in panels[0].get_ylabel()
    np.testing.assert_array_equal(panels[0].lines[1].get_ydata(), [-190.0, math.nan, -165.0])


def test_loss_curve_without_validation_draws_one_elbo():
    pytest.importorskip("matplotlib")
    figure = images.loss_curve({**HISTORY, "validation": [None] * 3})
    assert len(figure.axes[0].lines) == 1


def test_loss_curve_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no full epoch"):
        images.loss_curve({key: [] for key in HISTORY})


def test_latent_map_colours_each_row_by_its_label():
    colors = pytest.importorskip("matplotlib.colors")
    mu = np.arange(20.0).reshape(10, 2)
    labels = np.array(["dog", "cat"] * 5)
    (axes,) = images.latent_map(mu, labels).axes
    points = axes.collections[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    handles = [colors.to_rgb(h.get_facecolor()[0]) for h in axes.get_legend().legend_handles]
    assert names == ["cat", "dog"]
    legend = dict(zip(names, handles, strict=True))
    assert legend["cat"] != legend["dog"]
    for place, colour in zip(points.get_offsets().tolist(), points.get_facecolors(), strict=True):
        label = labels[mu.tolist().index(place)]
        assert colors.to_rgb(colour[:3]) == pytest.approx(legend[label])
    assert axes.get_aspect() == 1


def test_latent_map_works_without_labels_and_with_a_scale_of_numbers():
    pytest.importorskip("matplotlib")
    mu = np.random.default_rng(0).normal(size=(100, 2))
    (axes,) = images.latent_map(mu).axes
    assert len(axes.collections[0].get_offsets()) == 100
    assert axes.get_legend() is None
    figure = images.latent_map(mu, np.arange(100))
    assert len(figure.axes) == 2  # the scatter and its colour bar


@pytest.mark.parametrize(
    ("mu", "labels", "message"),
    [
        (np.zeros((5, 3)), None, r"\(n, 2\), got \(5, 3\)"),
        (np.zeros((5, 2)), np.zeros(4), r"\(5,\).*got \(4,\)"),
    ],
)
def test_latent_map_says_what_is_wrong(mu, labels, message):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=message):
        images.latent_map(mu, labels)


def test_figures_draw_without_pyplot(tmp_path):
    pytest.importorskip("matplotlib")
    images.loss_curve(HISTORY).savefig(tmp_path / "loss.png")
    images.latent_map(np.zeros((3, 2)), np.arange(3)).savefig(tmp_path / "map.png")
    for name in ("loss.png", "map.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (lambda: images.loss_curve(HISTORY), lambda: images.latent_map(np.zeros((3, 2)))):
        with pytest.raises(ImportError, match=r"pip install 'vaefast\[plot\]'"):
            draw()
