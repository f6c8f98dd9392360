"""Learn bars of chorales as piano rolls, then write a new chorale and a morph of two as MIDI.

    python examples/music.py --out runs/music

The data are gzipped JSON: {"train": [song, ...], "test": [song, ...]}. A song is a list of
sixteenths, each a list of MIDI notes. VAEFAST_DATA may name a folder with Bach's chorales instead.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import click
import mido
import numpy as np
from matplotlib.figure import Figure

from plain import Command
from vaefast import VAE, latent, pictures

LOWEST, PITCHES = 28, 60  # MIDI notes 28 to 87
STEPS, BARS = 16, 12  # sixteenths in a bar, bars in a new chorale
CONSONANT = [0, 3, 4, 5, 7, 8, 9]  # semitones modulo 12: unison, thirds, fourth, fifth, sixths


def bars_of(song: list[list[int]]) -> np.ndarray:
    """Return a song as 0 and 1, (bars, steps, pitches), without upbeat and ending on a bass C."""
    tonic = int(min(song[-1])) % 12 if song[-1] else 0
    roll = np.zeros((len(song), PITCHES), np.float32)
    for step, chord in enumerate(song):
        roll[step, [int(note) - LOWEST - tonic + 12 * (tonic > 6) for note in chord]] = 1
    return roll[len(song) % STEPS :].reshape(-1, STEPS, PITCHES)


def before(bars: np.ndarray) -> np.ndarray:
    """Return the conditions of each bar: the chord before it, and how far the song has gone."""
    return np.column_stack([np.pad(bars[:-1, -1], [(1, 0), (0, 0)]), np.linspace(0, 1, len(bars))])


def compose(vae: VAE, codes: np.ndarray) -> np.ndarray:
    """Decode bar after bar, conditioned on the bar before, with at most four notes at a time."""
    bars = np.zeros((len(codes), STEPS, PITCHES), np.float32)
    for i, code in enumerate(codes):
        p = vae.inverse_transform(code[None], before(bars)[i, None])[0]
        bars[i] = p >= np.maximum(np.sort(p)[:, [-4]], 0.3)
    return bars


def harmony(bars: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the share of each of the twelve pitches, and the share of consonant pairs of notes."""
    low, high = np.triu_indices(PITCHES, 1)
    together = np.einsum("bti,btj->ij", bars, bars)[low, high]
    consonant = together[np.isin((high - low) % 12, CONSONANT)].sum() / max(together.sum(), 1)
    counts = np.bincount((np.nonzero(bars)[-1] + LOWEST) % 12, minlength=12)
    return counts / max(bars.sum(), 1), consonant


def save_midi(bars: np.ndarray, path: Path) -> None:
    """Write bars for a church organ. A sixteenth is 190 ticks of 1/960 s: 76 quarters a minute."""
    track = mido.MidiTrack([mido.Message("program_change", program=19)])
    last, change = 0, np.diff(bars.reshape(-1, PITCHES), axis=0, prepend=0, append=0)
    for step, pitch in np.argwhere(change).tolist():
        kind = "note_on" if change[step, pitch] > 0 else "note_off"
        track.append(mido.Message(kind, note=LOWEST + pitch, time=190 * (step - last)))
        last = step
    mido.MidiFile(tracks=[track]).save(path)


@click.command(cls=Command)
@click.option("--data", envvar="VAEFAST_DATA", required=True, show_envvar=True, type=Path)
@click.option("--epochs", type=click.IntRange(1), default=50, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=Path, default="runs/music", show_default=True)
def main(data: Path, epochs: int, seed: int, out: Path) -> None:
    """Learn bars of chorales; write a new one and a morph, and compare them with real ones."""
    file = data / "jsb-chorales" / "jsb-chorales-16th.json.gz" if data.is_dir() else data
    songs = json.loads(gzip.decompress(file.read_bytes()))
    train, test = [[bars_of(s) for s in songs[part]] for part in ("train", "test")]
    X, real = map(np.concatenate, (train, test))
    told = [np.concatenate([before(song) for song in part]) for part in (train, test)]
    vae = VAE(32, (512,), conditional=True, dropout=0.2, epochs=epochs, random_state=seed)
    score = vae.fit(X, told[0]).score(real, told[1])
    print(f"Learned {len(X):,} bars of {len(train)} songs; ELBO of test bars {score:.1f} nats")
    # A new chorale is a random walk that keeps the prior. A morph leads from one song to another.
    rng = np.random.default_rng(seed)
    walks = rng.standard_normal((20, BARS, 32)).astype(np.float32)
    for i in range(1, BARS):
        walks[:, i] = 0.6 * walks[:, i - 1] + 0.8 * walks[:, i]
    a, b = [vae.transform(song, before(song)) for song in sorted(test, key=len)[-2:]]
    ways = [latent.path([a[i], b[i - BARS]], BARS, "spherical")[i] for i in range(BARS)]
    new, morph = np.concatenate([compose(vae, walk) for walk in walks]), compose(vae, ways)
    shuffled = rng.permuted(real.reshape(-1, PITCHES), axis=0)[None]  # each pitch by itself
    rolls = {"real": real, "new": new, "morph": morph, "real, shuffled": shuffled}
    figure = Figure(figsize=(11, 10), dpi=75, layout="constrained")
    *panels, last = figure.subplots(5, 1)
    for i, (axes, (name, bars)) in enumerate(zip(panels, rolls.items(), strict=True)):
        shares, consonant = harmony(bars)
        away = np.abs(shares - harmony(real)[0]).sum() / 2
        print(f"{name}: {consonant:.0%} of pairs consonant; pitch shares differ by {away:.0%}")
        edges = np.arange(BARS * STEPS + 1) / STEPS, LOWEST + np.arange(PITCHES + 1)
        axes.pcolormesh(*edges, bars.reshape(-1, PITCHES)[: BARS * STEPS].T, cmap="Blues")
        axes.set(title=f"{name}: {consonant:.0%} consonant", ylabel="MIDI note", ylim=(34, 84))
        last.bar(np.arange(12) + 0.2 * i - 0.3, shares, 0.2, label=name)
    last.set_xticks(range(12), ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"])
    last.legend(title="share of notes", bbox_to_anchor=(1, 1.1), frameon=False)
    out.mkdir(parents=True, exist_ok=True)
    pictures.save(figure, out / "music.png")
    save_midi(new[:BARS], out / "new.mid")
    save_midi(morph, out / "morph.mid")
    print(f"Wrote music.png, new.mid and morph.mid to {out}")


if __name__ == "__main__":
    main()
