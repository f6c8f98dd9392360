"""Write a web page that explores a model's latent space: one HTML file with the decoder inside."""

from __future__ import annotations

from .page import write_page

__all__ = ["write_page"]
