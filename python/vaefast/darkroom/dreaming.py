"""Dreams: a photograph in which a model finds the pictures that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .._engine.display import Display
from .._input.pixels import is_image_shape
from .._input.seeds import seed_from
from ..typing import RandomState
from .photographs import LUMINANCE, Floats, Pixels, blur, check, resize, to_colours, to_luminance

if TYPE_CHECKING:
    from ..vae import VAE

HEIGHTS = 0.45, 0.3, 0.2, 0.13  # heights of the shapes, as shares of the photograph's shorter side
KNOWN = 1500  # images of the model for which the photograph is searched
SEARCHES = 60  # most places along the longer side at which shapes may lie
LIKENESS = 0.28  # smallest correlation of a shape with the photograph
CONTRAST = 0.2  # least standard deviation of the luminance of a shape
FLAT = 0.01  # standard deviation of luminance below which nothing is seen
FADED = 0.5  # share of the fine detail that a shape removes
SHOWN = 0.6  # share of a shape that must be neither black nor white
OVERLAP = 0.15  # share of a shape that others may cover
LOOKS = 4  # most times that the model looks at what it has drawn
KEPT = 0.95  # least correlation of a bent shape with the original one
GIVEN = 0.3  # share of the photograph in the mixture that the model reconstructs
QUERIES = 512  # places compared at once


def dream(
    vae: VAE,
    photo: ArrayLike,
    *,
    random_state: RandomState = None,
    verbose: bool = False,
) -> Pixels:
    """Return a photograph in which a model has drawn what it sees.

    The model draws images from its latent space, and the whole photograph is searched for them,
    large ones first. Where an image correlates with the light of the photograph, the model
    reconstructs a mixture of both, which bends the shape towards the photograph. It repeats this as
    long as the shape can be made out. The shape then replaces the light of that place. Detail that
    is finer than the model's pixels partly remains, so faces seem to be made of leaves. The colours
    remain, too, and a model of coloured images adds its own.

    Parameters
    ----------
    vae : VAE
        A fitted model of images, grey or in colour, that is not conditional.
    photo : array-like of shape (h, w) or (h, w, 3), uint8, or floats in [0, 1]
        The photograph.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the images for which the photograph is searched.
    verbose : bool, default=False
        Whether to show progress.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8
        The dream.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    ValueError
        The model is not one of images, or is conditional; or the photograph has another shape,
        another dtype, or values outside [0, 1].
    """
    pixels = check(photo, "photo")
    shape = vae.feature_shape_
    if not is_image_shape(shape) or (len(shape) == 3 and shape[2] == 4):
        raise ValueError(f"a dream needs a model of images, but its rows have shape {shape}")
    if vae.conditional:
        raise ValueError("a dream needs a model without conditions, but this one is conditional")
    known = vae.sample(KNOWN, random_state=seed_from(random_state))
    known = known[..., 0] if shape[2:] == (1,) else known
    now = to_luminance(pixels)
    taken = np.zeros(pixels.shape[:2], bool)
    shapes = 0
    with Display(len(HEIGHTS), "searching", verbose, "scales") as display:
        for share in HEIGHTS:
            sight = _Sight(vae, known, now, share)
            found = sight.find(taken)
            for place in found:
                sight.draw(*place, now)
            shapes += len(found)
            display.advance(1, ("searching", f"{shapes} shapes drawn"))
    return to_colours(now)


class _Sight:
    """A photograph at one scale, searched for the pictures of a model.

    Parameters
    ----------
    vae : VAE
        The model.
    known : ndarray of shape (n, h, w) or (n, h, w, c)
        Images for which the photograph is searched.
    photo : ndarray of shape (h, w, 3)
        The photograph, as luminance and colour.
    share : float
        Height of the shapes as a share of the photograph's shorter side.
    """

    def __init__(self, vae: VAE, known: Floats, photo: Floats, share: float) -> None:
        self.vae, self.known = vae, known
        self.height, self.width = vae.feature_shape_[:2]
        pixel = share * min(photo.shape[:2]) / self.height
        rows = max(self.height, round(photo.shape[0] / pixel))
        columns = max(self.width, round(photo.shape[1] / pixel))
        self.small = resize(photo[..., :1], (rows, columns))[..., 0]
        self.pixel = np.array([photo.shape[0] / rows, photo.shape[1] / columns])

    def find(self, taken: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
        """Return row, column and known image of each shape that is seen, most similar first.

        Shapes hardly overlap each other or places that are `taken`. Their places are marked as
        taken.
        """
        step = max(1, max(self.small.shape) // SEARCHES)
        view = sliding_window_view(self.small, (self.height, self.width))[::step, ::step]
        tiles, spread = _standard(view.reshape(-1, self.height * self.width))
        wanted = _standard(_grey(self.known).reshape(len(self.known), -1))[0].T
        parts = [tiles[i : i + QUERIES] @ wanted for i in range(0, len(tiles), QUERIES)]
        best = np.concatenate([part.argmax(axis=1) for part in parts])
        likeness = np.concatenate([part.max(axis=1) for part in parts]) / len(wanted)
        likeness[spread < FLAT] = 0
        found = []
        for number in likeness.argsort()[::-1][: int((likeness > LIKENESS).sum())].tolist():
            row, column = (step * int(n) for n in divmod(number, view.shape[1]))
            here = self._box(row, column)
            if taken[here].size and taken[here].mean() <= OVERLAP:
                taken[here] = True
                found.append((row, column, int(best[number])))
        return found

    def draw(self, row: int, column: int, number: int, photo: Floats) -> None:
        """Draw a shape into the photograph, bent towards the photograph's own light."""
        tile = self.small[row : row + self.height, column : column + self.width]
        away = (tile - tile.mean()) / (tile.std() + FLAT)
        image = known = self.known[number]
        low, high = self.known.min(), self.known.max()
        for _ in range(LOOKS):
            grey = _grey(image)
            change = GIVEN * (grey.mean() + grey.std() * away - grey)
            mixed = image + (change if image.ndim == 2 else change[..., None])
            rows = np.clip(mixed, low, high).reshape(1, *self.vae.feature_shape_)
            bent = self.vae.reconstruct(rows).reshape(image.shape).clip(low, high)
            both = _standard(_grey(np.stack([bent, known])).reshape(2, -1))[0]
            if np.mean(both[0] * both[1]) < KEPT:
                break
            image = bent
        shape = image[..., None] if image.ndim == 2 else image
        if shape.shape[2] == 3:
            shape = shape @ LUMINANCE.T
        border = np.concatenate([shape[0], shape[-1], shape[:, 0], shape[:, -1]])
        contrast = max(CONTRAST, float(tile.std())) / (float(shape[..., 0].std()) + FLAT)
        shape = contrast * (shape - np.median(border, axis=0))
        here = self._box(row, column)
        part = photo[here]
        shape = resize(shape, part.shape[:2])
        pixel = max(1, round(float(self.pixel.mean())))
        y, x = (np.abs(np.linspace(-1, 1, n)) for n in part.shape[:2])
        hill = np.cos(np.pi / 2 * np.minimum(1, (y[:, None] ** 3 + x**3) ** (1 / 3))) ** 0.7
        cover = hill[..., None] * _cover(shape[..., :1], pixel)
        soft = blur(part[..., :1], pixel)
        light = shape[..., 0]
        low, high = SHOWN * light.min(), SHOWN * light.max()
        room = np.clip(tile.mean(), min(0.5, -low), max(0.5, 1 - high))
        # Flattens the light to a level that leaves room for the shape, and keeps fine detail.
        part[..., :1] += cover * (room - soft - FADED * (part[..., :1] - soft))
        part[..., : shape.shape[2]] += cover * shape

    def _box(self, row: int, column: int) -> tuple[slice, slice]:
        """Return the slices of the photograph's pixels at a place."""
        top, left = np.rint(self.pixel * (row, column)).astype(int)
        end = self.pixel * (row + self.height, column + self.width)
        bottom, right = np.rint(end).astype(int)
        return slice(top, bottom), slice(left, right)


def _cover(shape: Floats, pixel: int) -> Floats:
    """Return how much a shape replaces, 0 to 1: all that is near pixels unlike its edge."""
    strength = blur(np.abs(shape), 2 * pixel)
    cover: Floats = np.minimum(1, strength / (np.quantile(strength, 0.4) + 1e-6))
    return cover


def _standard(rows: Floats) -> tuple[Floats, Floats]:
    """Return rows with mean 0 and standard deviation 1, and their standard deviations."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1)
    return rows / (spread + 1e-6)[:, None], spread


def _grey(images: Floats) -> Floats:
    """Return the luminance of images (..., h, w) or (..., h, w, 3)."""
    grey: Floats = images @ LUMINANCE[0] if images.shape[-1] == 3 else images
    return grey
