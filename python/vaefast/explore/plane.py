"""The plane of the map: a two-dimensional latent space itself, or a projection of a larger one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..latent import plane

HALF = 3.2  # smallest half side of the map; P(|z| < 3.2) = 0.9986 under the prior
INSIDE = 0.998  # share of the points' coordinates that the map must show


def page_map(codes: NDArray[Any] | None, order: list[int], points_text: str) -> dict[str, Any]:
    """Return the map's centre, two orthonormal axes, half its side, axis names and description.

    Lengths are in units of the latent space.

    Parameters
    ----------
    codes : ndarray of shape (n, latent_dim) or None
        Codes of the points.
    order : list of int
        Latent dimensions, the strongest first.
    points_text : str
        Sentence about the points, for the description.
    """
    latent_dim = len(order)
    centre, axes = np.zeros(latent_dim), np.zeros((2, latent_dim))
    if latent_dim > 2 and codes is not None and len(codes) > 2:
        shown_plane = plane(codes)
        centre, axes = shown_plane.origin.astype(float), shown_plane.axes.astype(float)
        share = shown_plane.variance_ratio.sum()
        names = ["Component 1", "Component 2"]
        text = (
            f"The map is the plane of the first two principal components of the codes. It holds "
            f"{share:.0%} of the variance of the {latent_dim:,} latent dimensions. The pointer "
            "moves within the plane; the sliders also move out of it."
        )
    else:
        shown = order[:2] if latent_dim > 2 else list(range(latent_dim))
        axes[np.arange(len(shown)), shown] = 1
        names = [f"Dimension {dimension + 1}" for dimension in shown]
        text = f"The map shows {' and '.join(names).lower()} of the latent space"
        if latent_dim > 2:
            text += ", which change the picture most. The other dimensions have sliders."
        else:
            text += "." if latent_dim == 2 else ". The vertical position has no meaning."
    rings = "The circles are one, two and three standard deviations of the prior."
    half = HALF
    if codes is not None:
        half = max(half, 1.05 * float(np.quantile(np.abs((codes - centre) @ axes.T), INSIDE)))
    return {
        "centre": centre.tolist(),
        "axes": axes.tolist(),
        "half": half,
        "names": names,
        "text": f"{text} {points_text}{rings}",
    }
