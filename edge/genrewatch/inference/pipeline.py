"""The pipeline from blocks to verdicts, the same for files, live sources and tests.

blocks -> Resampler -> HighPass -> SegmentBuffer -> LevelGate -> FrontEnd -> Classifier -> Caster -> MajorityVote
-> SegmentResult
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.audio.bandwidth import BandwidthMeter, is_narrow
from genrewatch.audio.level import Level, LevelConfig, LevelGate
from genrewatch.audio.mix import Mix
from genrewatch.audio.pcm import Block
from genrewatch.audio.pre_filter import Sound, pre_filtered
from genrewatch.audio.resample import Resampler
from genrewatch.audio.segments import Segment, SegmentBuffer
from genrewatch.contract.bundle import Bundle, Manifest, load_bundle
from genrewatch.contract.filter import Caster, clip_ballots
from genrewatch.contract.front_end import FrontEnd, Samples
from genrewatch.contract.out_of_set import MeanDistance, NearestCentre, counted
from genrewatch.contract.vote import Ballot, MajorityVote, Verdict, VoteConfig, clip_verdict
from genrewatch.inference.classifier import Classified, Classifier
from genrewatch.inference.head import body_hash
from genrewatch.inference.hop_control import EveryHop, HopControl

PIECE_S = 1.0
"""Seconds of a block that are processed at once, so that a long block needs no more working memory than a short one."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Front end, classifier, vote and level gate of one bundle; stateless, shared by all sources."""

    manifest: Manifest
    front_end: FrontEnd
    classifier: Classifier
    vote: VoteConfig
    level: LevelConfig = LevelConfig()
    body: str | None = None
    """Hash of the network without its head, where each segment's result has the features; else None."""
    centres: NearestCentre | None = None
    """What the bundle was trained on; None where it has no summary."""

    def __post_init__(self) -> None:
        config = self.manifest.front_end
        self.vote.check_geometry(hop_length=config.hop_length, segment_samples=config.segment_samples)

    def is_far(self, distance: float | None, bandwidth_hz: int | None) -> bool:
        """Return whether music at this mean distance is unknown.

        None is until the band of the source is known, nor over a narrow band: there any music is far.
        """
        limit = self.manifest.out_of_set
        if limit is None or not self.vote.unknown or distance is None or distance <= limit.threshold:
            return False
        return bandwidth_hz is not None and not is_narrow(bandwidth_hz, self.manifest.front_end.fmax)


def open_pipeline(bundle_path: Path, adjust: Callable[[VoteConfig], VoteConfig], level: LevelConfig) -> Pipeline:
    """Load a bundle, check it against its network and apply `adjust` to its default vote."""
    return pipeline_of(load_bundle(bundle_path), adjust, level)


def pipeline_of(
    bundle: Bundle, adjust: Callable[[VoteConfig], VoteConfig], level: LevelConfig, *, features: bool = False
) -> Pipeline:
    """Return the pipeline of a loaded bundle; see `open_pipeline`.

    With `features` each segment's result has those before the head, where the network gives them.
    """
    return Pipeline(
        manifest=bundle.manifest,
        front_end=FrontEnd(bundle.manifest.front_end),
        classifier=Classifier.of(bundle, features=bundle.summary is not None),
        vote=adjust(bundle.manifest.vote),
        level=level,
        centres=NearestCentre(bundle.summary) if bundle.summary else None,
        body=body_hash(bundle.model) if features and bundle.summary else None,
    )


@dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """One segment with its ballot and the verdict after it."""

    start: int
    """First sample of the segment, counted at `sample_rate` from the start of the stream."""
    end: int
    """One past its last sample."""
    sample_rate: int
    """The bundle's, Hz."""
    ballot: Ballot
    """The segment's ballot."""
    verdict: Verdict
    """The rolling verdict after it."""
    level: Level
    """Level of the newest hop."""
    dead_air: bool
    """True once silence has lasted for `dead_air_s`."""
    bandwidth_hz: int | None = None
    """Upper end of the band that carries sound, at most that of the front end; None until it is known."""
    features: NDArray[np.float32] | None = None
    """(n_features,) the input of the head; None where it is not kept, and for a silent segment."""
    mix: Mix | None = None
    """The way in which the channels of the newest block were mixed; None for one channel."""
    lost: int
    """Samples missing from the stream so far, counted at `sample_rate`."""
    hop_factor: int
    """Hops to the next segment; more than 1 while inference is late."""

    @property
    def start_s(self) -> float:
        """`start` in seconds."""
        return self.start / self.sample_rate

    @property
    def end_s(self) -> float:
        """`end` in seconds."""
        return self.end / self.sample_rate

    @property
    def lost_s(self) -> float:
        """`lost` in seconds."""
        return self.lost / self.sample_rate


def classify_stream(
    blocks: Iterable[Block], pipeline: Pipeline, hop_control: HopControl | None = None
) -> Iterator[SegmentResult]:
    """Yield a result for each segment of one source's blocks, as soon as its last sample has arrived."""
    stream = _Stream(pipeline, hop_control or EveryHop())
    sample_rate = pipeline.manifest.front_end.sample_rate
    for sound, missing in pre_filtered(
        resampled(stream.noted(blocks), sample_rate), sample_rate, pipeline.manifest.pre_filter
    ):
        if missing:
            stream.gap(missing)
        yield from stream.push(sound)


