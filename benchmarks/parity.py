"""Do the peers do the same work? Asked before anything is timed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks import workload
from benchmarks.nets import Net
from benchmarks.peers.base import Float, Peer, Weights

STEPS = 3
# Largest relative differences that float32 explains; a mistake in a formula is far above them.
TOLERANCES = {"reconstruction": 1e-4, "kl": 1e-4, "gradient": 1e-3, "update": 3e-2}


class ParityError(Exception):
    """Two peers differ on the same weights, rows and noise."""


def check(
    net: Net, batch_size: int, peers: Sequence[Peer], *, digits: bool = True
) -> dict[str, dict[str, float]]:
    """Compare each peer with the first one.

    On the same weights, rows and noise they must have the same reconstruction, kl and gradient of
    one batch, and the same figures and weights after an epoch of `STEPS` steps of Adam.

    Returns
    -------
    dict
        The largest relative differences found, by peer and quantity. Those of tensors are
        Euclidean: |a - b| / |b|, for an update with the change of the weights.

    Raises
    ------
    ParityError
        A difference is above `TOLERANCES`.
    """
    work = workload.make(net, STEPS * batch_size, digits=digits)
    work.weights["logvar.bias"][0] = -12  # there the bound on the log-variance bends
    first, *others = peers
    expected = _figures(first, work, batch_size)
    differences = {}
    for peer in others:
        differences[peer.name] = largest = dict.fromkeys(TOLERANCES, 0.0)
        for (quantity, name), value in _figures(peer, work, batch_size).items():
            difference = _relative_difference(value, expected[quantity, name])
            largest[quantity] = max(largest[quantity], difference)
            if not difference <= TOLERANCES[quantity]:  # NaN too
                raise ParityError(
                    f"{net}, batch {batch_size}: {peer.name} and {first.name} don't do the same "
                    f"work. On the same weights, rows and noise the {quantity} of {name} differs "
                    f"by {difference:.2g}, relatively; {TOLERANCES[quantity]:g} is allowed. "
                    "Nothing more is timed."
                )
    return differences


def _figures(peer: Peer, work: workload.Workload, batch_size: int) -> dict[tuple[str, str], Float]:
    """All that must agree, by quantity and name."""
    batch = slice(0, batch_size)
    peer.load(work.weights)
    *losses, gradients = peer.loss_and_gradients(work.X[work.order[batch]], work.noise[batch])
    figures = _losses("one batch", *losses)
    figures |= {("gradient", name): gradient for name, gradient in gradients.items()}
    peer.load(work.weights)
    figures |= _losses("an epoch", *peer.train_epoch(work.X, work.order, work.noise))
    trained: Weights = peer.weights()
    for name, before in work.weights.items():
        figures["update", name] = trained[name] - before
    return figures


def _losses(name: str, reconstruction: float, kl: float) -> dict[tuple[str, str], Float]:
    return {
        ("reconstruction", name): np.array(reconstruction, np.float32),
        ("kl", name): np.array(kl, np.float32),
    }


def _relative_difference(a: Float, b: Float) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-30))
