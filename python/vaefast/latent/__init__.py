"""Functions that explore a latent space: morph, traverse, edit, breed, map, find neighbours.

They take a fitted model and arrays. Rows have the form that `VAE.fit` takes, rows of a table or
images. Codes are points of the latent space, of shape (n, latent_dim). `vaefast.pictures` draws the
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
