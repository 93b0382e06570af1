"""The whole pipeline with a fake network: segments, gaps, rates, silence and invalid samples."""

import itertools
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block, PcmFormat, pcm_blocks, until_break
from genrewatch.contract.bundle import Manifest, Tensor
from genrewatch.contract.errors import ConfigError, SourceError
from genrewatch.contract.filter import Caster, clip_ballots
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig
from genrewatch.contract.out_of_set import NearestCentre, OutOfSet
from genrewatch.contract.summary import FeatureSummary
from genrewatch.contract.vote import SILENCE, UNKNOWN, VoteConfig, clip_verdict
from genrewatch.inference.classifier import Classified, Classifier, softmax
from genrewatch.inference.pipeline import Pipeline, SegmentResult, classify_stream, resampled, verdict_on_clip

RATE = 8_000
TINY = FrontEndConfig(sample_rate=RATE, n_fft=256, hop_length=100, n_mels=20, fmin=0, fmax=4_000, segment_frames=8)
LABELS = ("low", "middle", "high")


class LoudestThird:
    """Fake network: the loudest third of the mel bands."""

    def __init__(self, features: np.ndarray | None = None) -> None:
        self.calls, self.features = 0, features

    def posterior(self, log_mel: np.ndarray) -> np.ndarray:
        assert log_mel.shape == (TINY.segment_frames, TINY.n_mels)
        assert np.isfinite(log_mel).all()
        self.calls += 1
        thirds = [part.mean() for part in np.array_split(log_mel, 3, axis=1)]
        return softmax(np.array(thirds, np.float32) * np.float32(20))

    def classify(self, log_mel: np.ndarray) -> Classified:
        return Classified(posterior=self.posterior(log_mel), features=self.features)


def pipeline(**vote: Any) -> Pipeline:
    config = VoteConfig(**({"segments": 3, "segment_hop": 200} | vote))
    tensors = {
        "input": Tensor(shape=(1, 8, 20, 1), dtype="float32", scale=None, zero_point=None),
        "output": Tensor(shape=(1, 3), dtype="float32", scale=None, zero_point=None),
    }
    manifest = Manifest(
        format=1,
        name="tiny",
        version="1",
        labels=LABELS,
        front_end=TINY,
        vote=config,
        temperature=1.0,
        files={"model.tflite": "", "golden.npz": ""},
        **tensors,
    )
    return Pipeline(
        manifest=manifest,
        front_end=FrontEnd(TINY),
        classifier=cast(Classifier, LoudestThird()),
        vote=config,
        level=LevelConfig(),
    )


def tone(hz: float, seconds: float, rate: int = RATE, amplitude: float = 0.2) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    hiss = np.random.default_rng(int(hz)).standard_normal(len(t))
    return (amplitude * (np.sin(2 * np.pi * hz * t) + 0.01 * hiss)).astype(np.float32)


def programme(rate: int = RATE) -> np.ndarray:
    pieces = [tone(200, 0.5, rate), tone(900, 0.5, rate), np.zeros(rate // 2, np.float32), tone(3_000, 0.6, rate)]
    return np.concatenate(pieces)


def blocks(samples: np.ndarray, cuts: Iterable[int] = (), rate: int = RATE) -> list[Block]:
    return [Block(samples=piece, sample_rate=rate) for piece in np.split(samples, sorted(cuts))]


def results_of(stream: Iterable[Block], **vote: Any) -> list[SegmentResult]:
    return list(classify_stream(stream, pipeline(**vote)))


def as_bytes(results: list[SegmentResult]) -> list[object]:
    return [
        (r.start, r.end, r.ballot.label, np.asarray(r.ballot.posterior).tobytes(), r.verdict, r.level.dbfs, r.lost)
        for r in results
    ]


def labels(results: list[SegmentResult]) -> list[str]:
    return [label for label, _ in itertools.groupby(r.ballot.label for r in results)]


def test_a_programme_is_classified_piece_by_piece_and_its_silence_as_silence() -> None:
    results = results_of(blocks(programme()))
    assert labels(results) == ["low", "middle", SILENCE, "high"]
    assert [r.start for r in results] == list(range(0, len(programme()) - TINY.segment_samples + 1, 200))
    assert results[-1].verdict.genre == "high"
    assert results[-1].end_s == pytest.approx(results[-1].start_s + TINY.segment_s)


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 16_800), max_size=60), rate=st.sampled_from([8_000, 11_025, 16_000]))
def test_blocks_of_any_sizes_give_bit_equal_results(cuts: list[int], rate: int) -> None:
    samples = programme(rate)
    whole = as_bytes(results_of(blocks(samples, rate=rate)))
    assert len(whole) > 70
    assert as_bytes(results_of(blocks(samples, [min(at, len(samples)) for at in cuts], rate))) == whole


