"""Conversion of MIDI files to pieces of music, as piano rolls, and back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._system.files import atomic_write
from ..errors import MissingExtraError

PITCHES = 128
STEPS = 4  # sixteenth notes in a quarter note
DRUMS = 9  # channel on which each pitch is a percussion instrument
LONGEST = 100_000  # sixteenth notes; broken files hold pauses of years
LATEST = 2**48  # ticks; broken files hold pauses beyond the integers of NumPy
SUFFIXES = ".mid", ".midi"
LOUDNESS = 72  # MIDI velocity of written notes
RESOLUTION = 480  # ticks of a quarter note in written files

# How strongly each of the twelve pitches belongs to a major and to a minor key (Krumhansl and
# Kessler 1982), from the tonic upwards.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

Roll = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of music, in sixteenth notes.

    Attributes
    ----------
    notes : ndarray of shape (steps, 128), bool
        Whether each MIDI note sounds. Note 60 is middle C.
    starts : ndarray of shape (steps, 128), bool
        Whether a sounding note begins at this step. This alone distinguishes a held note from one
        that is struck again.
    bar : int, default=16
        Sixteenth notes in a bar.
    tempo : float, default=120.0
        Quarter notes per minute.
    """

    notes: Roll
    starts: Roll
    bar: int = 16
    tempo: float = 120.0

    @property
    def bars(self) -> int:
        """Number of bars, of which the last one may be incomplete."""
        return -(-len(self.notes) // self.bar)

    @property
    def to_c(self) -> int:
        """Semitones, -5 to 6, by which the piece is transposed to C major or A minor.

        The key is the one whose profile correlates best with the durations of the twelve pitches
        (Krumhansl 1990).
        """
        sounds = np.bincount(np.arange(PITCHES) % 12, self.notes.sum(axis=0), 12)
        keys = [
            (float(np.roll(profile, tonic) @ sounds), tonic, home)
            for profile, home in ((_profile(MAJOR), 0), (_profile(MINOR), 9))
            for tonic in range(12)
        ]
        _, tonic, home = max(keys)
        up = (home - tonic) % 12
        return up - 12 * (up > 6)

    def transposed(self, semitones: int) -> Piece:
        """Return the piece in another key. Notes outside the range of MIDI move by an octave."""
        parts = []
        for roll in (self.notes, self.starts):
            moved = np.zeros_like(roll)
            steps, pitches = np.nonzero(roll)
            pitches = pitches + semitones
            pitches += 12 * (pitches < 0) - 12 * (pitches >= PITCHES)
            moved[steps, pitches] = True
            parts.append(moved)
        return Piece(parts[0], parts[1], self.bar, self.tempo)


def read_midi(path: str | os.PathLike[str]) -> list[Piece]:
    """Return the pieces of a MIDI file, or of all MIDI files of a folder.

    The notes of all tracks are read together, rounded to sixteenth notes. Drums and pauses before
    the first bar with a note are left out. The piece has the first tempo and the first time
    signature of the file. A file of a folder that cannot be read is named in a warning and left
    out.

    Parameters
    ----------
    path : path
        A file, or a folder with files that end in .mid or .midi, at any depth.

    Returns
    -------
    list of Piece
        One piece for each file, in the order of their names.

    Raises
    ------
    MissingExtraError
        The package mido is not installed.
    OSError
        The file cannot be opened.
    ValueError
        The file is not a MIDI file, is broken or has no notes; or no file of the folder can be
        read.
    """
    path = Path(path)
    if not path.is_dir():
        return [_read(path)]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    pieces = []
    for file in files:
        try:
            pieces.append(_read(file))
        except ValueError as error:
            warnings.warn(f"left out {error}", stacklevel=2)
    if not pieces:
        why = "none of its MIDI files can be read" if files else "it holds no MIDI files"
        raise ValueError(f"{path}: {why}, expected files that end in {' or '.join(SUFFIXES)}")
    return pieces


def write_midi(piece: Piece, path: str | os.PathLike[str]) -> None:
    """Write a piece as a MIDI file with one track, for a piano.

    Parameters
    ----------
    piece : Piece
        Piece to write.
    path : path
        The file. It is replaced as a whole or not at all.

    Raises
    ------
    MissingExtraError
        The package mido is not installed.
    OSError
        The file cannot be written.
    """
    mido = _mido()
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(piece.tempo)))
    beats, unit = (piece.bar // 4, 4) if piece.bar % 4 == 0 else (piece.bar, 16)
    track.append(mido.MetaMessage("time_signature", numerator=beats, denominator=unit))
    silent = np.zeros((1, PITCHES), bool)
    notes, starts = (np.concatenate([roll, silent]) for roll in (piece.notes, piece.starts))
    before = np.concatenate([silent, notes[:-1]])
    ends = before & (~notes | starts)
    begins = notes & (starts | ~before)
    last = 0
    for step in range(len(notes)):
        for kind, roll in (("note_off", ends), ("note_on", begins)):
            for pitch in np.flatnonzero(roll[step]).tolist():
                time = (step - last) * RESOLUTION // STEPS
                track.append(mido.Message(kind, note=pitch, velocity=LOUDNESS, time=time))
                last = step
    with atomic_write(path) as temporary:
        mido.MidiFile(ticks_per_beat=RESOLUTION, tracks=[track]).save(temporary)


def _profile(weights: Sequence[float]) -> NDArray[np.float64]:
    """Return weights with mean 0 and standard deviation 1."""
    values = np.array(weights)
    profile: NDArray[np.float64] = (values - values.mean()) / values.std()
    return profile


def _mido() -> Any:
    try:
        import mido
    except ImportError as error:
        raise MissingExtraError("MIDI files need mido: pip install 'vaefast[music]'") from error
    return mido


def _read(path: Path) -> Piece:
    mido = _mido()
    with path.open("rb") as file:
        try:
            midi = mido.MidiFile(file=file, clip=True)
        except Exception as error:  # mido raises many types for damaged or foreign files
            why = str(error) or "it ends too early"
            raise ValueError(f"{path}: not a MIDI file, or broken ({why})") from error
    if midi.type == 2:
        raise ValueError(
            f"{path}: a MIDI file of type 2, whose tracks are not played together; expected type "
            "0 or 1"
        )
    if midi.ticks_per_beat <= 0:
        raise ValueError(f"{path}: counts time in SMPTE frames, expected ticks per beat")
    found = [note for track in midi.tracks for note in _notes_of(track)]
    if not found:
        raise ValueError(f"{path}: has no notes besides drums")
    if max(end for _, end, _ in found) > LATEST:
        raise ValueError(f"{path}: broken, a note begins or ends after more than {LATEST:,} ticks")
    step = midi.ticks_per_beat / STEPS
    events = np.array(found)
    begins = np.rint(events[:, 0] / step).astype(int)
    ends = np.maximum(begins + 1, np.rint(events[:, 1] / step).astype(int))
    signature = _first(midi, "time_signature")
    bar = 16
    if signature is not None:
        bar = max(1, round(16 * signature.numerator / signature.denominator))
    pause = begins.min() // bar * bar
    if (length := int(ends.max() - pause)) > LONGEST:
        raise ValueError(f"{path}: lasts {length:,} sixteenth notes, expected at most {LONGEST:,}")
    notes, starts = (np.zeros((length, PITCHES), bool) for _ in range(2))
    for begin, end, pitch in zip(begins - pause, ends - pause, events[:, 2], strict=True):
        notes[begin:end, pitch] = starts[begin, pitch] = True
    tempo = _first(midi, "set_tempo")
    return Piece(notes, starts, bar, 120.0 if tempo is None else 6e7 / max(1, tempo.tempo))


def _notes_of(track: Any) -> Iterator[tuple[int, int, int]]:
    """Yield the first and the last tick and the pitch of each note of a track."""
    now = 0
    sounding: dict[tuple[int, int], int] = {}
    for message in track:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        voice = message.channel, message.note
        if (begin := sounding.pop(voice, None)) is not None:
            yield begin, now, message.note
        if message.type == "note_on" and message.velocity:
            sounding[voice] = now
    for (_, pitch), begin in sounding.items():
        yield begin, now, pitch


def _first(midi: Any, kind: str) -> Any:
    """Return the first message of a kind in any track, or None."""
    return next((m for track in midi.tracks for m in track if m.type == kind), None)
