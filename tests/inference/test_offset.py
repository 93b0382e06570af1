"""An offset, drift or rumble below the music changes no verdict of the shipped bundle."""

from dataclasses import replace

import numpy as np
import pytest

from genrewatch import programme
from genrewatch.api import classify, open_bundle
from genrewatch.audio.pcm import Block
from genrewatch.inference.pipeline import classify_stream

RATE = programme.SAMPLE_RATE
MUSIC = programme.item("swing", 0)[: 14 * RATE]
T = np.arange(len(MUSIC)) / RATE
LEVEL = float(np.sqrt(np.mean(MUSIC**2)))


@pytest.mark.parametrize(
    "below",
    [
        pytest.param(np.full(len(T), 10 * LEVEL), id="offset"),
        pytest.param(np.linspace(0, 10 * LEVEL, len(T)), id="drift"),
        pytest.param(10 * LEVEL * np.sin(2 * np.pi * 6 * T), id="rumble"),
    ],
)
def test_what_lies_below_the_music_changes_no_verdict(below: np.ndarray) -> None:
    pipeline = open_bundle()
    clean = classify(MUSIC, RATE, pipeline)
    mixed = classify((MUSIC + below).astype(np.float32), RATE, pipeline)
    assert clean.verdict.genre is not None
    assert mixed.verdict.genre == clean.verdict.genre
    for one, other in zip(clean.segments, mixed.segments, strict=True):
        assert one.ballot.posterior is not None
        assert other.ballot.posterior is not None
        np.testing.assert_allclose(one.ballot.posterior, other.ballot.posterior, atol=0.1)
        assert one.level.dbfs == pytest.approx(other.level.dbfs, abs=0.2)


def test_rumble_alone_is_silence() -> None:
    rumble = (0.01 * np.sin(2 * np.pi * 6 * T) + 0.1).astype(np.float32)
    assert {segment.ballot.label for segment in classify(rumble, RATE, open_bundle()).segments} == {"silence"}


def test_a_stream_in_blocks_is_bit_equal_to_the_file() -> None:
    pipeline = open_bundle()
    pieces = [Block(samples=piece, sample_rate=RATE) for piece in np.split(MUSIC, [7, 5_000, 5_001, 40_000, 200_000])]
    streamed, whole = list(classify_stream(pieces, pipeline)), classify(MUSIC, RATE, pipeline).segments
    assert len(streamed) == len(whole) > 1
    for one, other in zip(streamed, whole, strict=True):
        assert (one.start, one.level, one.verdict) == (other.start, other.level, other.verdict)


def test_an_older_bundle_runs_without_the_filter() -> None:
    pipeline = open_bundle()
    older = replace(pipeline, manifest=replace(pipeline.manifest, pre_filter="none"))
    clean, offset = (classify((MUSIC + x).astype(np.float32), RATE, older) for x in (0, 10 * LEVEL))
    first, second = clean.segments[0].ballot.posterior, offset.segments[0].ballot.posterior
    assert first is not None
    assert second is not None
    assert np.abs(first - second).max() > 0.1
