"""A photograph redrawn with the strokes and the colours of a painting."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from .._engine.display import Display
from .._input.seeds import seed_from
from ..errors import CollapseWarning, ConvergenceWarning
from ..typing import RandomState
from ..vae import VAE
from .colours import Toning
from .patches import SIDE, STEP, Places, blend, continued, light, nearest, windows
from .photographs import Floats, Pixels, blur, check, resize, to_colours, to_luminance

WORKING = 640  # pixels; longest side of the photograph when patches are chosen
SCALES = (0.25, 0.5, 1.0)
ROUNDS = 2  # choices of patches at each scale; the second one sees the first drawing
SEARCHED = 12_000  # patches among which the nearest one is searched for
LEARNED = 20_000  # patches of all scales that the VAE learns
ENCODED = 8192  # patches that are encoded at once
TEXTURE = 0.4  # weight of the picture drawn so far, relative to the photograph's light
COLOUR = 0.6  # weight of the colours relative to the luminance
CONTINUED = 0.2  # cost of a neighbour that does not continue a patch
RADIUS = 3  # pixels over which light is averaged
RESTORED = np.array([0.6, 0.2, 0.2], np.float32)  # share of the photograph's light and colours
EDGE = 0.12  # contrast of the photograph at which half of the edge is restored
FLAT = 1e-6  # variance added to each part, for paintings of one colour
BAND = 24  # rows of patches that are enlarged at once


def restyle(
    photo: ArrayLike,
    painting: ArrayLike,
    *,
    random_state: RandomState = None,
    verbose: bool = False,
) -> Pixels:
    """Return a photograph that is redrawn with patches of a painting.

    The photograph gives edges and light, and the painting gives texture and colours. A VAE learns
    the patches of the painting. At three scales, from coarse to fine, each patch of the picture is
    replaced by a patch of the painting with similar light, and with a code near that of the picture
    drawn so far. Patches that continue their neighbours are preferred, so that strokes persist.
    Overlapping patches are blended with weights.

    The two pictures are compared as if they had the same area. The patches are chosen on a copy of
    the photograph whose longer side has at most 640 pixels. They are then cut from the painting at
    the full resolution of the photograph.

    Parameters
    ----------
    photo : array-like of shape (h, w) or (h, w, 3), uint8, or floats in [0, 1]
        The image to redraw.
    painting : array-like of shape (h, w) or (h, w, 3), uint8, or floats in [0, 1]
        The image to learn from, of any size.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the VAE and of the choice of patches.
    verbose : bool, default=False
        Whether to show progress.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8
        The photograph, redrawn.

    Raises
    ------
    ValueError
        An image has another shape, another dtype, or values outside [0, 1].

    References
    ----------
    Efros and Freeman 2001, Image quilting for texture synthesis and transfer; Hertzmann et al.
    2001, Image analogies; Elad and Milanfar 2017, Style transfer via texture synthesis.
    """
    pixels, strokes = check(photo, "photo"), check(painting, "painting")
    rng = np.random.default_rng(seed_from(random_state))
    height, width = pixels.shape[:2]
    scale = math.ceil(max(height, width) / WORKING)
    shape = _fitting(height / scale, width / scale)
    content = to_luminance(_resized(pixels, shape))
    share = math.sqrt(math.prod(shape) / math.prod(strokes.shape[:2]))
    canvas = _fitting(strokes.shape[0] * share, strokes.shape[1] * share)
    style = to_luminance(_resized(strokes, canvas))
    toning = Toning.learn(content, style)
    toned = toning(content)
    bands = math.ceil(shape[0] / (BAND * STEP))
    with Display(1 + ROUNDS * len(SCALES) + bands, "", verbose, "steps") as display:
        display.advance(0, ("learning the painting", ""))
        paintings = [resize(style, _fitting(*(n * size for n in canvas))) for size in SCALES]
        vae = _learn(paintings, rng)
        display.advance(1, ("choosing patches", ""))
        drawn: Floats | None = None
        for size, source in zip(SCALES, paintings, strict=True):
            goal = resize(toned, _fitting(*(n * size for n in shape)))
            if drawn is None:
                drawn = goal + _texture(source, goal.shape)
            drawn = resize(drawn, goal.shape[:2])
            level = _Level(vae, source, goal, rng)
            for _ in range(ROUNDS):
                places = level.choose(drawn)
                drawn = _lit(blend(source, places), goal, RADIUS)
                display.advance(1, ("choosing patches", f"{len(places[0])} x {len(places)}"))
        large = tuple(scale * n for n in shape)
        source = to_luminance(_resized(strokes, tuple(scale * n for n in canvas)))
        picture = []
        for band in _draw(source, places, _resized(pixels, large), toning, scale):
            picture.append(band)
            display.advance(1, ("drawing", f"{width} x {height} pixels"))
    return _resized(np.concatenate(picture), (height, width))


def _fitting(height: float, width: float) -> tuple[int, int]:
    """Return the nearest height and width that whole patches cover, at least two each way."""
    h, w = (SIDE + STEP * max(1, round((n - SIDE) / STEP)) for n in (height, width))
    return h, w


def _resized(pixels: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Return an image of bytes at another height and width."""
    if pixels.shape[:2] == tuple(shape):
        return pixels
    smaller = shape[0] < pixels.shape[0]
    way = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(pixels).resize((shape[1], shape[0]), way))


