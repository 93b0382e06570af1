"""The path of the sound, from blocks to verdicts; a file, a microphone and a test all come through here.

blocks -> Resampler -> SegmentBuffer -> LevelGate -> FrontEnd -> Classifier -> MajorityVote -> SegmentResult
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genrewatch.audio.level import Level, LevelConfig, LevelGate
from genrewatch.audio.pcm import Block
from genrewatch.audio.resample import Resampler
from genrewatch.audio.segments import Segment, SegmentBuffer
from genrewatch.contract.bundle import Manifest, load_bundle
from genrewatch.contract.front_end import FrontEnd, Samples
from genrewatch.contract.vote import SILENCE, Ballot, MajorityVote, Posterior, Verdict, VoteConfig
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.hop_control import EveryHop, HopControl


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What it takes to listen: the network, its front end and how its answers are counted. Shared by all sources."""

    manifest: Manifest
    front_end: FrontEnd
    classifier: Classifier
    vote: VoteConfig
    level: LevelConfig = LevelConfig()

    def __post_init__(self) -> None:
        config = self.manifest.front_end
        self.vote.check_geometry(hop_length=config.hop_length, segment_samples=config.segment_samples)


def open_pipeline(bundle_path: Path, adjust: Callable[[VoteConfig], VoteConfig], level: LevelConfig) -> Pipeline:
    """Loads a bundle, checks it against its network and adjusts the vote that it proposes."""
    bundle = load_bundle(bundle_path)
    return Pipeline(
        manifest=bundle.manifest,
        front_end=FrontEnd(bundle.manifest.front_end),
        classifier=Classifier.of(bundle),
        vote=adjust(bundle.manifest.vote),
        level=level,
    )


@dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """One segment's answer and the verdict after it."""

    start: int
    """First sample of the segment, at `sample_rate`, from the start of the stream."""
    end: int
    """One past its last sample."""
    sample_rate: int
    """The bundle's."""
    ballot: Ballot
    """What this segment voted."""
    verdict: Verdict
    """The rolling verdict."""
    level: Level
    """Of the newest hop."""
    dead_air: bool
    """Whether silence has lasted too long."""
    lost: int
    """Samples missing from the stream so far, at `sample_rate`."""
    hop_factor: int
    """Hops between segments at present; more than 1 when inference has fallen behind."""

    @property
    def start_s(self) -> float:
        """Seconds from the start of the stream."""
        return self.start / self.sample_rate

    @property
    def end_s(self) -> float:
        """Seconds from the start of the stream."""
        return self.end / self.sample_rate

    @property
    def lost_s(self) -> float:
        """Seconds missing so far."""
        return self.lost / self.sample_rate


def classify_stream(
    blocks: Iterable[Block], pipeline: Pipeline, hop_control: HopControl | None = None
) -> Iterator[SegmentResult]:
    """Blocks of one source -> a result for each segment, as soon as its last sample is there."""
    hop_control = hop_control or EveryHop()
    config = pipeline.manifest.front_end
    buffer = SegmentBuffer(pipeline.front_end, pipeline.vote.segment_hop)
    hop_s = pipeline.vote.segment_hop / config.sample_rate
    gate = LevelGate(pipeline.level, hops_per_segment=buffer.hops_per_segment, hop_s=hop_s)
    vote = MajorityVote(pipeline.vote, pipeline.manifest.labels)
    lost = 0
    for samples, missing in resampled(blocks, config.sample_rate):
        if missing:
            lost += missing
            buffer.gap(missing)
            gate.clear()
            if missing > config.segment_samples:
                vote.clear()
        for segment in buffer.push(samples):
            for hop_level in segment.levels:
                gate.add(hop_level.dbfs)
            buffer.hop_factor = hop_control.hop_factor(hop_s)
            ballot = cast_ballot(segment, pipeline, silent=gate.silent)
            yield SegmentResult(
                start=segment.start,
                end=segment.end,
                sample_rate=config.sample_rate,
                ballot=ballot,
                verdict=vote.add(ballot),
                level=segment.levels[-1],
                dead_air=gate.dead_air,
                lost=lost,
                hop_factor=buffer.hop_factor,
            )


def cast_ballot(segment: Segment, pipeline: Pipeline, *, silent: bool) -> Ballot:
    """Silence does not vote for a genre; anything else votes for the network's first choice."""
    if silent:
        return Ballot(label=SILENCE, posterior=None)
    posterior: Posterior = pipeline.classifier.posterior(pipeline.front_end.scale(segment.power_db))
    return Ballot(label=pipeline.manifest.labels[int(posterior.argmax())], posterior=posterior)


def resampled(blocks: Iterable[Block], sample_rate: int) -> Iterator[tuple[Samples, int]]:
    """Blocks at any rate -> (samples at `sample_rate`, samples lost before them, at `sample_rate`)."""
    resampler, rate = None, 0
    nothing = np.empty(0, np.float32)
    for block in blocks:
        missing = -(-block.lost * sample_rate // block.sample_rate)  # rounded up: one lost sample is a gap too
        if resampler is None or block.sample_rate != rate or missing:
            if resampler is not None:
                yield resampler.push(nothing, last=True), 0  # what was heard before the break is not held back
            resampler, rate = Resampler(block.sample_rate, sample_rate), block.sample_rate
        yield resampler.push(block.samples, last=block.last), missing
        if block.last:
            resampler = None
    if resampler is not None:
        yield resampler.push(nothing, last=True), 0
