"""Learn bars of music, write a new piece and a morph of two, and compare them with real ones.

    python examples/music.py --data FOLDER --out runs/music

The data are MIDI files, or gzipped JSON: {"train": [song, ...], "test": [song, ...]}. A song is a
list of sixteenths, each a list of MIDI notes. VAEFAST_DATA may name a folder with Bach's chorales
instead. `vaefast compose FOLDER` writes a new piece from MIDI files.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure

from plain import Command
from vaefast import darkroom, pictures
from vaefast.darkroom import Piece

CONSONANT = [0, 3, 4, 5, 7, 8, 9]  # semitones modulo 12: unison, thirds, fourth, fifth, sixths
SCALE = [0, 2, 4, 5, 7, 9, 11]  # of C major and A minor, to which the composer transposes


def piece_of(song: list[list[int]]) -> Piece:
    """Return a song as a piece for which an upbeat fills the first bar."""
    silent = -len(song) % 16
    notes = np.zeros((silent + len(song), 128), bool)
    for step, chord in enumerate(song, silent):
        notes[step, [int(note) for note in chord]] = True
    before = np.vstack([np.zeros_like(notes[:1]), notes[:-1]])
    return Piece(notes, notes & ~before, tempo=76)


def read(data: Path) -> tuple[list[Piece], list[Piece]]:
    """Return the pieces to learn and those to compare with."""
    file = data / "jsb-chorales" / "jsb-chorales-16th.json.gz"
    if data.is_dir() and not file.exists():
        pieces = darkroom.read_midi(data)
        return pieces[len(pieces) // 5 :], pieces[: max(2, len(pieces) // 5)]
    songs = json.loads(gzip.decompress((file if data.is_dir() else data).read_bytes()))
    return [piece_of(song) for song in songs["train"]], [piece_of(song) for song in songs["test"]]


def facts(pieces: list[Piece]) -> dict[str, float]:
    """Return shares of notes in the scale and of consonant pairs, and two densities."""
    shared = [piece.transposed(piece.to_c) for piece in pieces]
    notes = np.concatenate([piece.notes for piece in shared]).astype(float)
    starts = sum(piece.starts.sum() for piece in shared)
    low, high = np.triu_indices(128, 1)
    together = (notes.T @ notes)[low, high]
    return {
        "in the scale": notes[:, np.isin(np.arange(128) % 12, SCALE)].sum() / notes.sum(),
        "consonant": together[np.isin((high - low) % 12, CONSONANT)].sum() / max(together.sum(), 1),
        "at a time": notes.sum(axis=1).mean(),
        "begin in a bar": 16 * starts / len(notes),
    }


@click.command(cls=Command)
@click.option("--data", envvar="VAEFAST_DATA", required=True, show_envvar=True, type=Path)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=Path, default="runs/music", show_default=True)
def main(data: Path, seed: int, out: Path) -> None:
    """Learn bars of music; write a new piece and a morph, and compare them with real ones."""
    train, test = read(data)
    composer = darkroom.Composer(random_state=seed).fit(train)
    print(f"Learned {composer.bars_:,} bars of {len(train)} pieces")
    new = [composer.new(16, random_state=seed + i) for i in range(10)]
    a, b = sorted(test, key=lambda piece: piece.bars)[-2:]
    rows = {"real": test, "new": new, "morph": [composer.morph(a, b)]}
    figure = Figure(figsize=(11, 7), dpi=75, layout="constrained")
    for axes, (name, pieces) in zip(figure.subplots(3), rows.items(), strict=True):
        print(f"{name}: " + ", ".join(f"{v:.2f} {what}" for what, v in facts(pieces).items()))
        notes = (pieces[0].notes.astype(int) + pieces[0].starts)[: 16 * 16]
        edges = np.arange(len(notes) + 1) / 16, np.arange(129)
        axes.pcolormesh(*edges, notes.T, cmap="Blues")
        axes.set(title=name, ylabel="MIDI note", ylim=(30, 86))
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(figure, out / "music.png")
    darkroom.write_midi(new[0], out / "new.mid")
    darkroom.write_midi(rows["morph"][0], out / "morph.mid")
    print(f"Wrote music.png, new.mid and morph.mid to {out}")


if __name__ == "__main__":
    main()
