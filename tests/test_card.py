"""The card of a fitted model in a notebook: what it says, draws and leaves alone."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaefast import VAE, datasets, from_bytes
from vaefast._engine import training


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, "verbose": False}
    return VAE(**{**defaults, **params})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return datasets.strokes(60, random_state=0).X


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


def test_the_card_leaves_the_model_as_it_is(images: np.ndarray) -> None:
    vae = small(epochs=1).fit(images)
    assert "<img" in vae._repr_html_()
    assert not vae.model_.priors


class Reader(HTMLParser):
    """A reader that checks that elements are closed, and collects text and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def card_of(vae: VAE) -> Reader:
    html = vae._repr_html_()
    assert html is not None and html.startswith('<div class="vaefast-card">')
    return Reader(html)


def picture_in(card: Reader) -> Image.Image:
    (image,) = card.all("img")
    kind, _, data = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


# ------------------------------------------------------------------ text


def test_a_card_names_the_net_and_its_last_figures(table):
    vae = small(likelihood="gaussian", latent_dim=3).fit(table, validation=table)
    text = card_of(vae).text
    count = sum(tensor.size for tensor in vae.model_.weights().values())
    assert "VAE 4-8-3-8-4, relu, gaussian, adam" in " ".join(text.split())
    assert f"{count} weights, 60 rows, 3 epochs in " in text
    for key in ("elbo", "reconstruction", "kl", "validation"):
        assert f" {vae.history_[key][-1]:.2f} ".replace("-", "−") in text
    assert f"{vae.history_['active_units'][-1]} of 3" in text


def test_a_card_names_the_best_epoch_where_it_is_not_the_last(table):
    vae = small(likelihood="gaussian", hidden_layer_sizes=(32,), learning_rate=0.02)
    vae.set_params(epochs=100, patience=3).fit(table[:20], validation=table[20:])
    best = max(vae.history_["validation"])
    assert f"(best {best:.2f} in epoch {vae.n_iter_ - 3})".replace("-", "−") in card_of(vae).text


def test_labels_are_text_and_not_html(images):
    y = np.where(np.arange(60) % 2, "<script>alert(1)</script>", '"a & b"')
    card = card_of(small(conditional=True).fit(images, y))
    assert not card.all("script")
    assert "<script>alert(1)</script>" in card.text and '"a & b"' in card.text


def test_an_unfitted_model_has_no_card():
    assert "vaefast-card" not in (small()._repr_html_() or "")


# ------------------------------------------------------------------ charts and samples


def test_a_card_draws_the_course_of_the_elbo_and_each_latent_dimension(table):
    vae = small(likelihood="gaussian", latent_dim=5).fit(table)
    card = card_of(vae)
    (curve,) = card.all("polyline")
    x, y = np.array([point.split(",") for point in str(curve["points"]).split()], float).T
    assert len(x) == 3 and (np.diff(x) > 0).all()
    assert (np.argsort(-y) == np.argsort(vae.history_["elbo"])).all()  # y grows downwards
    heights = [float(str(bar["height"])) for bar in card.all("rect")]
    assert len(heights) == 5
    assert np.argmax(heights) == np.argmax(vae.history_["kl_per_dimension"][-1])
    assert len(card_of(vae.fit(table, validation=table)).all("polyline")) == 2


def test_a_card_stays_small(table):
    many = small(likelihood="gaussian", latent_dim=300, epochs=700).fit(table)
    card = card_of(many)
    assert len(str(card.all("polyline")[0]["points"]).split()) == 200
    assert len(card.all("rect")) == 64
    large = np.random.default_rng(0).integers(0, 256, (20, 200, 300, 3), dtype=np.uint8)
    assert len(str(small(epochs=1).fit(large)._repr_html_())) < 120_000


