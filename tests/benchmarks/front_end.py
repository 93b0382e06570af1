"""Front end against librosa on the same segments, one thread, CPU time, both in one run: a ratio, not a test.

`alone`: each segment by itself. `stream`: overlapping segments, whose shared frames the segment buffer computes once
and librosa, which knows no stream, anew for each segment.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import time
from collections.abc import Callable

import numpy as np

from genrewatch import programme
from genrewatch.audio.segments import SegmentBuffer
from genrewatch.contract.front_end import COMPACT, PAPER, FrontEnd, FrontEndConfig, Samples
from genrewatch_trainer.data.oracle import difference_db, librosa_power_db

ROUNDS = 7


def cpu_ms(work: Callable[[], object]) -> float:
    """Median CPU milliseconds of one call."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        rounds.append(1000 * (time.process_time() - start))
    return float(np.median(rounds))


def measure(name: str, config: FrontEndConfig, hop_frames: int, sound: Samples) -> None:
    """Prints a line for each way."""
    front_end, n = FrontEnd(config), config.segment_samples
    hop = hop_frames * config.hop_length
    starts = range(0, len(sound) - n + 1, hop)
    segments = [sound[start : start + n] for start in starts]
    difference = max(difference_db(s, config) for s in segments[:4])
    theirs = cpu_ms(lambda: [librosa_power_db(s, config) for s in segments]) / len(segments)
    alone = cpu_ms(lambda: [front_end.power_db(s) for s in segments]) / len(segments)
    streaming = cpu_ms(lambda: list(SegmentBuffer(front_end, hop).push(sound))) / len(segments)
    print(f"{name:8} librosa {theirs:7.3f} ms a segment, largest difference {difference:.1e} dB")
    print(f"{name:8} alone   {alone:7.3f} ms a segment, {theirs / alone:5.1f} times as fast")
    print(f"{name:8} stream  {streaming:7.3f} ms a segment, {theirs / streaming:5.1f} times as fast")


if __name__ == "__main__":
    blocks = programme.programme_blocks()
    sound = np.concatenate([next(blocks) for _ in range(60 * programme.SAMPLE_RATE // 4096)])
    measure("compact", COMPACT, 24, sound)
    measure("paper", PAPER, 330, sound)
