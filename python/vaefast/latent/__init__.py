"""Functions that explore a latent space: morph, traverse, edit, breed, map, find neighbours.

The functions take a fitted model and arrays. Rows are rows of a table or images, as `VAE.fit` takes
them. Codes are points of the latent space, of shape (n, latent_dim). `vaefast.pictures` draws the
results.
"""

from __future__ import annotations

from .breeding import breed, cross, evolve
from .dimensions import dimension_kl, traverse
from .directions import direction, shift
from .editing import edit
from .maps import Plane, plane, umap
from .morphing import morph, path
from .neighbours import nearest

__all__ = [
    "Plane",
    "breed",
    "cross",
    "dimension_kl",
    "direction",
    "edit",
    "evolve",
    "morph",
    "nearest",
    "path",
    "plane",
    "shift",
    "traverse",
    "umap",
]
