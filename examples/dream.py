"""Exaggerate what a model sees in a photograph, at several scales: digits or faces in clouds.

    python examples/dream.py --photo photo.jpg --data strokes --out runs/dream

The model learns small grey images (--data: a name or a path). It searches the whole photograph, for
large shapes first. Where its reconstruction is most like the photograph, the example draws the
reconstruction in, repeatedly, so that the likeness grows. Without --photo it draws clouds.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

import drawn
from plain import Command
from vaefast import VAE, datasets, pictures

SCALES = (6.0, 4.0, 2.6)  # pixels of the photograph per pixel of the model's images
EVERY = 3  # distance between the places searched, in pixels of the model's images


def resized(grey: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(grey.astype(np.float32))
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BICUBIC)).astype(float)


def see(vae: VAE, tiles: np.ndarray, mean: float, spread: float, gain: float) -> np.ndarray:
    """Return exaggerated reconstructions of tiles (n, h, w), in units of the data's contrast."""
    away = tiles - tiles.mean(axis=(1, 2), keepdims=True)
    like = away / (tiles.std(axis=(1, 2), keepdims=True) + 1e-3) * spread + mean
    codes = vae.transform(np.clip(like, 0, 1).astype(np.float32))
    seen: np.ndarray = vae.inverse_transform(gain * codes)  # away from 0, the usual image
    return (seen - mean) / spread


def likeness(seen: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """Return the correlation of each reconstruction with its tile, (n,)."""
    a, b = (part - part.mean(axis=(1, 2), keepdims=True) for part in (seen, tiles))
    norms = np.linalg.norm(a, axis=(1, 2)) * np.linalg.norm(b, axis=(1, 2))
    return (a * b).sum(axis=(1, 2)) / (norms + 1e-6)


@click.command(cls=Command)
@click.option("--photo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", default="strokes", show_default=True, help="Name or path of grey images.")
@click.option("--size", type=click.IntRange(64, 1024), default=480, show_default=True)
@click.option("--gain", type=click.FloatRange(0), default=1.2, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/dream", show_default=True)
def main(
    photo: Path | None, data: str, size: int, gain: float, epochs: int, seed: int, out: Path
) -> None:
    """Dream of small images in a photograph."""
    X = datasets.load(data).X[:10_000]
    if X.ndim != 3:
        raise click.UsageError(f"{data} holds rows of shape {X.shape[1:]}, expected grey images.")
    vae = VAE(10, (256,), activation="softplus", epochs=epochs, random_state=seed)
    vae.set_params(likelihood="gaussian", sigma=0.1).fit(X)
    mean, spread = X.mean() / 255, X.std(axis=(1, 2)).mean() / 255
    if photo:
        with Image.open(photo) as file:
            image = file.convert("RGB")
        image.thumbnail((size, size))
        content = np.asarray(image) / 255
    else:
        content = drawn.clouds(size * 2 // 3, size, np.random.default_rng(seed))

    grey = content.mean(axis=2)
    now, taken = grey.copy(), np.zeros(grey.shape, bool)
    height, width = X.shape[1:]
    hill = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 0.7 for n in (height, width)))
    for scale in SCALES:
        shape = tuple(
            max(round(n / scale), m) for n, m in zip(grey.shape, X.shape[1:], strict=True)
        )
        small = resized(now, shape)
        windows = sliding_window_view(small, (height, width))[::EVERY, ::EVERY]
        tiles = windows.reshape(-1, height, width)
        alike = likeness(see(vae, tiles, mean, spread, gain), tiles)
        alike[tiles.std(axis=(1, 2)) < 0.02], found = 0, 0  # ignores flat tiles
        for place in alike.argsort()[::-1][: (alike > 0.2).sum()]:
            y, x = (EVERY * i for i in divmod(int(place), windows.shape[1]))
            free = np.ones(shape, bool)
            free[y : y + height, x : x + width] = False
            here = ~resized(free, grey.shape).round().astype(bool)
            if (taken & here).sum() > 0.15 * here.sum():
                continue
            taken, found = taken | here, found + 1
            tile = tiles[place]
            for _ in range(12):
                seen = see(vae, tile[None], mean, spread, gain)[0]
                tile = tile + 0.35 * (tile.mean() + max(tile.std(), 0.11) * seen - tile)
            change = np.zeros(shape)
            change[y : y + height, x : x + width] = hill * (tile - tiles[place])
            now = now + resized(change, grey.shape)
        print(f"Shapes {scale * height:.0f} pixels high: drawn in {found} times")
    dreamt = np.clip(content + (now - grey)[..., None], 0, 1)
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.sheet([content, dreamt], 2), out / "dream.png")
    print(f"Wrote {out / 'dream.png'}: the photograph and the dream")


if __name__ == "__main__":
    main()
