"""Recommend films to people that the model has never seen, from the films they liked.

    VAEFAST_DATA=data python examples/recommend.py --out runs/recommend

The data are MovieLens-100K: `movielens-100k/u.data` (or `u.data.gz`) under VAEFAST_DATA. Without it
the example invents people with tastes. Films of four and five stars are liked. A fifth of those of
each test user is hidden, and the methods rank all others (Liang et al. 2018, section 4.2).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from scipy import sparse

from plain import Command
from vaefast import VAE, pictures, schedules

MOVIELENS = Path(os.environ.get("VAEFAST_DATA", ".")) / "movielens-100k"
LIKED, FEWEST = 4, 5  # stars of a film that is liked, and liked films of a user
MEASURES = ("NDCG@100", "Recall@20", "Recall@50")

Scores = Callable[[sparse.csr_matrix], np.ndarray]  # liked films to a score of each film


def likes(rng: np.random.Generator) -> sparse.csr_matrix:
    """Return who liked what, (users, films), as zeros and ones."""
    file = next((path for path in MOVIELENS.glob("u.data*")), None)
    if file is None:
        print(f"There is no {MOVIELENS / 'u.data'}. These users and their tastes are drawn:")
        tastes = rng.dirichlet(np.full(300, 0.1), 6)
        shares = rng.dirichlet(np.full(6, 0.2), 600) @ tastes
        return sparse.csr_matrix((rng.multinomial(40, shares) > 0).astype(np.float32))
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt") as lines:
        fields = [line.replace("|", "\t").split("\t")[:3] for line in lines if line[0].isdigit()]
    user, film, stars = np.array(fields, int).T
    liked = stars >= LIKED
    matrix = sparse.csr_matrix((np.ones(liked.sum(), np.float32), (user[liked], film[liked])))
    return matrix[np.diff(matrix.indptr) >= FEWEST]


def split(rows: sparse.csr_matrix, rng: np.random.Generator) -> tuple[sparse.csr_matrix, ...]:
    """Return what is known of users, and what is to be found: a fifth of each row."""
    known = rows.copy()
    for first, last in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        count = max(1, round((last - first) / 5))
        known.data[first + rng.permutation(last - first)[:count]] = 0
    known.eliminate_zeros()
    return known, rows - known


def measure(scores: np.ndarray, known: sparse.csr_matrix, hidden: sparse.csr_matrix) -> np.ndarray:
    """Return the measures of each user, (users, 3)."""
    scores = np.where(known.toarray() > 0, -np.inf, scores)
    wanted = np.take_along_axis(hidden.toarray(), np.argsort(-scores, axis=1, kind="stable"), 1)
    discounts, counts = 1 / np.log2(np.arange(2, 102)), np.diff(hidden.indptr)
    ndcg = wanted[:, :100] @ discounts / np.cumsum(discounts)[np.minimum(counts, 100) - 1]
    recalls = [wanted[:, :k].sum(axis=1) / np.minimum(counts, k) for k in (20, 50)]
    return np.column_stack([ndcg, *recalls])


def ease(X: sparse.csr_matrix, penalty: float = 200.0) -> Scores:
    """Return the closed form of Steck 2019: a weight for each pair of films, but 0 for itself."""
    inverse = np.linalg.inv((X.T @ X).toarray() + penalty * np.eye(X.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda known: known @ weights


def mult_vae(X: sparse.csr_matrix, epochs: int, seed: int) -> Scores:
    """Return the VAE of Liang et al. 2018."""
    settings = {"likelihood": "multinomial", "normalize": "l2", "denoising": ("dropout", 0.5)}
    beta = schedules.LinearWarmup(epochs, end=0.5)
    training = {"beta": beta, "batch_size": 64, "epochs": epochs, "random_state": seed}
    return VAE(100, (300,), activation="tanh", **settings, **training).fit(X).reconstruct


@click.command(cls=Command)
@click.option("--epochs", type=click.IntRange(1), default=60, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="runs/recommend", show_default=True)
def main(epochs: int, seed: int, out: Path) -> None:
    """Compare a VAE with EASE and with the most popular films."""
    rng = np.random.default_rng(seed)
    X = likes(rng)
    order = rng.permutation(X.shape[0])
    train, test = X[order[len(order) // 5 :]], X[order[: len(order) // 5]]
    known, hidden = split(test, rng)
    print(f"{train.shape[0]:,} users to learn from, {test.shape[0]} to recommend to")
    methods: dict[str, Scores] = {
        "VAE": mult_vae(train, epochs, seed),
        "EASE": ease(train),
        "popularity": lambda rows: np.tile(train.sum(axis=0), (rows.shape[0], 1)),
    }
    panels = Figure(figsize=(7, 3), dpi=100, layout="constrained").subplots(1, 3, sharey=True)
    print(f"{'':12}" + "".join(f"{name:>18}" for name in MEASURES))
    for name, scores in methods.items():
        values = measure(scores(known), known, hidden)
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
        line = f"{name:12}"
        for axes, m, e, title in zip(panels, mean, error, MEASURES, strict=True):
            axes.barh(name, m, xerr=e, color="#33658a", ecolor="#888888")
            axes.set_title(title, fontsize=10, loc="left")
            line += f"{m:>9.3f} +- {e:.3f}"
        print(line)
    panels[0].invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(panels[0].figure, out / "recommend.png")
    print(f"Wrote {out / 'recommend.png'}")


if __name__ == "__main__":
    main()