def _texture(painting: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the fine detail of a painting, mirrored at its edges until it covers a shape."""
    fine = painting - blur(painting, RADIUS)
    more = [max(0, n - m) for n, m in zip(shape[:2], fine.shape, strict=False)]
    covered: Floats = np.pad(fine, [*((0, n) for n in more), (0, 0)], "symmetric")
    return covered[: shape[0], : shape[1]]


def _learn(paintings: list[Floats], rng: np.random.Generator) -> VAE:
    """Return a VAE of the patches of a painting at several scales."""
    parts = []
    for painting in paintings:
        view = windows(painting)
        some = rng.permutation(view.shape[0] * view.shape[1])[:SEARCHED]
        parts.append(view[np.divmod(some, view.shape[1])])
    X = np.concatenate(parts)
    X = X[rng.permutation(len(X))[:LEARNED]]
    vae = VAE(24, (256,), likelihood="gaussian", sigma="optimal", epochs=8, verbose=False)
    vae.set_params(batch_size=min(128, len(X)), random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():  # codes collapse for a painting of one colour
        warnings.simplefilter("ignore", CollapseWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        return vae.fit(X)


class _Level:
    """The choice of patches of a painting for a picture, at one scale.

    The features of a patch are its light, which is compared with that of the photograph, and its
    code, which is compared with that of the picture drawn so far. Luminance, colours and codes are
    scaled to the same variance over the painting, and weighted.

    Parameters
    ----------
    vae : VAE
        Model of the patches.
    painting, goal : ndarray of shape (h, w, 3)
        The painting, and the photograph in its colours, at this scale.
    rng : Generator
        Generator that chooses the patches among which the nearest one is searched for.
    """

    def __init__(self, vae: VAE, painting: Floats, goal: Floats, rng: np.random.Generator) -> None:
        self.vae, self.rng = vae, rng
        view = windows(painting)
        lights, codes = _in_parts(light, view), _in_parts(vae.transform, view)
        parts = lights[..., :16], lights[..., 16:], codes
        shares = 1 - TEXTURE, (1 - TEXTURE) * COLOUR, TEXTURE
        self.weights = np.concatenate(
            [
                np.full(part.shape[2], share / math.sqrt(part.var(axis=(0, 1)).sum() + FLAT))
                for part, share in zip(parts, shares, strict=True)
            ]
        ).astype(np.float32)
        self.features = np.concatenate([lights, codes], axis=2) * self.weights
        # Beyond the usual light of the painting, a single extreme patch would be repeated
        # everywhere.
        usual = np.quantile(lights[::4, ::4], (0.03, 0.97), axis=(0, 1)).astype(np.float32)
        self.wanted = _in_parts(light, windows(goal)[::STEP, ::STEP]).clip(*usual)

    def choose(self, drawn: Floats) -> Places:
        """Return the place of each patch in the painting, given the picture drawn so far."""
        codes = _in_parts(self.vae.transform, windows(drawn)[::STEP, ::STEP])
        queries = np.concatenate([self.wanted, codes], axis=2) * self.weights
        height, width, d = self.features.shape
        known = self.features.reshape(-1, d)
        some = self.rng.permutation(len(known))[:SEARCHED]
        found = some[nearest(known[some], queries.reshape(-1, d))]
        places = np.stack(np.divmod(found, width), axis=1).reshape(*queries.shape[:2], 2)
        return continued(self.features, queries, places, CONTINUED)


def _in_parts(function: Callable[[Floats], Floats], view: Floats) -> Floats:
    """Return a function of all patches of a grid, (rows, columns, d), computed in parts."""
    rows = max(1, ENCODED // view.shape[1])
    parts = [
        function(view[start : start + rows].reshape(-1, SIDE, SIDE, 3))
        for start in range(0, len(view), rows)
    ]
    return np.concatenate(parts).reshape(*view.shape[:2], -1)


def _lit(drawn: Floats, goal: Floats, radius: int) -> Floats:
    """Return a picture with some of the photograph's light and colours."""
    return drawn + RESTORED * blur(goal - drawn, radius)


def _edged(drawn: Floats, goal: Floats, radius: int) -> Floats:
    """Return a picture with the photograph's light, and with its edges where they are strong."""
    drawn = _lit(drawn, goal, radius)
    luminance = goal[..., :1]
    contrast = blur((luminance - blur(luminance, radius)) ** 2, radius)
    share = RESTORED[0] * contrast / (contrast + EDGE**2)
    drawn[..., :1] += share * (luminance - drawn[..., :1])
    return drawn


def _draw(
    painting: Floats, places: Places, photo: Pixels, toning: Toning, scale: int
) -> Iterator[Pixels]:
    """Yield the rows of the picture at full size, a band at a time.

    Parameters
    ----------
    painting : ndarray of shape (h, w, 3)
        The painting, `scale` times as large as the one that `places` refers to.
    places : ndarray of shape (rows, columns, 2)
        Row and column in the painting of each patch.
    photo : ndarray of shape (h, w, 3), uint8
        The photograph, as large as the picture.
    toning : Toning
        Map to the colours of the painting.
    scale : int
        Size of a pixel of the grid.
    """
    radius, step = RADIUS * scale, STEP * scale
    margin = math.ceil((SIDE + 4 * RADIUS) / STEP)  # of patches that change the pixels of a band
    for first in range(0, len(photo), BAND * step):
        end = min(first + BAND * step, len(photo))
        low = max(0, first // step - margin)
        high = min(len(places), math.ceil(end / step) + margin)
        drawn = blend(painting, places[low:high], scale)
        goal = toning(to_luminance(photo[low * step : low * step + len(drawn)]))
        rows = slice(first - low * step, end - low * step)
        yield to_colours(_edged(drawn, goal, radius)[rows])
