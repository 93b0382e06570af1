"""Sound as it arrives in the field: what poor links, small rooms and cheap hardware make of clean samples.

Every condition turns (n,) mono samples into others of about the same length, at the same rate.
"""

import subprocess
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator
from scipy.signal import butter, fftconvolve, sosfilt

from genrewatch.audio.decoding import ffmpeg_path
from genrewatch.audio.mix import Mixer
from genrewatch.audio.resample import Resampler
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import Samples
from genrewatch_trainer.data.not_music import babble
from genrewatch_trainer.distillation.crops import at_level
from genrewatch_trainer.evaluation.robustness_room import impulse_response

Condition = Callable[[Samples, int, Generator], Samples]
MU = 255
MP3_WAIT_S = 60
GAIN_BLOCK_S = 0.02
GAIN_RELEASE_S = 0.5
LARGEST_GAIN = 10.0


def clean(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Return the samples as they are."""
    return samples


def with_offset(samples: Samples, rate: int, rng: Generator, *, db: float) -> Samples:
    """Add a constant `db` above the level of the sound, as a cheap converter does."""
    return samples + np.float32(_rms(samples) * 10 ** (db / 20))


def at_rate(samples: Samples, rate: int, rng: Generator, *, hz: int) -> Samples:
    """Resample to a lower rate and back."""
    return _resampled(_resampled(samples, rate, hz), hz, rate)


def mu_law(samples: Samples, rate: int, rng: Generator, *, hz: int) -> Samples:
    """Resample to `hz` and code each sample with 8 bits (ITU-T G.711)."""
    narrow = np.clip(_resampled(samples, rate, hz), -1, 1)
    coded = np.rint(np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU) * 127) / 127
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    return _resampled(decoded.astype(np.float32), hz, rate)


def band(samples: Samples, rate: int, rng: Generator, *, low: float, high: float, order: int = 6) -> Samples:
    """Keep `low` to `high` Hz (Butterworth)."""
    kept: Samples = sosfilt(butter(order, [low, high], "band", fs=rate, output="sos"), samples).astype(np.float32)
    return kept


def telephone(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Keep 300 to 3400 Hz of 8 kHz."""
    return band(at_rate(samples, rate, rng, hz=8_000), rate, rng, low=300, high=3400)


def mp3(samples: Samples, rate: int, rng: Generator, *, kbit_s: int) -> Samples:
    """Code as MP3 and decode, by ffmpeg; raises DataError where it cannot."""
    pcm = ["-f", "f32le", "-ar", str(rate), "-ac", "1"]
    coded = _ffmpeg([*pcm, "-i", "pipe:0", "-c:a", "libmp3lame", "-b:a", f"{kbit_s}k", "-f", "mp3"], samples.tobytes())
    decoded = _ffmpeg(["-f", "mp3", "-i", "pipe:0", *pcm], coded)
    return np.frombuffer(decoded, "<f4").astype(np.float32)


def am_radio(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Make a medium-wave broadcast of it: 100 to 4500 Hz, compressed, fading, noise 25 dB below."""
    narrow = np.tanh(2 * gain_controlled(band(samples, rate, rng, low=100, high=4500), rate, rng) / 0.2).astype(
        np.float32
    )
    t = np.arange(len(narrow)) / rate
    fading = 10 ** (3 * np.sin(2 * np.pi * (0.15 * t + rng.uniform())) / 20)
    hiss = band(rng.standard_normal(len(narrow)).astype(np.float32), rate, rng, low=100, high=4500)
    return at_level(_mixed((narrow * fading).astype(np.float32), hiss, snr_db=25))


def room(samples: Samples, rate: int, rng: Generator, *, rt60_s: float) -> Samples:
    """Play it by a loudspeaker in a room, and record it four metres away."""
    wet: Samples = fftconvolve(samples, impulse_response(rt60_s, rate))[: len(samples)].astype(np.float32)
    return wet


def noise(samples: Samples, rate: int, rng: Generator, *, snr_db: float) -> Samples:
    """Add voices and a kitchen at a signal to noise ratio."""
    both = at_level(babble(len(samples), rate, rng)) + at_level(kitchen(len(samples), rate, rng))
    return _mixed(samples, both, snr_db=snr_db)


def noisy_room(samples: Samples, rate: int, rng: Generator, *, rt60_s: float, snr_db: float) -> Samples:
    """Play it in a room where people talk and work."""
    return noise(room(samples, rate, rng, rt60_s=rt60_s), rate, rng, snr_db=snr_db)


def small_loudspeaker(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Play it by a loudspeaker of a few centimetres: no bass, little treble, overdriven."""
    narrow = at_level(band(samples, rate, rng, low=250, high=7000, order=2))
    return np.tanh(3 * narrow).astype(np.float32)


def gain_controlled(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Hold the level at -20 dBFS as a microphone's gain control does: down at once, up within half a second."""
    size = max(1, round(GAIN_BLOCK_S * rate))
    padded = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    levels = np.sqrt(np.square(padded, dtype=np.float64).mean(axis=1))
    kept = np.exp(-GAIN_BLOCK_S / GAIN_RELEASE_S)
    for i in range(1, len(levels)):
        levels[i] = max(levels[i], kept * levels[i - 1] + (1 - kept) * levels[i])
    gains = np.minimum(0.1 / np.maximum(levels, 1e-6), LARGEST_GAIN)
    centres = (np.arange(len(gains)) + 0.5) * size
    curve = np.interp(np.arange(len(samples)), centres, gains)
    held: Samples = (samples * curve).astype(np.float32)
    return held


def antiphase(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Play it from two channels that cancel, and mix them as the device does."""
    return Mixer(2, rate).push(np.stack([samples, np.float32(-0.99) * samples], axis=1))


def kitchen(n: int, rate: int, rng: Generator) -> Samples:
    """Synthesize running water, and dishes that clatter about twice a second."""
    water = band(rng.standard_normal(n).astype(np.float32), rate, rng, low=300, high=6000, order=1)
    sound = at_level(water)
    for _ in range(max(1, round(2 * n / rate))):
        length = min(n, round(rate * rng.uniform(0.05, 0.3)))
        t = np.arange(length) / rate
        partials = np.sin(2 * np.pi * np.outer(rng.uniform(800, 6000, 5), t)).sum(axis=0)
        start = int(rng.integers(n - length + 1))
        sound[start : start + length] += 0.2 * rng.uniform(0.2, 1) * partials * np.exp(-t * rng.uniform(10, 40))
    return sound


CONDITIONS: dict[str, Condition] = {
    "clean": clean,
    "offset +10 dB": partial(with_offset, db=10),
    "16 kHz": partial(at_rate, hz=16_000),
    "11.025 kHz": partial(at_rate, hz=11_025),
    "8 kHz": partial(at_rate, hz=8_000),
    "8 kHz mu-law": partial(mu_law, hz=8_000),
    "telephone band": telephone,
    "MP3 64 kbit/s": partial(mp3, kbit_s=64),
    "MP3 24 kbit/s": partial(mp3, kbit_s=24),
    "AM radio": am_radio,
    "room, RT60 0.3 s": partial(room, rt60_s=0.3),
    "room, RT60 0.5 s": partial(room, rt60_s=0.5),
    "noise, 15 dB SNR": partial(noise, snr_db=15),
    "noise, 5 dB SNR": partial(noise, snr_db=5),
    "room 0.5 s, 15 dB": partial(noisy_room, rt60_s=0.5, snr_db=15),
    "small loudspeaker": small_loudspeaker,
    "gain control": gain_controlled,
    "antiphase": antiphase,
}


def _mixed(samples: Samples, noise: Samples, *, snr_db: float) -> Samples:
    level = _rms(samples) / max(_rms(noise), 1e-9) * 10 ** (-snr_db / 20)
    return (samples + level * noise).astype(np.float32)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _resampled(samples: Samples, rate: int, to_rate: int) -> Samples:
    return Resampler(rate, to_rate).push(samples, last=True)


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = [ffmpeg_path(), "-v", "error", *arguments, "pipe:1"]
    done = subprocess.run(command, input=data, capture_output=True, timeout=MP3_WAIT_S, check=False)
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        raise DataError("ffmpeg", f"cannot code MP3 ({reason[-1]})", "an ffmpeg with libmp3lame")
    return done.stdout
