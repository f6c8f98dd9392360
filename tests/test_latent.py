"""The functions of the latent space, on small models of strokes and on codes made by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaefast import VAE, NotFittedError, datasets, latent

LATENT = 12


@pytest.fixture(scope="module")
def strokes() -> datasets.Dataset:
    return datasets.strokes(4000, n_test=300)


@pytest.fixture(scope="module")
def vae(strokes) -> VAE:
    model = VAE(LATENT, hidden_layer_sizes=(256,), epochs=20, random_state=0, verbose=False)
    return model.fit(strokes.X)


@pytest.fixture(scope="module")
def table_vae() -> VAE:
    X = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    return VAE(2, (8,), likelihood="gaussian", epochs=1, random_state=0, verbose=False).fit(X)


# --- draws and samples ---


def test_draws_of_a_row_are_spread_as_its_posterior(vae, strokes):
    X = strokes.X_test[:3]
    draws = vae.reconstruct(X, n=500, random_state=0)
    assert draws.shape == (3, 500, 28, 28)
    np.testing.assert_array_equal(draws, vae.reconstruct(X, n=500, random_state=0))
    assert np.abs(draws - vae.reconstruct(X, n=500, random_state=1)).max() > 0.1
    mu, logvar = vae.encode(X)
    noise = np.random.default_rng(9).standard_normal((500, LATENT))
    for row in range(3):
        z = mu[row] + np.exp(logvar[row] / 2) * noise
        expected = vae.inverse_transform(z)
        np.testing.assert_allclose(draws[row].mean(0), expected.mean(0), atol=0.08)
        np.testing.assert_allclose(draws[row].std(0), expected.std(0), atol=0.08)


def test_draws_of_a_table_and_their_errors(table_vae):
    assert table_vae.reconstruct(np.zeros((4, 3)), n=2).shape == (4, 2, 3)
    with pytest.raises(ValueError, match="n=0"):
        table_vae.reconstruct(np.zeros((4, 3)), n=0)


def test_temperature_scales_the_codes_of_samples(vae):
    np.testing.assert_array_equal(
        vae.sample(5, random_state=0), vae.sample(5, random_state=0, temperature=1)
    )
    middle = vae.inverse_transform(np.zeros((3, LATENT)))
    np.testing.assert_array_equal(vae.sample(3, temperature=0, prior="prior"), middle)
    spread = [
        vae.sample(200, 0, temperature=t, prior="prior").std(axis=0).mean() for t in (0.3, 0.7, 1.0)
    ]
    assert spread[0] < 0.8 * spread[1] < 0.8 * spread[2]
    with pytest.raises(ValueError, match="temperature=-1"):
        vae.sample(1, temperature=-1)
    with pytest.raises(TypeError, match="temperature='hot'"):
        vae.sample(1, temperature="hot")


# --- paths and morphs ---


def test_a_linear_path_visits_its_codes_in_equal_steps():
    stops = np.array([[0, 0], [3, 0], [3, 6]], np.float32)
    expected = [[0, 0], [1, 0], [2, 0], [3, 0], [3, 2], [3, 4], [3, 6]]
    way = latent.path(stops, steps=4)
    np.testing.assert_allclose(way, expected, atol=1e-6)
    assert way.dtype == np.float32


def test_a_spherical_path_turns_at_a_constant_rate_and_changes_its_length_linearly():
    way = latent.path([[2, 0, 0], [0, 0, 4]], steps=4, how="spherical").astype(float)
    lengths = np.linalg.norm(way, axis=1)
    np.testing.assert_allclose(lengths, [2, 8 / 3, 10 / 3, 4], rtol=1e-6)
    np.testing.assert_allclose(
        np.degrees(np.arctan2(way[:, 2], way[:, 0])), [0, 30, 60, 90], atol=1e-4
    )


@pytest.mark.parametrize("end", [[-1.0, -2.0], [2.0, 4.0], [0.0, 0.0]])
def test_a_spherical_path_without_an_angle_is_straight(end):
    stops = [[1.0, 2.0], end]
    np.testing.assert_allclose(
        latent.path(stops, 5, "spherical"), latent.path(stops, 5, "linear"), atol=1e-6
    )


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 1000),
    k=st.integers(2, 5),
    steps=st.integers(2, 9),
    dim=st.integers(1, 6),
    how=st.sampled_from(["linear", "spherical"]),
)
def test_a_path_passes_through_its_codes_and_never_leaves_their_ball(seed, k, steps, dim, how):
    stops = np.random.default_rng(seed).normal(size=(k, dim)).astype(np.float32)
    way = latent.path(stops, steps, how)
    assert way.shape == ((k - 1) * (steps - 1) + 1, dim)
    np.testing.assert_allclose(way[:: steps - 1], stops, atol=1e-5)
    assert np.linalg.norm(way, axis=1).max() <= np.linalg.norm(stops, axis=1).max() * (1 + 1e-5)


def test_a_morph_begins_and_ends_at_reconstructions(vae, strokes):
    a, b, c = strokes.X_test[:3]
    for how in latent.morphing.WAYS:
        images = latent.morph(vae, a, c, 6, through=[b], how=how)
        assert images.shape == (11, 28, 28)
        np.testing.assert_allclose(images[::5], vae.reconstruct([a, b, c]), atol=1e-5)
        jumps = np.abs(np.diff(images, axis=0)).mean(axis=(1, 2))
        assert jumps.max() < 0.6 * np.abs(images[0] - images[5]).mean()  # the morph does not jump


def test_a_morph_works_on_flat_rows_and_tables(vae, table_vae, strokes):
    a, b = strokes.X_test[:2].reshape(2, -1)
    assert latent.morph(vae, a, b, 3).shape == (3, 28, 28)
    assert latent.morph(table_vae, [0, 0, 0], [1, 1, 1], 4).shape == (4, 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"a": np.zeros((27, 28))}, r"a has shape \(27, 28\), expected one image .*\(28, 28\)"),
        ({"b": np.zeros((1, 28, 28))}, r"b has shape \(1, 28, 28\).*the first one is b\[0\]"),
        ({"through": [np.zeros((28, 28, 3))]}, r"through\[0\] has shape \(28, 28, 3\)"),
        ({"a": np.full((28, 28), 7.0)}, "a ranges from 7 to 7"),
        ({"b": np.full((28, 28), np.nan)}, "b holds nan"),
        ({"steps": 1}, "steps=1 must be at least 2"),
        ({"how": "curved"}, "'curved' is unknown; expected one of linear, spherical"),
    ],
)
def test_a_morph_says_what_is_wrong(vae, kwargs, message):
    given = {"a": np.zeros((28, 28)), "b": np.zeros((28, 28)), **kwargs}
    with pytest.raises(ValueError, match=message):
        latent.morph(vae, **given)


def test_a_path_needs_two_codes_of_one_kind():
    with pytest.raises(ValueError, match="at least two"):
        latent.path([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"\(2, 3, 4\), expected codes"):
        latent.path(np.zeros((2, 3, 4)))


# --- neighbours ---


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 40), m=st.integers(1, 9), d=st.integers(1, 5))
def test_nearest_agrees_with_all_distances_sorted(seed, k, m, d):
    random = np.random.default_rng(seed)
    X = random.integers(0, 4, size=(k, d)).astype(np.float32)  # whole numbers give many ties
    rows = random.normal(size=(m, d)).astype(np.float32)
    n = int(random.integers(1, k + 1))
    distances, indices = latent.nearest(X, rows, n)
    full = np.linalg.norm(rows[:, None].astype(float) - X.astype(float), axis=2)
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :n], rtol=1e-12)
    np.testing.assert_array_equal(np.take_along_axis(full, indices, axis=1), distances)
    assert all(len(set(row)) == n for row in indices.tolist())


def test_nearest_is_the_same_in_many_blocks(strokes, monkeypatch):
    rows = strokes.X_test[:50]
    expected = latent.nearest(strokes.X, rows, 7)
    monkeypatch.setattr(latent.neighbours, "_BLOCK", 784 * 130)
    monkeypatch.setattr(latent.neighbours, "_QUERIES", 13)
    distances, indices = latent.nearest(strokes.X, rows, 7)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-12)


def test_nearest_finds_a_row_itself_and_reads_bytes_as_shares(strokes):
    distances, indices = latent.nearest(strokes.X, strokes.X[[5, 3999]] / np.float32(255), 1)
    assert indices.tolist() == [[5], [3999]]
    assert distances.max() < 1e-5
    far = latent.nearest(np.zeros((1, 2, 2), np.uint8), np.full((1, 2, 2), 255, np.uint8), 1)
    assert far[0] == [[2.0]]


def test_nearest_tells_almost_equal_rows_far_from_the_origin_apart():
    X = 1e4 + np.array([[0.0], [0.5], [0.25]])
    assert latent.nearest(X, [[1e4 + 0.2]], 3)[1].tolist() == [[2, 0, 1]]


@pytest.mark.parametrize(
    ("X", "rows", "n", "message"),
    [
        (np.zeros((5, 8, 8)), np.zeros((2, 8, 9)), 1, r"\(8, 9\), but X has .* shape \(8, 8\)"),
        (np.zeros((5, 4)), np.zeros((2, 4)), 6, "n=6.*only 5 rows"),
        (np.zeros((5, 4)), np.full((2, 4), np.inf), 1, "rows holds inf"),
        (np.zeros((0, 4)), np.zeros((2, 4)), 1, "X has 0 sample"),
    ],
)
def test_nearest_says_what_is_wrong(X, rows, n, message):
    with pytest.raises(ValueError, match=message):
        latent.nearest(X, rows, n)


# --- dimensions ---


def test_a_conditional_model_is_refused_with_advice():
    X, y = np.random.default_rng(0).random((30, 4), dtype=np.float32), np.arange(30) % 2
    vae = VAE(2, (4,), conditional=True, epochs=1, random_state=0, verbose=False).fit(X, y)
    for call in (
        lambda: latent.morph(vae, X[0], X[1]),
        lambda: latent.direction(vae, X[:10], X[10:]),
        lambda: latent.breed(vae, X[:2]),
        lambda: latent.traverse(vae),
        lambda: latent.dimension_kl(vae, X),
    ):
        with pytest.raises(ValueError, match=r"conditional.*vae\.inverse_transform\(codes, y\)"):
            call()
    codes = latent.path(vae.transform(X[:2], y[:2]), 5)
    assert vae.inverse_transform(codes, 1).shape == (5, 4)


def test_dimension_kl_adds_up_to_the_kl_of_the_model(vae, strokes):
    kl = latent.dimension_kl(vae, strokes.X_test)
    assert kl.shape == (LATENT,)
    assert (kl > 0).all()
    assert kl.sum() == pytest.approx(vae.evaluate(strokes.X_test)["kl"], rel=1e-4)


def test_traverse_changes_one_dimension_at_a_time(vae, strokes):
    start = strokes.X_test[0]
    code = vae.transform(start[None])[0]
    images = latent.traverse(vae, [3, 1], start=start, values=[-1, code[1], 2])
    assert images.shape == (2, 3, 28, 28)
    moved = code.copy()
    moved[3] = -1
    np.testing.assert_allclose(images[0, 0], vae.inverse_transform([moved])[0], atol=1e-6)
    np.testing.assert_allclose(images[1, 1], vae.reconstruct(start[None])[0], atol=1e-5)
    everything = latent.traverse(vae)
    assert everything.shape == (LATENT, 7, 28, 28)
    np.testing.assert_array_equal(
        everything[:, 3], vae.sample(LATENT, temperature=0, prior="prior")
    )


def test_traverse_says_what_is_wrong(vae):
    with pytest.raises(ValueError, match=r"dimensions\[1\]=12 must be at most 11"):
        latent.traverse(vae, [0, 12])
    with pytest.raises(ValueError, match=r"start has shape \(5,\)"):
        latent.traverse(vae, start=np.zeros(5))
    with pytest.raises(ValueError, match=r"values has shape \(\)"):
        latent.traverse(vae, values=3)


# --- directions ---


def slant_of(images: np.ndarray) -> np.ndarray:
    """Return the slant to the right of the ink in each image, from its second moments."""
    y, x = np.mgrid[:28, :28]
    ink = images.reshape(-1, 28, 28) / images.reshape(-1, 28, 28).sum(axis=(1, 2), keepdims=True)
    dx = x - (ink * x).sum(axis=(1, 2))[:, None, None]
    dy = y - (ink * y).sum(axis=(1, 2))[:, None, None]
    slope = -(ink * dx * dy).sum(axis=(1, 2)) / (ink * dy**2).sum(axis=(1, 2))
    return slope.reshape(images.shape[:-2])


@pytest.mark.parametrize(
    ("factor", "measure"),
    [("thickness", lambda images: images.mean(axis=(-1, -2))), ("slant", slant_of)],
)
def test_a_direction_moves_its_attribute_and_keeps_the_digit(factor, measure, vae, strokes):
    amount = strokes.factors[factor]
    low, high = np.quantile(amount, [0.2, 0.8])
    way = latent.direction(vae, strokes.X[amount > high], strokes.X[amount < low])
    images = latent.shift(vae, strokes.X_test, way, [-2, 0, 2])
    less, same, more = measure(images).T
    # The attribute moves in almost every image, and nearly as far as the two groups are apart.
    assert np.mean(less < same) > 0.95 and np.mean(same < more) > 0.95
    groups = measure(strokes.X[amount > high] / 255), measure(strokes.X[amount < low] / 255)
    assert (more - less).mean() > 0.8 * (groups[0].mean() - groups[1].mean())
    # The digit stays: the nearest training image still shows the same one.
    for step in (0, 2):
        _, indices = latent.nearest(strokes.X, images[:, step], 1)
        _, before = latent.nearest(strokes.X, images[:, 1], 1)
        assert np.mean(strokes.y[indices] == strokes.y[before]) > 0.9


def test_a_direction_is_a_standard_deviation_of_the_codes_long(vae, strokes):
    X_with, X_without = strokes.X[strokes.y == 3], strokes.X[strokes.y == 8]
    way = latent.direction(vae, X_with, X_without)
    assert way.shape == (LATENT,) and way.dtype == np.float32
    codes = vae.transform(np.concatenate([X_with, X_without]))
    length = np.linalg.norm(way)
    assert np.std(codes @ way / length) == pytest.approx(length, rel=1e-4)
    opposite = latent.direction(vae, X_without, X_with)
    np.testing.assert_allclose(opposite, -way, atol=1e-5)


def test_shift_by_nothing_is_the_reconstruction(vae, strokes):
    X = strokes.X_test[:4]
    images = latent.shift(vae, X, np.ones(LATENT), [0, 1])
    np.testing.assert_allclose(images[:, 0], vae.reconstruct(X), atol=1e-6)
    moved = vae.inverse_transform(vae.transform(X) + 1)
    np.testing.assert_allclose(images[:, 1], moved, atol=1e-5)


def test_a_direction_says_what_is_wrong(vae, strokes):
    X = strokes.X[:10]
    for groups, name in (((X[:0], X), "X_with"), ((X, X[:0]), "X_without"), (([], X), "X_with")):
        with pytest.raises(ValueError, match=f"{name} is empty"):
            latent.direction(vae, *groups)
    with pytest.raises(ValueError, match="have the same mean"):
        latent.direction(vae, X, X)
    with pytest.raises(ValueError, match=r"X_without has rows of shape \(14, 14\)"):
        latent.direction(vae, X, X[:, ::2, ::2])
    with pytest.raises(ValueError, match="direction has 3 numbers.* 12 latent dimensions"):
        latent.shift(vae, X, [1, 2, 3])
    with pytest.raises(ValueError, match="strengths holds nan"):
        latent.shift(vae, X, np.ones(LATENT), [0, np.nan])


# --- numbers and edits ---


def faces(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return drawn faces, their ages, and their places, on which nothing else depends.

    Age darkens a line across the brow. Two further numbers, the person, move and widen the mouth.
    """
    random = np.random.default_rng(seed)
    ages, person = random.uniform(5, 80, n), random.uniform(-1, 1, (n, 2))
    y, x = np.mgrid[:20, :20]
    brow = np.exp(-(((y - 5) / 1.5) ** 2) - ((x - 9.5) / 5) ** 2)
    lips = y - 14 - 2 * person[:, :1, None], (x - 9.5) / (4 + 2 * person[:, 1:, None])
    mouth = np.exp(-((lips[0] / 1.5) ** 2) - lips[1] ** 2)
    X = 0.9 - brow * ages[:, None, None] / 100 - 0.6 * mouth
    return X.astype(np.float32), ages, person


