"""A bundle on clips as they sound in the field, condition by condition, through the device's pipeline."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from genrewatch.audio.decoding import read_samples
from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block
from genrewatch.contract.bundle import Manifest
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import Samples
from genrewatch.contract.vote import Verdict
from genrewatch.inference.pipeline import Pipeline, classify_stream, open_pipeline, verdict_on_clip
from genrewatch_trainer.evaluation.metrics import binned_error
from genrewatch_trainer.evaluation.robustness_conditions import CONDITIONS
from genrewatch_trainer.progress import progress

SURE = 0.9
"""Accuracy of the manifest's threshold above which an answer counts as sure."""


@dataclass(frozen=True, kw_only=True)
class ConditionFigures:
    """The figures of one condition."""

    condition: str
    clips: int
    vote_accuracy: float
    """Share of clips whose majority vote is right; a refusal is an error."""
    mean_accuracy: float
    """Share of clips whose label has the greatest mean posterior."""
    refused: int
    """Clips whose vote announces no genre."""
    verdict_ece: float
    """Expected calibration error of the announced genres' confidence."""
    sure: int | None
    """Clips at or above the confidence that is right 90 % of the time on the validation clips; None: no such one."""
    sure_wrong: int | None
    """Wrong ones of these."""

    def as_json(self) -> dict[str, object]:
        """Return the figures, rounded."""
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class _Answer:
    label: str
    verdict: Verdict
    mean: str | None


def robustness(bundle: Path, clips: dict[str, list[Path]], conditions: Sequence[str]) -> list[ConditionFigures]:
    """Classify the clips of each genre under each condition.

    Random parts of a condition depend on the clip's name only. Raises DataError for a clip shorter than a segment.
    """
    pipeline = open_pipeline(bundle, lambda own: own, LevelConfig())
    named = [(label, path) for label, paths in clips.items() for path in paths]
    answers: dict[str, list[_Answer]] = {name: [] for name in conditions}
    for label, path in progress(named, total=len(named), unit="clip", name="robustness"):
        rate = pipeline.manifest.front_end.sample_rate
        samples = read_samples(path, rate)
        if len(samples) < pipeline.manifest.front_end.segment_samples:
            raise DataError(
                str(path), f"{len(samples) / rate:.1f} s", f"at least {pipeline.manifest.front_end.segment_s:.1f} s"
            )
        for name, of_condition in answers.items():
            changed = CONDITIONS[name](samples, rate, np.random.default_rng(crc32(f"{path.stem} {name}".encode())))
            of_condition.append(_answer(label, changed, pipeline))
    return [_figures(name, of_condition, pipeline.manifest) for name, of_condition in answers.items()]


def table(found: Iterable[ConditionFigures]) -> str:
    """Return the figures as a table, a line per condition."""
    lines = [f"{'condition':<20}{'vote':>8}{'mean':>8}{'refused':>9}{'ECE':>7}{'sure, wrong':>14}"]
    for row in found:
        sure = "-" if row.sure is None else f"{row.sure_wrong} of {row.sure}"
        lines.append(
            f"{row.condition:<20}{row.vote_accuracy:>8.1%}{row.mean_accuracy:>8.1%}{row.refused:>9}"
            f"{row.verdict_ece:>7.3f}{sure:>14}"
        )
    return "\n".join(lines)


def _answer(label: str, samples: Samples, pipeline: Pipeline) -> _Answer:
    block = Block(samples=samples, sample_rate=pipeline.manifest.front_end.sample_rate)
    results = list(classify_stream([block], pipeline))
    posteriors = [result.ballot.posterior for result in results if result.ballot.posterior is not None]
    mean = pipeline.manifest.labels[int(np.mean(posteriors, axis=0).argmax())] if posteriors else None
    return _Answer(label=label, verdict=verdict_on_clip(results, pipeline), mean=mean)


def _figures(condition: str, answers: Sequence[_Answer], manifest: Manifest) -> ConditionFigures:
    announced = [answer for answer in answers if answer.verdict.confidence is not None]
    confidence = np.array([answer.verdict.confidence for answer in announced], np.float32)
    right = np.array([answer.verdict.genre == answer.label for answer in announced], bool)
    sure, sure_wrong = _sure(confidence, right, manifest)
    return ConditionFigures(
        condition=condition,
        clips=len(answers),
        vote_accuracy=float(right.sum()) / len(answers),
        mean_accuracy=float(np.mean([answer.mean == answer.label for answer in answers])),
        refused=len(answers) - len(announced),
        verdict_ece=binned_error(confidence, right),
        sure=sure,
        sure_wrong=sure_wrong,
    )


def _sure(
    confidence: NDArray[np.float32], right: NDArray[np.bool_], manifest: Manifest
) -> tuple[int, int] | tuple[None, None]:
    """Return the number of answers above the threshold of `SURE`, and of the wrong ones among them."""
    limit = next((t.confidence for t in manifest.thresholds if t.accuracy == SURE), None)
    if limit is None:
        return None, None
    above = confidence >= limit
    return int(above.sum()), int((above & ~right).sum())
