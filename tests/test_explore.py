"""The page that `vaefast explore` writes: its content, the command, and errors for bad input."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import vaefast
from vaefast import VAE, cli
from vaefast.explore import content, write_page

RNG = np.random.default_rng(0)
IMAGES = RNG.random((120, 6, 5), dtype=np.float32)
TABLE = RNG.standard_normal((90, 4), dtype=np.float32)


def small(X: np.ndarray, **parameters: Any) -> VAE:
    settings = {"hidden_layer_sizes": (7,), "epochs": 1, "random_state": 0, "verbose": False}
    return VAE(**(settings | parameters)).fit(X)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    small(IMAGES, latent_dim=3).save(path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, X=IMAGES, y=np.arange(120) % 4)
    return path


def content_of(page: Path) -> dict[str, Any]:
    """Return the model and data embedded in the page, as its script reads them."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def written(tmp_path: Path, vae: VAE, *args: Any, **options: Any) -> dict[str, Any]:
    write_page(vae, tmp_path / "page.html", *args, **options)
    return content_of(tmp_path / "page.html")


def floats(packed: dict[str, str]) -> np.ndarray:
    kind = np.dtype(packed["type"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(packed["base64"]), kind).astype(np.float32)


def command(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.main, ["explore", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def fail(*args: object) -> str:
    code, output = command(*args)
    assert code == 1, output
    return output


# --- the content of the file ---


def test_the_page_may_load_nothing_but_its_own_style_and_script(tmp_path: Path):
    write_page(small(IMAGES), tmp_path / "page.html", IMAGES)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy and "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    for tag in ("style", 'script type="module"'):
        inside = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert set(re.findall(r"\w+://[\w.]+", text)) == {"http://www.w3.org"}  # namespace of the icon
    assert "{{" not in text


def test_weights_are_float16_only_where_it_is_invisible(tmp_path: Path):
    vae = small(IMAGES)
    assert written(tmp_path, vae)["decoder"]["weights"]["type"] == "float16"
    tensors = vae.model_.weights()
    tensors["decoder.0.weight"] *= 300  # steep enough to make the rounding visible
    tensors["output.weight"] *= 30
    vae.model_.set_weights(tensors)
    weights = written(tmp_path, vae)["decoder"]["weights"]
    assert weights["type"] == "float32"
    names = [f"{layer}.{part}" for layer in ("decoder.0", "output") for part in ("weight", "bias")]
    np.testing.assert_array_equal(
        floats(weights), np.concatenate([tensors[name].ravel() for name in names])
    )


def test_weights_beyond_float16_stay_float32(tmp_path: Path):
    vae = small(TABLE, likelihood="gaussian", activation="tanh")
    tensors = vae.model_.weights()
    tensors["output.bias"][:] = 1e6
    vae.model_.set_weights(tensors)
    assert written(tmp_path, vae)["decoder"]["weights"]["type"] == "float32"


def test_points_are_the_codes_with_their_labels(tmp_path: Path):
    vae = small(IMAGES, latent_dim=3)
    points = written(tmp_path, vae, IMAGES, np.arange(120) % 4)["points"]
    np.testing.assert_array_equal(floats(points["codes"]).reshape(-1, 3), vae.transform(IMAGES))
    assert points["labels"]["names"] == ["0", "1", "2", "3"]
    assert list(base64.b64decode(points["labels"]["index"])) == list(np.arange(120) % 4)


def test_of_many_rows_some_are_drawn_with_their_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(content, "POINTS", 30)
    vae = small(IMAGES)
    points = written(tmp_path, vae, IMAGES, np.arange(120))["points"]
    assert (points["n"], points["of"]) == (30, 120)
    values = floats(points["labels"]["values"]).astype(int)
    assert len(set(values)) == 30
    # Rows are encoded in blocks, so the last digit may depend on the number of rows.
    np.testing.assert_allclose(
        floats(points["codes"]).reshape(-1, 2), vae.transform(IMAGES)[values], atol=1e-5
    )


def test_rare_labels_become_other(tmp_path: Path):
    words = np.array([f"word {i % 40:02}" for i in range(100)] + ["often"] * 20)
    labels = written(tmp_path, small(IMAGES), IMAGES, words)["points"]["labels"]
    assert len(labels["names"]) == 20
    assert "often" in labels["names"] and labels["names"][-1] == "other"
    index = list(base64.b64decode(labels["index"]))
    assert index[100:] == [labels["names"].index("often")] * 20


def test_a_scale_survives_missing_and_equal_looking_numbers(tmp_path: Path):
    numbers = 1e9 + np.arange(120.0)
    numbers[3] = np.nan
    labels = written(tmp_path, small(IMAGES), IMAGES, numbers)["points"]["labels"]
    assert labels["low"] < labels["high"]
    assert np.isnan(floats(labels["values"])[3])


def test_the_plane_is_that_of_the_largest_variance(tmp_path: Path):
    vae = small(IMAGES, latent_dim=5)
    plane = written(tmp_path, vae, IMAGES)["map"]
    axes, codes = np.array(plane["axes"]), vae.transform(IMAGES)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-6)
    variances = np.linalg.svd(codes - codes.mean(0), compute_uv=False)[:2] ** 2 / (len(codes) - 1)
    np.testing.assert_allclose(np.var(codes @ axes.T, axis=0, ddof=1), variances, rtol=1e-4)


def test_a_map_of_two_dimensions_is_the_latent_space(tmp_path: Path):
    plane = written(tmp_path, small(IMAGES), IMAGES)["map"]
    assert plane["axes"] == [[1, 0], [0, 1]] and plane["centre"] == [0, 0]


def test_the_strongest_dimension_comes_first(tmp_path: Path):
    vae = small(IMAGES, latent_dim=4)
    tensors = vae.model_.weights()
    tensors["decoder.0.weight"] *= np.array([[1], [0], [100], [10]])  # per latent dimension
    vae.model_.set_weights(tensors)
    found = written(tmp_path, vae)
    assert found["order"] == [2, 3, 0, 1]
    assert found["strength"][1] == 0


def test_a_label_cannot_end_the_script(tmp_path: Path):
    words = np.array(["</script><script>alert(1)</script>", "fine"] * 60)
    found = written(tmp_path, small(IMAGES), IMAGES, words, title="<b>")
    assert found["points"]["labels"]["names"] == ["</script><script>alert(1)</script>", "fine"]
    assert "<b>" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_same_model_and_data_give_the_same_page(tmp_path: Path):
    vae = small(IMAGES)
    pages = [tmp_path / name for name in ("a.html", "b.html")]
    for page in pages:
        write_page(vae, page, IMAGES)
    assert pages[0].read_bytes() == pages[1].read_bytes()


# --- input that does not fit ---


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((IMAGES, [1, 2]), {}, "labels must have the shape (120,)"),
        ((RNG.random((5, 7, 7)),), {}, "rows of shape (7, 7)"),
        ((IMAGES * 9,), {}, "within [0, 1]"),
        ((), {"directions": {"smile": [1, 2]}}, "'smile' must be 3 numbers"),
        ((), {"directions": {"smile": ["a", "b", "c"]}}, "'smile' must be 3 numbers"),
        ((), {"directions": {"smile": [0, 0, 0]}}, "not all zeros"),
        ((), {"directions": {"smile": [0, np.nan, 0]}}, "must be finite"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    tmp_path: Path, args: Any, options: Any, message: str
):
    with pytest.raises(ValueError, match=re.escape(message)):
        write_page(small(IMAGES, latent_dim=3), tmp_path / "page.html", *args, **options)
    assert not list(tmp_path.iterdir())


def test_an_unknown_likelihood_is_named_with_those_that_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(content.MEANS, "gaussian")
    with pytest.raises(ValueError, match="likelihood is bernoulli or .*, but .* is gaussian"):
        write_page(small(TABLE, likelihood="gaussian"), tmp_path / "page.html")


def test_the_page_can_draw_every_likelihood_of_the_core():
    assert set(content.MEANS) == set(vaefast._core.LIKELIHOODS) - {"categorical", "multinomial"}


def test_a_model_without_weights_has_no_page(tmp_path: Path):
    with pytest.raises(vaefast.NotFittedError):
        write_page(VAE(), tmp_path / "page.html")


# --- the command ---


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend that there is a browser; return the list of addresses that it opens."""
    addresses: list[str] = []

    def open_address(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_address)
    return addresses


def test_the_command_writes_the_page_and_opens_it(
    model: Path, data: Path, tmp_path: Path, opened: list[str]
):
    out = tmp_path / "page.html"
    code, output = command(model, "--data", data, "--out", out)
    assert code == 0 and output.startswith(f"Wrote {out}")
    assert opened == [out.as_uri()]
    found = content_of(out)
    assert found["points"]["n"] == 120 and len(found["points"]["labels"]["names"]) == 4
    assert "<title>tiny" in out.read_text(encoding="utf-8")


def test_no_open_opens_nothing(model: Path, tmp_path: Path, opened: list[str]):
    assert command(model, "--out", tmp_path / "page.html", "--no-open")[0] == 0
    assert opened == []


def test_names_of_columns_must_be_as_many_as_the_features(tmp_path: Path):
    with pytest.raises(ValueError, match="columns must be 4 names"):
        write_page(small(TABLE, likelihood="gaussian"), tmp_path / "page.html", columns=["a"])


@pytest.mark.parametrize("error", [None, webbrowser.Error("none")])
def test_without_a_browser_the_page_is_there_and_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
):
    def no_browser(address: str) -> bool:
        if error:
            raise error
        return False

    monkeypatch.setattr(webbrowser, "open", no_browser)
    out = tmp_path / "page.html"
    code, output = command(model, "--out", out)
    assert code == 0 and f"No browser was found. Open {out}" in output
    assert content_of(out)["latent_dim"] == 3


def test_directions_come_from_a_file(model: Path, tmp_path: Path):
    np.savez(tmp_path / "ways.npz", smile=np.array([1, 0, 2]), age=np.ones(3))
    out = tmp_path / "page.html"
    np.save(tmp_path / "thick.npy", np.array([0, 1, 0], np.float32))  # as direction --save writes
    files = ("--directions", tmp_path / "ways.npz", "--directions", tmp_path / "thick.npy")
    assert command(model, *files, "--out", out, "--no-open")[0] == 0
    assert content_of(out)["directions"] == [
        {"name": "smile", "vector": [1, 0, 2]},
        {"name": "age", "vector": [1, 1, 1]},
        {"name": "thick", "vector": [0, 1, 0]},
    ]


def test_columns_of_a_table_are_named(tmp_path: Path):
    small(TABLE, likelihood="gaussian").save(tmp_path / "table.safetensors")
    rows = "\n".join(",".join(map(str, row)) for row in TABLE)
    (tmp_path / "table.csv").write_text("a,b,c,d\n" + rows)
    out = tmp_path / "page.html"
    args = tmp_path / "table.safetensors", "--data", tmp_path / "table.csv", "--out", out
    assert command(*args, "--no-open")[0] == 0
    found = content_of(out)
    assert (found["kind"], found["columns"]) == ("bars", ["a", "b", "c", "d"])
    assert found["range"][0] < 0 < found["range"][1]


def test_names_are_those_of_the_model_and_must_fit(tmp_path: Path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE, columns=list("abcd"))
    vae = small(frame, likelihood="gaussian")
    write_page(vae, tmp_path / "page.html", frame)
    assert content_of(tmp_path / "page.html")["columns"] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="column 0 of X is 'b'"):
        write_page(vae, tmp_path / "other.html", frame[list("bacd")])
    assert not (tmp_path / "other.html").exists()


def test_a_page_that_is_there_stays_without_force(model: Path, tmp_path: Path):
    out = tmp_path / "page.html"
    out.write_text("mine")
    assert "--force" in fail(model, "--out", out, "--no-open")
    assert out.read_text() == "mine"
    assert command(model, "--out", out, "--no-open", "--force")[0] == 0
    assert content_of(out)["latent_dim"] == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing.safetensors"], "there is no such file"),
        (["text.safetensors"], "not a model"),
        (["MODEL", "--data", "other.npy"], "rows of shape (9,)"),
        (["MODEL", "--data", "missing.npy"], "missing.npy"),
        (["MODEL", "--directions", "missing.npz"], "missing.npz: No such file"),
        (["MODEL", "--directions", "text.safetensors"], "expected a .npz file"),
        (["MODEL", "--directions", "other.npy"], "'other' must be 3 numbers"),
        (["MODEL", "--directions", "two.npz"], "'smile' must be 3 numbers"),
        (["MODEL", "--directions", "empty.npz"], "it holds no arrays"),
        (["MODEL", "--out", "no/such/page.html"], "there is no such folder"),
        (["MODEL", "--out", "folder", "--force"], "is a folder, not a file"),
    ],
)
def test_errors_say_what_is_wrong_and_leave_no_file(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    message: str,
):
    monkeypatch.chdir(tmp_path)
    Path("text.safetensors").write_text("no model")
    Path("folder").mkdir()
    np.save("other.npy", np.zeros((3, 9), np.float32))
    np.savez("two.npz", smile=[1.0, 2.0])
    np.savez("empty.npz")
    before = set(tmp_path.rglob("*"))
    assert message in fail(*(str(model) if arg == "MODEL" else arg for arg in args), "--no-open")
    assert set(tmp_path.rglob("*")) == before
