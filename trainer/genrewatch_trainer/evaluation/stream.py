"""Evaluation of a bundle on a programme, through the device's own pipeline.

The ballots of a stream depend only on the network and on `segment_hop`, so a programme is classified once per hop, and
every other key of the vote is tried on the same ballots.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.bundle import Manifest
from genrewatch.contract.decode import encode
from genrewatch.contract.vote import Verdict, VoteConfig
from genrewatch.inference.pipeline import Pipeline, classify_stream, open_pipeline
from genrewatch_trainer.evaluation.programme import BLOCK, RenderedProgramme
from genrewatch_trainer.evaluation.stream_figures import (
    SegmentBallot,
    StreamFigures,
    figures,
    past_figures,
    revote,
)
from genrewatch_trainer.evaluation.vote_values import Values, changed
from genrewatch_trainer.progress import progress

GRIDS: dict[str, Values] = {
    "none": {"segments": (3, 5, 7, 9, 13, 17), "enter_segments": (1, 2, 3), "exit_segments": (1, 2, 4, 8)},
    "hmm": {
        "segments": (1, 3, 5),
        "exit_segments": (1, 4),
        "expected_duration_s": (60.0, 180.0, 600.0, 1800.0),
        "segment_weight": (0.25, 0.35, 0.5, 0.75, 1.0),
    },
}
"""Values of each key that matters, by the vote's filter."""
GRID_HOPS_PER_SEGMENT = (2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class StreamEvaluation:
    """The result of one bundle with one vote on one programme."""

    bundle: str
    vote: VoteConfig
    figures: StreamFigures
    history: dict[float, StreamFigures]
    """By `lag_s`, the figures of what the history keeps."""
    segments: tuple[SegmentBallot, ...]
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> dict[str, Any]:
        """Return bundle, vote and figures."""
        history = [{"lag_s": lag_s, "figures": row_of(found)} for lag_s, found in self.history.items()]
        found = {"bundle": self.bundle, "vote": encode(self.vote), "figures": row_of(self.figures)}
        return found | ({"history": history} if history else {})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One vote of a grid and its figures."""

    vote: VoteConfig
    figures: StreamFigures


def evaluate_stream(
    bundle: Path,
    rendered: RenderedProgramme,
    adjust: Callable[[VoteConfig], VoteConfig],
    lags_s: Sequence[float] = (),
) -> StreamEvaluation:
    """Classify the programme with the bundle, its vote changed by `adjust`; also what the history keeps at each lag."""
    pipeline = open_pipeline(bundle, adjust, LevelConfig())
    segments, verdicts = _classify(rendered, pipeline)
    spans, rate, labels = rendered.piece_spans, rendered.sample_rate, pipeline.manifest.labels
    return StreamEvaluation(
        bundle=f"{pipeline.manifest.name} {pipeline.manifest.version}",
        vote=pipeline.vote,
        figures=figures(segments, verdicts, spans, rate),
        history={lag_s: past_figures(segments, pipeline.vote, labels, spans, rate, lag_s) for lag_s in lags_s},
        segments=segments,
        verdicts=verdicts,
    )


def grid(
    bundle: Path, rendered: RenderedProgramme, adjust: Callable[[VoteConfig], VoteConfig], values: Values
) -> list[Trial]:
    """Try every combination of the values, other keys as in the bundle's vote changed by `adjust`; best score first."""
    own = open_pipeline(bundle, adjust, LevelConfig())
    hops = values.get("segment_hop", (own.vote.segment_hop,))
    rest = {key: found for key, found in values.items() if key != "segment_hop"}
    trials: list[Trial] = []
    for hop in hops:
        pipeline = replace(own, vote=changed(own.vote, {"segment_hop": hop}))
        segments, _ = _classify(rendered, pipeline)
        for combination in product(*rest.values()):
            vote = changed(pipeline.vote, dict(zip(rest, combination, strict=True)))
            verdicts = revote(segments, vote, own.manifest.labels, rendered.sample_rate)
            trials.append(
                Trial(vote=vote, figures=figures(segments, verdicts, rendered.piece_spans, rendered.sample_rate))
            )
    return sorted(trials, key=lambda trial: -trial.figures.score)


def default_grid(manifest: Manifest, vote: VoteConfig) -> Values:
    """Return a few values of each key that matters, for this bundle's geometry and this vote's filter."""
    config = manifest.front_end
    hops = [config.segment_frames // parts * config.hop_length for parts in GRID_HOPS_PER_SEGMENT]
    return {"segment_hop": tuple(hop for hop in hops if hop)} | GRIDS[vote.filter]


def row_of(found: StreamFigures) -> dict[str, float | int | None]:
    """Return the figures and their score, rounded for print."""
    row = asdict(found) | {"score": found.score}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def trial_rows(trials: Sequence[Trial]) -> list[dict[str, object]]:
    """Return a row per trial: the vote's keys, then the figures."""
    return [encode(trial.vote) | row_of(trial.figures) for trial in trials]


def _classify(rendered: RenderedProgramme, pipeline: Pipeline) -> tuple[tuple[SegmentBallot, ...], tuple[Verdict, ...]]:
    blocks = progress(rendered.blocks(), total=-(-len(rendered.samples) // BLOCK), unit="block", name="listen")
    by_segment = replace(pipeline, vote=replace(pipeline.vote, filter="none"))
    results = classify_stream(blocks, by_segment)
    segments = tuple(SegmentBallot(start=result.start, end=result.end, ballot=result.ballot) for result in results)
    return segments, tuple(revote(segments, pipeline.vote, pipeline.manifest.labels, rendered.sample_rate))
