"""A programme: clips of known genre, talk and silence, spliced into one stream like a broadcast.

    piece     |------ rock ------|--- not_music ---|----- jazz -----|- silence -|
    files      a.ogg b.ogg c.ogg   talk.ogg          d.ogg e.ogg
              where two pieces fade into each other, the border is the middle of the fade

A programme is random, from folders and a seed, or read from a file that names every piece; a random one can be written
to such a file, edited and played again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from genrewatch.audio.decoding import read_samples
from genrewatch.audio.pcm import Block
from genrewatch.contract.decode import decode, read_json, read_toml
from genrewatch.contract.errors import DataError, require
from genrewatch.contract.front_end import Samples
from genrewatch.contract.vote import NOT_MUSIC, SILENCE
from genrewatch_trainer.data.prepare import SUFFIXES

BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One entry of a programme, all of one label."""

    label: str
    """A genre, `not_music` or `silence`."""
    files: tuple[str, ...] = ()
    """Sound files that are played one after another, relative to the programme's file; none for digital silence."""
    seconds: float | None = None
    """Where the piece is cut off, or how long the silence is; None = after the last file."""

    def __post_init__(self) -> None:
        require(self.label != "", "label", repr(self.label), "a genre, not_music or silence")
        require(self.seconds is None or 0 < self.seconds <= 86_400, "seconds", self.seconds, "up to 86400")
        named = bool(self.files) or (self.label == SILENCE and self.seconds is not None)
        require(named, "files", "none", "at least one, or label silence with seconds")


@dataclass(frozen=True, kw_only=True)
class Programme:
    """The pieces of a stream, in order."""

    piece: tuple[Piece, ...]
    fade_s: float = 0.0
    """Length of the cross-fade between neighbouring pieces, 0 to 10 s."""

    def __post_init__(self) -> None:
        require(len(self.piece) > 0, "piece", "none", "at least one")
        require(0 <= self.fade_s <= 10, "fade_s", self.fade_s, "0 to 10")


@dataclass(frozen=True, kw_only=True)
class ProgrammeOptions:
    """Composition of a random programme."""

    pieces: int = 40
    """Number of pieces, music or not."""
    clips_per_piece: int = 3
    """Clips of one genre in a row that count as one piece, because clips are shorter than songs."""
    not_music_percent: int = 15
    """Share of pieces that are speech or noise, if there is a folder of them."""
    silence_percent: int = 5
    """Share of pieces that are `SILENCE_S` of digital silence."""
    fade_s: float = 0.5
    """See `Programme`."""

    def __post_init__(self) -> None:
        require(1 <= self.pieces <= 10_000, "pieces", self.pieces, "1 to 10000")
        require(1 <= self.clips_per_piece <= 1000, "clips_per_piece", self.clips_per_piece, "1 to 1000")


SILENCE_S = 20.0


def load_programme(path: Path) -> Programme:
    """Read a programme from TOML or, by its suffix, JSON; paths in it are relative to its folder."""
    data = read_json(path, error=DataError) if path.suffix == ".json" else read_toml(path)
    return decode(Programme, data, where=str(path), error=DataError)


def random_programme(
    genres: dict[str, list[Path]], not_music: list[Path], options: ProgrammeOptions, rng: Generator
) -> Programme:
    """Compose a programme of genre files and files without music; each is used once before any is used again.

    Neighbouring pieces differ in label.
    """
    stacks = {genre: _shuffled(paths, rng) for genre, paths in sorted(genres.items())}
    talk = _shuffled(not_music, rng) if not_music else None
    pieces: list[Piece] = []
    for _ in range(options.pieces):
        last = pieces[-1].label if pieces else SILENCE
        chance = 100 * rng.random()
        if chance < options.silence_percent and last != SILENCE:
            pieces.append(Piece(label=SILENCE, seconds=SILENCE_S))
            continue
        if talk and chance > 100 - options.not_music_percent and last != NOT_MUSIC:
            label, stack = NOT_MUSIC, talk
        else:
            label = str(rng.choice([genre for genre in stacks if genre != last or len(stacks) == 1]))
            stack = stacks[label]
        pieces.append(Piece(label=label, files=tuple(str(next(stack)) for _ in range(options.clips_per_piece))))
    return Programme(piece=tuple(pieces), fade_s=options.fade_s)


def genre_files(audio: Path) -> dict[str, list[Path]]:
    """Return the sound files of each folder in `audio`, by the folder's name; raises DataError when there are none."""
    if not audio.is_dir():
        raise DataError(str(audio), "is not a folder", "a folder per genre")
    found = {folder.name: sound_files(folder) for folder in sorted(audio.iterdir()) if folder.is_dir()}
    if not any(found.values()):
        raise DataError(str(audio), "holds no sound files", "a folder per genre with " + " ".join(SUFFIXES))
    return {genre: paths for genre, paths in found.items() if paths}


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files in a folder, at any depth."""
    return sorted(p.resolve() for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


@dataclass(frozen=True, kw_only=True)
class PieceSpan:
    """The place of a piece in the stream."""

    label: str
    start: int
    """First sample, counted from the start of the stream."""
    end: int
    """One past the last."""


@dataclass(frozen=True, kw_only=True)
class RenderedProgramme:
    """A programme as sound, with the label of each part."""

    samples: Samples
    """(n,) mono float32, 86 kB a second at 22,050 Hz."""
    sample_rate: int
    piece_spans: tuple[PieceSpan, ...]
    """One per piece, without a gap from the first sample to the last."""

    def blocks(self) -> Iterator[Block]:
        """Yield the sound as a source does."""
        for start in range(0, len(self.samples), BLOCK):
            yield Block(samples=self.samples[start : start + BLOCK], sample_rate=self.sample_rate)


def render_programme(programme: Programme, folder: Path, sample_rate: int) -> RenderedProgramme:
    """Decode and join the pieces; relative paths start at `folder`. Raises SourceError for an unreadable file."""
    fade = round(programme.fade_s * sample_rate)
    sound, piece_spans = [np.zeros(0, np.float32)], list[PieceSpan]()
    for piece in programme.piece:
        samples = _samples(piece, folder, sample_rate)
        if len(samples) <= 2 * fade:
            raise DataError(piece.files[0] if piece.files else SILENCE, "is shorter than its two fades", "more sound")
        if fade and piece_spans:
            rising = np.linspace(0, 1, fade, dtype=np.float32)
            sound[-1][-fade:] = sound[-1][-fade:] * (1 - rising) + samples[:fade] * rising
            samples = samples[fade:]
        start = piece_spans[-1].end if piece_spans else 0
        border = fade // 2  # the piece that follows begins in the middle of the fade
        length = len(samples) + (border if piece_spans else 0) - border
        piece_spans.append(PieceSpan(label=piece.label, start=start, end=start + length))
        sound.append(samples)
    joined = np.concatenate(sound)
    piece_spans[-1] = PieceSpan(label=piece_spans[-1].label, start=piece_spans[-1].start, end=len(joined))
    return RenderedProgramme(samples=joined, sample_rate=sample_rate, piece_spans=tuple(piece_spans))


def _samples(piece: Piece, folder: Path, sample_rate: int) -> Samples:
    limit = None if piece.seconds is None else round(piece.seconds * sample_rate)
    if not piece.files:
        return np.zeros(limit or 0, np.float32)
    return np.concatenate([read_samples(folder / name, sample_rate) for name in piece.files])[:limit]


def _shuffled(paths: list[Path], rng: Generator) -> Iterator[Path]:
    """Yield the paths in random order without end, in a new order each round."""
    while True:
        yield from (paths[i] for i in rng.permutation(len(paths)))
