"""The page of `vaefast explore` in headless Chromium: the pictures, every control, no network.

The tests need Chromium, its driver and selenium. Without them the tests are skipped, or fail if the
environment variable VAEFAST_TEST_BROWSER is set.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaefast
from vaefast import VAE
from vaefast._core import ACTIVATIONS
from vaefast._engine.priors import Posteriors
from vaefast.explore import write_page

RNG = np.random.default_rng(0)
COLOURS = RNG.random((200, 6, 9, 3), dtype=np.float32)  # wider than tall
GREY = COLOURS[:, :, :5, 0]
LABELS = np.array(["dark", "middle", "bright"])[np.arange(200) % 3]
TABLE = RNG.standard_normal((200, 6), dtype=np.float32)

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --window-size=1280,800"
)
MAP, PICTURE = "pointer", "picture"


def absent(reason: str) -> None:
    if os.environ.get("VAEFAST_TEST_BROWSER"):
        pytest.fail(f"VAEFAST_TEST_BROWSER is set, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        absent("selenium is not installed: pip install '.[test]'")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        absent("Chromium or chromedriver is not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in OPTIONS.split():
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options, Service(driver))
    yield found
    found.quit()


class Page:
    """A page in the browser, operated by mouse, finger and keys as a person does."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def frames(self) -> None:
        """Wait until the screen shows the last change."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def run(self, script: str, *args: Any) -> Any:
        result = self.driver.execute_script(script, *args)
        self.frames()
        return result

    def find(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def click(self, name: str) -> None:
        self.press(self.find(name))

    def press(self, element: Any) -> None:
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.frames()

    def slide(self, name: str, value: float) -> None:
        self.run(
            "const input = document.getElementById(arguments[0]); input.value = arguments[1];"
            "input.dispatchEvent(new Event('input'))",
            name,
            value,
        )

    def keys(self, element: Any, *keys: str) -> None:
        element.send_keys(*keys)
        self.frames()

    def code(self) -> np.ndarray:
        """Return the shown code from the values of the sliders."""
        values = self.run(
            "return [...document.querySelectorAll('#dimension-sliders input')]"
            ".map((input) => [Number(input.id.slice(1)), Number(input.value)])"
        )
        return np.array([value for _, value in sorted(values)])

    def pixels(self, name: str = PICTURE) -> np.ndarray:
        """Return a canvas as an array (h, w, 4) from 0 to 255."""
        address = self.run("return document.getElementById(arguments[0]).toDataURL()", name)
        with Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))) as image:
            return np.array(image.convert("RGBA"))

    def pointer(self, kind: str, *steps: tuple[str, float, float]) -> None:
        """Scroll to the map, then move, press or release a mouse or a finger over it.

        The coordinates are 0 in the middle of the map and 1 at its edge.
        """
        element = self.find(MAP)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        half = element.size["width"] / 2
        actions = ActionBuilder(self.driver, mouse=PointerInput(kind, kind), duration=0)
        for step, x, y in steps:
            actions.pointer_action.move_to(element, round(x * half), round(-y * half))
            if step == "press":
                actions.pointer_action.pointer_down()
            elif step == "release":
                actions.pointer_action.pointer_up()
        actions.perform()
        self.frames()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Write a page and open it. At the end, the console must be empty and the network unused."""
    path = tmp_path / "page.html"
    media = {"name": "prefers-color-scheme", "value": "light"}

    def opened(
        vae: VAE,
        *args: Any,
        width: int = 1280,
        height: int = 800,
        scheme: str = "light",
        **options: Any,
    ) -> Page:
        write_page(vae, path, *args, **options)
        chromium.get_log("performance"), chromium.get_log("browser")  # drops earlier entries
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        chromium.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [media | {"value": scheme}]}
        )
        chromium.get(path.as_uri())
        page = Page(chromium)
        page.frames()
        return page

    yield opened
    assert chromium.get_log("browser") == []
    messages = [
        json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")
    ]
    addresses = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["documentURL"] == path.as_uri()  # not the browser's own start page
    ]
    assert {url for url in addresses if not url.startswith("data:")} <= {path.as_uri()}
    assert path.as_uri() in addresses  # the log works
    assert (
        chromium.execute_script(
            "return performance.getEntriesByType('resource')"
            ".filter((entry) => !entry.name.startswith('data:')).length"
        )
        == 0
    )


