"""Synthetic sounds for tests, and WAV files of them."""

import wave
from pathlib import Path

import numpy as np

from genrewatch.contract.front_end import Samples

RATE = 22_050


def tune(seconds: float, *, rate: int = RATE, seed: int = 0, level: float = 0.2) -> Samples:
    """Return chords of decaying tones with a little noise, two chords per second; (n,) float32."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    out = rng.normal(0, 0.003, len(time_s))
    for beat in range(int(2 * seconds) + 1):
        since = np.maximum(time_s - beat / 2, 0)
        for pitch in rng.choice([110, 131, 165, 196, 220, 262, 330, 392, 440], size=3):
            out += (since > 0) * np.exp(-4 * since) * np.sin(2 * np.pi * pitch * since) * level
    return (out / max(1.0, np.abs(out).max() * 1.05)).astype(np.float32)


def pcm16(samples: Samples) -> bytes:
    """Convert to s16le bytes."""
    return np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes()


def write_wav(path: Path, samples: Samples, *, rate: int = RATE, channels: int = 1) -> Path:
    """Write 16 bit PCM and return the path; all channels carry the same sound."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm16(np.repeat(samples, channels)))
    return path
