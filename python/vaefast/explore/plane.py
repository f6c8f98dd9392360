"""The plane of the map: the latent space itself, or what shows most of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..latent import plane

HALF = 3.2  # of the map's side, at least: nearly all of the prior
INSIDE = 0.998  # of the points' coordinates


def page_map(codes: NDArray[Any] | None, order: list[int], words: str) -> dict[str, Any]:
    """Return centre, two orthonormal axes and half the side in latent units, names and a text.

    Parameters
    ----------
    codes : (n, latent_dim) array or None
        Of the points.
    order : list of int
        The dimensions, the strongest first.
    words : str
        On the points, for the text.
    """
    latent_dim = len(order)
    centre, axes = np.zeros(latent_dim), np.zeros((2, latent_dim))
    if latent_dim > 2 and codes is not None and len(codes) > 2:
        shown_plane = plane(codes)
        centre, axes = shown_plane.origin.astype(float), shown_plane.axes.astype(float)
        share = shown_plane.variance_ratio.sum()
        names = ["Component 1", "Component 2"]
        text = (
            f"The map is the plane along which the {latent_dim:,} numbers of the codes vary most "
            f"(principal components, {share:.0%} of their variance). Whatever lies beside "
            "it stays as it is while the pointer moves, and changes with the sliders."
        )
    else:
        shown = order[:2] if latent_dim > 2 else list(range(latent_dim))
        axes[np.arange(len(shown)), shown] = 1
        names = [f"Dimension {dimension + 1}" for dimension in shown]
        text = f"The map shows {' and '.join(names).lower()} of the latent space"
        if latent_dim > 2:
            text += ", which change the picture most; the others have sliders."
        else:
            text += "." if latent_dim == 2 else "; up and down mean nothing."
    half = HALF
    if codes is not None:
        half = max(half, 1.05 * float(np.quantile(np.abs((codes - centre) @ axes.T), INSIDE)))
    return {
        "centre": centre.tolist(),
        "axes": axes.tolist(),
        "half": half,
        "names": names,
        "text": f"{text} {words}Circles: one, two and three standard deviations of the prior.",
    }