def lively(X: np.ndarray, **parameters: Any) -> VAE:
    """Return a model with weights so large that its pictures depend strongly on the code."""
    settings = {"hidden_layer_sizes": (12, 8), "epochs": 1, "random_state": 0, "verbose": False}
    vae = VAE(**(settings | parameters)).fit(X)
    random = np.random.default_rng(1)
    tensors = vae.model_.weights()
    for name, tensor in tensors.items():
        if name.endswith(".weight") and not name.startswith("logvar"):
            size = 1.5 / np.sqrt(len(tensor))
            tensor[:] = size * random.standard_normal(tensor.shape)
    vae.model_.set_weights(tensors)
    return vae


@pytest.fixture(scope="module")
def flat() -> VAE:
    return lively(GREY)


@pytest.fixture(scope="module")
def deep() -> VAE:
    return lively(COLOURS, latent_dim=11)


def expected(vae: VAE, code: np.ndarray, low: float = 0, high: float = 1) -> np.ndarray:
    """Return the picture that Python decodes from a code, (h, w, 3) from 0 to 1."""
    image = vae.inverse_transform(np.float32(code)[None])[0]
    image = np.clip((image - low) / (high - low), 0, 1)
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def assert_shows(page: Page, picture: np.ndarray) -> None:
    pixels = page.pixels()
    assert (pixels[..., 3] == 255).all()
    assert np.abs(pixels[..., :3] / 255 - picture).max() <= 1 / 255


# --- the picture ---


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_picture_is_that_of_python(open_page: Callable[..., Page], activation: str):
    vae = lively(GREY, activation=activation)
    page = open_page(vae)
    pictures = []
    for code in RNG.uniform(-3, 3, size=(6, 2)):
        page.slide("z0", code[0])
        page.slide("z1", code[1])
        np.testing.assert_allclose(page.code(), code, atol=1e-6)
        pictures.append(expected(vae, code))
        assert_shows(page, pictures[-1])
    assert np.ptp(pictures, axis=0).max() > 20 / 255  # the pictures differ


def test_a_gaussian_picture_in_colour_is_that_of_python(open_page: Callable[..., Page]):
    X = COLOURS * 5 - 2
    vae = lively(X, likelihood="gaussian", latent_dim=3)
    page = open_page(vae, X)
    for code in RNG.uniform(-3, 3, size=(6, 3)):
        for dimension, value in enumerate(code):
            page.slide(f"z{dimension}", value)
        assert_shows(page, expected(vae, code, X.min(), X.max()))


def test_a_table_is_drawn_as_bars(open_page: Callable[..., Page]):
    vae = lively(TABLE, likelihood="gaussian")
    page = open_page(vae, TABLE, columns=list("abcdef"))
    page.slide("z0", 2)
    before = page.pixels()
    page.slide("z0", -2)
    assert (page.pixels() != before).any()
    page.click("tab-breed")
    assert len(page.all("#children canvas")) == 12


@pytest.mark.parametrize("latent_dim", [1, 2, 4])
def test_every_size_of_latent_space_has_a_map(open_page: Callable[..., Page], latent_dim: int):
    vae = lively(GREY, latent_dim=latent_dim)
    page = open_page(vae)  # without data
    page.pointer("mouse", ("move", 0.5, 0.5), ("press", 0.5, 0.5), ("release", 0.5, 0.5))
    assert_shows(page, expected(vae, page.code()))
    assert not page.find("show-points").is_displayed()
    assert page.pixels("ground")[..., 3].mean() > 128  # pictures cover the map


