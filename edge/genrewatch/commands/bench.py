"""`genrewatch bench`: CPU time of front end, network and whole pipeline on this machine, one thread."""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np

from genrewatch import programme
from genrewatch.audio.pcm import Block
from genrewatch.commands.options import add_bundle
from genrewatch.contract.front_end import Samples
from genrewatch.daemon.config import ListenConfig
from genrewatch.inference.pipeline import Pipeline, classify_stream, open_pipeline

ROUNDS = 7
SOUND_S, ROUNDS_OF_SOUND = 30, 8  # repeated, to measure long without much memory
BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Medians over `ROUNDS` rounds."""

    bundle: str
    segment_s: float
    """Length of a segment, seconds."""
    segment_hop_s: float
    """Time between segments, seconds."""
    front_end_ms: float
    """CPU for the log-mel of a whole segment, without frames of the segment before."""
    inference_ms: float
    """CPU for one run of the network."""
    pipeline_cpu_ms_per_s: float
    """CPU per second of audio, front end, network and vote, frames shared by overlapping segments computed once."""
    real_time_factor: float
    """Seconds of audio per second of one core."""
    peak_rss_mb: float
    """Largest memory of this process so far."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_bundle(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--sources", metavar="N,N...", help="measure so many live sources on one core instead")
    parser.add_argument("--seconds", type=float, default=20.0, help="duration, with --sources (default 20)")


def run(args: argparse.Namespace) -> int:
    """Measure and print; with `--sources`, see `bench_sources`."""
    if args.sources:
        from genrewatch.commands.bench_sources import bench_sources, parse_counts

        return bench_sources(parse_counts(args.sources), seconds=args.seconds, as_json=args.json)
    config = ListenConfig(bundle=args.bundle)
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)
    figures = measure(pipeline)
    if args.json:
        print(json.dumps(asdict(figures)))
        return 0
    print(
        f"bundle           {figures.bundle}: segments of {figures.segment_s:.2f} s every {figures.segment_hop_s:.2f} s"
    )
    print(f"front end        {figures.front_end_ms:8.3f} ms CPU per whole segment")
    print(f"inference        {figures.inference_ms:8.3f} ms CPU a segment")
    print(f"whole pipeline   {figures.pipeline_cpu_ms_per_s:8.3f} ms CPU per second of audio")
    print(f"real-time factor {figures.real_time_factor:8.0f} seconds of audio per second of one core")
    print(f"peak memory      {figures.peak_rss_mb:8.1f} MB RSS")
    return 0


def measure(pipeline: Pipeline) -> Figures:
    """Time each stage on the demo programme at the bundle's rate."""
    config = pipeline.manifest.front_end
    blocks = [Block(samples=samples, sample_rate=programme.SAMPLE_RATE) for samples in _sound()]
    segment = np.concatenate([block.samples for block in blocks])[: config.segment_samples]
    log_mel = pipeline.front_end.log_mel(segment)
    seconds = ROUNDS_OF_SOUND * sum(len(block.samples) for block in blocks) / programme.SAMPLE_RATE
    pipeline_s = _cpu_s(lambda: _drain(blocks * ROUNDS_OF_SOUND, pipeline), repeat=1)
    return Figures(
        bundle=f"{pipeline.manifest.name} {pipeline.manifest.version}",
        segment_s=config.segment_s,
        segment_hop_s=pipeline.vote.segment_hop / config.sample_rate,
        front_end_ms=1000 * _cpu_s(lambda: pipeline.front_end.log_mel(segment), repeat=20),
        inference_ms=1000 * _cpu_s(lambda: pipeline.classifier.posterior(log_mel), repeat=50),
        pipeline_cpu_ms_per_s=1000 * pipeline_s / seconds,
        real_time_factor=seconds / pipeline_s,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def _sound() -> Iterator[Samples]:
    return islice(programme.programme_blocks(block=BLOCK), SOUND_S * programme.SAMPLE_RATE // BLOCK)


def _drain(blocks: list[Block], pipeline: Pipeline) -> None:
    for _ in classify_stream(blocks, pipeline):
        pass


def _cpu_s(work: Callable[[], object], *, repeat: int) -> float:
    """Return the median CPU seconds of one call."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(repeat):
            work()
        rounds.append((time.process_time() - start) / repeat)
    return float(np.median(rounds))