def test_a_card_shows_samples_of_images(images):
    vae = small().fit(images)
    picture = picture_in(card_of(vae))
    assert picture.size == (10 * 30 - 2, 28)
    drawn = np.asarray(picture.convert("L"))[:, :28]
    sample = vae.sample(10, random_state=0, prior="gaussian")[0]
    np.testing.assert_array_equal(drawn, np.rint(sample * 255).astype(np.uint8))


def test_flat_rows_of_pixels_are_images_and_tables_are_not(images, table):
    flat = images.reshape(60, -1)
    assert picture_in(card_of(small().fit(flat))).size == (10 * 30 - 2, 28)
    assert not card_of(small(likelihood="gaussian").fit(table)).all("img")
    assert not card_of(small(likelihood="poisson").fit(flat // 50)).all("img")


def test_a_conditional_model_shows_a_sample_of_each_label(images):
    y = np.arange(60) % 3
    card = card_of(small(conditional=True).fit(images, y))
    assert picture_in(card).size == (3 * 30 - 2, 28)
    assert "a sample of each of 0, 1, 2" in card.text


# ------------------------------------------------------------------ every kind of model


KINDS: dict[str, dict[str, Any]] = {
    "one epoch": {"epochs": 1},
    "autoencoder": {"objective": "autoencoder"},
    "iwae": {"objective": "iwae", "n_samples": 3},
    "missing": {"missing": "mask"},
    "counts": {"likelihood": "poisson"},
    "columns": {"likelihood": [("gaussian", 10), ("laplace", 774)]},
    "conditional": {"conditional": True},
}


@pytest.mark.filterwarnings("ignore:X has columns far from unit variance")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_has_a_card_of_its_own(kind, images):
    X = images / np.float32(255) if kind != "counts" else images // 50
    vae = small(**KINDS[kind]).fit(X, np.arange(60))
    card = card_of(vae)
    assert len(card.all("img")) == (kind != "autoencoder")
    assert ("KL" in card.text) == (kind != "autoencoder")
    assert card_of(from_bytes(vae.to_bytes())).text == card.text


@pytest.mark.parametrize("width", [1, 2])
def test_a_model_that_is_conditioned_on_numbers_has_samples_at_their_means(width, images):
    y = np.random.default_rng(0).normal(5, 2, (60, width))
    vae = small(conditional=True).fit(images, y)
    drawn = np.asarray(picture_in(card_of(vae)).convert("L"))[:, :28]
    sample = vae.sample(10, random_state=0, y=np.tile(y.mean(axis=0), (10, 1)))[0]
    assert np.abs(drawn - 255 * sample).max() < 2


def test_a_model_that_ctrl_c_stopped_in_its_first_epoch_has_a_card(
    images, monkeypatch, interactive
):
    def advance(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Progress, "advance", advance)
    vae = small().fit(images)
    assert vae.interrupted_ and vae.n_iter_ == 0
    card = card_of(vae)
    assert "no whole epoch yet" in card.text
    assert not card.all("img") + card.all("svg")


# ------------------------------------------------------------------ manners


def test_a_card_loads_nothing_runs_nothing_and_styles_only_itself(images):
    html = str(small().fit(images, validation=images)._repr_html_())
    assert not re.search(r"<script|<link|https?:|url\(|@import|\bon\w+=", html)
    style = html.partition("<style>")[2].partition("</style>")[0]
    for selectors in re.findall(r"([^{}]+)\{[^}]*\}", style):
        assert all(s.strip().startswith(".vaefast-card") for s in selectors.split(","))


def test_a_card_changes_neither_the_model_nor_a_generator(images):
    rng = np.random.default_rng(0)
    vae, other = (small(random_state=r).fit(images) for r in (rng, np.random.default_rng(0)))
    state = rng.bit_generator.state
    assert vae._repr_html_() == vae._repr_html_()
    assert rng.bit_generator.state == state
    vae.partial_fit(images, callbacks=[lambda vae, record: vae._repr_html_() is None])
    for name, tensor in other.partial_fit(images).model_.weights().items():
        np.testing.assert_array_equal(vae.model_.weights()[name], tensor)
