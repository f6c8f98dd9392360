"""Pictures for examples that are given none: a landscape, a painting, a sky."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

# Red, green and blue of six shades, from night to lamplight.
PALETTE = ((16, 28, 60, 170, 250, 235), (24, 66, 130, 205, 225, 150), (64, 140, 190, 190, 120, 50))


def landscape(height: int, width: int) -> np.ndarray:
    """Return hills and a lake with a low sun, (height, width, 3) in [0, 1]."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : width / height : width * 1j]
    sun = np.exp(-40 * ((x - 0.9) ** 2 + (y - 0.3) ** 2))
    sky = [0.35 + 0.55 * y + sun, 0.5 + 0.2 * y + 0.8 * sun, 0.8 - 0.35 * y + 0.3 * sun]
    photo = np.stack(sky, axis=-1)
    for i, colour in enumerate([(0.42, 0.4, 0.55), (0.25, 0.32, 0.38), (0.1, 0.2, 0.16)]):
        ridge = 0.45 + 0.1 * i + 0.05 * np.sin(4 * x + 2 * i) + 0.02 * np.sin((11 + 6 * i) * x)
        photo[y > ridge] = colour
    light = (0.5 + 0.5 * np.sin(160 * y + 7 * np.sin(9 * x))) * np.exp(-12 * (x - 0.9) ** 2)
    lake = np.stack([0.3 + 0.6 * light, 0.4 + 0.4 * light, 0.55 + 0.1 * light], axis=-1)
    return np.clip(np.where((y > 0.78)[..., None], lake, photo), 0, 1)


def painting(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return swirls of brush strokes, night blue to yellow, (height, width, 3) in [0, 1]."""
    canvas = Image.new("RGB", (2 * width, 2 * height), (28, 66, 140))
    pen = ImageDraw.Draw(canvas)
    for x, y in rng.uniform(0, (2 * width, 2 * height), (height * width // 12, 2)):
        u, v = 6 * x / width, 6 * y / width
        tone = 2.5 + 1.6 * np.sin(u / 2 + np.sin(v)) + 1.2 * np.cos(v / 1.5 - u / 3)
        shades = [np.interp(tone + rng.normal(0, 0.35), range(6), channel) for channel in PALETTE]
        colour = tuple(np.clip(np.add(shades, rng.normal(0, 12)), 0, 255).astype(int))
        way = [(x, y)]
        for _ in range(6):
            angle = 2 * np.sin(way[-1][0] * 4 / width) + 2.5 * np.cos(way[-1][1] * 5 / width)
            way.append((way[-1][0] + 5 * np.cos(angle), way[-1][1] + 5 * np.sin(angle)))
        pen.line(way, fill=colour, width=int(rng.integers(4, 8)), joint="curve")
    return np.asarray(canvas.resize((width, height), Image.Resampling.LANCZOS)) / 255


def clouds(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return a sky made of noise on ever finer grids, (height, width, 3) in [0, 1]."""
    noise = np.zeros((height, width))
    for octave in range(2, 8):
        coarse = Image.fromarray(rng.random((3 * 2**octave // 4, 2**octave), dtype=np.float32))
        noise += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 1.7**octave
    share = np.clip((noise - noise.mean()) / noise.std() * 0.25 + 0.45, 0, 1)[..., None]
    return (1 - share) * np.array([0.16, 0.34, 0.62]) + share * np.array([0.98, 0.97, 0.95])
