"""Draw into a photograph what a model sees there, at several scales: digits or faces in clouds.

    python examples/dream.py --photo photo.jpg --data strokes --out runs/dream

The model learns small images (--data: a name or a path). Without --photo the example draws clouds.
`vaefast dream PHOTO --model MODEL` does the same with a model that is trained already.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

import drawn
from plain import Command
from vaefast import VAE, darkroom, datasets, pictures


@click.command(cls=Command)
@click.option("--photo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", default="strokes", show_default=True, help="Name or path of images.")
@click.option("--size", type=click.IntRange(64), default=480, help="Width of drawn clouds.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/dream", show_default=True)
def main(photo: Path | None, data: str, size: int, epochs: int, seed: int, out: Path) -> None:
    """Dream of small images in a photograph."""
    X = datasets.load(data).X[:10_000]
    if not pictures.is_image_shape(X.shape[1:]):
        raise click.UsageError(f"{data} holds rows of shape {X.shape[1:]}, expected images.")
    rng = np.random.default_rng(seed)
    content = darkroom.read(photo) if photo else drawn.clouds(size * 2 // 3, size, rng)
    vae = VAE(10, (256,), likelihood="gaussian", sigma=0.1, epochs=epochs, random_state=seed).fit(X)
    dreamt = darkroom.dream(vae, content, random_state=seed)
    if content.dtype == float:
        content = np.rint(255 * content).astype(np.uint8)
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.sheet([content, dreamt], 2), out / "dream.png")
    print(f"Wrote {out / 'dream.png'}: the photograph and the dream")


if __name__ == "__main__":
    main()
