"""The parity check: before anything is timed, all peers must do the same work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks import workload
from benchmarks.nets import Net
from benchmarks.peers.base import Float, Peer, Weights

STEPS = 3
# Largest relative differences that float32 rounding explains. A wrong formula is far above them.
TOLERANCES = {"reconstruction": 1e-4, "kl": 1e-4, "gradient": 1e-3, "update": 3e-2}


class ParityError(Exception):
    """Two peers disagree on the same weights, rows and noise."""


def check(
    net: Net, batch_size: int, peers: Sequence[Peer], *, digits: bool = True
) -> dict[str, dict[str, float]]:
    """Compare each peer with the first one.

    On the same weights, rows and noise, all peers must agree on the reconstruction, the kl and the
    gradients of one batch, and on the losses and weights after an epoch of `STEPS` steps of Adam.

    Parameters
    ----------
    net : Net
        The net that the peers train.
    batch_size : int
        Rows of a batch.
    peers : sequence of Peer
        The peers. The first one is the reference.
    digits : bool, default=True
        Whether nets with 784 features are compared on digits.

    Returns
    -------
    dict
        The largest relative differences, by peer and quantity. For a tensor this is
        ``|a - b| / |b|`` in the Euclidean norm. For an update, a and b are changes of a weight.

    Raises
    ------
    ParityError
        A difference is above its tolerance in `TOLERANCES`.
    """
    work = workload.make(net, STEPS * batch_size, digits=digits)
    work.weights["logvar.bias"][0] = -12  # below -10, where the bound on logvar takes effect
    first, *others = peers
    expected = _figures(first, work, batch_size)
    differences = {}
    for peer in others:
        differences[peer.name] = largest = dict.fromkeys(TOLERANCES, 0.0)
        for (quantity, name), value in _figures(peer, work, batch_size).items():
            difference = _relative_difference(value, expected[quantity, name])
            largest[quantity] = max(largest[quantity], difference)
            if not difference <= TOLERANCES[quantity]:  # true for NaN as well
                raise ParityError(
                    f"{net}, batch {batch_size}: {peer.name} and {first.name} do not do the same "
                    f"work. On the same weights, rows and noise, the {quantity} of {name} differs "
                    f"by {difference:.2g}; the largest relative difference allowed is "
                    f"{TOLERANCES[quantity]:g}. The run stops here."
                )
    return differences


def _figures(peer: Peer, work: workload.Workload, batch_size: int) -> dict[tuple[str, str], Float]:
    """Return all quantities that must agree, by quantity and name."""
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
