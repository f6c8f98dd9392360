"""Curves and maps show the right numbers in the right places."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from PIL import Image

from vaefast.pictures import plots

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
    panels = plots.loss_curve(HISTORY).axes
    assert [panel.get_title().split()[0] for panel in panels] == ["ELBO", "Reconstruction", "KL"]
    for panel, key in zip(panels, ("elbo", "reconstruction", "kl"), strict=True):
        assert panel.lines[0].get_xdata().tolist() == HISTORY["epoch"]
        assert panel.lines[0].get_ydata().tolist() == HISTORY[key]
    assert "nats" in panels[0].get_ylabel()
    np.testing.assert_array_equal(panels[0].lines[1].get_ydata(), [-190.0, math.nan, -165.0])


def test_loss_curve_without_validation_draws_one_elbo():
    pytest.importorskip("matplotlib")
    figure = plots.loss_curve({**HISTORY, "validation": [None] * 3})
    assert len(figure.axes[0].lines) == 1


def test_loss_curve_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no full epoch"):
        plots.loss_curve({key: [] for key in HISTORY})


def test_latent_map_colours_each_row_by_its_label():
    colors = pytest.importorskip("matplotlib.colors")
    mu = np.arange(20.0).reshape(10, 2)
    labels = np.array(["dog", "cat"] * 5)
    (axes,) = plots.latent_map(mu, labels).axes
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
    (axes,) = plots.latent_map(mu).axes
    assert len(axes.collections[0].get_offsets()) == 100
    assert axes.get_legend() is None
    figure = plots.latent_map(mu, np.arange(100))
    assert len(figure.axes) == 2  # the scatter plot and its colour bar


def test_latent_map_writes_the_names_of_many_classes_where_they_are():
    pytest.importorskip("matplotlib")
    labels = np.array([f"s{i:02d}" for i in range(40)]).repeat(3)
    middles = np.arange(40.0)
    mu = np.stack([middles, -middles], axis=1).repeat(3, axis=0)
    (axes,) = plots.latent_map(mu, labels).axes  # no colour bar
    assert {t.get_text(): t.xy for t in axes.texts} == {
        f"s{i:02d}": (middles[i], -middles[i]) for i in range(40)
    }
    assert axes.get_legend() is None


def test_latent_map_of_too_many_classes_names_the_most_frequent_ones():
    pytest.importorskip("matplotlib")
    labels = np.array([f"{i:02d}" for i in range(60) for _ in range(60 - i)])
    mu = np.random.default_rng(0).normal(size=(len(labels), 2))
    (axes,) = plots.latent_map(mu, labels).axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == [*(f"{i:02d}" for i in range(19)), "41 others"]


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
        plots.latent_map(mu, labels)


def test_figures_draw_without_pyplot(tmp_path):
    pytest.importorskip("matplotlib")
    plots.loss_curve(HISTORY).savefig(tmp_path / "loss.png")
    plots.latent_map(np.zeros((3, 2)), np.arange(3)).savefig(tmp_path / "map.png")
    for name in ("loss.png", "map.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (lambda: plots.loss_curve(HISTORY), lambda: plots.latent_map(np.zeros((3, 2)))):
        with pytest.raises(ImportError, match=r"pip install 'vaefast\[plot\]'"):
            draw()


def test_latent_map_decodes_beside_the_points_over_the_same_region():
    pytest.importorskip("matplotlib")
    places = []

    def decode(points):
        places[:] = [points]
        share = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1e-9)
        colour = np.concatenate([share, np.zeros((len(points), 1))], axis=1)
        return np.broadcast_to(colour[:, None, None], (len(points), 4, 4, 3))

    mu = np.random.default_rng(0).normal(5, 2, size=(500, 2))
    figure = plots.latent_map(mu, decode=decode, axis_names=("east", "north"))
    scatter, decoded = figure.axes
    figure.draw_without_rendering()
    for panel in figure.axes:
        assert panel.get_xlim() == scatter.get_xlim()
        assert panel.get_ylim() == scatter.get_ylim()
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("east", "north")
    pixels = decoded.images[0].get_array()
    assert pixels[0, -1].tolist() == [255, 255, 0]  # top right, where both are largest
    assert pixels[-1, 0].tolist() == [0, 0, 0]
    (points,) = places
    low, high = np.array([scatter.get_xlim(), scatter.get_ylim()]).T
    assert (points > low).all() and (points < high).all()
    inside = ((mu > low) & (mu < high)).all(axis=1)
    assert inside.mean() > 0.99


def test_latent_map_decodes_grey_images_and_does_not_distort_them():
    pytest.importorskip("matplotlib")
    figure = plots.latent_map(np.eye(2), decode=lambda points: np.full((len(points), 20, 10), 0.2))
    pixels = figure.axes[1].images[0].get_array()
    assert pixels.shape == (9 * 20, 18 * 10, 3)  # fills a square without distorting the images
    assert (pixels == 51).all()