@pytest.mark.parametrize("size", [1, 37, 200, 4096])
def test_blocks_of_one_size_give_bit_equal_results(size: int) -> None:
    samples = programme()
    assert as_bytes(results_of(blocks(samples, range(size, len(samples), size)))) == as_bytes(
        results_of(blocks(samples))
    )


@pytest.mark.slow
def test_a_long_block_needs_little_more_memory_than_its_own() -> None:
    block = Block(samples=tone(900, 100.0), sample_rate=RATE)
    tracemalloc.start()
    try:
        for _ in classify_stream([block], pipeline()):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < block.samples.nbytes / 4


def test_a_result_comes_as_soon_as_its_last_sample_arrives() -> None:
    taken = 0

    def source() -> Iterable[Block]:
        nonlocal taken
        for block in blocks(tone(200, 1), range(1, RATE)):
            taken += 1
            yield block

    assert next(classify_stream(source(), pipeline())).end == TINY.segment_samples
    assert taken == TINY.segment_samples


def test_the_same_sound_20_db_quieter_gives_the_same_verdicts() -> None:
    loud, quiet = results_of(blocks(programme())), results_of(blocks(programme() * np.float32(0.1)))
    assert [r.ballot.label for r in quiet] == [r.ballot.label for r in loud]
    assert [(r.verdict.genre, r.verdict.reason) for r in quiet] == [(r.verdict.genre, r.verdict.reason) for r in loud]


def test_the_network_does_not_run_on_silence() -> None:
    here = pipeline()
    results = list(classify_stream(blocks(np.zeros(RATE, np.float32)), here))
    assert {r.ballot.label for r in results} == {SILENCE}
    assert {r.level.dbfs for r in results} == {None}
    assert results[-1].verdict.reason == "silence"
    assert cast(LoudestThird, here.classifier).calls == 0


def test_a_direct_current_is_silence() -> None:
    assert labels(results_of(blocks(np.full(RATE, 0.25, np.float32)))) == [SILENCE]


def test_a_gap_is_counted_and_no_segment_spans_it() -> None:
    before, after = tone(200, 0.5), tone(3_000, 0.5)
    stream = [*blocks(before), Block(samples=after, sample_rate=RATE, lost=300)]
    results = results_of(stream)
    gap = range(len(before), len(before) + 300)
    assert all(r.end <= gap.start or r.start >= gap.stop for r in results)
    assert {r.lost for r in results if r.end <= gap.start} == {0}
    assert {r.lost for r in results if r.start >= gap.stop} == {300}
    assert results[-1].lost_s == pytest.approx(300 / RATE)
    assert min(r.start for r in results if r.start >= gap.stop) == gap.stop
    assert labels(results) == ["low", "high"]  # none is a mixture


def test_the_sound_after_a_long_gap_is_classified_like_a_new_stream() -> None:
    after = programme()
    stream = [*blocks(tone(200, 0.3)), Block(samples=after, sample_rate=RATE, lost=5_000)]
    fresh = results_of(blocks(after))
    late = results_of(stream)[-len(fresh) :]
    assert [r.start - late[0].start for r in late] == [r.start for r in fresh]
    assert [r.verdict for r in late] == [r.verdict for r in fresh]


def test_votes_survive_a_short_gap_and_are_cleared_by_one_longer_than_a_segment() -> None:
    def first_after(lost: int) -> SegmentResult:
        stream = [*blocks(tone(200, 0.5)), Block(samples=tone(200, 0.2), sample_rate=RATE, lost=lost)]
        return next(r for r in results_of(stream) if r.lost)

    assert first_after(TINY.segment_samples).verdict.genre == "low"
    cleared = first_after(TINY.segment_samples + 1).verdict
    assert (cleared.genre, cleared.reason, cleared.segments) == (None, "warming_up", 1)


