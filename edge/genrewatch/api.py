"""The functions behind `import genrewatch`: classify a file or an array, iterate over the results of a stream.

They run the pipeline that the daemon runs, so a file gives here the verdicts that it gives over MQTT.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from genrewatch.audio.decoding import decode_file
from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block
from genrewatch.contract.errors import DataError
from genrewatch.contract.vote import Verdict
from genrewatch.host.paths import SHIPPED_BUNDLE
from genrewatch.inference.pipeline import Pipeline, SegmentResult, classify_stream, open_pipeline, verdict_on_clip
from genrewatch.sources.kinds import open_sources
from genrewatch.sources.source import NowPlaying
from genrewatch.sources.uri import SourceConfig


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The answer to one clip."""

    verdict: Verdict
    """The majority vote over all segments of the clip (the paper's eq. 2); no genre for a clip that is too short."""
    segments: tuple[SegmentResult, ...]
    """The result of each segment, with the rolling verdict that a listener of a stream would have got."""


def open_bundle(path: str | PathLike[str] | None = None) -> Pipeline:
    """Open a bundle directory, or the shipped bundle, as a pipeline that any number of clips and streams may share.

    Raises BundleError for a bundle that is damaged, foreign or does not run on this machine.
    """
    return open_pipeline(Path(path) if path is not None else SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())


def classify_file(path: str | PathLike[str], pipeline: Pipeline) -> Classification:
    """Classify a sound file of any format that ffmpeg reads; raises SourceError when it cannot be decoded."""
    return classify_blocks(decode_file(Path(path)), pipeline)


def classify(samples: ArrayLike, sample_rate: int, pipeline: Pipeline) -> Classification:
    """Classify mono samples, shape (n,), floating point in [-1, 1], at any `sample_rate` in Hz.

    Raises DataError for an array that is not one-dimensional, or for a sample rate below 1 Hz.
    """
    mono = np.asarray(samples, np.float32)
    if mono.ndim != 1:
        raise DataError("samples", f"found shape {mono.shape}", "(n,), one channel")
    if sample_rate < 1:
        raise DataError("sample_rate", f"found {sample_rate}", "Hz, 1 or more")
    return classify_blocks([Block(samples=mono, sample_rate=sample_rate)], pipeline)


def classify_blocks(blocks: Iterable[Block], pipeline: Pipeline) -> Classification:
    """Classify the blocks of one clip."""
    segments = tuple(classify_stream(blocks, pipeline))
    return Classification(verdict=verdict_on_clip(segments, pipeline), segments=segments)


def listen(source: str, pipeline: Pipeline) -> Iterator[SegmentResult]:
    """Yield the result of each segment of a source, a URI as `--source` takes it, when its last sample is there.

    Closing the iterator closes the source. Raises SourceError for a source that cannot be opened.
    """
    (opened,) = open_sources([SourceConfig(uri=source)])
    try:
        yield from classify_stream(opened.blocks(_NoEvents()), pipeline)
    finally:
        opened.close()


class _NoEvents:
    """Callbacks of a source that nothing listens to."""

    def on_source_online(self, source_id: str, why: str) -> None:
        """Ignore it."""

    def on_source_offline(self, source_id: str, why: str) -> None:
        """Ignore it."""

    def on_source_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """Ignore it."""
