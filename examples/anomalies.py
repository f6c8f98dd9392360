"""Find the odd rows of a table and of a set of images, and show what makes them odd.

    python examples/anomalies.py --out runs/anomalies

The table is scikit-learn's breast cancer data: measurements of cell nuclei. The model learns from
benign tumours alone. The images are MNIST's, from the folder `mnist` under VAEFAST_DATA. Without
them the example draws digits and spoils some.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from plain import Command
from vaefast import VAE, AnomalyDetector, datasets, pictures

MNIST = Path(os.environ.get("VAEFAST_DATA", ".")) / "mnist"
SHOWN = 9  # number of odd images in the picture


def spoil(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the images with a blot, a missing part, or swapped halves."""
    X = X.copy()
    for i, image in enumerate(X):
        y, x = rng.integers(6, 16, 2)
        if i % 3 == 0:
            image[y : y + 6, x : x + 6] = 255
        elif i % 3 == 1:
            image[10:18] = 0
        else:
            X[i] = np.roll(image, 14, axis=0)
    return X


def odd_patients(epochs: int, seed: int, panels: Any) -> None:
    """Learn benign tumours, find malignant ones, and draw what is unusual about the oddest two."""
    data = load_breast_cancer()
    rng = np.random.default_rng(seed)
    benign, malignant = (rng.permutation(data.data[data.target == kind]) for kind in (1, 0))
    parts = (*np.split(benign, [180, 260]), malignant)
    train, apart, others, sick = map(np.log1p, parts)
    settings = {"likelihood": "gaussian", "standardize": True, "batch_size": 32}
    vae = VAE(4, (64,), **settings, epochs=epochs, random_state=seed)
    detector = AnomalyDetector(vae.fit(train), contamination=0.05).fit(apart)
    scores = detector.decision_function(others), detector.decision_function(sick)
    area = roc_auc_score([1] * len(others) + [0] * len(sick), np.concatenate(scores))
    print(f"Table: {(scores[0] < 0).mean():.0%} of {len(others)} other benign tumours are odd,")
    print(f"  and {(scores[1] < 0).mean():.0%} of {len(sick)} malignant ones; ROC AUC {area:.3f}")

    low, high = min(map(np.min, scores)), max(map(np.max, scores))
    bins = np.concatenate([-np.geomspace(max(-low, 2), 1, 30), np.linspace(0, max(high, 1), 8)])
    for values, name in zip(scores, ("benign", "malignant"), strict=True):
        panels[0].hist(values, bins, alpha=0.6, label=name)
    panels[0].set_xscale("symlog", linthresh=10)
    panels[0].axvline(0, color="black", lw=1)
    panels[0].set(title="Tumours", xlabel="nats from the threshold (odd: below 0)", ylabel="rows")
    panels[0].legend(frameon=False)
    excess = detector.contributions(sick) - detector.contributions(train).mean(axis=0)
    for axes, row in zip(panels[1:], scores[1].argsort()[:2], strict=True):
        features = excess[row].argsort()[::-1][:6]
        distance = (sick[row] - train.mean(axis=0)) / train.std(axis=0)
        names = [f"{data.feature_names[i]} ({distance[i]:+.1f} sd)" for i in features]
        print(f"  malignant tumour {row} stands out in {', '.join(names[:3])}")
        axes.barh(names[::-1], excess[row, features][::-1], color="C1")
        axes.set(title=f"Malignant tumour {row}", xlabel="nats more than usual")


def odd_images(rows: int, epochs: int, seed: int, panels: Any) -> None:
    """Learn images, and draw the oddest test images beside what the model takes them for."""
    data = datasets.load(MNIST) if MNIST.is_dir() else datasets.strokes(rows)
    X, tests = data.X[:rows], data.X_test
    if not MNIST.is_dir():
        tests[:20] = spoil(tests[:20], np.random.default_rng(seed))
    vae = VAE(16, (256,), epochs=epochs, random_state=seed).fit(X)
    detector = AnomalyDetector(vae, contamination=0.01).fit(X)
    scores = detector.decision_function(tests)
    odd = scores.argsort()[:SHOWN]
    print(f"Images: {(scores < 0).mean():.1%} of {len(tests)} are odd; the oddest are {odd}")
    if not MNIST.is_dir():
        print(f"  {np.isin(scores.argsort()[:20], range(20)).sum()} of the oddest 20 were spoiled")
    excess = detector.contributions(tests[odd]) - detector.contributions(X[:1000]).mean(axis=0)
    named = {"odd": tests[odd], "to the model": vae.reconstruct(tests[odd]), "odd by": excess}
    for line, (name, shown) in zip(panels, named.items(), strict=True):
        for axes, image in zip(line, shown, strict=True):
            axes.imshow(image, cmap="magma" if name == "odd by" else "gray", vmin=0)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize=8)


@click.command(cls=Command)
@click.option("--rows", type=click.IntRange(100), default=20_000, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=15, show_default=True, help="On images.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/anomalies")
def main(rows: int, epochs: int, seed: int, out: Path) -> None:
    """Find odd tumours and odd digits."""
    figure = Figure(figsize=(12, 8), dpi=80, layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.1])
    odd_patients(10 * epochs, seed, above.subplots(1, 3))
    odd_images(rows, epochs, seed, below.subplots(3, SHOWN))
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(figure, out / "anomalies.png")
    print(f"Wrote {out / 'anomalies.png'}")


if __name__ == "__main__":
    main()
