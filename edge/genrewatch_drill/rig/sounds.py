"""Sounds of the drill: the demo programme as raw PCM, WAV and MP3 files for players and stations."""

import subprocess
import wave
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from genrewatch import programme
from genrewatch.audio.decoding import ffmpeg_path
from genrewatch.contract.front_end import Samples

RATE = programme.SAMPLE_RATE
MUSIC_S = 20.0
MP3_BITS = 96_000
MEDLEY_PART_S = 8.0
_BLOCK = 4096


class Sounds:
    """Files in one directory, each written at its first use."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    @cached_property
    def samples(self) -> Samples:
        """`MUSIC_S` seconds of music, (n,) float32 at `RATE`."""
        n = round(MUSIC_S * RATE)
        return np.concatenate(list(islice(programme.programme_blocks(block=_BLOCK), n // _BLOCK + 1)))[:n]

    @cached_property
    def music(self) -> Path:
        """Music as s16le."""
        return self._raw("music.s16", s16(self.samples))

    @cached_property
    def programme(self) -> Samples:
        """The whole demo programme, (n,) float32 at `RATE`."""
        return np.concatenate(list(programme.programme_blocks()))

    def medley(self, seed: int) -> Samples:
        """Return the programme in shuffled parts of `MEDLEY_PART_S`, so that the genre changes often; (n,) float32."""
        n = round(MEDLEY_PART_S * RATE)
        parts = [self.programme[at : at + n] for at in range(0, len(self.programme) - n + 1, n)]
        np.random.default_rng(seed).shuffle(parts)
        return np.concatenate(parts)

    def medley_file(self, seed: int) -> Path:
        """Write the medley of a seed as s16le and return its path."""
        return self._raw(f"medley-{seed}.s16", s16(self.medley(seed)))

    @cached_property
    def music_wav(self) -> Path:
        """Music as a WAV file."""
        return self.wav("music.wav", self.samples)

    @cached_property
    def stereo(self) -> Path:
        """Music as s16le on two channels at twice the sample rate."""
        return self._raw("stereo.s16", s16(np.repeat(self.samples, 4)))

    @cached_property
    def silence(self) -> Path:
        """Digital silence as s16le."""
        return self._raw("silence.s16", bytes(2 * RATE))

    @cached_property
    def constant(self) -> Path:
        """DC at half of full scale, as s16le."""
        return self._raw("constant.s16", s16(np.full(RATE, 0.5, np.float32)))

    @cached_property
    def clipped(self) -> Path:
        """Music amplified by 40 dB as s16le, most of it at full scale."""
        return self._raw("clipped.s16", s16(100 * self.samples))

    @cached_property
    def not_numbers(self) -> Path:
        """NaN and both infinities as f32le."""
        return self._raw("nan.f32", np.resize(np.array([np.nan, np.inf, -np.inf], "<f4"), RATE).tobytes())

    @cached_property
    def corrupted(self) -> Path:
        """Music of which every thousandth sample is NaN, an infinity or 1e30, as f32le."""
        corrupted = self.samples.astype("<f4")
        corrupted[::1000] = np.resize(np.array([np.nan, np.inf, -np.inf, 1e30], "<f4"), len(corrupted[::1000]))
        return self._raw("corrupted.f32", corrupted.tobytes())

    @cached_property
    def mp3(self) -> Path:
        """Music as MP3 of `MP3_BITS`, mono at `RATE`; needs ffmpeg."""
        return self._mp3("music.mp3", ["-ac", "1", "-ar", str(RATE)])

    @cached_property
    def mp3_stereo(self) -> Path:
        """The same music on two channels at twice the sample rate."""
        return self._mp3("stereo.mp3", ["-ac", "2", "-ar", str(2 * RATE)])

    def mp3_of(self, kbit: int) -> Path:
        """Write the music as mono MP3 of `kbit` kbit/s and return its path; needs ffmpeg."""
        return self._mp3(f"music-{kbit}.mp3", ["-ac", "1", "-ar", str(RATE)], bits=1000 * kbit)

    @property
    def mp3_bytes_per_s(self) -> int:
        """The byte rate of both MP3 files."""
        return MP3_BITS // 8

    def wav(self, name: str, samples: Samples, rate: int = RATE) -> Path:
        """Write (n,) samples as a WAV file and return its path."""
        path = self._directory / name
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(s16(samples))
        return path

    def _mp3(self, name: str, shape: list[str], bits: int = MP3_BITS) -> Path:
        path = self._directory / name
        command = [ffmpeg_path(), "-nostdin", "-v", "error", "-i", str(self.music_wav), *shape]
        coding = ["-c:a", "libmp3lame", "-b:a", str(bits), "-write_xing", "0", "-id3v2_version", "0"]
        subprocess.run([*command, *coding, str(path)], check=True)
        return path

    def _raw(self, name: str, data: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(data)
        return path


def s16(samples: Samples) -> bytes:
    """Convert (n,) float32 to s16le bytes, clipped at full scale."""
    return np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes()
