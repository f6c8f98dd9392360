"""MIDI files and the composer: real files of every kind, and what a musician relies on."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest

from commands import fail, succeed
from vaefast import NotFittedError, darkroom
from vaefast.darkroom import Composer, Piece


def save(path: Path, *tracks: list, **options: object) -> Path:
    """Write a MIDI file of tracks, each a list of (pitch, start, end) in quarters or messages."""
    written = []
    for track in tracks:
        events, messages = [], []
        for item in track:
            if isinstance(item, tuple):
                pitch, start, end, channel = (*item, 0)[:4]
                for kind, time in (("note_on", start), ("note_off", end)):
                    events.append((time, kind == "note_on", pitch, channel))
            else:
                messages.append(item)
        now = 0.0
        for time, on, pitch, channel in sorted(events):
            kind, ticks = ("note_on" if on else "note_off"), round(480 * (time - now))
            messages.append(mido.Message(kind, note=pitch, channel=channel, time=ticks))
            now = time
        written.append(mido.MidiTrack(messages))
    mido.MidiFile(tracks=written, ticks_per_beat=480, **options).save(path)
    return path


def scale(bars: int, tonic: int = 60, metre: int = 4) -> list[tuple[int, int, int]]:
    """Notes of a scale up and down over a drone, a quarter each."""
    steps = [0, 2, 4, 5, 7, 5, 4, 2]
    line = [(tonic + steps[i % 8], i, i + 1) for i in range(metre * bars)]
    return line + [(tonic - 12, metre * i, metre * (i + 1)) for i in range(bars)]


def sounding(piece: Piece) -> set[int]:
    return set(np.flatnonzero(piece.notes.any(axis=0)).tolist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Six songs of eight bars in different keys, each with lines of its own."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("songs")
    for i in range(6):
        line = [(55 + i + int(rng.choice([0, 2, 4, 5, 7])), t, t + 1) for t in range(32)]
        save(path / f"{i}.mid", [*line, *scale(8, 55 + i)[32:], (55 + i, 0, 1), (55 + i, 31, 32)])
    return path


@pytest.fixture
def brief(monkeypatch):
    """Makes the training short, for tests that do not look at the music."""
    monkeypatch.setattr("vaefast.darkroom.music.UPDATES", 20)


@pytest.fixture(scope="module")
def composer(folder) -> Composer:
    return Composer(random_state=0).fit(darkroom.read_midi(folder))


# ------------------------------------------------------------------ files


def test_a_file_becomes_a_piece_and_back(tmp_path):
    signature = mido.MetaMessage("time_signature", numerator=3, denominator=4)
    tempo = mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(90))
    path = save(tmp_path / "a.mid", [signature, tempo, (60, 0, 1), (60, 1, 1.5), (64, 0, 3)])
    (piece,) = darkroom.read_midi(path)
    assert (piece.bar, piece.bars, round(piece.tempo)) == (12, 1, 90)
    assert np.flatnonzero(piece.notes[:, 60]).tolist() == list(range(6))
    assert np.flatnonzero(piece.starts[:, 60]).tolist() == [0, 4]  # it is struck again
    assert piece.notes[:, 64].all() and piece.starts[:, 64].sum() == 1
    darkroom.write_midi(piece, tmp_path / "b.mid")
    (again,) = darkroom.read_midi(tmp_path / "b.mid")
    assert np.array_equal(again.notes, piece.notes) and np.array_equal(again.starts, piece.starts)
    assert (again.bar, round(again.tempo)) == (12, 90)


@pytest.mark.parametrize("kind", [0, 1])
def test_tracks_are_read_together_without_drums(tmp_path, kind):
    tracks = [[(60, 0, 1), (36, 0, 1, 9)], [(0, 1, 2), (127, 2, 3)]]
    tracks = [sum(tracks, [])] if kind == 0 else tracks
    (piece,) = darkroom.read_midi(save(tmp_path / "a.mid", *tracks, type=kind))
    assert sounding(piece) == {0, 60, 127}


def test_changes_of_tempo_move_no_note(tmp_path):
    faster = mido.MetaMessage("set_tempo", tempo=250_000, time=480)
    path = save(tmp_path / "a.mid", [(60, 0, 1), (62, 1, 2)], [faster])
    (piece,) = darkroom.read_midi(path)
    assert np.flatnonzero(piece.starts[:, 62]).tolist() == [4] and piece.tempo == 240


def test_silent_bars_at_the_start_are_left_out_and_an_upbeat_is_not(tmp_path):
    (piece,) = darkroom.read_midi(save(tmp_path / "a.mid", [(60, 11, 12), (62, 12, 13)]))
    assert piece.starts[:, 60].argmax() == 12 and piece.starts[:, 62].argmax() == 16


def test_a_note_without_an_end_lasts_until_the_end_of_its_track(tmp_path):
    on = mido.Message("note_on", note=60)
    end = mido.MetaMessage("end_of_track", time=960)
    (piece,) = darkroom.read_midi(save(tmp_path / "a.mid", [on, end]))
    assert piece.notes[:, 60].sum() == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a MIDI file, or broken (it ends too early)"),
        (b"no music at all", "MThd not found"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\x40\0\x90\x3c", "not a MIDI file, or broken"),
        (b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "type 2"),
        (b"MThd\0\0\0\6\0\0\0\1\xe7\x28MTrk\0\0\0\4\0\xff\x2f\0", "SMPTE frames"),
        (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "no notes besides drums"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, content, message):
    path = tmp_path / "wrong.mid"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="wrong.mid") as caught:
        darkroom.read_midi(path)
    assert message in str(caught.value)


def test_a_pause_of_years_is_refused(tmp_path):
    path = save(tmp_path / "a.mid", [(60, 0, 1), (60, 500_000, 500_001)])
    with pytest.raises(ValueError, match="lasts 2,000,004 sixteenth notes"):
        darkroom.read_midi(path)


def test_a_broken_file_of_a_folder_is_named_and_left_out(tmp_path):
    save(tmp_path / "good.mid", [(60, 0, 1)])
    (tmp_path / "deep").mkdir()
    save(tmp_path / "deep" / "too.MIDI", [(62, 0, 1)])
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    with pytest.warns(UserWarning, match="left out .*broken.mid"):
        pieces = darkroom.read_midi(tmp_path)
    assert [sounding(piece) for piece in pieces] == [{62}, {60}]


def test_a_folder_without_music_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no MIDI files"):
        darkroom.read_midi(tmp_path)
    (tmp_path / "a.mid").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match="none of its MIDI files can be read"),
    ):
        darkroom.read_midi(tmp_path)


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize("tonic", range(54, 66))
def test_a_scale_is_transposed_to_c(tmp_path, tonic):
    (piece,) = darkroom.read_midi(save(tmp_path / "a.mid", scale(2, tonic)))
    assert (tonic + piece.to_c) % 12 == 0 and -5 <= piece.to_c <= 6


def test_transposed_notes_stay_in_the_range_of_midi(tmp_path):
    (piece,) = darkroom.read_midi(save(tmp_path / "a.mid", [(0, 0, 1), (127, 0, 1)]))
    assert sounding(piece.transposed(-3)) == {9, 124}
    assert sounding(piece.transposed(3)) == {3, 118}


# ------------------------------------------------------------------ the composer


def test_a_new_piece_sounds_like_those_learned(composer):
    piece = composer.new(8, random_state=1)
    assert piece.bars == 8 and composer.bars_ == 48
    assert piece.notes.any(axis=1).mean() > 0.9
    in_c = np.isin(np.arange(128) % 12, [0, 2, 4, 5, 7])
    assert piece.notes[:, in_c].sum() > 0.95 * piece.notes.sum()
    assert piece.notes.sum(axis=1).max() <= 3  # a line and a drone, and a third note twice
    assert (piece.starts & ~piece.notes).sum() == 0
    assert np.array_equal(composer.new(8, random_state=1).notes, piece.notes)


def test_a_variation_of_no_strength_is_the_piece_in_its_key(composer, folder):
    piece = darkroom.read_midi(folder / "3.mid")[0]
    same = composer.vary(piece, strength=0.0)
    assert (same.notes & piece.notes).sum() > 0.8 * (same.notes | piece.notes).sum()
    assert same.bars == piece.bars


def test_a_morph_begins_and_ends_as_its_pieces(composer, folder):
    a, b = (darkroom.read_midi(folder / f"{i}.mid")[0] for i in (0, 5))
    longer = Piece(np.tile(b.notes, (2, 1)), np.tile(b.starts, (2, 1)))
    assert composer.morph(a, longer).bars == 16
    morph = composer.morph(a, b)
    first, last = (piece.transposed(piece.to_c).notes for piece in (a, b))
    assert (morph.notes & first)[:16].sum() > (morph.notes & last)[:16].sum()
    assert (morph.notes & first)[-16:].sum() < (morph.notes & last)[-16:].sum()


def test_notes_outside_the_learned_range_move_into_it(composer):
    notes = np.zeros((64, 128), bool)
    notes[::4, [0, 127]] = True
    varied = composer.vary(Piece(notes, notes), strength=0.0)
    assert varied.bars == 4


def test_another_metre_is_left_out_or_refused(composer, brief, tmp_path):
    signature = mido.MetaMessage("time_signature", numerator=3, denominator=4)
    (waltz,) = darkroom.read_midi(save(tmp_path / "a.mid", [signature, *scale(4, metre=3)]))
    with pytest.raises(ValueError, match="bars of 16 sixteenth notes.* got bars of 12"):
        composer.vary(waltz)
    (march,) = darkroom.read_midi(save(tmp_path / "b.mid", scale(5)))
    with pytest.warns(UserWarning, match="left out 1 of 2 pieces"):
        assert Composer(random_state=0).fit([waltz, march]).bars_ == 5


def test_too_little_music_and_wrong_arguments_are_refused(composer, folder, tmp_path):
    with pytest.raises(ValueError, match="at least 4 bars of music to learn from, got 1"):
        Composer().fit(darkroom.read_midi(save(tmp_path / "a.mid", [(60, 0, 1)])))
    with pytest.raises(ValueError, match="no pieces"):
        Composer().fit([])
    with pytest.raises(NotFittedError, match="Composer is not fitted"):
        Composer().new()
    with pytest.raises(ValueError, match="strength must be from 0 to 1"):
        composer.vary(darkroom.read_midi(folder / "0.mid")[0], strength=2)


# ------------------------------------------------------------------ the command


def test_compose_writes_a_piece_a_variation_and_a_morph(brief, folder, tmp_path):
    out = tmp_path / "new.mid"
    said = succeed("compose", folder, "--bars", 4, "--seed", 0, "-o", out)
    assert "a new piece, 4 bars, from 48 bars of" in said
    assert darkroom.read_midi(out)[0].notes.any()
    a, b = folder / "0.mid", folder / "1.mid"
    said = succeed("compose", a, a, "--seed", 0, "-o", tmp_path / "varied.mid")
    assert "a variation of 0.mid, 8 bars" in said
    said = succeed("compose", a, a, b, "--seed", 0, "-o", tmp_path / "morph.mid")
    assert "a morph of 0.mid into 1.mid, 8 bars" in said


def test_compose_refuses_before_it_learns(folder, tmp_path):
    a = folder / "0.mid"
    assert "at most two PIECES" in fail("compose", folder, a, a, a, "-o", tmp_path / "x", code=2)
    wrong = fail("compose", folder, a, "--bars", 3, "-o", tmp_path / "x", code=2)
    assert "--bars sets the length of a new piece" in wrong
    assert "already exists" in fail("compose", folder, "-o", a)
    assert "not a MIDI file" in fail("compose", folder, __file__, "-o", tmp_path / "x")
