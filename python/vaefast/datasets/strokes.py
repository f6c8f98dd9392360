"""The built-in data set: digits drawn as pen strokes.

Each digit is a set of smooth curves in two styles. An image blends the two styles, bends the plane
a little (the wobble), and then scales, slants and places the curves. The distance of a pixel to the
nearest point of a curve determines the ink of the pixel.
"""

from __future__ import annotations

import operator
from functools import cache

import numpy as np

from .dataset import Array, Dataset

SIDE = 28  # pixels
CHUNK = 512  # images drawn at once
SPACING = 0.8  # approximate largest distance between neighbouring points of a curve, pixels

# A curve runs smoothly through points (x, y), where y points down, in a box about 12 wide and 20
# high. It is closed if it ends where it starts. Both styles of a digit have the same number of
# curves and of points, so that they can be blended.
_Curve = tuple[tuple[float, float], ...]
_Glyph = tuple[_Curve, ...]

# fmt: off
_GLYPHS: tuple[tuple[_Glyph, _Glyph], ...] = (
    (  # 0: egg, oval
        (((6, 0), (1.8, 2.6), (0, 10), (1.8, 17.4), (6, 20),
          (10.2, 17.4), (12, 10), (10.2, 2.6), (6, 0)),),
        (((7, 0), (2.3, 3.4), (0.8, 11), (2, 18), (5.6, 20),
          (10, 17), (11.6, 9.4), (10.6, 2.4), (7, 0)),),
    ),
    (  # 1: plain, with a flag
        (((6, 0), (6, 10), (6, 20)), ((6, 0), (5.7, 0.8), (5.4, 1.5))),
        (((6, 0), (6, 10), (6, 20)), ((6, 0), (4.9, 2.4), (3.2, 4.2))),
    ),
    (  # 2: straight foot, wavy foot
        (((0.8, 5), (2.4, 1.4), (6, 0), (10, 1.6), (11, 5.6), (8.8, 10.4), (4.6, 15.2), (0.4, 20)),
         ((0.4, 20), (6, 20), (12, 20))),
        (((0.6, 4), (2.8, 0.8), (6.4, 0), (9.8, 1.8), (10.4, 5.4), (8.2, 10.6), (4.2, 16), (0, 19)),
         ((0, 19), (5.6, 18.2), (12, 19.8))),
    ),
    (  # 3: round, wide below
        (((0.8, 3), (5.6, 0), (10.2, 2.2), (9.8, 7), (4.6, 9.6)),
         ((4.6, 9.6), (10, 11), (11.6, 15), (9, 19), (4.6, 20), (0, 17.2))),
        (((1.2, 1.4), (5.6, 0), (9.6, 2), (9, 6.2), (4, 8.6)),
         ((4, 8.6), (10, 10), (12, 14.4), (9.6, 18.8), (5, 20), (0.4, 18.6))),
    ),
    (  # 4: closed, open at the top
        (((9, 20), (9, 10), (9, 0)), ((9, 0), (4.4, 7), (0, 13.6)),
         ((0, 13.6), (6, 13.6), (12.4, 13.6))),
        (((9.4, 20), (9.4, 11), (9.4, 3)), ((2.4, 0), (1.4, 6), (0, 12)),
         ((0, 12), (6, 11.8), (12.2, 11.4))),
    ),
    (  # 5: square, round
        (((11, 0), (6.4, 0), (1.6, 0)), ((1.6, 0), (1.2, 4.4), (0.8, 8.6)),
         ((0.8, 8.6), (5.6, 7), (10.4, 9.2), (11.6, 13.6), (9.2, 18.6), (4.6, 20), (0, 17.8))),
        (((11.6, 0.4), (7, 0), (3, 0.6)), ((3, 0.6), (2.2, 4.8), (1.4, 9.2)),
         ((1.4, 9.2), (5.6, 8.4), (9.6, 10.4), (10.8, 14.4), (8.6, 18.6), (4.4, 20), (0, 18.8))),
    ),
    (  # 6: upright, leaning
        (((9.6, 0.6), (4.6, 3.4), (1, 9), (0.4, 14.4)),
         ((0.4, 14.4), (2.2, 10.2), (6.4, 8.8), (10.4, 10.6), (11.6, 14.4),
          (10, 18.6), (6, 20), (1.9, 18.5), (0.4, 14.4))),
        (((7.6, 0), (3.8, 4), (1.2, 9.4), (0.6, 14.6)),
         ((0.6, 14.6), (2.4, 11.6), (5.6, 10.4), (8.8, 11.6), (10.2, 15),
          (8.8, 18.8), (5.2, 20), (1.9, 18.6), (0.6, 14.6))),
    ),
    (  # 7: straight, bent
        (((-1, 0), (5.6, 0), (12.2, 0)), ((12.2, 0), (8.2, 10), (4.2, 20))),
        (((-1, 0.6), (5.8, 0.4), (12.6, 0)), ((12.6, 0), (8, 9.2), (6, 20))),
    ),
    (  # 8: two rings, a small ring on a large one
        (((6, 9.4), (2, 7.4), (1.4, 3.6), (6, 0), (10.6, 3.6), (10, 7.4), (6, 9.4)),
         ((6, 9.4), (1.4, 11.4), (0.4, 15.6), (2.4, 19), (6, 20), (9.6, 19),
          (11.6, 15.6), (10.6, 11.4), (6, 9.4))),
        (((6.4, 8.6), (2.8, 6.8), (2.4, 3), (6.6, 0), (10.4, 3), (9.8, 6.8), (6.4, 8.6)),
         ((6.4, 8.6), (1.6, 11), (0, 15.4), (2, 19), (6, 20), (9.8, 18.8),
          (11.6, 15), (10.4, 11), (6.4, 8.6))),
    ),
    (  # 9: straight stem, curved stem
        (((10.8, 5.4), (9.6, 1.6), (5.8, 0), (1.8, 1.6), (0.4, 5.8),
          (1.8, 9.8), (5.4, 11.4), (9.2, 9.6), (10.8, 5.4)),
         ((10.8, 5.4), (10.7, 12.6), (10.2, 20), (10.2, 20))),
        (((11.4, 5.6), (9.8, 1.4), (5.8, 0), (1.8, 1.6), (0.4, 5.6),
          (1.8, 9.4), (5.4, 10.8), (9.4, 9.6), (11.4, 5.6)),
         ((11.4, 5.6), (11, 13), (8, 18.8), (2.4, 19.8))),
    ),
)
# fmt: on