def age_of(images: np.ndarray) -> np.ndarray:
    """Return the ages that drawn faces show."""
    return (0.9 - images[..., 5, 9]) * 100 / np.exp(-(0.5**2) / 25)


@pytest.fixture(scope="module")
def portraits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return faces(600, 0)


@pytest.fixture(scope="module")
def face_vae(portraits) -> VAE:
    model = VAE(8, (64,), likelihood="gaussian", sigma=0.02, batch_size=32, epochs=60)
    return model.set_params(random_state=0, verbose=False).fit(portraits[0])


def test_an_edit_changes_the_attribute_by_the_amount_and_nothing_else(face_vae, portraits):
    X, ages, _ = portraits
    way = latent.direction(face_vae, X, y=ages)
    assert way.shape == (8,) and way.dtype == np.float32
    photos, theirs, _ = faces(100, 1)
    young = (theirs > 25) & (theirs < 55)
    photos = photos[young]
    photos[:, 0, 0] = 0.2  # a mark that the model has never seen
    for years in (20, -15):
        edited = latent.edit(face_vae, photos, way, years)
        assert edited.shape == photos.shape and edited.dtype == np.float32
        assert np.mean(age_of(edited) - age_of(photos)) == pytest.approx(years, rel=0.1)
        assert np.abs(edited[:, 11:] - photos[:, 11:]).max() < 0.05  # the mouth
        np.testing.assert_allclose(edited[:, 0, 0], 0.2, atol=0.02)