# --- the map ---


def test_hovering_develops_and_a_click_keeps(open_page: Callable[..., Page], flat: VAE):
    page = open_page(flat, GREY, LABELS)
    start = page.code()
    page.pointer("mouse", ("move", 0.3, -0.6))
    hovered = page.code()
    assert hovered[0] > 0 > hovered[1]
    assert hovered[0] / hovered[1] == pytest.approx(-0.5, abs=0.02)
    assert_shows(page, expected(flat, hovered))
    page.pointer("mouse", ("move", 0, 1.3))  # beyond the edge
    np.testing.assert_allclose(page.code(), start, atol=1e-6)
    page.pointer("mouse", ("press", 0.3, -0.6), ("release", 0.3, -0.6), ("move", 0, 1.3))
    np.testing.assert_allclose(page.code(), hovered, atol=1e-6)


def test_a_finger_drags_the_picture(open_page: Callable[..., Page], flat: VAE):
    page = open_page(flat, width=360, height=740)
    page.pointer("touch", ("press", -0.5, 0), ("move", 0, 0), ("move", 0.5, 0.25))
    page.pointer("touch", ("release", 0.5, 0.25))
    code = page.code()
    assert code[0] / code[1] == pytest.approx(2, abs=0.1) and code[1] > 0.5
    assert_shows(page, expected(flat, code))


def test_arrow_keys_move_the_kept_place(open_page: Callable[..., Page], flat: VAE):
    from selenium.webdriver.common.keys import Keys

    page = open_page(flat)
    element = page.find(MAP)
    page.keys(element, Keys.HOME)
    np.testing.assert_allclose(page.code(), 0, atol=1e-6)
    page.keys(element, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_UP)
    right, up = page.code()
    assert up == pytest.approx(2 * right) and right > 0
    page.keys(element, Keys.SHIFT, Keys.ARROW_LEFT)
    assert page.code()[0] == pytest.approx(right - 5 * right)
    assert page.find("status").get_property("textContent").startswith("Across -")
    assert page.run("return scrollY") == 0
    assert_shows(page, expected(flat, page.code()))


def test_the_pointer_moves_in_the_plane_and_leaves_the_rest(
    open_page: Callable[..., Page], deep: VAE
):
    page = open_page(deep, COLOURS)
    codes = deep.transform(COLOURS).astype(np.float64)
    plane = np.linalg.svd(codes - codes.mean(0), full_matrices=False)[2][:2]
    before = page.code()
    page.pointer("mouse", ("press", 0.7, 0.7), ("release", 0.7, 0.7))
    moved = page.code() - before
    assert np.linalg.norm(moved) > 0.1
    np.testing.assert_allclose(moved, moved @ plane.T @ plane, atol=1e-4)
    assert_shows(page, expected(deep, page.code()))


def test_snapping_takes_a_points_whole_code(open_page: Callable[..., Page], deep: VAE):
    page = open_page(deep, COLOURS, LABELS)
    page.click("snap")
    page.pointer("mouse", ("press", 0.2, 0.1), ("release", 0.2, 0.1))
    distances = np.abs(deep.transform(COLOURS) - page.code()).max(axis=1)
    assert distances.min() < 1e-5
    assert page.find("note").text == f"A point labelled {LABELS[distances.argmin()]}"


def test_the_legend_shows_only_some_labels(open_page: Callable[..., Page], flat: VAE):
    page = open_page(flat, GREY, LABELS)
    buttons = page.all("#legend button")
    assert [button.text for button in buttons] == ["bright", "dark", "middle"]
    everything = page.pixels("ground")[..., 3].sum()
    page.press(buttons[0])
    assert buttons[0].get_attribute("aria-pressed") == "true"
    assert page.pixels("ground")[..., 3].sum() < 0.9 * everything
    page.press(buttons[0])
    assert page.pixels("ground")[..., 3].sum() == everything


