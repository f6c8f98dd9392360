"""Redraw a photograph with the brushwork of a painting, learned from patches of the painting.

    python examples/restyle.py --photo photo.jpg --painting painting.jpg --out runs/restyle

Without files the example draws both pictures itself.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageOps

import drawn
from plain import Command
from vaefast import VAE, latent, pictures

PATCH, STEP = 14, 7  # side of a patch and distance between patches, in pixels
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


def read(path: Path, side: int) -> np.ndarray:
    """Return an image file as (h, w, 3) in [0, 1], with a longer side of `side` pixels."""
    with Image.open(path) as file:
        return np.asarray(ImageOps.contain(file.convert("RGB"), (side, side))) / 255


def patches(image: np.ndarray, step: int) -> np.ndarray:
    """Return all squares of an image, a step apart: (rows, columns, PATCH, PATCH, 3)."""
    windows = sliding_window_view(image, (PATCH, PATCH), axis=(0, 1))[::step, ::step]
    return np.moveaxis(windows, 2, -1).astype(np.float32)


def blend(tiles: np.ndarray) -> np.ndarray:
    """Blend overlapping patches, a STEP apart, into an image. The middle of a patch counts most."""
    rows, columns = tiles.shape[:2]
    hill = np.sin(np.pi * (np.arange(PATCH) + 0.5) / PATCH) ** 2.5
    weight = np.outer(hill, hill)[..., None]
    total = np.zeros(((rows + 1) * STEP, (columns + 1) * STEP, 4))
    for i, j in np.ndindex(rows, columns):
        here = total[i * STEP : i * STEP + PATCH, j * STEP : j * STEP + PATCH]
        here += weight * np.dstack([tiles[i, j], np.ones((PATCH, PATCH))])
    return total[..., :3] / total[..., 3:]


@click.command(cls=Command)
@click.option("--photo", type=READABLE, help="The image to redraw.")
@click.option("--painting", type=READABLE, help="The image to learn from.")
@click.option("--size", type=click.IntRange(48, 1024), default=320, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=15, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/restyle", show_default=True)
def main(
    photo: Path | None, painting: Path | None, size: int, epochs: int, seed: int, out: Path
) -> None:
    """Learn the patches of a painting and redraw a photograph with them."""
    rng = np.random.default_rng(seed)
    height = size * 3 // 4
    style = read(painting, size) if painting else drawn.painting(height, size, rng)
    content = read(photo, size) if photo else drawn.landscape(height, size)
    X = patches(style, 2).reshape(-1, PATCH, PATCH, 3)
    vae = VAE(24, (256,), likelihood="gaussian", sigma="optimal", epochs=epochs)
    vae.set_params(random_state=seed).fit(X)
    print(f"Learned {len(X):,} patches of {PATCH} x {PATCH} pixels: {vae.evaluate(X)}")

    # Gives the photograph the painting's colours: the same mean and spread in each channel.
    spread = style.std(axis=(0, 1)) / content.std(axis=(0, 1)).clip(1e-3)
    toned = (content - content.mean(axis=(0, 1))) * spread + style.mean(axis=(0, 1))
    redrawn = toned = np.clip(toned, 0, 1)[: len(toned) // STEP * STEP]
    painted = vae.transform(X)
    for share in (0.0, 0.4, 0.5):  # weight of the last pass, which joins strokes of neighbours
        goal = (1 - share) * toned[:, : redrawn.shape[1]] + share * redrawn
        seen = patches(goal, STEP)
        codes = vae.transform(seen.reshape(-1, PATCH, PATCH, 3))
        if not share:
            decoded = blend(vae.inverse_transform(codes).reshape(seen.shape))
        near = latent.nearest(painted, codes, 8)[1]
        chosen = near[np.arange(len(near)), rng.integers(8, size=len(near))]
        redrawn = blend(X[chosen].reshape(seen.shape))

    out.mkdir(parents=True, exist_ok=True)
    parts = [Image.fromarray(np.rint(255 * part).astype(np.uint8)) for part in (content, style)]
    parts = [ImageOps.fit(part, redrawn.shape[1::-1]) for part in parts]
    picture = pictures.strips([map(np.asarray, parts), np.stack([decoded, redrawn])])
    for name, result in (("restyle.png", picture), ("redrawn.png", pictures.sheet(redrawn[None]))):
        pictures.save(result, out / name)
    print(f"Wrote {out / 'restyle.png'} and {out / 'redrawn.png'}")


if __name__ == "__main__":
    main()
