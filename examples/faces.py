"""Draw new faces, morphs and a smile, learned from a folder of photographs or from Frey's faces.

    python examples/faces.py --data my_faces/ --size 40 --out runs/faces

The photographs of a folder should show faces cropped alike. Without --data the example reads
frey-faces/frey_faces.npz in the folder VAEFAST_DATA: 1,965 frames of one face, 28 x 20 pixels.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import numpy as np

from plain import Command
from vaefast import VAE, datasets, latent, pictures, recipes

FREY = Path(os.environ.get("VAEFAST_DATA", ".")) / "frey-faces" / "frey_faces.npz"
# Frames of Frey's faces with the same pose and light, chosen by eye: with and without a smile.
SMILING = [660, 672, 684, 732, 744, 756, 972, 984, 996, 1008, 1020, 1140, 1152, 1164]
STRAIGHT = [36, 48, 60, 96, 132, 156, 168, 180, 192, 204, 276, 288, 300, 348]
COLUMNS = 9  # images in a row of the picture


def numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """Parse a list of image numbers such as 3,14,15."""
    if value is None:
        return None
    if not all(number.strip().isdecimal() for number in value.split(",")):
        raise click.BadParameter(f"{value!r} should be numbers such as 3,14,15.")
    return [int(number) for number in value.split(",")]


@click.command(cls=Command)
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder or .npz file.")
@click.option("--size", type=click.IntRange(8, 128), help="Side of the cropped images, in pixels.")
@click.option("--with", "smiling", callback=numbers, help="Images with a smile, such as 3,14,15.")
@click.option("--without", "straight", callback=numbers, help="Images without a smile.")
@click.option("--epochs", type=click.IntRange(1), help="Instead of those of the recipe.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/faces", show_default=True)
def main(
    data: Path | None,
    size: int | None,
    smiling: list[int] | None,
    straight: list[int] | None,
    epochs: int | None,
    seed: int,
    out: Path,
) -> None:
    """Learn faces; draw new ones, morphs, and a smile (or the strongest latent dimension)."""
    if data is None:
        if not FREY.is_file():
            raise click.UsageError(f"there is no {FREY}: pass --data, or set VAEFAST_DATA.")
        data, smiling, straight = FREY, smiling or SMILING, straight or STRAIGHT
    if (smiling is None) != (straight is None):
        raise click.UsageError("a smile needs both --with and --without.")
    X = datasets.load(data, image_size=(size, size) if size else None).X
    if len(X) < 20:
        raise click.UsageError(f"{data} has {len(X)} images: at least 20 are needed to learn from.")
    last = max([*(smiling or []), *(straight or [])], default=0)
    if last >= len(X):
        raise click.UsageError(f"image {last} was asked for, but {data} has {len(X)} images.")

    vae = VAE(**recipes.images(X), random_state=seed)
    if epochs is not None:
        vae.set_params(epochs=epochs)
    vae.fit(X)
    print(f"Learned {len(X):,} images of {X.shape[1]} x {X.shape[2]} pixels: {vae.evaluate(X)}")

    new = vae.sample(COLUMNS, random_state=seed)
    distances, rows = latent.nearest(X, new, 1)
    own = latent.nearest(X, X[:: max(1, len(X) // 200)], 2)[0][:, 1]
    print(f"New faces lie {np.median(distances):.2f} from the nearest photograph (median),")
    print(f"photographs lie {np.median(own):.2f} from the nearest other photograph")

    ends = np.linspace(0, len(X) - 1, 4).astype(int).tolist()
    legs = [
        latent.morph(vae, X[a], X[b], COLUMNS) for a, b in zip(ends[:-1], ends[1:], strict=True)
    ]

    chosen, named = X[ends[:3]], "strongest\ndimension"
    way = np.eye(vae.model_.latent_dim, dtype=np.float32)[latent.dimension_kl(vae, X).argmax()]
    if smiling is not None and straight is not None:
        chosen, named = X[straight[:3]], "smile"
        way = latent.direction(vae, X[smiling], X[straight])
    moved = latent.shift(vae, chosen, way, np.linspace(-0.5, 2.5, COLUMNS))
    print(f"Morphed between images {ends}; moved three images along: {named}".replace("\n", " "))

    out.mkdir(parents=True, exist_ok=True)
    picture = pictures.strips(
        [new, X[rows[:, 0]], *legs, *moved],
        names=["new", "nearest\nphotograph", *["morph"] * 3, *[named] * 3],
    )
    pictures.save(picture, out / "faces.png")
    frames = latent.morph(vae, X[ends[0]], X[ends[-1]], 16, through=X[ends[1:-1]])
    pictures.save_animation(frames, out / "morph.webp", hold=range(0, len(frames), 15))
    print(f"Wrote {out / 'faces.png'} and {out / 'morph.webp'}")


if __name__ == "__main__":
    main()
