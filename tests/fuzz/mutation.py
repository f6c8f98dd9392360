"""Random changes of valid content."""

from __future__ import annotations

from typing import Any

from targets import Target


def mutated(target: Target, rng: Any) -> bytes:
    """Return a seed of the target after one to eight random changes."""
    seeds = target.seeds()
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(rng.integers(1, 9)):
        if not data:
            break
        CHANGES[rng.integers(len(CHANGES))](data, rng, seeds)
    return bytes(data)


def _flip(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def _extreme(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    data[rng.integers(len(data))] = (0, 255, 127, 128, 10, 34, 45, 48)[rng.integers(8)]


def _number(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    """Overwrite bytes by an integer at the limit of its type."""
    width = (2, 4, 8)[rng.integers(3)]
    value = (1 << 8 * width) - 1 >> int(rng.integers(3))
    at = int(rng.integers(len(data)))
    data[at : at + width] = value.to_bytes(width, ("little", "big")[rng.integers(2)])


def _digits(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    """Insert text that numbers, JSON and CSV have."""
    texts = (
        b"-1",
        b"1e999",
        b"NaN",
        b"99999999999",
        b"null",
        b"[]",
        b"{}",
        b'"',
        b",",
        b"\n",
        b"\xff",
    )
    at = int(rng.integers(len(data)))
    data[at : at + int(rng.integers(2))] = texts[rng.integers(len(texts))]


def _cut(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.integers(1, 1 + min(64, len(data))))]


def _repeat(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = data[at : at + int(rng.integers(1, 33))]


def _splice(data: bytearray, rng: Any, seeds: list[bytes]) -> None:
    other = seeds[rng.integers(len(seeds))]
    data[int(rng.integers(len(data))) :] = other[int(rng.integers(len(other))) :]


CHANGES = (_flip, _flip, _extreme, _number, _digits, _digits, _cut, _repeat, _splice)
