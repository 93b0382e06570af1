"""Synthesis in plain numpy: wavetable tones, shaped noise, drums, syllables and a room.

All sounds are mono float32 at `SAMPLE_RATE`. A sustained tone has an RMS of about 1, a drum a peak of about 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import Samples

SAMPLE_RATE = 22_050
TABLE = 2048  # samples of one period; with linear interpolation the error is below -60 dB up to the 40th harmonic
MAX_HZ = 10_000.0  # no harmonic is above, so there is no aliasing
MAX_HARMONICS = 60
SEMITONE = float(np.log(2) / 12)

Rng = np.random.Generator
Formants = tuple[tuple[float, float, float], ...]
"""(centre in Hz, half width in Hz, gain) of each resonance."""


@dataclass(frozen=True)
class Timbre:
    """The spectrum of a tone: harmonic k has amplitude k ** -slope, even ones times `even`, shaped by the formants."""

    slope: float
    even: float = 1.0
    formants: Formants = ()


def n_samples(seconds: float) -> int:
    """Return the number of samples in `seconds`, rounded."""
    return round(seconds * SAMPLE_RATE)


def midi_hz(note: float) -> float:
    """Return the frequency of a MIDI note number; 69 is A at 440 Hz."""
    return float(440 * 2 ** ((note - 69) / 12))


def resonance(hz: NDArray[np.floating], formants: Formants) -> NDArray[np.floating]:
    """Return the gain of the formants at each frequency; 1 without formants."""
    if not formants:
        return np.ones_like(hz)
    out = np.full_like(hz, 0.03)
    for centre, width, gain in formants:
        out += gain / (1 + ((hz - centre) / width) ** 2)
    return out


@lru_cache(maxsize=512)
def _period(timbre: Timbre, hz: float) -> Samples:
    """Return (TABLE + 1,) samples of one period of RMS 1, with the first sample repeated at the end."""
    k = np.arange(1, 1 + max(1, min(MAX_HARMONICS, int(MAX_HZ / hz))))
    amplitude = k**-timbre.slope * np.where(k % 2 == 0, timbre.even, 1.0) * resonance(k * hz, timbre.formants)
    spectrum = np.zeros(TABLE // 2 + 1, complex)
    spectrum[k] = amplitude * np.exp(1j * np.pi * k * k / len(k))  # Schroeder phases: low peak
    wave = np.fft.irfft(spectrum)
    wave /= np.sqrt(np.mean(wave**2))
    return np.append(wave, wave[0]).astype(np.float32)


def tone(
    hz: float,
    seconds: float,
    timbre: Timbre,
    *,
    attack: float = 0.01,
    release: float = 0.05,
    decay: float | None = None,
    vibrato: float = 0.0,
    scoop: float = 0.0,
) -> Samples:
    """Return a note of `seconds` plus a fade of `release` seconds.

    `decay` is the time in seconds to fall to 1/e, `vibrato` the depth in semitones at 5.5 Hz, and `scoop` the number of
    semitones below pitch at which the note starts.
    """
    n = n_samples(seconds + release)
    sound = read_period(_period(timbre, hz), _phase(n, hz, vibrato=vibrato, scoop=scoop))
    up, down = min(n, n_samples(attack)), n_samples(release)
    sound[:up] *= np.linspace(0, 1, up, dtype=np.float32)
    sound[n - down :] *= np.linspace(1, 0, down, dtype=np.float32)
    if decay is not None:
        sound *= np.exp(np.arange(n, dtype=np.float32) * np.float32(-1 / (decay * SAMPLE_RATE)))
    return sound


def _phase(n: int, hz: float, *, vibrato: float, scoop: float) -> NDArray[np.floating]:
    """Return the phase of a tone at each of n samples, in periods."""
    phase = np.arange(n) * (hz / SAMPLE_RATE)
    if vibrato:
        phase += hz * vibrato * _vibrato(n)
    if scoop:
        start = min(n, n_samples(0.3))
        bend = np.exp(-np.arange(start) / (0.05 * SAMPLE_RATE)) - 1
        phase += hz * scoop * SEMITONE * 0.05 * np.append(bend, np.full(n - start, -1.0))
    return phase


@lru_cache(maxsize=64)
def _vibrato(n: int) -> NDArray[np.float64]:
    """Return the phase lead, (n,) seconds, of a vibrato of one semitone; its depth grows for 0.4 s."""
    t = np.arange(n) / SAMPLE_RATE
    return -SEMITONE * np.minimum(1, t / 0.4) * np.cos(2 * np.pi * 5.5 * t) / (2 * np.pi * 5.5)


def read_period(period: Samples, phase: NDArray[np.floating]) -> Samples:
    """Read a period at (n,) non-negative phases, in periods, with linear interpolation; returns (n,) samples."""
    at = phase * TABLE
    floor = at.astype(np.int64)
    fraction = (at - floor).astype(np.float32)
    index = floor & (TABLE - 1)
    sound: Samples = period[index + 1]
    low = period[index]
    sound -= low
    sound *= fraction
    sound += low
    return sound


def noise(rng: Rng, seconds: float, low: float, high: float, *, decay: float | None = None) -> Samples:
    """Return noise between two frequencies in Hz, peak about 1, with edges about a third of an octave wide."""
    n = n_samples(seconds)
    hz = np.fft.rfftfreq(_fft_size(n), 1 / SAMPLE_RATE) + 1e-3
    gain = 1 / (1 + (low / hz) ** 6) / (1 + (hz / high) ** 6)
    wave = np.fft.irfft(np.fft.rfft(rng.standard_normal(_fft_size(n))) * gain)[:n]
    if decay is not None:
        wave *= np.exp(-np.arange(n) / (decay * SAMPLE_RATE))
    peak_one: Samples = (wave / (np.abs(wave).max() + 1e-9)).astype(np.float32)
    return peak_one


def kick(*, top: float = 140.0, bottom: float = 48.0, decay: float = 0.12) -> Samples:
    """Return a drum whose pitch falls from `top` to `bottom` Hz."""
    t = np.arange(n_samples(4 * decay)) / SAMPLE_RATE
    phase = bottom * t + (top - bottom) * 0.03 * (1 - np.exp(-t / 0.03))
    click = 0.4 * np.exp(-t / 0.003) * np.sin(2 * np.pi * 2500 * t)
    return (np.sin(2 * np.pi * phase) * np.exp(-t / decay) + click).astype(np.float32)


def snare(rng: Rng, *, decay: float = 0.09, pitch: float = 190.0) -> Samples:
    """Return a snare drum: its shell and its wires."""
    wires = noise(rng, 5 * decay, 900, 9000, decay=decay)
    t = np.arange(len(wires)) / SAMPLE_RATE
    shell = np.sin(2 * np.pi * pitch * t) * np.exp(-t / 0.06)
    return (0.8 * wires + 0.6 * shell).astype(np.float32)


def ride(rng: Rng) -> Samples:
    """Return a ride cymbal: noise and a few inharmonic partials."""
    ring = noise(rng, 0.9, 4500, 9500, decay=0.25)
    t = np.arange(len(ring)) / SAMPLE_RATE
    partials = np.sum([np.sin(2 * np.pi * hz * t) for hz in (3127.0, 4211.0, 5423.0, 6907.0)], axis=0)
    cymbal: Samples = (0.8 * ring + 0.08 * partials * np.exp(-t / 0.3)).astype(np.float32)
    return cymbal


def syllable(rng: Rng, seconds: float, hz: float, formants: Formants, *, hiss: float = 0.3) -> Samples:
    """Return a syllable: a glottal buzz of falling pitch, filtered by formants, after a short consonant of noise."""
    n = n_samples(seconds)
    t = np.arange(n) / SAMPLE_RATE
    jitter = np.interp(t, np.linspace(0, seconds, 8), 1 + 0.02 * rng.standard_normal(8))
    phase = np.cumsum(hz * (1.05 - 0.15 * t / seconds) * jitter) / SAMPLE_RATE
    buzz = read_period(_period(Timbre(1.2), round(hz / 10) * 10.0), phase)
    size = _fft_size(n)
    voiced = np.fft.irfft(np.fft.rfft(buzz, size) * resonance(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), formants))[:n]
    voiced *= np.interp(t, [0, 0.03, 0.7 * seconds, seconds], [0, 1, 0.8, 0])
    consonant = noise(rng, min(0.07, seconds), *((3500, 9000) if rng.random() < 0.5 else (800, 3000)), decay=0.03)
    voiced[: len(consonant)] += hiss * consonant
    return voiced.astype(np.float32)


def random_vowel(rng: Rng) -> Formants:
    """Return the formants of a random vowel; the first two after Peterson and Barney (1952), men."""
    first, second = ((730, 1090), (270, 2290), (530, 1840), (570, 840), (300, 870), (660, 1720))[rng.integers(6)]
    return ((first, 60, 1.0), (second, 90, 0.6), (2500, 150, 0.3), (3500, 250, 0.12))


class Room:
    """Reverberation and a band-pass filter, as one convolution."""

    def __init__(self, rng: Rng, *, seconds: float, wet: float, low: float, high: float) -> None:
        tail = noise(rng, seconds, 150, 5000, decay=seconds / 5)
        tail[: n_samples(0.01)] = 0
        response = np.float32(wet) * tail / np.sqrt(np.sum(tail**2))
        response[n_samples(0.002)] = 1.0  # late enough for the pre-ringing of the band-pass filter
        self._response = band(response, low, high)
        self._spectra: dict[int, NDArray[np.complex128]] = {}

    @property
    def n_tail(self) -> int:
        """The number of samples of the tail."""
        return len(self._response) - 1

    def __call__(self, dry: Samples) -> Samples:
        """Convolve (n,) samples; returns (n + n_tail,)."""
        size = _fft_size(len(dry) + self.n_tail)
        if size not in self._spectra:
            self._spectra[size] = np.fft.rfft(self._response, size)
        wet = np.fft.irfft(np.fft.rfft(dry, size) * self._spectra[size])
        return wet[: len(dry) + self.n_tail].astype(np.float32)


def band(samples: Samples, low: float, high: float) -> Samples:
    """Filter samples to the band from `low` to `high` Hz."""
    size = _fft_size(len(samples))
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE) + 1e-3
    gain = 1 / (1 + (low / hz) ** 4) / (1 + (hz / high) ** 4)
    return np.fft.irfft(np.fft.rfft(samples, size) * gain)[: len(samples)].astype(np.float32)


def presence(samples: Samples) -> Samples:
    """Filter samples as the loudspeaker of a guitar amplifier: little below 100 Hz, most at 3 kHz, none above 6 kHz."""
    size = _fft_size(len(samples))
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE) + 1e-3
    gain = (1 + 3 / (1 + ((hz - 3000) / 1500) ** 2)) / (1 + (110 / hz) ** 2) / (1 + (hz / 6000) ** 8)
    return np.fft.irfft(np.fft.rfft(samples, size) * gain)[: len(samples)].astype(np.float32)


def mix(n: int, parts: Sequence[tuple[float, float, Samples]]) -> Samples:
    """Add parts of (start in seconds, gain, samples) into (n,) samples; what reaches beyond the end is cut."""
    out = np.zeros(n, np.float32)
    for start, gain, samples in parts:
        at = n_samples(start)
        part = samples[: max(0, n - at)]
        out[at : at + len(part)] += np.float32(gain) * part
    return out


def _fft_size(n: int) -> int:
    """Return a length of at least n at which the FFT is fast: 2, 3 or 5 times a power of two."""
    base = 1 << max(4, (n - 1).bit_length())
    return next(size for size in (base * 5 // 8, base * 3 // 4, base) if size >= n)