def test_lost_samples_are_counted_at_the_bundles_rate() -> None:
    rate = 2 * RATE
    stream = [*blocks(tone(200, 1, rate), rate=rate), Block(samples=tone(200, 1, rate), sample_rate=rate, lost=1_000)]
    results = results_of(stream)
    assert results[-1].lost == 500
    assert min(r.start for r in results if r.lost) == RATE + 500


def test_even_one_lost_sample_breaks_the_segments_at_any_rate() -> None:
    stream = [
        *blocks(tone(200, 1, 48_000), rate=48_000),
        Block(samples=tone(200, 1, 48_000), sample_rate=48_000, lost=1),
    ]
    results = results_of(stream)
    assert results[-1].lost == 1
    assert not [r for r in results if r.start < RATE < r.end]


@pytest.mark.parametrize("lost", [0, 160])
def test_no_sample_before_a_break_is_held_back(lost: int) -> None:
    first, second = tone(200, 1, 16_000), tone(900, 1, 16_000 if lost else RATE)
    stream = [*blocks(first, rate=16_000), Block(samples=second, sample_rate=16_000 if lost else RATE, lost=lost)]
    pieces = list(resampled(stream, RATE))
    assert sum(len(samples) for samples, _ in pieces) == 2 * RATE
    assert sum(missing for _, missing in pieces) == lost / 2


def test_the_sound_before_a_break_is_classified_when_the_break_begins() -> None:
    rate, taken = 16_000, []
    sound = tone(200, 2 * (TINY.segment_samples + 10) / rate, rate)  # the resampler holds back more than 10 samples
    broken = until_break([Block(samples=sound, sample_rate=rate)])

    def stream() -> Iterator[Block]:
        yield from broken
        taken.append("back")
        yield Block(samples=sound, sample_rate=rate, lost=rate)

    results = classify_stream(stream(), pipeline())
    first = next(results)
    assert taken == []
    assert (first.start, first.end, first.lost) == (0, TINY.segment_samples, 0)
    second = next(results)
    assert taken == ["back"]
    assert (second.start, second.lost) == (TINY.segment_samples + 10 + RATE, RATE)


def test_blocks_that_fail_break_off_before_the_failure() -> None:
    def failing() -> Iterator[Block]:
        yield Block(samples=tone(200, 0.1), sample_rate=RATE)
        raise SourceError("a", "gone")

    blocks = until_break(failing())
    assert not next(blocks).last
    assert next(blocks).last
    with pytest.raises(SourceError, match="gone"):
        next(blocks)
    assert list(until_break([])) == []


def test_the_rate_may_change_in_mid_stream() -> None:
    stream = [
        *blocks(tone(200, 0.5, 16_000), rate=16_000),
        *blocks(tone(200, 0.5, RATE)),
        *blocks(tone(200, 0.5, 11_025), rate=11_025),
    ]
    results = results_of(stream)
    assert labels(results) == ["low"]
    assert results[-1].end == pytest.approx(1.5 * RATE, abs=200)
    assert {r.lost for r in results} == {0}


def test_nan_and_infinity_from_a_source_count_as_silence() -> None:
    garbage = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38], "<f4")
    stream = np.concatenate([tone(200, 0.5), np.tile(garbage, 800), tone(200, 0.5)]).astype("<f4").tobytes()
    pipe = iter([stream, b""])
    results = results_of(pcm_blocks(lambda n: next(pipe), PcmFormat(rate=RATE, encoding="f32le"), where="pipe"))
    assert set(labels(results)) == {"low", SILENCE}
    assert results[-1].verdict.genre == "low"
    assert all(r.level.dbfs is None or np.isfinite(r.level.dbfs) for r in results)


def test_clipped_sound_is_classified() -> None:
    results = results_of(blocks(np.clip(50 * tone(200, 1), -1, 1)))
    assert labels(results) == ["low"]
    assert results[-1].level.dbfs == pytest.approx(0, abs=0.5)


def test_no_blocks_and_too_few_samples_give_no_results() -> None:
    assert results_of([]) == []
    assert results_of(blocks(np.empty(0, np.float32))) == []
    assert results_of(blocks(tone(200, 1)[: TINY.segment_samples - 1])) == []


