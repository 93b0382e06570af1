"""Clips decoded in this process and by ffmpeg, interleaved: processor time with children, and the ratio."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from genrewatch.audio.decoding import decode_file, decode_in_child
from genrewatch.audio.pcm import Block

RATE, CLIP_S, ROUNDS = 22_050, 15, 40


def main() -> None:
    """Print a line for each format."""
    noise = np.random.default_rng(0).normal(0, 0.1, RATE * CLIP_S)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("clip.wav", "clip.flac", "clip.ogg"):
            path = Path(folder) / name
            soundfile.write(path, noise, RATE)
            ours = theirs = 0.0
            for _ in range(ROUNDS):
                ours += _cpu_s(decode_file, path)
                theirs += _cpu_s(decode_in_child, path)
            print(
                f"{name:9} {CLIP_S} s: {1000 * ours / ROUNDS:.0f} ms in this process, "
                f"{1000 * theirs / ROUNDS:.0f} ms by ffmpeg, {theirs / ours:.1f} times as much"
            )


def _cpu_s(decode: Callable[[Path], Iterator[Block]], path: Path) -> float:
    before = sum(os.times()[:4])
    for _ in decode(path):
        pass
    return sum(os.times()[:4]) - before


if __name__ == "__main__":
    main()