def test_points_and_pictures_can_be_hidden_and_shown(open_page: Callable[..., Page], flat: VAE):
    page = open_page(flat, GREY, np.arange(200.0))  # labels on a scale
    with_points = page.pixels("ground")[..., 3].sum()
    page.click("show-points")
    without = page.pixels("ground")[..., 3].sum()
    assert without < with_points
    page.click("show-pictures")
    assert page.pixels("ground")[..., 3].sum() > 5 * with_points


# --- the tools ---


def test_random_and_middle_keep_other_codes(open_page: Callable[..., Page], deep: VAE):
    page = open_page(deep, COLOURS)
    start = page.code()
    page.click("random")
    drawn = page.code()
    assert np.abs(drawn - start).max() > 0.1
    assert_shows(page, expected(deep, drawn))
    page.click("centre")
    np.testing.assert_allclose(page.code(), deep.transform(COLOURS).mean(0), atol=1e-5)


def test_tabs_follow_the_arrow_keys(open_page: Callable[..., Page], flat: VAE):
    from selenium.webdriver.common.keys import Keys

    page = open_page(flat)
    first = page.find("tab-dimensions")
    page.keys(first, Keys.ARROW_RIGHT)  # skips the hidden tab of directions
    assert page.driver.switch_to.active_element.get_attribute("id") == "tab-morph"
    assert page.find("morph").is_displayed() and not page.find("dimensions").is_displayed()
    page.keys(page.find("tab-morph"), Keys.END, Keys.ARROW_RIGHT)
    assert first.get_attribute("aria-selected") == "true"
    assert page.find("dimensions").is_displayed()


def test_strong_dimensions_come_first_and_all_can_be_shown(
    open_page: Callable[..., Page], deep: VAE
):
    from selenium.webdriver.common.keys import Keys

    page = open_page(deep)
    sliders = page.all("#dimension-sliders input")
    assert [slider.is_displayed() for slider in sliders] == [True] * 8 + [False] * 3
    page.click("more")
    assert all(slider.is_displayed() for slider in sliders)
    changes = []
    for slider in (sliders[0], sliders[-1]):
        page.click("centre")
        before = page.pixels().astype(int)
        page.keys(slider, *[Keys.ARROW_RIGHT] * 20)
        assert page.code().max() == pytest.approx(1.5, abs=1e-4)
        changes.append(np.abs(page.pixels() - before).mean())
    assert changes[0] > changes[1]
    page.click("more")
    assert not sliders[-1].is_displayed()


def test_directions_push_the_kept_code(open_page: Callable[..., Page], flat: VAE):
    page = open_page(flat, directions={"smile": [0.5, -0.25], "<i>age": [0, 1]})
    page.click("tab-directions")
    names = [label.text for label in page.all("#direction-sliders label")]
    assert names == ["smile", "<i>age"]
    page.slide("direction0", 2)
    page.slide("direction1", 1)
    page.slide("direction0", -1)
    np.testing.assert_allclose(page.code(), [-0.5, 1.25], atol=1e-6)
    assert_shows(page, expected(flat, page.code()))
    page.click("centre")  # a new picture starts with the sliders at 0
    assert float(page.find("direction0").get_property("value")) == 0


