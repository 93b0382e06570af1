"""A feature store of the label `not_music`: recordings of speech and noises, and synthetic noise, hum, tones, babble.

A recording shorter than two segments is repeated. The part of a recording depends on its content only.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator

from genrewatch import programme
from genrewatch.audio.decoding import SUFFIXES, read_filtered
from genrewatch.audio.pre_filter import filtered
from genrewatch.audio.resample import Resampler
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, Samples
from genrewatch.contract.vote import NOT_MUSIC
from genrewatch_trainer.data.store import Store, new_store
from genrewatch_trainer.distillation.crops import at_level
from genrewatch_trainer.progress import progress

TEST_PERCENT = 40
MADE_OF_EACH = 24
MADE_SEGMENTS = 3
VOICES = 12
TALKS = 10


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The sound of one clip, before the front end."""

    name: str
    part: str
    samples: Samples


def not_music_store(folders: Sequence[Path], path: Path, front_end: FrontEndConfig, *, scheme: str, seed: int) -> Store:
    """Write a store whose split `scheme` has the parts `train` and, for recordings, `test`; raises DataError."""
    recordings = []
    for folder in folders:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise DataError(str(folder), "holds no sound file", "a folder of recordings")
        recordings += found
    computed = FrontEnd(front_end)
    split: dict[str, str] = {}
    total = len(recordings) + MADE_OF_EACH * len(MAKERS)
    provenance = f"not music: {len(recordings)} recordings, noise, hum, tones and babble made by seed {seed}"
    with new_store(path, front_end, provenance=provenance, splits={scheme: split}) as writer:
        sounds = _all_sounds(recordings, front_end, seed)
        for sound in progress(sounds, total=total, name="not music", unit="clip"):
            writer.add(computed.power_db(sound.samples), name=sound.name, label=NOT_MUSIC)
            split[sound.name] = sound.part
    return Store.load(path)


def _all_sounds(recordings: Sequence[Path], front_end: FrontEndConfig, seed: int) -> Iterator[Sound]:
    least, n_made = 2 * front_end.segment_samples, MADE_SEGMENTS * front_end.segment_samples
    for path in recordings:
        samples = read_filtered(path, front_end.sample_rate)
        if not len(samples):
            raise DataError(str(path), "holds no sound")
        digest = int(hashlib.sha256(path.read_bytes()).hexdigest(), 16)
        part = "test" if digest % 100 < TEST_PERCENT else "train"
        samples = samples if len(samples) >= least else np.resize(samples, least)
        yield Sound(name=f"{path.parent.name}/{path.name}", part=part, samples=samples)
    for kind, make in MAKERS.items():
        for number in range(MADE_OF_EACH):
            rng = np.random.default_rng((seed, number, *kind.encode()))
            samples = at_level(filtered(make(n_made, front_end.sample_rate, rng), front_end.sample_rate))
            yield Sound(name=f"made/{kind}.{number:02d}", part="train", samples=samples)


def noise(n: int, rate: int, rng: Generator) -> Samples:
    """Synthesize noise whose spectrum falls by 0 to 9 dB an octave, its level swelling slowly or fast."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.maximum(np.fft.rfftfreq(n, 1 / rate), 20.0)
    sound = np.fft.irfft(spectrum * hz ** -rng.uniform(0, 1.5), n)
    swell = 1 + rng.uniform(0, 0.95) * np.sin(2 * np.pi * rng.uniform(0.05, 2) * np.arange(n) / rate)
    return (sound * swell).astype(np.float32)


def hum(n: int, rate: int, rng: Generator) -> Samples:
    """Synthesize mains or a motor: a low tone, its harmonics and a little noise."""
    base = float(rng.choice([50, 60, rng.uniform(25, 200)]))
    t = np.arange(n) / rate
    orders = range(1, 1 + int(rng.integers(3, 25)))
    parts = [rng.uniform(0, 1) / k * np.sin(2 * np.pi * (k * base * t + rng.uniform())) for k in orders]
    sound: Samples = (np.sum(parts, axis=0) + rng.uniform(0, 0.2) * rng.standard_normal(n)).astype(np.float32)
    return sound


def tones(n: int, rate: int, rng: Generator) -> Samples:
    """Synthesize a test tone, a sweep or beeps, over a little noise."""
    t = np.arange(n) / rate
    low, high = np.sort(np.exp(rng.uniform(np.log(100), np.log(6000), 2)))
    kind = int(rng.integers(3))
    hz = np.full(n, low) if kind < 2 else low * (high / low) ** (0.5 + 0.5 * np.sin(2 * np.pi * t / rng.uniform(1, 10)))
    sound = np.sin(2 * np.pi * np.cumsum(hz) / rate)
    if kind == 1:
        sound *= (t * rng.uniform(0.5, 4)) % 1 < rng.uniform(0.1, 0.6)
    return (sound + rng.uniform(0.001, 0.1) * rng.standard_normal(n)).astype(np.float32)


def babble(n: int, rate: int, rng: Generator) -> Samples:
    """Synthesize one to a dozen voices that resemble speech, at once."""
    to_rate = Resampler(programme.SAMPLE_RATE, rate)
    voices = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(1, VOICES + 1))):
        to_rate.reset()
        talk = to_rate.push(_talk(int(rng.integers(1, 1 + TALKS))), last=True)
        voices += rng.uniform(0.3, 1) * np.roll(np.resize(talk, n), int(rng.integers(n)))
    return voices


@lru_cache(maxsize=TALKS)
def _talk(seed: int) -> Samples:
    return programme.item("talk", seed)


MAKERS: dict[str, Callable[[int, int, Generator], Samples]] = {
    "noise": noise,
    "hum": hum,
    "tones": tones,
    "babble": babble,
}
