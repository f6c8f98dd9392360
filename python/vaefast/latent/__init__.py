"""What one does with a latent space: morph, traverse, move along an attribute, breed, map.

Functions of a fitted model and of arrays. Rows are what `VAE.fit` takes, of tables or images;
codes are points of the latent space, (n, latent_dim). `vaefast.images` makes pictures of the
results.
"""

from __future__ import annotations

from .breeding import breed, cross, evolve
from .dimensions import dimension_kl, traverse
from .directions import direction, shift
from .maps import Plane, plane, umap
from .morphing import morph, path
from .neighbours import nearest

__all__ = [
    "Plane",
    "breed",
    "cross",
    "dimension_kl",
    "direction",
    "evolve",
    "morph",
    "nearest",
    "path",
    "plane",
    "shift",
    "traverse",
    "umap",
]