# Factors of a drawing, each uniform in a range, in the order of the random numbers. Even the
# largest drawing leaves the border of the image black. The ranges are narrow enough that two latent
# dimensions can tell the digits apart, and wide enough that a model has something to learn.
_RANGES = {
    "style": (0.0, 1.0),  # 0 is the first style of the glyph, 1 the second
    "slant": (-5.0, 20.0),  # degrees, to the right
    "size": (17.0, 20.0),  # height, pixels
    "aspect": (0.95, 1.1),  # width, relative to that of the glyph
    "x": (-0.5, 0.5),  # offset of the drawing from the centre of the image, pixels to the right
    "y": (-0.5, 0.5),  # the same, pixels down
    "thickness": (2.2, 3.6),  # width of the pen, pixels
    "wobble": (0.0, 0.7),  # largest displacement by the bending, pixels
}
_NUISANCES = 4  # directions and phases of the bending


def strokes(n: int = 30_000, *, n_test: int = 2_000, random_state: int | None = 0) -> Dataset:
    """Draw digits as pen strokes: grey images of 28 x 28 pixels, white ink on black.

    Parameters
    ----------
    n : int, default=30_000
        Number of training images.
    n_test : int, default=2_000
        Number of test images.
    random_state : int or None, default=0
        Seed. The first k training images are the same for every n >= k, and the test images do not
        depend on `n`. None draws other images at each call.

    Returns
    -------
    Dataset
        `X` uint8 (n, 28, 28), `y` int64 (n,) from 0 to 9, and test rows of the same form. The
        `factors` of `X` and the `factors_test` of `X_test` are float32 (n,) each, independent and
        uniform:

        ========= =============================================================== ============
        style     blend of two ways to write the digit                            0 to 1
        slant     slant to the right, degrees                                     -5 to 20
        size      height of the drawing before the wobble, pixels                 17 to 20
        aspect    width, relative to the undistorted digit                        0.95 to 1.1
        x         offset of the drawing from the centre, pixels to the right      -0.5 to 0.5
        y         offset of the drawing from the centre, pixels down              -0.5 to 0.5
        thickness width of the pen, pixels                                        2.2 to 3.6
        wobble    largest displacement of the pen along an axis, pixels           0 to 0.7
        ========= =============================================================== ============

    Raises
    ------
    ValueError
        `n`, `n_test` or `random_state` is not a non-negative integer.
    """
    try:
        train_seed, test_seed = np.random.SeedSequence(random_state).spawn(2)
    except (TypeError, ValueError):
        raise ValueError(
            f"random_state: expected a whole number of at least 0, or None, got {random_state!r}"
        ) from None
    X, y, factors = _draw(_count("n", n), train_seed)
    X_test, y_test, factors_test = _draw(_count("n_test", n_test), test_seed)
    return Dataset(
        "strokes",
        X,
        y=y,
        X_test=X_test,
        y_test=y_test,
        factors=factors,
        factors_test=factors_test,
    )


