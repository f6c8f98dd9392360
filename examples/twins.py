"""Compare an autoencoder, which copies but cannot create, with its variational twin.

    python examples/twins.py --out runs/twins

Both have the same net, data and seed; only the objective differs. The VAE adds noise to its codes
and pays for information, so its codes fill the prior without holes.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL.Image import Image

from plain import Command
from vaefast import VAE, datasets, latent, pictures

TWINS = {"autoencoder": "Autoencoder", "elbo": "VAE"}


def show(axes: Axes, picture: Image, title: str) -> None:
    axes.imshow(np.asarray(picture), interpolation="antialiased")
    axes.set_title(title, fontsize=10, loc="left")
    axes.axis("off")


def density(axes: Axes, places: np.ndarray) -> None:
    """Draw the density of codes, with circles at 1, 2 and 3 standard deviations of the prior."""
    reach = max(3.4, np.abs(places).max())
    axes.hist2d(*places.T, bins=80, range=[[-reach, reach]] * 2, cmap="magma")
    turn = np.linspace(0, 2 * np.pi, 100)
    for radius in (1, 2, 3):
        axes.plot(radius * np.cos(turn), radius * np.sin(turn), color="white", lw=0.8)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=8)
    axes.set_title("density of the codes; circles: the prior", fontsize=10, loc="left")


@click.command(cls=Command)
@click.option("--data", default="strokes", show_default=True, help="Name or path of images.")
@click.option("--latent-dim", type=click.IntRange(2), default=8, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--rows", type=click.IntRange(100), default=20_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/twins", show_default=True)
def main(data: str, latent_dim: int, epochs: int, rows: int, seed: int, out: Path) -> None:
    """Train an autoencoder and a VAE on the same images and draw them side by side."""
    loaded = datasets.load(data)
    X = loaded.X[:rows]
    tests = loaded.X_test[:1000] if loaded.X_test is not None else X[:1000]
    truth = tests / np.float32(255) if tests.dtype == np.uint8 else tests
    figure = Figure(figsize=(9, 13), dpi=80, layout="constrained")
    parts = figure.subplots(5, 2, height_ratios=[2, 2.9, 2.9, 3.9, 7.5])
    real = np.median(latent.nearest(X, tests, 1)[0])
    print(f"Test images lie {real:.2f} from the nearest training image (median)")

    for column, (objective, name) in zip(parts.T, TWINS.items(), strict=True):
        vae = VAE(latent_dim, (256,), objective=objective, epochs=epochs, random_state=seed)
        vae.fit(X)
        error = np.square(vae.reconstruct(tests) - truth).reshape(len(tests), -1).sum(axis=1).mean()

        # The Gaussian that fits a model's own codes is a fairer source for the autoencoder.
        codes, rng = vae.transform(X), np.random.default_rng(seed)
        own = rng.multivariate_normal(codes.mean(axis=0), np.cov(codes.T), 1000)
        drawn = {"the prior": vae.sample(1000, random_state=seed, prior="prior")}
        drawn["a Gaussian like its codes"] = vae.inverse_transform(own)
        print(f"{name}: squared error {error:.1f} per test image")
        print(f"  codes have standard deviations from {codes.std(0).min():.2f} to", end="")
        print(f" {codes.std(0).max():.2f}; the prior's is 1")
        pairs = pictures.comparison(tests[:8], vae.reconstruct(tests[:8]))
        show(column[0], pairs, f"{name}: squared error {error:.1f}")
        for axes, (source, samples) in zip(column[1:3], drawn.items(), strict=True):
            distance = np.median(latent.nearest(X, samples, 1)[0])
            print(f"  new images from {source}: {distance:.2f} from the nearest training image")
            show(axes, pictures.sheet(samples[:24], 8), f"new, from {source}")
        ways = [latent.morph(vae, tests[i], tests[i + 1], 8) for i in range(0, 8, 2)]
        show(column[3], pictures.strips(ways), "morphs")
        plane = latent.plane(codes)
        density(column[4], plane.project(codes) - plane.project(np.zeros((1, latent_dim))))

    out.mkdir(parents=True, exist_ok=True)
    pictures.save(figure, out / "twins.png")
    print(f"Wrote {out / 'twins.png'}")


if __name__ == "__main__":
    main()