def test_segments_that_do_not_overlap_share_no_frames() -> None:
    results = results_of(blocks(tone(200, 1)), segment_hop=900)  # more than the 8 frames of a segment
    assert [r.start for r in results] == list(range(0, RATE - TINY.segment_samples + 1, 900))


@pytest.mark.parametrize("segment_hop", [150, 1_000])
def test_a_vote_that_does_not_fit_the_front_end_is_refused(segment_hop: int) -> None:
    good = pipeline()
    vote = VoteConfig(segment_hop=segment_hop)
    with pytest.raises(ConfigError, match="segment_hop"):
        Pipeline(manifest=good.manifest, front_end=good.front_end, classifier=good.classifier, vote=vote)


def test_a_widened_hop_skips_segments_and_is_reported() -> None:
    class Twice:
        def hop_factor(self, hop_s: float) -> int:
            assert hop_s == 200 / RATE
            return 2

    sound = Block(samples=tone(500, 1), sample_rate=RATE)
    every = list(classify_stream([sound], pipeline()))
    wide = list(classify_stream([sound], pipeline(), Twice()))
    assert [r.start for r in wide] == [0, 200, *range(600, every[-1].start + 1, 400)]
    assert {r.hop_factor for r in every} == {1}
    assert {r.hop_factor for r in wide} == {2}
    by_start = {r.start: r for r in every}
    assert all(np.array_equal(r.ballot.posterior, by_start[r.start].ballot.posterior) for r in wide)


FILTERED = {"filter": "hmm", "expected_duration_s": 1.0, "segment_weight": 0.5}
"""A filter for sound that changes every second or so."""


def test_the_filter_removes_doubtful_ballots_and_keeps_the_pieces() -> None:
    results = results_of(blocks(programme()), **FILTERED)
    assert labels(results) == ["low", "middle", SILENCE, "high"]
    assert results[-1].verdict.genre == "high"
    assert all((r.ballot.filtered is None) == (r.ballot.label == SILENCE) for r in results)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 16_800), max_size=60))
def test_blocks_of_any_sizes_give_bit_equal_filtered_results(cuts: list[int]) -> None:
    def filtered(cuts: list[int]) -> list[object]:
        results = results_of(blocks(programme(), cuts), **FILTERED)
        return [*as_bytes(results), *(np.asarray(r.ballot.filtered).tobytes() for r in results)]

    assert filtered([min(at, len(programme())) for at in cuts]) == filtered([])


def test_without_a_filter_nothing_differs_from_a_vote_that_has_never_known_one() -> None:
    plain = results_of(blocks(programme()))
    none = results_of(blocks(programme()), filter="none", expected_duration_s=7.0, segment_weight=0.1)
    assert as_bytes(none) == as_bytes(plain)
    assert {r.ballot.filtered for r in none} == {None}


def first_filtered_after(lost: int) -> np.ndarray:
    stream = [*blocks(tone(200, 0.5)), Block(samples=tone(3_000, 0.2), sample_rate=RATE, lost=lost)]
    first = next(r for r in results_of(stream, **FILTERED) if r.lost)
    assert first.ballot.filtered is not None
    return first.ballot.filtered


def test_a_gap_ages_the_filter_by_its_length() -> None:
    low = [float(first_filtered_after(seconds * RATE)[0]) for seconds in (1, 2, 60)]
    assert low == sorted(low, reverse=True)
    new_stream = results_of(blocks(tone(3_000, 0.2)), **FILTERED)[0].ballot.filtered
    np.testing.assert_allclose(first_filtered_after(60 * RATE), new_stream, atol=1e-6)


def test_a_short_gap_leaves_vote_and_filter_in_place() -> None:
    stream = [*blocks(tone(200, 0.5)), Block(samples=tone(200, 0.2), sample_rate=RATE, lost=100)]
    first = next(r for r in results_of(stream, **FILTERED) if r.lost)
    assert first.verdict.genre == "low"
    assert first.ballot.filtered is not None
    assert first.ballot.filtered[0] > results_of(blocks(tone(200, 0.2)), **FILTERED)[0].ballot.filtered[0]  # type: ignore[index]


