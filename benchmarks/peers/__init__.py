"""Those that are compared: one file each, all behind `base.Peer`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.base import Peer

# The first one is what the others are checked against.
MODULES = ("numpy_vae", "vaefast_vae", "torch_vae", "jax_vae", "keras_vae")


def find(modules: tuple[str, ...] = MODULES) -> tuple[list[type[Peer]], dict[str, str]]:
    """Import the peers: those that can run here, and why each of the others is left out.

    A module of `benchmarks.peers` holds its classes in ``PEERS``.
    """
    found: list[type[Peer]] = []
    left_out: dict[str, str] = {}
    for module in modules:
        try:
            ways = import_module(f"benchmarks.peers.{module}").PEERS
        except Exception as error:  # a broken installation can raise anything
            left_out[module] = f"{type(error).__name__}: {error}"
            continue
        for way in ways:
            if reason := way.unavailable():
                left_out[way.name] = reason
            else:
                found.append(way)
    return found, left_out
