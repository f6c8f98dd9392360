"""Redraw a photograph with the brushwork of a painting.

    python examples/restyle.py --photo photo.jpg --painting painting.jpg --out runs/restyle

Without files the example draws both pictures itself. `vaefast restyle PHOTO PAINTING` does the same
for your files.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageOps

import drawn
from plain import Command
from vaefast import darkroom, pictures

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=Command)
@click.option("--photo", type=READABLE, help="The image to redraw.")
@click.option("--painting", type=READABLE, help="The image to learn from.")
@click.option("--size", type=click.IntRange(48), default=480, help="Width of drawn pictures.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/restyle", show_default=True)
def main(photo: Path | None, painting: Path | None, size: int, seed: int, out: Path) -> None:
    """Learn the patches of a painting and redraw a photograph with them."""
    shape = size * 3 // 4, size
    content = darkroom.read(photo) if photo else drawn.landscape(*shape)
    rng = np.random.default_rng(seed)
    style = darkroom.read(painting) if painting else drawn.painting(*shape, rng)
    redrawn = darkroom.restyle(content, style, random_state=seed)
    height, width = redrawn.shape[:2]
    both = [np.rint(part * (255 if part.dtype == float else 1)) for part in (content, style)]
    both = [ImageOps.fit(Image.fromarray(part.astype(np.uint8)), (width, height)) for part in both]
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.sheet([*map(np.asarray, both), redrawn], 3), out / "restyle.png")
    pictures.save(Image.fromarray(redrawn), out / "redrawn.png")
    print(f"Wrote {out / 'restyle.png'} and {out / 'redrawn.png'}")


if __name__ == "__main__":
    main()