def test_an_edit_leaves_quiet_places_alone_and_keeps_the_size_of_the_change(face_vae, portraits):
    X, ages, _ = portraits
    way = latent.direction(face_vae, X, y=ages)
    photos = X[(ages > 25) & (ages < 55)][:20]
    decoded = latent.edit(face_vae, photos, way, 10, detail=False) - face_vae.reconstruct(photos)
    change = latent.edit(face_vae, photos, way, 10) - photos
    assert np.std(change[:, -2:]) < 0.5 * np.std(decoded[:, -2:])  # the chin
    np.testing.assert_allclose(np.sqrt(np.mean(change**2)), np.sqrt(np.mean(decoded**2)), rtol=0.02)


def test_an_edit_goes_as_far_as_each_row_is_asked_to(face_vae, portraits):
    X, ages, _ = portraits
    way = latent.direction(face_vae, X, y=ages)
    years = np.array([0, 10, -10])
    edited = latent.edit(face_vae, X[:3], way, years)
    np.testing.assert_array_equal(edited[0], X[0])
    for row in (1, 2):
        alone = latent.edit(face_vae, X[row : row + 1], way, years[row])
        np.testing.assert_allclose(edited[row], alone[0], atol=1e-6)
    decoded = latent.edit(face_vae, X[:3], way, years, detail=False)
    np.testing.assert_allclose(decoded[0], face_vae.reconstruct(X[:1])[0], atol=1e-6)
    np.testing.assert_allclose(
        decoded[1], latent.shift(face_vae, X[1:2], way, [10])[0, 0], atol=1e-6
    )


