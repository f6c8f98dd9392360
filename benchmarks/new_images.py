"""Judge new images of a model by numbers, beside held-out images that it was not trained on.

    python -m benchmarks.new_images FOLDER [--held-out 0.1] [--seed 0]

A folder of images is split, `recipes.images` trains on one part, and as many new images are drawn
as there are held-out ones. Three figures compare the two:

- the area under the ROC curve of a classifier that tells them apart by their 50 largest principal
  components, cross-validated: 0.5 if it cannot, 1 if it always can (Lopez-Paz & Oquab 2017);
- the median distance to the nearest training image: far below that of held-out images, new images
  are copies;
- the spread: the standard deviation of new images around their mean, as a share of that of held-out
  images.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

from vaefast import VAE, datasets, latent, recipes
from vaefast.datasets.folders import suggested_size

Floats = NDArray[np.float32]

COMPONENTS = 50


def compare(train: Floats, held_out: Floats, new: Floats) -> dict[str, float]:
    """Return the figures above of new images, all of shape (n, d)."""
    count = min(COMPONENTS, train.shape[1], len(train) - 1)
    pca = PCA(count, whiten=True, random_state=0).fit(train[:2_000])
    rows = pca.transform(np.concatenate([new, held_out]))
    labels = np.repeat([0, 1], [len(new), len(held_out)])
    classifier = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    area = cross_val_score(classifier, rows, labels, cv=3, scoring="roc_auc").mean()

    def nearest(images: Floats) -> float:
        return float(np.median(latent.nearest(train, images[:200], 1)[0]))

    return {
        "classifier": round(float(area), 3),
        "nearest_new": round(nearest(new), 2),
        "nearest_held_out": round(nearest(held_out), 2),
        "spread": round(float(np.sqrt(new.var(axis=0).sum() / held_out.var(axis=0).sum())), 3),
    }


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--held-out", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.1)
@click.option("--seed", type=int, default=0)
def main(folder: Path, held_out: float, seed: int) -> None:
    """Train on a folder of images and compare new images with held-out ones."""
    X = datasets.load(folder, image_size=suggested_size(folder)[0]).X
    order = np.random.default_rng(seed).permutation(len(X))
    apart, rest = np.split(order, [max(6, round(held_out * len(X)))])
    began = process_time()
    vae = VAE(**recipes.images(X[rest]), random_state=seed).fit(X[rest])
    figures: dict[str, Any] = {"images": len(rest), "seconds": round(process_time() - began, 1)}
    unit = (X.reshape(len(X), -1) / 255).astype(np.float32)
    error = vae.reconstruct(X[apart]).reshape(len(apart), -1) - unit[apart]
    figures["error"] = round(float(np.sqrt(np.mean(np.square(error)))), 4)
    figures["elbo"] = round(vae.score(X[apart]), 1)
    new = vae.sample(len(apart), random_state=seed).reshape(len(apart), -1)
    click.echo(json.dumps(figures | compare(unit[rest], unit[apart], np.clip(new, 0, 1))))


if __name__ == "__main__":
    main()
