"""The examples at small size: each one runs, reports what it did and writes its files."""

from __future__ import annotations

import gzip
import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from vaefast import darkroom

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.append(str(EXAMPLES))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run an example by name. Its files go to tmp_path/out, and it finds no local data sets."""

    def run(name: str, *options: object) -> Result:
        module = import_module(name)
        monkeypatch.delenv("VAEFAST_DATA", raising=False)
        for constant in {"MNIST", "FREY", "MOVIELENS"} & set(vars(module)):
            monkeypatch.setattr(module, constant, tmp_path / "no such data")
        few = ["--epochs", "2"] if any(p.name == "epochs" for p in module.main.params) else []
        arguments = [*few, *map(str, options), "--out", str(tmp_path / "out")]
        return CliRunner().invoke(module.main, arguments, catch_exceptions=False)

    return run


def picture(tmp_path: Path, name: str) -> NDArray[np.uint8]:
    """Return a picture that an example wrote, and assert that it is not uniform."""
    with Image.open(tmp_path / "out" / name) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.std() > 5
    return pixels


def save_image(path: Path, pixels: NDArray[np.float64]) -> Path:
    Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def faces_folder(tmp_path):
    """A folder of forty round heads. The mouths of the even ones go up, of the odd ones down."""
    folder = tmp_path / "faces"
    folder.mkdir()
    y, x = np.mgrid[-1:1:24j, -1:1:20j]
    for i in range(40):
        bend = 0.4 if i % 2 else -0.4
        mouth = np.abs(y - 0.4 + bend * x**2) < 0.1 + 0.001 * i
        head = (x**2 + y**2 < 0.8) * (0.2 + 0.02 * i)
        save_image(folder / f"{i:02}.png", np.where(mouth & (abs(x) < 0.5), 0.1, head))
    return folder


def test_faces_draws_a_smile_and_an_animation(run, tmp_path, faces_folder):
    groups = "--with", "0,2,4,6", "--without", "1,3,5,7"
    result = run("faces", "--data", faces_folder, *groups, "--epochs", 100)
    assert "40 images of 24 x 20 pixels" in result.output and "smile" in result.output
    picture(tmp_path, "faces.png")
    with Image.open(tmp_path / "out" / "morph.webp") as animation:
        assert animation.n_frames > 9


def test_faces_without_groups_moves_along_the_strongest_dimension(run, tmp_path, faces_folder):
    result = run("faces", "--data", faces_folder, "--size", 16)
    assert "16 x 16 pixels" in result.output and "dimension" in result.output
    picture(tmp_path, "faces.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--with", "1,2"], "both --with and --without"),
        (["--with", "1", "--without", "99"], "image 99 was asked for"),
        (["--with", "1", "--without", "-1"], "numbers such as 3,14,15"),
        (["--with", "a,b"], "numbers such as 3,14,15"),
    ],
)
def test_faces_says_which_group_is_wrong(run, tmp_path, faces_folder, options, message):
    result = run("faces", "--data", faces_folder, *options)
    assert result.exit_code == 2 and message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["faces", "music"])
def test_absent_data_is_named(run, tmp_path, name):
    result = run(name)
    assert result.exit_code == 2 and "VAEFAST_DATA" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "option"),
    [("faces", "--data"), ("twins", "--data"), ("dream", "--data"), ("table", "--csv"),
     ("restyle", "--photo"), ("music", "--data")],
)  # fmt: skip
def test_a_file_of_another_kind_is_one_line(run, tmp_path, name, option):
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(bytes(range(256)))
    result = run(name, option, wrong)
    assert result.exit_code in (1, 2), result.output
    assert "Error: " in result.output and "wrong" in result.output
    assert not (tmp_path / "out").exists()


@pytest.fixture
def songs_file(tmp_path, monkeypatch):
    """A file of songs with an upbeat and 13 bars: chords of C, F and G in four voices."""
    monkeypatch.setattr("vaefast.darkroom.music.UPDATES", 300)
    rng = np.random.default_rng(0)
    chords = [[48, 55, 64, 72], [53, 57, 60, 72], [43, 55, 62, 71]]

    def song() -> list[list[int]]:
        beats = [chords[i] for i in rng.integers(3, size=4 * 13)] + [chords[0]]
        return [chord for chord in beats for _ in range(4)]

    path = tmp_path / "songs.json.gz"
    songs = {"train": [song() for _ in range(8)], "test": [song() for _ in range(2)]}
    path.write_bytes(gzip.compress(json.dumps(songs).encode()))
    return path


def test_music_writes_midi_of_at_most_four_voices(run, tmp_path, songs_file):
    result = run("music", "--data", songs_file)
    assert "112 bars of 8 pieces" in result.output and "consonant" in result.output
    picture(tmp_path, "music.png")
    for name in ("new.mid", "morph.mid"):
        (piece,) = darkroom.read_midi(tmp_path / "out" / name)
        assert 1 <= piece.notes.sum(axis=1).max() <= 4 and piece.starts.sum() > 20


def test_music_measures_consonance_and_pitches():
    music = import_module("music")
    major = music.facts([music.piece_of([[48, 52, 55]] * 16)])
    assert major["consonant"] == 1 and major["in the scale"] == 1
    assert major["at a time"] == 3 and major["begin in a bar"] == 3
    assert music.facts([music.piece_of([[48, 49]] * 16)])["consonant"] == 0


def test_restyle_paints_with_the_colours_of_the_painting(run, tmp_path):
    rng = np.random.default_rng(0)
    photo = save_image(tmp_path / "photo.png", np.repeat(rng.random((50, 70, 1)) * 0.5, 3, axis=2))
    reds = rng.random((60, 60, 3)) * [1, 0.1, 0.1]
    painting = save_image(tmp_path / "painting.png", reds)
    run("restyle", "--photo", photo, "--painting", painting)
    picture(tmp_path, "restyle.png")
    red, green, blue = picture(tmp_path, "redrawn.png")[4:-4, 4:-4].mean(axis=(0, 1))
    assert red > 3 * green and red > 3 * blue


def test_restyle_draws_its_own_images(run, tmp_path):
    run("restyle", "--size", 64)
    picture(tmp_path, "restyle.png")


def test_dream_changes_the_photograph_where_it_sees_something(run, tmp_path):
    run("dream", "--size", 120, "--epochs", 3)
    pixels = picture(tmp_path, "dream.png").astype(float)
    photo, dream = np.split(pixels[:, : pixels.shape[1] // 2 * 2], 2, axis=1)
    assert np.abs(photo - dream).max() > 20


def test_dream_refuses_rows_that_are_no_images(run, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((20, 5), np.float32))
    result = run("dream", "--data", tmp_path / "rows.npy")
    assert result.exit_code == 2 and "expected images" in result.output


def test_anomalies_finds_spoiled_images_and_malignant_tumours(run, tmp_path):
    result = run("anomalies", "--rows", 3000, "--epochs", 6)
    table, images = result.output.split("Images:")
    assert float(table.split("ROC AUC ")[1].split()[0]) > 0.8
    found = int(images.split("of the oddest 20")[0].split()[-1])
    assert found >= 5
    picture(tmp_path, "anomalies.png")


def test_table_draws_one_like_it(run, tmp_path):
    result = run("table", "--rows", 600, "--epochs", 60)
    assert float(result.output.split("Associations of pairs differ by ")[1].split()[0]) < 0.15
    assert "<svg" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert len((tmp_path / "out" / "synthetic.csv").read_text("utf-8").splitlines()) == 451


def test_table_reads_csv(run, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.choice(['a', 'b'])},{rng.poisson(3)}" for _ in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["x,kind,visits", *lines, ",a,2", "0.5,,1"]))
    result = run("table", "--csv", tmp_path / "t.csv", "--target", "kind")
    assert "AUC of kind on real rows" in result.output and "nan" not in result.output
    assert (tmp_path / "out" / "report.html").exists()


def test_twins_copies_and_creates(run, tmp_path):
    result = run("twins", "--rows", 2000, "--epochs", 5, "--latent-dim", 4)
    copier, creator = result.output.split("VAE:")
    error = [float(p.split("squared error ")[1].split()[0]) for p in (copier, creator)]
    assert error[0] < error[1]  # the autoencoder copies better
    far = [float(p.split("from the prior: ")[1].split()[0]) for p in (copier, creator)]
    assert far[0] > far[1]  # but its samples are further from real images
    picture(tmp_path, "twins.png")


def test_recommend_finds_tastes(run, tmp_path):
    lines = run("recommend", "--epochs", 20).output.splitlines()
    found = {line.split()[0]: float(line.split()[1]) for line in lines if "+-" in line}
    assert found["VAE"] > found["popularity"] and found["EASE"] > found["popularity"]
    picture(tmp_path, "recommend.png")


def test_recommend_measures_rankings():
    recommend = import_module("recommend")
    known, hidden = (recommend.sparse.csr_matrix(np.eye(1, 200, k)) for k in (3, 7))
    for rank, expected in ((0, [1, 1, 1]), (30, [1 / np.log2(32), 0, 1]), (150, [0, 0, 0])):
        scores = np.arange(200.0)[None, ::-1].copy()
        scores[0, 7], scores[0, 3] = 199.5 - rank - (rank > 3) - (rank >= 7), 1e9
        found = recommend.measure(scores, known, hidden)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_stay_short(path):
    assert len(path.read_text().splitlines()) < 120
