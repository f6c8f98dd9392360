"""Those that are compared: one file each, all behind `base.Peer`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.base import Peer

MODULES = ("numpy_vae", "vaefast_vae")  # the first one is what the others are checked against


def find(modules: tuple[str, ...] = MODULES) -> tuple[list[type[Peer]], dict[str, str]]:
    """Import the peers: those that are installed, and why each of the others is left out.

    A module of `benchmarks.peers` holds its classes in ``PEERS``.
    """
    found: list[type[Peer]] = []
    left_out: dict[str, str] = {}
    for module in modules:
        try:
            found += import_module(f"benchmarks.peers.{module}").PEERS
        except ImportError as error:
            left_out[module] = str(error)
    return found, left_out