def _count(name: str, value: int) -> int:
    """Return a number of images as an int; ValueError if it is not a non-negative integer."""
    try:
        count = operator.index(value)
    except TypeError:
        count = -1
    if count < 0:
        raise ValueError(f"{name}: expected a whole number of at least 0, got {value!r}")
    return count


def _draw(n: int, seed: np.random.SeedSequence) -> tuple[Array, Array, dict[str, Array]]:
    """Return the images (n, 28, 28), the labels (n,) and the factors of n digits."""
    # Each image has a row of random numbers, so a longer draw begins with the shorter one.
    u = np.random.default_rng(seed).random((n, 1 + len(_RANGES) + _NUISANCES))
    labels = (u[:, 0] * 10).astype(np.int64)
    factors = {
        name: (low + (high - low) * u[:, 1 + i]).astype(np.float32)
        for i, (name, (low, high)) in enumerate(_RANGES.items())
    }
    turns = (2 * np.pi * u[:, 1 + len(_RANGES) :].T).astype(np.float32)

    images = np.empty((n, SIDE, SIDE), np.uint8)
    for digit in range(10):
        rows = np.flatnonzero(labels == digit)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            x, y = _pen_path(digit, {k: v[chunk] for k, v in factors.items()}, turns[:, chunk])
            images[chunk] = _ink(x, y, factors["thickness"][chunk])
    return images, labels, factors


def _pen_path(digit: int, factors: dict[str, Array], turns: Array) -> tuple[Array, Array]:
    """Return the points of the curves in the images: x and y, (points, images) each, in pixels."""
    first, second = _sampled(digit)  # (2, points, 1) each
    x, y = first + factors["style"] * (second - first)

    # Bends the plane rather than single curves, so that curves that touch or close still do.
    size, wobble = factors["size"], factors["wobble"]
    aim_x, aim_y, phase_x, phase_y = turns
    wave = np.float32(2.5)  # radians per half height
    bent_x = x + wobble * 2 / size * np.sin(
        wave * (np.cos(aim_x) * x + np.sin(aim_x) * y) + phase_x
    )
    bent_y = y + wobble * 2 / size * np.sin(
        wave * (np.cos(aim_y) * x + np.sin(aim_y) * y) + phase_y
    )

    x = factors["aspect"] * bent_x - np.tan(np.deg2rad(factors["slant"])) * bent_y
    x, y = x * size / 2, bent_y * size / 2
    middle = np.float32((SIDE - 1) / 2)
    x += middle + factors["x"] - (x.min(axis=0) + x.max(axis=0)) / 2
    y += middle + factors["y"] - (y.min(axis=0) + y.max(axis=0)) / 2
    return x, y