def test_the_unit_of_a_direction_is_that_of_its_numbers(face_vae, portraits):
    X, ages, _ = portraits
    way = latent.direction(face_vae, X, y=ages)
    np.testing.assert_allclose(latent.direction(face_vae, X, y=12 * ages + 7), way / 12, rtol=1e-4)
    older = ages > 60
    toward = latent.direction(face_vae, X, y=older)  # True and False are 1 and 0
    groups = latent.direction(face_vae, X[older], X[~older])
    cosine = toward @ groups / np.linalg.norm(toward) / np.linalg.norm(groups)
    assert cosine > 0.8


def test_a_direction_by_numbers_holds_fixed_what_goes_along(face_vae):
    X, ages, person = faces(3000, 2)
    kept = np.abs(ages / 75 - person[:, 0] / 2 - 0.5) < 0.3  # older people have lower mouths
    assert np.corrcoef(ages[kept], person[kept, 0])[0, 1] > 0.7
    photos = faces(50, 3)[0]
    way = latent.direction(face_vae, X[kept], y=ages[kept])
    old, young = kept & (ages > 55), kept & (ages < 30)
    groups = latent.direction(face_vae, X[old], X[young])

    def moved_mouth(vector: np.ndarray) -> float:
        """Return the change below the brow, for each change of the brow."""
        change = latent.edit(face_vae, photos, vector * (0.5 / np.linalg.norm(vector)), 1) - photos
        return float(np.abs(change[:, 11:]).mean() / np.abs(change[:, :11]).mean())

    assert moved_mouth(way) < 0.7 * moved_mouth(groups)


