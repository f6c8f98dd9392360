"""The recommender of `examples/recommend.py` beside the same network in PyTorch: ranking, and time.

    VAEFAST_DATA=data python -m benchmarks.recommend

Both have the same layers, loss, noise on the input, schedule of beta, batches and Adam, and see the
same users. The measures are those of the example: means over the test users, with standard errors.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
import numpy as np

from benchmarks.child import ROOT

sys.path.append(str(ROOT / "examples"))

LATENT, HIDDEN, BATCH, RATE = 100, 300, 64, 1e-3  # those of the example
DROPPED, LARGEST_BETA = 0.5, 0.5


def torch_vae(X: Any, epochs: int, seed: int) -> Callable[[Any], Any]:
    """Train the network of the example in PyTorch; return a function from likes to scores."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    encoder = nn.Sequential(nn.Linear(X.shape[1], HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2 * LATENT))
    decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, X.shape[1]))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
    steps, step = epochs * -(-X.shape[0] // BATCH), 0
    for _ in range(epochs):
        order = torch.randperm(X.shape[0]).numpy()
        for first in range(0, len(order), BATCH):
            x = torch.from_numpy(X[order[first : first + BATCH]].toarray())
            seen = F.dropout(F.normalize(x), DROPPED)
            mu, logvar = encoder(seen).chunk(2, dim=1)
            z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
            nll = -(F.log_softmax(decoder(z), dim=1) * x).sum(dim=1).mean()
            kl = (mu.square() + logvar.exp() - logvar - 1).sum(dim=1).mean() / 2
            optimizer.zero_grad(set_to_none=True)
            (nll + LARGEST_BETA * step / steps * kl).backward()
            optimizer.step()
            step += 1

    def scores(known: Any) -> Any:
        with torch.no_grad():
            seen = F.normalize(torch.from_numpy(known.toarray()))
            return torch.softmax(decoder(encoder(seen)[:, :LATENT]), dim=1).numpy()

    return scores


@click.command()
@click.option("--epochs", type=click.IntRange(1), default=60, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
def main(epochs: int, seeds: int) -> None:
    """Print the measures of vaefast and PyTorch, and the seconds of training on one thread."""
    recommend = import_module("recommend")  # the example

    print(f"{'':16}{'seed':>5}{'seconds':>9}" + "".join(f"{m:>18}" for m in recommend.MEASURES))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        X = recommend.likes(rng)
        order = rng.permutation(X.shape[0])
        train, test = X[order[len(order) // 5 :]], X[order[: len(order) // 5]]
        known, hidden = recommend.split(test, rng)
        for name, fit in (("vaefast", recommend.mult_vae), ("PyTorch", torch_vae)):
            began = time.perf_counter()
            scores = fit(train, epochs, seed)
            seconds = time.perf_counter() - began
            values = recommend.measure(scores(known), known, hidden)
            errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
            shown = zip(values.mean(axis=0), errors, strict=True)
            line = "".join(f"{mean:>9.3f} +- {error:.3f}" for mean, error in shown)
            print(f"{name:16}{seed:>5}{seconds:>9.1f}{line}")


if __name__ == "__main__":
    main()