def test_a_restarted_stream_begins_with_a_new_filter() -> None:
    once, again = (results_of(blocks(tone(900, 0.5)), **FILTERED) for _ in range(2))
    assert as_bytes(once) == as_bytes(again)


def test_a_widened_hop_ages_the_filter_by_the_wider_hop() -> None:
    class Four:
        def hop_factor(self, hop_s: float) -> int:
            return 4

    sound = [Block(samples=np.concatenate([tone(200, 1), tone(3_000, 1)]), sample_rate=RATE)]
    wide = list(classify_stream(sound, pipeline(**FILTERED), Four()))
    by_hand = Caster(pipeline(segment_hop=800, **FILTERED).vote, LABELS, RATE)
    for result in wide:
        expected = by_hand.cast(result.ballot.posterior, result.start).filtered
        assert expected is not None
        assert np.asarray(result.ballot.filtered).tobytes() == expected.tobytes()
    assert labels(wide) == ["low", "high"]


def test_the_verdict_on_a_clip_counts_ballots_smoothed_over_all_of_it() -> None:
    clip = blocks(np.concatenate([tone(200, 0.3), tone(3_000, 0.6)]))
    here = pipeline(**FILTERED)
    results = list(classify_stream(clip, here))
    posteriors, starts = [r.ballot.posterior for r in results], [r.start for r in results]
    smoothed = clip_ballots(posteriors, starts, LABELS, here.vote, RATE)
    assert verdict_on_clip(results, here) == clip_verdict(smoothed, LABELS)
    assert verdict_on_clip(results, here).genre == "high"
    plain = pipeline()
    unfiltered = list(classify_stream(clip, plain))
    assert verdict_on_clip(unfiltered, plain) == clip_verdict([r.ballot for r in unfiltered], LABELS)
    assert verdict_on_clip([], here).reason == "warming_up"


def far_pipeline(threshold: float = 5.0, **vote: Any) -> Pipeline:
    """A pipeline whose network puts every segment at a distance of 9."""
    summary = FeatureSummary(
        centres=np.array([[-1], [1]], np.float32), labels=np.array([0, 1], np.int16), shares=np.ones(2, np.float32)
    )
    plain = pipeline(**({"unknown": True} | vote))
    return replace(
        plain,
        manifest=replace(plain.manifest, out_of_set=OutOfSet(threshold=threshold)),
        classifier=cast(Classifier, LoudestThird(np.array([4], np.float32))),
        centres=NearestCentre(summary),
    )


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal(round(seconds * RATE))).astype(np.float32)


def narrow_noise(seconds: float) -> np.ndarray:
    spectrum = np.fft.rfft(noise(seconds))
    spectrum[round(len(spectrum) * 0.5) :] = 0
    return np.fft.irfft(spectrum, round(seconds * RATE)).astype(np.float32)


def test_far_music_is_unknown_once_the_band_is_known() -> None:
    far = far_pipeline()
    results = list(classify_stream(blocks(noise(2)), far))
    assert [r.ballot.distance for r in results] == [pytest.approx(9)] * len(results)
    known = next(i for i, r in enumerate(results) if r.bandwidth_hz is not None)
    assert [r.ballot.label == UNKNOWN for r in results] == [i >= known for i in range(len(results))]
    assert results[-1].verdict.reason == "unknown"
    assert verdict_on_clip(results, far).reason == "unknown"  # of all segments: the band of the clip is known


def test_over_a_narrow_band_within_the_limit_or_switched_off_nothing_is_unknown() -> None:
    for far, sound in (
        (far_pipeline(), narrow_noise(2)),
        (far_pipeline(threshold=9.1), noise(2)),
        (far_pipeline(unknown=False), noise(2)),
    ):
        results = list(classify_stream(blocks(sound), far))
        assert results[-1].bandwidth_hz is not None
        assert UNKNOWN not in labels(results)
        assert verdict_on_clip(results, far).reason != "unknown"


def test_silence_has_no_distance() -> None:
    results = list(classify_stream(blocks(np.concatenate([noise(1), np.zeros(RATE, np.float32)])), far_pipeline()))
    assert results[-1].ballot.label == SILENCE
    assert results[-1].ballot.distance is None