def _ink(x: Array, y: Array, thickness: Array) -> Array:
    """Return images, uint8 (images, 28, 28), of pen paths x and y, (points, images) each."""
    # The images are the last axis, so that every operation runs over long contiguous memory.
    pixel = np.arange(SIDE, dtype=np.float32)[:, None]
    nearest = np.full((SIDE, SIDE, x.shape[1]), np.inf, np.float32)  # squared distance
    distance = np.empty_like(nearest)
    reach = thickness.max() / 2 + 1
    for point_x, point_y in zip(x, y, strict=True):
        # Restricts the work to the pixels that this point may ink in some image.
        columns, rows = _around(point_x, reach), _around(point_y, reach)
        dx, dy = (pixel[columns] - point_x) ** 2, (pixel[rows] - point_y) ** 2
        here = distance[rows, columns]
        np.add(dy[:, None], dx[None], out=here)
        np.minimum(nearest[rows, columns], here, out=nearest[rows, columns])
    # The ink falls from full to none within one pixel around the edge of the pen.
    np.sqrt(nearest, out=nearest)
    np.subtract(thickness / 2 + np.float32(0.5), nearest, out=nearest)
    np.clip(nearest, 0, 1, out=nearest)
    np.rint(nearest * np.float32(255), out=nearest)
    return nearest.astype(np.uint8).transpose(2, 0, 1)


def _around(positions: Array, reach: float) -> slice:
    """Return the range of pixels within reach of any of these positions."""
    return slice(max(0, int(positions.min() - reach)), int(positions.max() + reach) + 2)


@cache
def _sampled(digit: int) -> tuple[Array, Array]:
    """Return points along both styles of a digit, float32 (2, points, 1), y from about -1 to 1."""
    scale = _RANGES["size"][1] / 20  # largest number of pixels per unit of a glyph
    sampled: tuple[list[Array], list[Array]] = ([], [])
    for curves in zip(*_GLYPHS[digit], strict=True):
        knots = [np.array(curve, float) for curve in curves]
        lengths = [np.hypot(*np.diff(k, axis=0).T) for k in knots]
        steps = np.ceil(np.maximum(*lengths) * scale / SPACING).astype(int)
        for points, k in zip(sampled, knots, strict=True):
            points.append(_through(k, steps))
    centre = np.array([6.0, 10.0])
    first, second = (
        ((np.concatenate(points) - centre) / 10).astype(np.float32).T[:, :, None]
        for points in sampled
    )
    return first, second


def _through(knots: Array, steps: Array) -> Array:
    """Return a Catmull-Rom spline through knots (k, 2), with steps[i] points in the i-th span."""
    closed = len(knots) > 2 and np.array_equal(knots[0], knots[-1])
    before = knots[-2] if closed else 2 * knots[0] - knots[1]
    after = knots[1] if closed else 2 * knots[-1] - knots[-2]
    p = np.concatenate([[before], knots, [after]])
    spans = []
    for i, count in enumerate(steps):
        t = (np.arange(count) / count)[:, None]
        a, b, c, d = p[i : i + 4]
        spans.append(
            b
            + t * (c - a) / 2
            + t**2 * (2 * a - 5 * b + 4 * c - d) / 2
            + t**3 * (3 * b - a - 3 * c + d) / 2
        )
    return np.concatenate([*spans, knots[-1:]])
