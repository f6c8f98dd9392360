"""Patches, squares of a picture: their features, their neighbours, and pictures made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .photographs import Floats

SIDE, STEP = 12, 4  # side of a patch and distance between patches, in pixels
ROUNDS = 3  # times that each patch may take a place that continues a neighbour
QUERIES = 1024  # patches whose nearest patches are searched for at once
DISAGREEMENT = 0.003  # squared difference of colours at which a patch counts half as much

Places = NDArray[np.int64]


def windows(image: Floats, side: int = SIDE) -> Floats:
    """Return a view of all patches of an image (h, w, 3), (h - side + 1, w - side + 1, ...)."""
    view: Floats = np.moveaxis(sliding_window_view(image, (side, side), axis=(0, 1)), 2, -1)
    return view


def light(patches: Floats) -> Floats:
    """Return the luminance of 4 x 4 and the colours of 2 x 2 parts of each patch, (n, 24)."""
    n, third, half = len(patches), SIDE // 4, SIDE // 2
    luminance = patches[..., 0].reshape(n, 4, third, 4, third).mean(axis=(2, 4))
    colours = patches[..., 1:].reshape(n, 2, half, 2, half, 2).mean(axis=(2, 4))
    return np.hstack([luminance.reshape(n, 16), colours.reshape(n, 8)])


def nearest(features: Floats, queries: Floats) -> NDArray[np.int64]:
    """Return for each query the row of `features` with the smallest Euclidean distance."""
    half = np.sum(features**2, axis=1) / 2
    parts = [
        (half - queries[start : start + QUERIES] @ features.T).argmin(axis=1)
        for start in range(0, len(queries), QUERIES)
    ]
    return np.concatenate(parts)


def continued(features: Floats, queries: Floats, places: Places, weight: float) -> Places:
    """Return places at which neighbours continue each other more often, so that strokes persist.

    The cost of a place is the squared distance of its features from the query. Each of the four
    neighbours adds `weight`, or less if it nearly continues the place, or twice as much if it
    repeats the same place. A patch takes a place that continues one of its neighbours if this costs
    less.

    Parameters
    ----------
    features : ndarray of shape (h, w, d)
        Features of the patches at all places of the painting.
    queries : ndarray of shape (rows, columns, d)
        Wanted features at each point of the grid.
    places : ndarray of shape (rows, columns, 2)
        Row and column in the painting of each patch of the grid. It is changed in place.
    weight : float
        Cost of a neighbour that does not continue a patch.
    """
    limits = features.shape[:2]
    shifts = np.array([(0, -1), (-1, 0), (0, 1), (1, 0)])
    rows, columns = np.mgrid[: places.shape[0], : places.shape[1]]

    def cost(y: Places, x: Places, chosen: Places, bids: Places) -> Any:
        loose = np.minimum(1, np.abs(bids - chosen).sum(axis=2) / STEP)  # (4, n)
        loose += (bids + STEP * shifts[:, None] == chosen).all(axis=2)
        loose[bids[..., 0] < -SIDE] = 0
        away = queries[y, x] - features[chosen[:, 0], chosen[:, 1]]
        return np.einsum("ij,ij->i", away, away) + weight * loose.sum(axis=0)

    for turn in range(8 * ROUNDS):
        direction, parity = divmod(turn % 8, 2)
        now = (rows + columns) % 2 == parity
        y, x = rows[now], columns[now]
        # Beyond the border of the grid, there is no neighbour to continue.
        padded = np.pad(places, ((1, 1), (1, 1), (0, 0)), constant_values=-(10**6))
        bids = np.stack(
            [padded[y + 1 + dy, x + 1 + dx] - STEP * np.array([dy, dx]) for dy, dx in shifts]
        )
        bid = bids[direction]
        inside = ((bid >= 0) & (bid < limits)).all(axis=1)
        y, x, bid, bids = y[inside], x[inside], bid[inside], bids[:, inside]
        better = cost(y, x, bid, bids) < cost(y, x, places[y, x], bids)
        places[y[better], x[better]] = bid[better]
    return places


def blend(painting: NDArray[Any], places: Places, scale: int = 1, agreed: int = 1) -> Floats:
    """Return a picture of overlapping patches of a painting, each blended by its weights.

    The middle of a patch has the largest weight. Where patches differ, those near their mean get
    more weight, so edges stay sharp.

    Parameters
    ----------
    painting : ndarray of shape (h, w, 3)
        The picture from which patches are taken, `scale` times as large as the one that `places`
        refers to.
    places : ndarray of shape (rows, columns, 2)
        Row and column in the painting of each patch of the grid.
    scale : int, default=1
        Enlargement of painting, patches and result.
    agreed : int, default=1
        Number of times that the weights are adapted to the mean.

    Returns
    -------
    ndarray of shape (h, w, 3), float32
        With ``h = scale * ((rows - 1) * STEP + SIDE)``, and w likewise.
    """
    side, step = SIDE * scale, STEP * scale
    hill = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 1.5
    window = np.outer(hill, hill).astype(np.float32)[..., None]
    shape = [(n - 1) * step + side for n in places.shape[:2]]
    flat = places.reshape(-1, 2).tolist()
    mean: Floats | None = None
    for _ in range(agreed + 1):
        total = np.zeros((*shape, 3), np.float32)
        weights = np.zeros((*shape, 1), np.float32)
        for (i, j), (y, x) in zip(np.ndindex(*places.shape[:2]), flat, strict=True):
            here = slice(i * step, i * step + side), slice(j * step, j * step + side)
            tile = painting[y * scale : y * scale + side, x * scale : x * scale + side]
            weight = window
            if mean is not None:
                away = tile - mean[here]
                weight = window / (DISAGREEMENT + np.einsum("yxc,yxc->yx", away, away)[..., None])
            total[here] += weight * tile
            weights[here] += weight
        mean = (total / weights).astype(np.float32)
    assert mean is not None
    return mean
