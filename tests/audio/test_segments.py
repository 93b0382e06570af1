"""Blocks of any length become the same overlapping segments, and none spans a gap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.audio.level import measure
from genrewatch.audio.segments import Segment, SegmentBuffer
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig

TINY = FrontEndConfig(sample_rate=8_000, n_fft=256, hop_length=100, n_mels=20, fmin=0, fmax=4_000, segment_frames=8)
LONG_WINDOW = FrontEndConfig(
    sample_rate=8_000, n_fft=512, hop_length=100, n_mels=12, fmin=0, fmax=4_000, segment_frames=6
)


class FirstSample:
    """Stands in for the front end: a "frame" is the number of its first hop, so a segment can be read."""

    config = FrontEndConfig(sample_rate=8_000, n_fft=64, hop_length=64, n_mels=1, fmin=0, fmax=4_000, segment_frames=3)

    def __init__(self) -> None:
        self.computed: list[int] = []

    def power_db(self, samples: np.ndarray) -> np.ndarray:
        frames = samples[::64][: self.config.n_frames(len(samples))] / 64
        self.computed += frames.astype(int).tolist()
        return frames[:, None]


def shown(segments: list[Segment]) -> list[str]:
    return [f"{s.start}-{s.end}: " + " ".join(f"{frame:g}" for frame in s.power_db[:, 0]) for s in segments]


def test_the_buffer_shown_after_each_push() -> None:
    front_end = FirstSample()
    buffer = SegmentBuffer(front_end, segment_hop=64)  # type: ignore[arg-type]
    ramp = np.arange(10_000, dtype=np.float32)  # a sample is its own position

    def push(start: int, end: int) -> list[str]:
        return shown(list(buffer.push(ramp[start:end])))

    assert push(0, 100) == []
    assert push(100, 191) == []
    assert push(191, 192) == ["0-192: 0 1 2"]
    assert push(192, 256) == ["64-256: 1 2 3"]
    assert push(256, 256) == []
    assert push(256, 456) == ["128-320: 2 3 4", "192-384: 3 4 5", "256-448: 4 5 6"]
    assert front_end.computed == [0, 1, 2, 3, 4, 5, 6]  # each once

    buffer.gap(56)  # 456 to 511 are lost: 8 hops of 64 are over
    assert push(512, 700) == []
    assert push(700, 800) == ["512-704: 8 9 10", "576-768: 9 10 11"]

    buffer.gap(0)  # nothing lost, yet a break: 32 samples that waited are let go
    assert push(800, 1000) == ["800-992: 12.5 13.5 14.5"]


def cut(samples: np.ndarray, cuts: list[int], config: FrontEndConfig, segment_hop: int) -> list[Segment]:
    buffer = SegmentBuffer(FrontEnd(config), segment_hop)
    return [segment for piece in np.split(samples, sorted(cuts)) for segment in buffer.push(piece)]


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


@given(
    n=st.integers(0, 5_000),
    cuts=st.lists(st.integers(0, 5_000), max_size=30),
    hop_frames=st.integers(1, 9),
    config=st.sampled_from([TINY, LONG_WINDOW]),
)
def test_every_segment_is_bit_equal_to_the_front_end_on_its_own_samples_however_blocks_are_cut(
    n: int, cuts: list[int], hop_frames: int, config: FrontEndConfig
) -> None:
    samples, segment_hop, front_end = noise(n), hop_frames * config.hop_length, FrontEnd(config)
    segments = cut(samples, [min(at, n) for at in cuts], config, segment_hop)
    starts = list(range(0, n - config.segment_samples + 1, segment_hop))
    assert [segment.start for segment in segments] == starts
    for segment in segments:
        assert segment.end == segment.start + config.segment_samples
        expected = front_end.power_db(samples[segment.start : segment.end])
        assert segment.power_db.tobytes() == expected.tobytes()


def test_one_sample_at_a_time_gives_the_same_segments_and_levels() -> None:
    samples = noise(2_500)
    at_once, one_by_one = (cut(samples, cuts, TINY, 300) for cuts in ([], list(range(1, 2_500))))
    assert len(at_once) == 6
    for a, b in zip(at_once, one_by_one, strict=True):
        assert (a.start, a.end, a.levels) == (b.start, b.end, b.levels)
        assert a.power_db.tobytes() == b.power_db.tobytes()


@pytest.mark.parametrize("hop_frames", [1, 3, 7, 8, 9])
def test_levels_are_those_of_the_new_hops_oldest_first(hop_frames: int) -> None:
    samples, hop = noise(6_000) * np.linspace(0, 1, 6_000, dtype=np.float32), hop_frames * TINY.hop_length
    first, second, *_ = cut(samples, [], TINY, hop)
    n_hops = max(1, TINY.segment_samples // hop)
    ends = [first.end - hop * k for k in reversed(range(n_hops))]
    assert list(first.levels) == [measure(samples[end - hop : end]) for end in ends]
    assert list(second.levels) == [measure(samples[second.end - hop : second.end])]


@given(
    stretches=st.lists(st.integers(0, 2_500), min_size=2, max_size=5),
    lost=st.lists(st.integers(0, 3_000), min_size=4, max_size=4),
)
def test_no_segment_spans_a_gap_and_positions_count_what_was_lost(stretches: list[int], lost: list[int]) -> None:
    buffer, front_end = SegmentBuffer(FrontEnd(TINY), 200), FrontEnd(TINY)
    position = 0
    for k, n in enumerate(stretches):
        if k:
            buffer.gap(lost[k - 1])
            position += lost[k - 1]
        samples = noise(n, seed=k)
        segments = [s for piece in np.array_split(samples, 7) for s in buffer.push(piece)]
        assert [s.start - position for s in segments] == list(range(0, n - TINY.segment_samples + 1, 200))
        for segment in segments:
            own = samples[segment.start - position : segment.end - position]
            assert segment.power_db.tobytes() == front_end.power_db(own).tobytes()
        position += n


def test_after_a_gap_every_level_of_the_segment_is_new() -> None:
    buffer = SegmentBuffer(FrontEnd(TINY), 300)
    before = list(buffer.push(noise(2_000)))
    assert [len(s.levels) for s in before] == [3, 1, 1, 1]
    buffer.gap(10)
    assert [len(s.levels) for s in buffer.push(noise(1_300))] == [3, 1]


def test_the_buffer_stays_below_a_segment_and_a_block() -> None:
    buffer = SegmentBuffer(FrontEnd(TINY), 300)
    for _ in range(300):
        list(buffer.push(noise(97)))
        assert sum(len(piece) for piece in buffer._pieces) <= TINY.segment_samples + 97


@given(
    factors=st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=30, max_size=30),
    cuts=st.lists(st.integers(0, 20_000), max_size=30),
)
def test_a_wider_hop_skips_segments_and_those_that_remain_are_bit_equal(factors: list[int], cuts: list[int]) -> None:
    samples, hop, front_end = noise(20_000), 300, FrontEnd(TINY)
    buffer, seen = SegmentBuffer(front_end, hop), 0
    starts = [0]
    for piece in np.split(samples, sorted(cuts)):
        for segment in buffer.push(piece):
            assert segment.start == starts[-1]
            expected = front_end.power_db(samples[segment.start : segment.end])
            assert segment.power_db.tobytes() == expected.tobytes()
            starts.append(segment.start + hop * buffer.hop_factor)  # the step after this one was taken before
            buffer.hop_factor = factors[min(seen, len(factors) - 1)]
            seen += 1
    assert starts[-1] + TINY.segment_samples > 20_000


def test_samples_between_two_segments_of_a_wide_hop_are_not_kept() -> None:
    buffer = SegmentBuffer(FrontEnd(TINY), 300)
    buffer.hop_factor = 16
    for _ in range(300):
        list(buffer.push(noise(97)))
        assert sum(len(piece) for piece in buffer._pieces) <= TINY.segment_samples + 97