def test_an_edit_stays_in_the_range_of_the_images(face_vae, portraits, vae, strokes):
    X, ages, _ = portraits
    way = latent.direction(face_vae, X, y=ages)
    edited = latent.edit(face_vae, X[:50], way, 500)
    assert edited.min() == 0 and edited.max() <= 1
    bytes_ = latent.edit(vae, strokes.X_test[:5], np.zeros(LATENT), 1)
    np.testing.assert_allclose(bytes_, strokes.X_test[:5] / np.float32(255), atol=1e-6)


def test_an_edit_of_a_table_keeps_what_the_model_does_not_explain(table_vae):
    X = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    edited = latent.edit(table_vae, X, [1, -2], 0.5)
    change = latent.edit(table_vae, X, [1, -2], 0.5, detail=False) - table_vae.reconstruct(X)
    np.testing.assert_allclose(edited, X + change, atol=1e-6)


def test_an_edit_of_colour_images_keeps_their_shape():
    random = np.random.default_rng(0)
    X = random.random((200, 1, 1, 3), dtype=np.float32) * np.ones((6, 5, 1), np.float32)
    model = VAE(3, (32,), batch_size=16, epochs=20, random_state=0, verbose=False).fit(X)
    way = latent.direction(model, X, y=X.mean(axis=(1, 2, 3)))
    edited = latent.edit(model, X[:4], way, 0.05)
    assert edited.shape == (4, 6, 5, 3)
    assert np.abs(edited - X[:4]).max() > 0


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(9), "y has 9 numbers, but X has 10 rows"),
        (np.full(10, 30), "y is 30 for every row"),
        ([*range(9), np.nan], "y holds nan in row 9"),
        (np.zeros((10, 2)), r"y has shape \(10, 2\), expected a list of numbers"),
        (list("abcdefghij"), "y holds <U1, expected numbers"),
        (None, "either two groups.*or a number for each row"),
    ],
)
def test_a_direction_by_numbers_says_what_is_wrong(vae, strokes, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        latent.direction(vae, strokes.X[:10], y=y)


def test_a_direction_by_numbers_needs_rows_that_tell_them(vae, strokes):
    with pytest.raises(ValueError, match="X has 1 rows, but .* at least 3"):
        latent.direction(vae, strokes.X[:1], y=[1])
    with pytest.raises(ValueError, match="not both|either two groups"):
        latent.direction(vae, strokes.X[:5], strokes.X[5:10], y=np.arange(5))
    noise = np.random.default_rng(0).normal(size=2000)
    with pytest.raises(ValueError, match="the codes of X say nothing about y"):
        latent.direction(vae, strokes.X[:2000], y=noise)


def test_an_edit_says_what_is_wrong(vae, strokes):
    X = strokes.X_test[:2]
    with pytest.raises(ValueError, match="12 latent dimensions: it belongs to another model"):
        latent.edit(vae, X, [1, 2, 3], 1)
    with pytest.raises(ValueError, match="amount has 3 numbers, but X has 2 rows"):
        latent.edit(vae, X, np.ones(LATENT), [1, 2, 3])
    with pytest.raises(ValueError, match="amount holds a number that is NaN"):
        latent.edit(vae, X, np.ones(LATENT), np.nan)


# --- breeding ---


def test_without_mutation_each_gene_comes_from_a_parent():
    parents = np.arange(30, dtype=np.float32).reshape(3, 10)
    children = latent.cross(parents, 400, mutation=0, random_state=0)
    assert (children % 10 == np.arange(10)).all()  # each gene keeps its place
    sources = children // 10
    assert {len(set(row)) for row in sources.tolist()} <= {1, 2}  # no child has three parents
    for parent in range(3):
        assert np.mean(sources == parent) == pytest.approx(1 / 3, abs=0.05)


def test_mutation_keeps_the_prior_and_at_1_forgets_the_parents():
    parents = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    for mutation in (0.0, 0.4, 1.0):
        children = latent.cross(parents, 20_000, mutation, random_state=1)
        assert children.std() == pytest.approx(1, abs=0.03)
    far = np.full((2, 6), 100, np.float32)
    assert np.abs(latent.cross(far, 100, 1.0)).max() < 10
    one = latent.cross(far[:1], 1000, 0.1, random_state=0)
    assert one.std(axis=0) == pytest.approx(0.1, rel=0.15)


def test_children_follow_the_seed(vae, strokes):
    X = strokes.X_test[:3]
    children = latent.breed(vae, X, 5, random_state=3)
    assert children.shape == (5, 28, 28)
    np.testing.assert_array_equal(children, latent.breed(vae, X, 5, random_state=3))
    assert np.abs(children - latent.breed(vae, X, 5, random_state=4)).max() > 0.1


def test_a_child_of_equal_parents_without_mutation_is_their_reconstruction(vae, strokes):
    X = strokes.X_test[[4, 4]]
    children = latent.breed(vae, X, 3, mutation=0)
    np.testing.assert_allclose(children, vae.reconstruct(X[[0, 0, 0]]), atol=1e-6)


def test_evolution_descends_from_the_chosen(vae, strokes):
    X = strokes.X_test[:4]
    children, chosen = latent.evolve(vae, X, 5, 6, mutation=0, random_state=0)
    assert children.shape == (5, 6, 28, 28)
    assert chosen.shape == (4, 2)
    assert (chosen[:, 0] < chosen[:, 1]).all() and chosen.max() < 6
    # Without mutation, every gene of a generation comes from one of its two parents.
    again, _ = latent.evolve(vae, X, 5, 6, mutation=0, random_state=0)
    np.testing.assert_array_equal(children, again)
    spread = children.reshape(5, 6, -1).std(axis=1).mean(axis=1)
    assert spread[-1] < spread[0]
    assert latent.evolve(vae, X, 1, 2)[1].shape == (0, 2)


def test_breeding_says_what_is_wrong(vae):
    with pytest.raises(ValueError, match="mutation=1.5 must be at most 1"):
        latent.cross(np.zeros((2, 3)), mutation=1.5)
    with pytest.raises(ValueError, match="parents has 0 sample"):
        latent.breed(vae, np.zeros((0, 28, 28)))
    with pytest.raises(ValueError, match="n=1 must be at least 2"):
        latent.evolve(vae, np.zeros((1, 28, 28)), n=1)


# --- maps ---


def test_the_plane_shows_the_widest_two_directions():
    random = np.random.default_rng(0)
    rotation = np.linalg.qr(random.normal(size=(5, 5)))[0]
    codes = random.normal(size=(4000, 5)) * [0.1, 3, 0.2, 2, 0.1] @ rotation + 7
    plane = latent.plane(codes)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-5)
    assert np.abs(plane.axes @ rotation.T)[[0, 1], [1, 3]] == pytest.approx(1, abs=0.01)
    assert plane.variance_ratio == pytest.approx([9 / 13.06, 4 / 13.06], abs=0.02)
    points = plane.project(codes)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(points.std(axis=0), [3, 2], rtol=0.05)
    np.testing.assert_allclose(plane.project(plane.at(points)), points, atol=1e-4)
    assert np.abs(plane.at(points) - codes).mean() < 0.2
    flipped = latent.plane(codes[::-1])
    np.testing.assert_allclose(flipped.axes, plane.axes, atol=1e-3)  # with the same signs


