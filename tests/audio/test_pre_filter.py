"""The pre-filter in a stream: gaps, levels, old bundles."""

import numpy as np

from genrewatch.audio.level import measure
from genrewatch.audio.pre_filter import CURRENT, Sound, filtered, pre_filtered
from genrewatch.audio.segments import SegmentBuffer
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig

RATE = 22_050
TINY = FrontEndConfig(sample_rate=RATE, n_fft=256, hop_length=100, n_mels=20, fmin=0, fmax=4_000, segment_frames=8)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def run(pieces: list[tuple[np.ndarray, int]], pre_filter: str = CURRENT) -> list[tuple[Sound, int]]:
    return list(pre_filtered(pieces, RATE, pre_filter))  # type: ignore[arg-type]


def test_the_filter_restarts_after_a_gap_and_no_sample_moves_across_it() -> None:
    before, after = noise(15_001, 1), noise(9_000, 2) + np.float32(0.5)
    sounds = run([(before[:7_000], 0), (before[7_000:], 0), (after[:10], 300), (after[10:], 0)])
    gap = next(k for k, (_, missing) in enumerate(sounds) if missing)
    assert [missing for _, missing in sounds if missing] == [300]
    for stretch, part in ((before, sounds[:gap]), (after, sounds[gap:])):
        assert np.concatenate([sound.samples for sound, _ in part]).tobytes() == filtered(stretch, RATE).tobytes()
        assert np.concatenate([sound.raw for sound, _ in part]).tobytes() == stretch.tobytes()


def test_raw_and_filtered_samples_are_of_the_same_stretch() -> None:
    for sound, _ in run([(noise(500, seed), 0) for seed in range(40)]):
        assert len(sound.raw) == len(sound.samples)


def test_without_a_filter_the_samples_pass_at_once_and_unchanged() -> None:
    samples = noise(100)
    (first, _), *_ = run([(samples, 0)], "none")
    assert first.samples is samples
    assert first.raw is samples


def test_the_level_is_that_of_the_music_and_the_offset_is_still_known() -> None:
    music = noise(30_000)
    level = measure(filtered(music + np.float32(0.5), RATE), music + np.float32(0.5))
    clean = measure(music)
    assert level.dbfs is not None
    assert clean.dbfs is not None
    assert abs(level.dbfs - clean.dbfs) < 0.1
    assert abs(level.dc - 0.5) < 0.01


def test_rumble_is_no_sound() -> None:
    rumble = (0.1 * np.sin(2 * np.pi * 6 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    level = measure(filtered(rumble, RATE), rumble).dbfs
    assert level is not None
    assert level < -65


def test_a_constant_has_no_level_while_the_filter_decays() -> None:
    raw = np.concatenate([noise(RATE), np.zeros(RATE, np.float32)])
    assert measure(filtered(raw, RATE)[RATE:], raw[RATE:]).dbfs is None


def test_the_segments_levels_come_from_the_raw_samples() -> None:
    buffer = SegmentBuffer(FrontEnd(TINY), 300)
    raw = noise(5_000) + np.float32(0.25)
    segments = [segment for sound, _ in run([(raw, 0)]) for segment in buffer.push(sound.samples, sound.raw)]
    assert len(segments) == 14
    assert all(abs(segment.levels[-1].dc - 0.25) < 0.03 for segment in segments)
