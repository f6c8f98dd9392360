"""Composition of music by a VAE that has learned the bars of pieces."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import latent
from .._input.seeds import seed_from
from .._input.validation import check_integer
from ..errors import CollapseWarning, not_fitted
from ..typing import RandomState
from ..vae import VAE
from .midi import PITCHES, Piece, Roll

FEWEST = 4  # fewest bars to learn from
UPDATES = 1200  # steps of the training
KEPT = 0.05  # probability by which a sounding note is preferred to others
SPARSE = 0.25  # notes added to the expected number, because a mean of many bars has too few
VARIATION = 0.35  # share of noise in the codes of new and of repeated phrases

Floats = NDArray[np.float32]


class Composer:
    """Learns the bars of pieces, and writes new pieces, variations, and morphs of two pieces.

    Each piece is transposed to C major or A minor, so that all share their pitches. A bar is a row
    of zeros and ones, which say whether each note sounds, and whether it begins, at each sixteenth.
    A conditional VAE learns the bars. Its conditions are the last notes of the bar before, and
    whether the piece begins or ends.

    Parameters
    ----------
    random_state : int, Generator, RandomState or None, default=None
        Seed of the training.
    verbose : bool, default=False
        Whether to show progress.

    Attributes
    ----------
    vae_ : VAE
        The model of the bars.
    bars_ : int
        Number of bars that the model learned.
    codes_ : list of ndarray of shape (bars, latent_dim)
        Codes of the bars of each learned piece.
    """

    def __init__(self, *, random_state: RandomState = None, verbose: bool = False) -> None:
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, pieces: Sequence[Piece]) -> Composer:
        """Learn the bars of pieces.

        Parameters
        ----------
        pieces : sequence of Piece
            Pieces with at least 4 bars in all. Pieces whose metre differs from that of most bars
            are left out, and a warning says how many.

        Returns
        -------
        Composer
            The object itself.

        Raises
        ------
        ValueError
            The pieces have fewer than 4 bars.
        """
        bars = Counter[int]()
        for piece in pieces:
            bars[piece.bar] += piece.bars
        if not bars:
            raise ValueError("there are no pieces to learn from")
        self.bar_, self.bars_ = bars.most_common(1)[0]
        chosen = [piece for piece in pieces if piece.bar == self.bar_]
        if len(chosen) < len(pieces):
            warnings.warn(
                f"left out {len(pieces) - len(chosen)} of {len(pieces)} pieces, whose bars do not "
                f"have {self.bar_} sixteenth notes like most bars",
                stacklevel=2,
            )
        if self.bars_ < FEWEST:
            raise ValueError(
                f"expected at least {FEWEST} bars of music to learn from, got {self.bars_}"
            )
        shared = [piece.transposed(piece.to_c) for piece in chosen]
        used = np.flatnonzero(np.any([piece.notes.any(axis=0) for piece in shared], axis=0))
        self.lowest_, self.pitches_ = int(used[0]), int(used[-1] - used[0] + 1)
        self.tempo_ = float(np.median([piece.tempo for piece in chosen]))
        voices = np.concatenate([piece.notes.sum(axis=1) for piece in shared])
        self.voices_ = max(1, int(np.quantile(voices, 0.99)))
        rolls = [self._cut(piece) for piece in shared]
        X = np.concatenate(rolls)
        size = min(128, len(X))
        vae = VAE(32, (512,), conditional=True, dropout=0.2, batch_size=size, verbose=self.verbose)
        vae.set_params(epochs=math.ceil(UPDATES * size / len(X)))
        vae.set_params(random_state=seed_from(self.random_state))
        y = np.concatenate([_before(roll) for roll in rolls])
        # In repetitive music, the bar before determines the next one, and the codes collapse.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)
            self.vae_ = vae.fit(X.reshape(len(X), -1), y)
        self.codes_ = [self._encoded(piece)[0] for piece in shared]
        return self

    def new(self, bars: int = 16, *, random_state: RandomState = None) -> Piece:
        """Write a new piece in C major or A minor.

        The piece has four phrases: a first one, a variation of the first, another one, and the
        variation again. The codes of a phrase mix those of two learned phrases and add random
        noise.

        Parameters
        ----------
        bars : int, default=16
            Number of bars.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the piece.

        Returns
        -------
        Piece
            The new piece.

        Raises
        ------
        NotFittedError
            The composer has not learned any pieces yet.
        ValueError
            `bars` is below 1.
        """
        bars = check_integer(bars, "bars")
        self._check_fitted()
        rng = np.random.default_rng(seed_from(random_state))
        first, other = (self._phrase(math.ceil(bars / 4), rng) for _ in range(2))
        again = _varied(first, VARIATION, rng)
        return self._piece(np.concatenate([first, again, other, again])[:bars])

    def vary(
        self, piece: Piece, *, strength: float = 0.5, random_state: RandomState = None
    ) -> Piece:
        """Write a variation of a piece, in its key and of its length.

        Parameters
        ----------
        piece : Piece
            A piece whose bars are as long as the learned ones.
        strength : float, default=0.5
            Share of random noise in the codes, from 0 to 1. 0 gives the piece as the model
            reconstructs it.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the variation.

        Returns
        -------
        Piece
            The variation.

        Raises
        ------
        NotFittedError
            The composer has not learned any pieces yet.
        ValueError
            The piece has bars of another length, or `strength` is not from 0 to 1.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, got {strength}")
        rng = np.random.default_rng(seed_from(random_state))
        codes = _varied(self._encoded(piece.transposed(piece.to_c))[0], strength, rng)
        return self._piece(codes, piece.tempo).transposed(-piece.to_c)

    def morph(self, a: Piece, b: Piece) -> Piece:
        """Write a piece that begins as one piece and ends as another.

        Both are transposed to C major or A minor, and the result stays there. It is as long as the
        longer one; the shorter one is repeated.

        Parameters
        ----------
        a, b : Piece
            Pieces whose bars are as long as the learned ones.

        Returns
        -------
        Piece
            The piece between the two.

        Raises
        ------
        NotFittedError
            The composer has not learned any pieces yet.
        ValueError
            A piece has bars of another length.
        """
        codes, told = zip(*(self._encoded(p.transposed(p.to_c)) for p in (a, b)), strict=True)
        bars = max(map(len, codes))
        i, j = np.arange(bars) % len(codes[0]), np.arange(-bars, 0) % len(codes[1])
        ways = np.stack(
            [
                latent.path([codes[0][m], codes[1][n]], max(bars, 2), "spherical")[bar]
                for bar, (m, n) in enumerate(zip(i, j, strict=True))
            ]
        )
        share = np.linspace(0, 1, bars, dtype=np.float32)[:, None]
        before = (1 - share) * told[0][i] + share * told[1][j]
        return self._piece(ways, (a.tempo + b.tempo) / 2, before)

    def _phrase(self, bars: int, rng: np.random.Generator) -> Floats:
        """Return codes of a new phrase: a mixture of two learned phrases, and some noise.

        Codes of consecutive bars go together, which codes drawn from the prior do not.
        """
        parts = []
        for _ in range(2):
            codes = self.codes_[rng.integers(len(self.codes_))]
            first = rng.integers(max(1, len(codes) - bars + 1))
            parts.append(np.resize(codes[first : first + bars], (bars, codes.shape[1])))
        return _varied((parts[0] + parts[1]) / math.sqrt(2), VARIATION, rng)

    def _check_fitted(self) -> None:
        if not hasattr(self, "vae_"):
            raise not_fitted("Composer")

    def _cut(self, piece: Piece) -> Floats:
        """Return the bars of a piece in C, (bars, steps, pitches, 2), with the last one padded.

        Notes outside the learned range move into it by octaves.
        """
        rolls = np.zeros((piece.bars * self.bar_, self.pitches_, 2), np.float32)
        for part, roll in enumerate((piece.notes, piece.starts & piece.notes)):
            steps, pitches = np.nonzero(roll)
            place = pitches - self.lowest_
            place = np.where(place < 0, place % 12, place)
            over = place >= self.pitches_
            place[over] -= 12 * -(-(place[over] - self.pitches_ + 1) // 12)
            fits = (place >= 0) & (place < self.pitches_)
            rolls[steps[fits], place[fits], part] = 1
        return rolls.reshape(piece.bars, self.bar_, self.pitches_, 2)

    def _encoded(self, piece: Piece) -> tuple[Floats, Floats]:
        """Return the codes and the conditions of the bars of a piece in C."""
        self._check_fitted()
        if piece.bar != self.bar_:
            raise ValueError(
                f"expected a piece with bars of {self.bar_} sixteenth notes, as those that were "
                f"learned, got bars of {piece.bar}"
            )
        bars = self._cut(piece)
        before = _before(bars)
        return self.vae_.transform(bars.reshape(len(bars), -1), before), before

    def _piece(
        self, codes: Floats, tempo: float | None = None, before: Floats | None = None
    ) -> Piece:
        """Return a piece of decoded bars, given `before` or the bars that were just written."""
        shape = self.bar_, self.pitches_, 2
        bars = np.zeros((len(codes), *shape), np.float32)
        last = np.zeros(self.pitches_, bool)
        for i, code in enumerate(codes):
            told = _before(bars) if before is None else before
            decoded = self.vae_.inverse_transform(code[None], told[i, None])
            for step, p in enumerate(decoded.reshape(shape)):
                last, bars[i, step, :, 1] = self._chord(p, last)
                bars[i, step, :, 0] = last
        rolls = [np.zeros((len(codes) * self.bar_, PITCHES), bool) for _ in range(2)]
        for part, roll in enumerate(rolls):
            range_ = slice(self.lowest_, self.lowest_ + self.pitches_)
            roll[:, range_] = bars[..., part].reshape(len(roll), -1) > 0
        return Piece(rolls[0], rolls[1], self.bar_, tempo or self.tempo_)

    def _chord(self, p: Floats, last: Roll) -> tuple[Roll, Roll]:
        """Return the notes of a step and those that begin, given probabilities (pitches, 2).

        The expected number of notes sound. They are those with the highest probabilities, with some
        preference for notes that already sound.
        """
        count = min(self.voices_, round(float(p[:, 0].sum()) + SPARSE))
        notes = np.zeros(len(p), bool)
        notes[np.argsort(-(p[:, 0] + KEPT * last), kind="stable")[:count]] = True
        again = p[:, 1] > p[:, 0] / 2
        return notes, notes & (again | ~last)


def _before(bars: Floats) -> Floats:
    """Return the conditions of each bar: the last notes of the bar before, and the bar's role.

    The role tells whether the piece begins or ends with the bar. More of the bar before would
    determine all bars of a single piece.
    """
    last = np.zeros_like(bars[:, 0, :, 0])
    last[1:] = bars[:-1, -1, :, 0]
    ends = np.zeros((len(bars), 2), np.float32)
    ends[0, 0] = ends[-1, 1] = 1
    return np.hstack([last, ends])


def _varied(codes: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Return codes with a share of noise. If the codes follow the prior, so does the result."""
    noise = rng.standard_normal(codes.shape).astype(np.float32)
    return math.sqrt(1 - strength**2) * codes + strength * noise