def test_the_plane_of_two_dimensions_is_the_latent_space_itself():
    codes = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    plane = latent.plane(codes)
    np.testing.assert_array_equal(plane.project(codes), codes)
    np.testing.assert_array_equal(plane.at(codes), codes)
    assert plane.variance_ratio.sum() == pytest.approx(1)


def test_a_plane_says_what_is_wrong():
    with pytest.raises(ValueError, match="at least 2 latent dimensions, but these codes have 1"):
        latent.plane(np.zeros((5, 1)))
    with pytest.raises(ValueError, match="at least two"):
        latent.plane(np.zeros((1, 3)))
    assert (latent.plane(np.ones((4, 3))).variance_ratio == 0).all()  # all codes are equal


@pytest.mark.filterwarnings("ignore::Warning:umap", "ignore::Warning:sklearn")
def test_umap_keeps_neighbours_together_and_follows_the_seed():
    pytest.importorskip("umap")
    codes = np.random.default_rng(0).normal(size=(60, 5))
    codes[30:] += 50
    points = latent.umap(codes, random_state=0)
    assert points.shape == (60, 2)
    _, indices = latent.nearest(points, points, 4)
    assert ((indices < 30) == (np.arange(60) < 30)[:, None]).all()
    np.testing.assert_array_equal(points, latent.umap(codes, random_state=0))


def test_without_umap_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"pip install 'vaefast\[umap\]'"):
        latent.umap(np.zeros((5, 3)))


# --- all functions ---


def test_an_unfitted_model_says_so():
    x = np.zeros((28, 28))
    for call in (
        lambda vae: latent.morph(vae, x, x),
        lambda vae: latent.traverse(vae),
        lambda vae: latent.dimension_kl(vae, x[None]),
        lambda vae: latent.direction(vae, x[None], x[None]),
        lambda vae: latent.shift(vae, x[None], [1, 2]),
        lambda vae: latent.breed(vae, x[None]),
        lambda vae: latent.evolve(vae, x[None]),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            call(VAE())
