"""The commands that work in the latent space, run on small models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaefast
from commands import fail, succeed, vaefast_command
from vaefast import VAE, datasets, latent, pictures

LATENT = 3


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def assert_same_picture(path: Path, picture: Image.Image) -> None:
    np.testing.assert_array_equal(pixels(path), np.asarray(picture))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    drawn = datasets.strokes(300, n_test=40)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, X=drawn.X, y=drawn.y, x_test=drawn.X_test, y_test=drawn.y_test)
    return path


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    vae = VAE(LATENT, (32,), epochs=5, random_state=0, verbose=False).fit(datasets.load(data).X)
    path = tmp_path_factory.mktemp("models") / "digits.safetensors"
    vae.save(path)
    return path


@pytest.fixture(scope="module")
def colour_model(tmp_path_factory) -> Path:
    X = np.random.default_rng(0).integers(0, 255, size=(30, 12, 10, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("models") / "colour.safetensors"
    VAE(2, (8,), epochs=1, random_state=0, verbose=False).fit(X).save(path)
    return path


@pytest.fixture(scope="module")
def table_model(tmp_path_factory) -> Path:
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "table.npy", X)
    vae = VAE(3, (8,), likelihood="gaussian", epochs=1, random_state=0, verbose=False).fit(X)
    vae.save(folder / "table.safetensors")
    return folder / "table.safetensors"


@pytest.fixture
def photo(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    ramp = np.linspace(0, 255, 60 * 40 * 3).reshape(60, 40, 3).astype(np.uint8)
    Image.fromarray(ramp).save(folder / "photo.png")
    return folder / "photo.png"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# --- each command agrees with the Python function ---


def test_reconstruct_shows_draws_beside_the_original(model, data):
    said = succeed("reconstruct", model, data, "--index", 3, 5, "--draws", 4, "--seed", 1)
    assert "rows 3, 5 (test rows of" in said
    X = datasets.load(data).X_test[[3, 5]]
    draws = vaefast.load(model).reconstruct(X, n=4, random_state=1)
    expected = pictures.strips(
        [[X[0], *draws[0]], [X[1], *draws[1]]],
        names=["row 3", "row 5"],
        heads=["original", "draws"],
        breaks=[1],
    )
    assert_same_picture(Path("reconstruction.png"), expected)


def test_draws_of_a_table_are_rows_of_a_csv_file(table_model):
    data = table_model.with_name("table.npy")
    succeed("reconstruct", table_model, data, "--index", 0, 1, "--draws", 5, "--seed", 0)
    lines = Path("reconstruction.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 5


def test_sample_takes_a_temperature(model):
    succeed("sample", model, "-n", 4, "--seed", 1, "--temperature", 0.5)
    expected = vaefast.load(model).sample(4, random_state=1, temperature=0.5)
    assert_same_picture(Path("samples.png"), pictures.sheet(expected))
    assert "temperature" in fail("sample", model, "--temperature", -1, code=2)


def test_morph_draws_a_row_of_each_leg(model, data):
    said = succeed("morph", model, 1, 2, 3, "--data", data, "--steps", 5, "--how", "spherical")
    assert said == "Wrote morph.png: a spherical morph from 1 to 2 to 3 in 9 images\n"
    a, b, c = X = datasets.load(data).X_test[1:4]
    frames = latent.morph(vaefast.load(model), a, c, 5, through=[b], how="spherical")
    legs = [[X[0], *frames[:5], X[1]], [X[1], *frames[4:], X[2]]]
    heads = ["from", "", "", "", "", "", "to"]
    assert_same_picture(Path("morph.png"), pictures.strips(legs, heads=heads, breaks=[1, 6]))


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_morph_becomes_an_animation(suffix, model, data):
    succeed("morph", model, 1, 2, "--data", data, "--steps", 6, "--out", f"a{suffix}")
    with Image.open(f"a{suffix}") as animation:
        assert animation.n_frames == 10  # six frames forwards, four back
        assert animation.size == (224, 224)


def test_pictures_are_rows_or_files_of_any_size_and_colour(model, data, colour_model, photo):
    succeed("morph", model, 1, photo, "--data", data, "--steps", 3)
    succeed("morph", model, photo, photo, "--out", "photos.png")  # image files need no data set
    Image.new("L", (9, 9), 80).save(photo.with_name("grey.png"))
    out = "colour.png"
    succeed("morph", colour_model, photo, photo.with_name("grey.png"), "--out", out)
    assert np.ptp(pixels(Path(out)), axis=-1).max() > 60  # in colour


def test_a_folder_of_colour_photographs_suits_a_grey_model(model, colour_model, photo):
    for a_model in (model, colour_model):
        said = succeed("reconstruct", a_model, photo.parent, "--force")
        assert "row 0 (rows of" in said


def test_flat_rows_of_a_file_are_shown_as_the_images_of_the_model(model, data):
    np.save("flat.npy", datasets.load(data).X[:20].reshape(20, -1))
    succeed("reconstruct", model, "flat.npy")
    succeed("morph", model, 1, 2, "--data", "flat.npy")


def test_nearest_wants_no_more_neighbours_than_there_are_rows_or_a_picture_holds(model, data):
    np.save("few.npy", datasets.load(data).X[:3])
    assert "--neighbours 4 is too large: there are only 3 rows of few.npy" in fail(
        "nearest", model, "few.npy", "--neighbours", 4, code=2
    )
    assert "1<=x<=100" in fail("nearest", model, data, "--neighbours", 999999, code=2)


def test_nearest_shows_the_training_rows(model, data):
    said = succeed("nearest", model, data, "-n", 3, "--neighbours", 2, "--seed", 4)
    samples = vaefast.load(model).sample(3, random_state=4)
    X = datasets.load(data).X
    distances, indices = latent.nearest(X, samples, 2)
    assert f"distances of {distances[:, 0].min():.2f} to {distances[:, 0].max():.2f}" in said
    assert "train rows" in said
    captions = [
        ["", *(f"{i}: {d:.1f}" for i, d in zip(*row, strict=True))]
        for row in zip(indices, distances, strict=True)
    ]
    expected = pictures.strips(
        [[s, *X[i]] for s, i in zip(samples, indices, strict=True)],
        heads=["new", "nearest"],
        captions=captions,
        breaks=[1],
    )
    assert_same_picture(Path("nearest.png"), expected)


def test_traverse_begins_with_the_strongest_dimension(model, data):
    said = succeed("traverse", model, data, "--start", 7, "--top", 2, "--steps", 5, "--width", 2)
    assert "2 of 3 dimensions" in said
    vae, X = vaefast.load(model), datasets.load(data).X_test
    kl = latent.dimension_kl(vae, X)
    first, second = kl.argsort()[:0:-1]
    expected = pictures.strips(
        latent.traverse(vae, [first, second], start=X[7], values=[-2, -1, 0, 1, 2]),
        names=[f"dimension {i + 1}\n{kl[i]:.2f} nats" for i in (first, second)],
        heads=["-2", "-1", "0", "+1", "+2"],
    )
    assert_same_picture(Path("traversal.png"), expected)


def test_direction_takes_labels_and_saves_what_it_found(model, data):
    args = "direction", model, data, "--with", 3, "--without", 8
    said = succeed(*args, "--image", 5, "--image", 6, "--steps", 3, "--save", "three.npy")
    drawn, vae = datasets.load(data), vaefast.load(model)
    with_it, without = drawn.X[drawn.y == 3], drawn.X[drawn.y == 8]
    way = latent.direction(vae, with_it, without)
    np.testing.assert_array_equal(np.load("three.npy"), way)
    assert f"{len(with_it)} with the attribute and {len(without)} without it" in said
    X = drawn.X[[5, 6]]
    moved = latent.shift(vae, X, way, [-2, 0, 2])
    expected = pictures.strips(
        [[X[0], *moved[0]], [X[1], *moved[1]]], heads=["original", "-2", "0", "+2"], breaks=[1]
    )
    assert_same_picture(Path("direction.png"), expected)


def test_direction_takes_rows_and_by_default_all_others(model, data):
    said = succeed("direction", model, data, "--with-rows", 3, 4, 5, "--without-rows", 7, 8)
    assert "A group of fewer than 5 rows" in said
    same = fail("direction", model, data, "--with", 3, "--without", 3, "--out", "same.png")
    assert "name the same rows" in same
    for command in ("direction", "map"):
        out = ["--out", "a.xyz"]
        groups = ["--with", 3] if command == "direction" else []
        assert "a.xyz: the name of a picture must end" in fail(command, model, data, *groups, *out)
    args = "direction", model, data, "--with-rows", 3, "--save", "a.npy", "--out", "a.png"
    assert "1 with the attribute and 299 without" in succeed(*args)
    X = datasets.load(data).X
    others = np.delete(X, 3, axis=0)
    expected = latent.direction(vaefast.load(model), X[[3]], others)
    np.testing.assert_array_equal(np.load("a.npy"), expected)


@pytest.fixture(scope="module")
def portraits(tmp_path_factory) -> tuple[Path, Path]:
    """Return a folder of drawn faces with ages in their names, and a model of them."""
    folder = tmp_path_factory.mktemp("portraits") / "faces"
    folder.mkdir()
    random = np.random.default_rng(0)
    ages = random.integers(5, 80, 120)
    X = np.full((120, 12, 10), 230, np.uint8)
    X[:, 3, 2:8] -= (2 * ages[:, None]).astype(np.uint8)  # age darkens the brow
    X[:, 8, 3:7] -= random.integers(0, 200, (120, 1)).astype(np.uint8)  # the mouth is the person
    for i, (pixels, age) in enumerate(zip(X, ages, strict=True)):
        Image.fromarray(pixels).save(folder / f"{i:03}_age{age}.png")
    model = VAE(2, (32,), batch_size=16, epochs=30, random_state=0, verbose=False).fit(X)
    model.save(folder.parent / "faces.safetensors")
    return folder, folder.parent / "faces.safetensors"


def test_direction_by_the_ages_in_the_names_of_files(portraits):
    folder, model = portraits
    args = "direction", model, folder, "--by", "age", "--image", 7, "--save", "age.npy"
    said = succeed(*args, "--years", 20)
    vae, faces = vaefast.load(model), datasets.load(folder)
    ages = np.array([int(name[7:-4]) for name in faces.files])
    assert f"along age for 120 rows of {folder}, from {ages.min()} to {ages.max()}" in said
    way = latent.direction(vae, faces.X, y=ages)
    np.testing.assert_array_equal(np.load("age.npy"), way)
    X = faces.X[[7]]
    changed = [latent.edit(vae, X, way, years)[0] for years in (5, 10, 15, 20)]
    heads = ["original", "+5", "+10", "+15", "+20"]
    expected = pictures.strips([[X[0], *changed]], heads=heads, breaks=[1])
    assert_same_picture(Path("direction.png"), expected)
    # Without an amount, the picture goes to either side by the spread of the ages.
    succeed(*args[:-2], "--steps", 3, "--out", "both.png")
    spread = np.std(ages.astype(float))
    changed = [latent.edit(vae, X, way, years)[0] for years in (-spread, 0, spread)]
    heads = ["original", f"-{spread:.3g}", "0", f"+{spread:.3g}"]
    expected = pictures.strips([[X[0], *changed]], heads=heads, breaks=[1])
    assert_same_picture(Path("both.png"), expected)


def test_the_name_before_a_number_is_a_whole_word(portraits, tmp_path):
    folder, model = portraits
    named = tmp_path / "named"
    named.mkdir()
    for file in folder.iterdir():
        (named / f"image{file.name}").write_bytes(file.read_bytes())  # image007_age31.png
    for data, saved in ((folder, "age.npy"), (named, "same.npy")):
        succeed("direction", model, data, "--by", "age", "--save", saved, "--force")
    np.testing.assert_array_equal(np.load("same.npy"), np.load("age.npy"))


@pytest.mark.parametrize("header", ["", "file,years\n"])
def test_direction_by_a_table_of_names_and_numbers(header, portraits):
    folder, model = portraits
    faces = datasets.load(folder)
    ages = [int(name[7:-4]) for name in faces.files]
    lines = [f"{name},{age}" for name, age in zip(faces.files, ages, strict=True)]
    lines[3] = f"{Path(faces.files[3]).stem},{ages[3]}"  # the suffix may be left out
    Path("ages.csv").write_text(header + "\n".join(lines[::-1]))
    succeed("direction", model, folder, "--by", "ages.csv", "--save", "age.npy")
    expected = latent.direction(vaefast.load(model), faces.X, y=ages)
    np.testing.assert_array_equal(np.load("age.npy"), expected)


def test_direction_between_sub_folders_changes_images_and_keeps_their_detail(portraits, tmp_path):
    folder, model = portraits
    for file in folder.iterdir():
        group = tmp_path / "two" / ("old" if int(file.stem[7:]) > 40 else "young")
        group.mkdir(parents=True, exist_ok=True)
        (group / file.name).write_bytes(file.read_bytes())
    two = tmp_path / "two"
    args = "--with", "old", "--without", "young", "--amount", 1, "--steps", 2
    succeed("direction", model, two, *args, "--image", 0)
    faces, vae = datasets.load(two), vaefast.load(model)
    way = latent.direction(vae, faces.X[faces.y == "old"], faces.X[faces.y == "young"])
    changed = [latent.edit(vae, faces.X[:1], way, amount)[0] for amount in (0.5, 1)]
    heads = ["original", "+0.5", "+1"]
    expected = pictures.strips([[faces.X[0], *changed]], heads=heads, breaks=[1])
    assert_same_picture(Path("direction.png"), expected)


def test_edit_goes_along_a_saved_direction(portraits):
    folder, model = portraits
    faces, vae = datasets.load(folder), vaefast.load(model)
    way = latent.direction(vae, faces.X, y=np.arange(120) % 7 + faces.X[:, 3, 4])
    np.save("way.npy", way)
    photo = folder / faces.files[5]
    said = succeed("edit", model, photo, 7, "--data", folder, "--along", "way.npy", "--amount", -9)
    assert said == "Wrote edited.png: 2 pictures, changed by -9\n"
    X = faces.X[[5, 7]]
    changed = np.stack([latent.edit(vae, X, way, a) for a in (-2.25, -4.5, -6.75, -9)], axis=1)
    expected = pictures.strips(
        [[image, *row] for image, row in zip(X, changed, strict=True)],
        heads=["original", "-2.25", "-4.5", "-6.75", "-9"],
        breaks=[1],
    )
    assert_same_picture(Path("edited.png"), expected)
    to_folder = "--along", "way.npy", "--amount", -9, "--out", "older"
    succeed("edit", model, photo, *to_folder)
    (written,) = Path("older").iterdir()
    assert written.name == f"{photo.stem}.png"
    with Image.open(written) as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(image, np.rint(changed[0, -1] * 255))
    assert "--force" in fail("edit", model, photo, *to_folder)
    assert "same name" in fail("edit", model, photo, photo, *to_folder, "--force")


def test_what_an_attribute_needs_is_one_line(portraits, model, data):
    folder, faces = portraits
    table = Path("ages.csv")
    table.write_text("000_age9.png,30\n")
    assert "ages.csv has no number for 1" in fail("direction", faces, folder, "--by", table)
    table.write_text("a.png,30\nb.png,old\n")
    assert "ages.csv, line 2: expected a name and a number, got ['b.png', 'old']" in fail(
        "direction", faces, folder, "--by", table
    )
    assert "no number follows 'height' in the names of 120 of the 120" in fail(
        "direction", faces, folder, "--by", "height"
    )
    assert "needs a folder of images" in fail("direction", model, data, "--by", "age")
    same = Path("same")
    same.mkdir()
    for i in range(4):
        Image.new("L", (10, 12), 60 * i).save(same / f"{i}_age30.png")
    assert "y is 30 for every row" in fail("direction", faces, same, "--by", "age")
    one = Path("one")
    one.mkdir()
    Image.new("L", (10, 12)).save(one / "a_age30.png")
    assert "at least 3" in fail("direction", faces, one, "--by", "age")
    both = "--by", "age", "--with", 3
    assert "not both" in fail("direction", model, data, *both, code=2)
    both = "--with", 3, "--amount", 1, "--strength", 1
    assert "not both" in fail("direction", model, data, *both, code=2)
    np.save("other.npy", np.ones(7))
    assert "it belongs to another model" in fail(
        "edit", model, 1, "--data", data, "--along", "other.npy", "--amount", 1
    )
    # A .npz file knows its model, even if another one has as many dimensions.
    succeed("direction", model, data, "--with", 3, "--save", "three.npz", "--out", "a.png")
    direction = "--along", "three.npz", "--amount", 1
    succeed("edit", model, 1, "--data", data, *direction)
    succeed("explore", model, "--directions", "three.npz", "--no-open")
    other = Path("other.safetensors")
    VAE(LATENT, (8,), epochs=1, random_state=0, verbose=False).fit(datasets.load(data).X).save(
        other
    )
    assert "three.npz holds a direction of another model" in fail(
        "edit", other, 1, "--data", data, *direction, "--out", "b.png"
    )
    np.savez("two.npz", a=np.ones(3), b=np.ones(3))
    assert "two.npz holds 2 directions, expected one" in fail(
        "edit", model, 1, "--data", data, "--along", "two.npz", "--amount", 1, "--force"
    )


def test_breed_starts_from_pictures_or_from_a_seed(model, data):
    args = "--generations", 3, "-n", 4, "--mutation", 0.1, "--seed", 2
    succeed("breed", model, 1, 2, "--data", data, *args)
    X, vae = datasets.load(data).X_test[1:3], vaefast.load(model)
    children, chosen = latent.evolve(vae, X, 3, 4, 0.1, random_state=2)
    expected = pictures.strips(
        [X, *children],
        names=["parents", "1", "2", "3"],
        framed=[(row + 1, column) for row, pair in enumerate(chosen) for column in pair],
    )
    assert_same_picture(Path("family.png"), expected)
    succeed("breed", model, *args, "--out", "a.png")
    succeed("breed", model, *args, "--out", "b.png")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_map_uses_two_dimensions_as_they_are_and_more_by_pca(model, colour_model, data):
    pytest.importorskip("matplotlib")
    said = succeed("map", model, data)
    assert "two principal components" in said and "3 latent dimensions" in said
    np.save("colour.npy", np.zeros((5, 12, 10, 3), np.uint8))
    assert "both latent dimensions" in succeed("map", colour_model, "colour.npy", "--out", "a.png")
    for name in ("map.png", "a.png"):
        assert pixels(Path(name)).shape[1] > 1500  # the points beside the decoded images


def test_map_of_a_table_shows_its_points(table_model):
    pytest.importorskip("matplotlib")
    succeed("map", table_model, table_model.with_name("table.npy"))
    assert 600 < pixels(Path("map.png")).shape[1] < 1200


# --- what can go wrong ---


def test_every_command_has_an_example_and_keeps_files_without_force(model, data):
    commands = {
        "morph": (model, 1, 2, "--data", data),
        "nearest": (model, data),
        "traverse": (model, data),
        "direction": (model, data, "--with", 3),
        "edit": (model, 1, "--data", data, "--along", "way.npy", "--amount", 1),
        "breed": (model,),
        "map": (model, data),
    }
    np.save("way.npy", np.ones(LATENT))
    out = Path("precious.png")
    for name, args in commands.items():
        assert "Example" in succeed(name, "--help")
        out.write_text("precious")
        assert "--force" in fail(name, *args, "--out", out)
        assert out.read_text() == "precious"
        succeed(name, *args, "--out", out, "--force")
        assert pixels(out).size


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["morph", "MODEL", "1", "2"], "Row 1 needs a data set: add --data"),
        (["morph", "MODEL", "1", "40", "--data", "DATA"], "no row 40: the test rows of"),
        (["morph", "MODEL", "1", "-3", "--data", "DATA"], "-3"),
        (["morph", "MODEL", "1", "cat.png", "--data", "DATA"], "image file, got cat.png"),
        (["morph", "MODEL", "1", "text.png", "--data", "DATA"], "text.png: not an image"),
        (["breed", "MODEL", "text.png"], "text.png: not an image"),
        (["morph", "MODEL", "1", "2", "--data", "SMALL"], "small.npy has rows of shape (14, 14)"),
        (["traverse", "MODEL", "SMALL"], "(28, 28). Resize them; the images of a folder"),
        (["nearest", "MODEL", "SMALL"], "small.npy has rows of shape (14, 14)"),
        (["traverse", "MODEL", "DATA", "--start", "99"], "no row 99"),
        (["direction", "MODEL", "DATA"], "--with LABEL or --with-rows 3 14 15"),
        (["direction", "MODEL", "DATA", "--with", "x"], "label 'x'. The labels are 0, 1, 2"),
        (["direction", "MODEL", "DATA", "--with", "3", "--without", "x"], "the label 'x'"),
        (["direction", "MODEL", "DATA", "--with-rows", "300"], "no row 300"),
        (["direction", "MODEL", "PLAIN", "--with", "3"], "have no labels: use --with-rows"),
        (
            ["direction", "MODEL", "DATA", "--with", "3", "--save", "a.txt"],
            ".npz file or a .npy file, got a.txt",
        ),
        (["breed", "MODEL", "--mutation", "2"], "0<=x<=1"),
        (["morph", "TABLE", "1", "2"], "needs a model of images"),
        (["breed", "TABLE"], "In Python, vaefast.latent works on such rows too"),
        (["morph", "MODEL", "1", "2", "--data", "DATA", "--out", "no/a.gif"], "no such folder"),
        (["morph", "MODEL", "1", "2", "--data", "DATA", "--out", "a.xyz"], "xyz"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(args, message, model, table_model, data):
    Path("text.png").write_text("not an image")
    np.save("small.npy", np.zeros((5, 14, 14), np.uint8))
    np.save("plain.npy", np.zeros((5, 784), np.uint8))
    names = {
        "PLAIN": "plain.npy",
        "MODEL": model,
        "DATA": data,
        "TABLE": table_model,
        "SMALL": "small.npy",
    }
    before = set(Path().iterdir())
    result = vaefast_command(*(names.get(arg, arg) for arg in args))
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert set(Path().iterdir()) == before


def test_a_morph_needs_two_pictures(model, data):
    assert "at least two" in fail("morph", model, 1, "--data", data, code=2)


def test_a_map_without_its_libraries_says_how_to_get_them(model, data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    assert "pip install 'vaefast[umap]'" in fail("map", model, data, "--how", "umap")
    assert list(Path().iterdir()) == []


def test_a_map_of_one_dimension_says_what_to_do(data, tmp_path):
    path = tmp_path / "thin.safetensors"
    VAE(1, (8,), epochs=1, verbose=False).fit(datasets.load(data).X).save(path)
    assert "traverse" in fail("map", path, data)
    assert "1 of 1 dimensions" in succeed("traverse", path, data)


def test_a_folder_of_no_images_says_so(model, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    assert "holds no images; expected files ending in" in fail("nearest", model, folder)
