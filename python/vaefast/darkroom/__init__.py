"""Restyle photographs, dream in them, and compose music.

``restyle`` redraws a photograph with the strokes of a painting. ``dream`` draws into a photograph
what a model sees there. A ``Composer`` learns pieces from MIDI files and writes new ones; MIDI
files need mido: ``pip install 'vaefast[music]'``.
"""

from __future__ import annotations

from .dreaming import dream
from .midi import Piece, read_midi, write_midi
from .music import Composer
from .photographs import read
from .restyling import restyle

__all__ = ["Composer", "Piece", "dream", "read", "read_midi", "restyle", "write_midi"]