def test_a_morph_plays_pauses_and_shows_its_frames(open_page: Callable[..., Page], flat: VAE):
    page = open_page(flat)
    ends = np.array([[-2.0, 1.0], [2.0, 0.5]])
    for name, end in zip("ab", ends, strict=True):
        for dimension, value in enumerate(end):
            page.slide(f"z{dimension}", value)
        page.click("tab-morph")
        page.click(f"set-{name}")
        page.click("tab-dimensions")
    page.click("tab-morph")
    frames = page.all("#strip button")
    assert len(frames) == 9
    for i in (0, 6, 8):
        page.press(frames[i])
        np.testing.assert_allclose(page.code(), ends[0] + i / 8 * (ends[1] - ends[0]), atol=1e-5)
        assert_shows(page, expected(flat, page.code()))
        assert frames[i].get_attribute("aria-current") == "true"
    page.slide("morph-at", 0.3)
    np.testing.assert_allclose(page.code(), [-0.8, 0.85], atol=1e-5)

    page.click("play")
    assert page.find("play").text == "Pause"
    for _ in range(10):
        page.frames()
    assert page.code()[0] != pytest.approx(-0.8, abs=1e-3)
    page.click("play")
    rested = page.code()
    for _ in range(5):
        page.frames()
    np.testing.assert_array_equal(page.code(), rested)
    page.click("play")
    page.click("random")  # any other action ends the morph
    assert page.find("play").text == "Play"


def test_sliders_reach_codes_far_out(open_page: Callable[..., Page], deep: VAE):
    far = vaefast.from_bytes(deep.to_bytes())
    at = np.full((20, 11), 4.3, np.float32)
    far.model_.posteriors, far.model_.priors = Posteriors(at, np.full_like(at, -20)), {}
    page = open_page(far)
    page.click("random")
    assert page.code() == pytest.approx(np.full(11, 4.3), rel=1e-3)
    assert_shows(page, expected(deep, page.code()))


def test_breeding_mixes_the_picked_parents(open_page: Callable[..., Page], deep: VAE):
    page = open_page(deep)
    page.click("tab-breed")
    children = page.all("#children button")
    assert len(children) == 12 and not page.find("next").is_enabled()
    parents = []
    for i in (1, 4):
        page.press(children[i])
        parents.append(page.code())
        assert_shows(page, expected(deep, parents[-1]))
    assert children[4].get_attribute("aria-pressed") == "true"
    page.slide("mutation", 0)
    page.click("next")
    assert "Generation 2" in page.find("breed-text").text
    assert not page.find("next").is_enabled()
    page.press(children[7])
    child = page.code()
    assert np.isclose(child, parents, atol=1e-6).any(axis=0).all()
    page.slide("mutation", 0.5)
    page.click("next")
    page.press(children[0])
    assert np.isclose(page.code(), child, atol=1e-3).sum() <= 2  # by chance
    page.click("restart")
    assert "Generation 1" in page.find("breed-text").text


# --- the screen ---


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_either_scheme(open_page: Callable[..., Page], deep: VAE, scheme: str):
    page = open_page(deep, COLOURS, LABELS, width=360, height=740, scheme=scheme)
    for tab in ("dimensions", "morph", "breed"):
        page.click(f"tab-{tab}")
        assert page.run("return document.documentElement.scrollWidth") == 360
    page.run("scrollTo(0, 1e6)")
    assert page.run("return arguments[0].getBoundingClientRect().top", page.find("print")) == 0
    background = page.run("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background[4:-1].split(",")))
    assert brightness > 600 if scheme == "light" else brightness < 100


def test_every_control_is_reached_by_tab_has_a_name_and_shows_its_focus(
    open_page: Callable[..., Page], deep: VAE
):
    from selenium.webdriver.common.keys import Keys

    page = open_page(deep, COLOURS, LABELS, directions={"smile": np.ones(11)})
    reached = []
    page.run("document.activeElement.blur()")
    for _ in range(60):
        page.keys(page.driver.switch_to.active_element, Keys.TAB)
        element = page.driver.switch_to.active_element
        if element.tag_name == "body":
            break
        reached.append(element.get_attribute("id"))
        assert element.accessible_name, reached[-1]
        assert page.run("return getComputedStyle(arguments[0]).outlineStyle", element) != "none"
    controls = ["show-points", "show-pictures", "snap", MAP, "random", "centre", "tab-dimensions"]
    assert [name for name in reached if name in controls] == controls
    assert sum(name.startswith("z") for name in reached) == 8
