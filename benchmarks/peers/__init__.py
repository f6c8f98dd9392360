"""The peers: the libraries that vaefast is compared with, one module each, behind `base.Peer`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.base import Peer

# The first one is the reference of the parity check.
MODULES = ("numpy_vae", "vaefast_vae", "torch_vae", "jax_vae", "keras_vae")


def find(modules: tuple[str, ...] = MODULES) -> tuple[list[type[Peer]], dict[str, str]]:
    """Return the peers that can run here, and the reason why each of the others is left out.

    Parameters
    ----------
    modules : tuple of str
        Names of modules of `benchmarks.peers`, each with a tuple of classes named ``PEERS``.
    """
    found: list[type[Peer]] = []
    left_out: dict[str, str] = {}
    for module in modules:
        try:
            ways = import_module(f"benchmarks.peers.{module}").PEERS
        except Exception as error:  # a broken installation may raise anything
            left_out[module] = f"{type(error).__name__}: {error}"
            continue
        for way in ways:
            if reason := way.unavailable():
                left_out[way.name] = reason
            else:
                found.append(way)
    return found, left_out
