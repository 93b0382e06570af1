"""A bundle listens to a programme through the device's own pipeline, and is judged by what a listener would notice.

The ballots of a stream depend on the network and on `segment_hop` alone, so a programme is heard once per hop, and
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
from genrewatch_trainer.evaluation.programme import BLOCK, Broadcast
from genrewatch_trainer.evaluation.stream_figures import Heard, StreamFigures, figures, revote
from genrewatch_trainer.evaluation.vote_values import Values, changed
from genrewatch_trainer.progress import progress

GRID: Values = {
    "segments": (3, 5, 7, 9, 13, 17),
    "enter_segments": (1, 2, 3),
    "exit_segments": (1, 2, 4, 8),
}
GRID_HOPS_PER_SEGMENT = (2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class StreamEvaluation:
    """One bundle, one programme, one vote."""

    bundle: str
    vote: VoteConfig
    figures: StreamFigures
    heard: tuple[Heard, ...]
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> dict[str, Any]:
        """Bundle, vote and figures."""
        return {"bundle": self.bundle, "vote": encode(self.vote), "figures": row_of(self.figures)}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One vote of a grid."""

    vote: VoteConfig
    figures: StreamFigures


def evaluate_stream(bundle: Path, played: Broadcast, adjust: Callable[[VoteConfig], VoteConfig]) -> StreamEvaluation:
    """Plays the programme to the bundle, with its own vote as `adjust` changes it."""
    pipeline = open_pipeline(bundle, adjust, LevelConfig())
    heard, verdicts = _listen(played, pipeline)
    return StreamEvaluation(
        bundle=f"{pipeline.manifest.name} {pipeline.manifest.version}",
        vote=pipeline.vote,
        figures=figures(heard, verdicts, played.stretches, played.sample_rate),
        heard=heard,
        verdicts=verdicts,
    )


def grid(bundle: Path, played: Broadcast, adjust: Callable[[VoteConfig], VoteConfig], values: Values) -> list[Trial]:
    """Every combination of the values, the other keys as `adjust` leaves the bundle's own vote; best score first."""
    own = open_pipeline(bundle, adjust, LevelConfig())
    hops = values.get("segment_hop", (own.vote.segment_hop,))
    rest = {key: found for key, found in values.items() if key != "segment_hop"}
    trials: list[Trial] = []
    for hop in hops:
        pipeline = replace(own, vote=changed(own.vote, {"segment_hop": hop}))
        heard, _ = _listen(played, pipeline)
        for combination in product(*rest.values()):
            vote = changed(pipeline.vote, dict(zip(rest, combination, strict=True)))
            verdicts = revote(heard, vote, own.manifest.labels)
            trials.append(Trial(vote=vote, figures=figures(heard, verdicts, played.stretches, played.sample_rate)))
    return sorted(trials, key=lambda trial: -trial.figures.score)


def default_grid(manifest: Manifest) -> Values:
    """A few values of each key that matters, for this bundle's geometry."""
    config = manifest.front_end
    hops = [config.segment_frames // parts * config.hop_length for parts in GRID_HOPS_PER_SEGMENT]
    return {"segment_hop": tuple(hop for hop in hops if hop)} | GRID


def row_of(found: StreamFigures) -> dict[str, float | int | None]:
    """The figures and their score, rounded for print."""
    row = asdict(found) | {"score": found.score}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def trial_rows(trials: Sequence[Trial]) -> list[dict[str, object]]:
    """A row a trial: the vote's keys, then the figures."""
    return [encode(trial.vote) | row_of(trial.figures) for trial in trials]


def _listen(played: Broadcast, pipeline: Pipeline) -> tuple[tuple[Heard, ...], tuple[Verdict, ...]]:
    blocks = progress(played.blocks(), total=-(-len(played.samples) // BLOCK), unit="block", name="listen")
    results = list(classify_stream(blocks, pipeline))
    heard = tuple(Heard(start=result.start, end=result.end, ballot=result.ballot) for result in results)
    return heard, tuple(result.verdict for result in results)
