"""Pictures: sheets and strips of images, animations, learning curves and maps.

The functions take arrays, such as those that `VAE.sample` returns, and return Pillow images or
matplotlib figures. Curves and maps need matplotlib: ``pip install 'vaefast[plot]'``.
"""

from __future__ import annotations

from .._input.pixels import is_image_shape, value_range
from .animation import SUFFIXES, save_animation
from .files import save
from .images import comparison, manifold, sheet, strips
from .plots import latent_map, loss_curve

__all__ = [
    "SUFFIXES",
    "comparison",
    "is_image_shape",
    "latent_map",
    "loss_curve",
    "manifold",
    "save",
    "save_animation",
    "sheet",
    "strips",
    "value_range",
]