def verdict_on_clip(results: Sequence[SegmentResult], pipeline: Pipeline) -> Verdict:
    """Return the verdict over all segments of a clip (eq. 2); a filter smooths over the whole clip first."""
    labels, vote = pipeline.manifest.labels, pipeline.vote
    posteriors, starts = [result.ballot.posterior for result in results], [result.start for result in results]
    ballots = clip_ballots(posteriors, starts, labels, vote, pipeline.manifest.front_end.sample_rate)
    band_hz = results[-1].bandwidth_hz if results else None
    distances = [result.ballot.distance for result in results]
    ballots = [
        counted(ballot, distance=distance, far=pipeline.is_far(distance, band_hz))
        for ballot, distance in zip(ballots, distances, strict=True)
    ]
    return clip_verdict(ballots, labels, vote.min_share, vote.sharpness_used)


class _Stream:
    """State of one stream: segment buffer, level gate, filter and vote."""

    def __init__(self, pipeline: Pipeline, hop_control: HopControl) -> None:
        self._pipeline, self._hop_control = pipeline, hop_control
        self._sample_rate = pipeline.manifest.front_end.sample_rate
        self._hop_s = pipeline.vote.segment_hop / self._sample_rate
        self._buffer = SegmentBuffer(pipeline.front_end, pipeline.vote.segment_hop)
        hops = self._buffer.hops_per_segment
        self._gate = LevelGate(pipeline.level, hops_per_segment=hops, hop_s=self._hop_s)
        self._bandwidth = BandwidthMeter(pipeline.front_end.config)
        self._caster = Caster(pipeline.vote, pipeline.manifest.labels, self._sample_rate)
        self._vote = MajorityVote(pipeline.vote, pipeline.manifest.labels)
        self._distance = MeanDistance()
        self._mix: Mix | None = None
        self._lost = 0

    def noted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks, and note how their channels are mixed."""
        for block in blocks:
            if not block.last:
                self._mix = block.mix
            yield block

    def gap(self, missing: int) -> None:
        """Count a gap of `missing` samples; one longer than a segment clears the vote.

        The filter is aged by the gap at the next segment, whose start includes it.
        """
        self._lost += missing
        self._buffer.gap(missing)
        self._gate.clear()
        if missing > self._pipeline.manifest.front_end.segment_samples:
            self._vote.clear()

    def push(self, sound: Sound) -> Iterator[SegmentResult]:
        """Yield a result for each segment that this sound completes."""
        for segment in self._buffer.push(sound.samples, sound.raw):
            for hop_level in segment.levels:
                self._gate.add(hop_level.dbfs)
            self._buffer.hop_factor = self._hop_control.hop_factor(self._hop_s)
            yield self._result(segment)

    def _result(self, segment: Segment) -> SegmentResult:
        found = self._classify(segment)
        ballot = self._caster.cast(found.posterior if found else None, segment.start)
        distance = self._mean_distance(found)
        far = self._pipeline.is_far(distance, self._bandwidth.bandwidth_hz)
        ballot = counted(ballot, distance=distance, far=far)
        return SegmentResult(
            start=segment.start,
            end=segment.end,
            sample_rate=self._sample_rate,
            ballot=ballot,
            verdict=self._vote.add(ballot),
            level=segment.levels[-1],
            dead_air=self._gate.dead_air,
            bandwidth_hz=self._bandwidth.bandwidth_hz,
            features=found.features if found and self._pipeline.body else None,
            mix=self._mix,
            lost=self._lost,
            hop_factor=self._buffer.hop_factor,
        )

    def _classify(self, segment: Segment) -> Classified | None:
        """Run the network on a segment; None for a silent one."""
        if self._gate.silent:
            return None
        self._bandwidth.update(segment.power_db)
        return self._pipeline.classifier.classify(self._pipeline.front_end.scale(segment.power_db))

    def _mean_distance(self, found: Classified | None) -> float | None:
        if found is None or found.features is None or self._pipeline.centres is None:
            self._distance.clear()
            return None
        return self._distance.add(float(self._pipeline.centres.distances(found.features[None])[0]))


def resampled(blocks: Iterable[Block], sample_rate: int) -> Iterator[tuple[Samples, int]]:
    """Yield (samples at `sample_rate`, samples lost before them at `sample_rate`) of blocks at any rate."""
    resampler, rate = None, 0
    nothing = np.empty(0, np.float32)
    for block in blocks:
        missing = -(-block.lost * sample_rate // block.sample_rate)  # rounded up: one lost sample is a gap
        if resampler is None or block.sample_rate != rate or missing:
            if resampler is not None:
                yield resampler.push(nothing, last=True), 0  # samples before the gap, still in the resampler
            resampler, rate = Resampler(block.sample_rate, sample_rate), block.sample_rate
        n = round(PIECE_S * rate)
        for start in range(0, max(1, len(block.samples)), n):
            yield resampler.push(block.samples[start : start + n]), missing if start == 0 else 0
        if block.last:
            yield resampler.push(nothing, last=True), 0
            resampler = None
    if resampler is not None:
        yield resampler.push(nothing, last=True), 0
