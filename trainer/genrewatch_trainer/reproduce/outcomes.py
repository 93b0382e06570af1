"""Fits and the posteriors of their test clips. Both are kept on disk and used again.

REPORT/stores/...             MFCC and the log-mel of sound files, made on demand
REPORT/runs/NAME/             the run directory of a fit
REPORT/runs/NAME/`judged.npz` name, truth, n_segments of each test clip; the posterior of all their segments
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import softmax
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.evaluation.evaluate import PREDICT_BATCH, PosteriorPerClip
from genrewatch_trainer.evaluation.metrics import clip_metrics
from genrewatch_trainer.files import atomic_file, readable
from genrewatch_trainer.quiet import import_quietly
from genrewatch_trainer.reproduce.mfcc import write_mfcc_store
from genrewatch_trainer.reproduce.plan import PlannedFit, split_of
from genrewatch_trainer.run import RECORD, Run
from genrewatch_trainer.training.feed import segments_of

POSTERIORS = "judged.npz"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The posteriors of one fit, or of all folds of one seed together."""

    labels: tuple[str, ...]
    names: tuple[str, ...]
    """The test clips."""
    truth: NDArray[np.int64]
    """(n_clips,) positions in `labels`."""
    posteriors: PosteriorPerClip
    """(n_segments, n_labels) of each clip."""

    @cached_property
    def metrics(self) -> dict[str, float | int]:
        """Accuracy by segment, mean posterior and vote, refusals, coverage, calibration."""
        return clip_metrics(self.posteriors, self.truth.tolist())

    @cached_property
    def clip_posterior(self) -> NDArray[np.float32]:
        """Mean posterior of each clip, (n_clips, n_labels)."""
        return np.stack([p.mean(axis=0) for p in self.posteriors])

    @property
    def segments(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Posteriors of all segments (n, n_labels), and the true label of each."""
        return np.concatenate(self.posteriors), np.repeat(self.truth, [len(p) for p in self.posteriors])


def together(outcomes: list[Outcome]) -> Outcome:
    """Return the test clips of several fits as one outcome; a clip in the test part of several counts as often."""
    return Outcome(
        labels=outcomes[0].labels,
        names=tuple(name for o in outcomes for name in o.names),
        truth=np.concatenate([o.truth for o in outcomes]),
        posteriors=[p for o in outcomes for p in o.posteriors],
    )


def finished(planned: PlannedFit, report: Path, store: Store) -> Outcome | None:
    """Return the outcome of a fit that is complete on disk; computes its posteriors if they are not there yet."""
    path = report / "runs" / planned.name
    if not (path / RECORD).is_file():
        return None
    run = Run.load(path)
    same = run.recipe == planned.recipe and run.split == split_of(store.index, planned)
    if not (same and run.finished and run.labels == store.index.labels):
        return None
    if not (path / POSTERIORS).is_file():
        _save(path / POSTERIORS, _evaluate(run, planned.test_part))
    with readable(path / POSTERIORS), np.load(path / POSTERIORS, allow_pickle=False) as held:
        posteriors = np.split(held["posterior"], np.cumsum(held["n_segments"])[:-1])
        names = tuple(map(str, held["name"]))
        return Outcome(labels=run.labels, names=names, truth=held["truth"], posteriors=posteriors)


def fit_planned(planned: PlannedFit, report: Path, store: Store) -> None:
    """Train, or continue training; raises ConfigError if the folder holds another run."""
    import_quietly("keras")
    from genrewatch_trainer.training.experiment import Experiment
    from genrewatch_trainer.training.fit import fit

    parts = split_of(store.index, planned)
    if planned.part == "mfcc":
        store = _mfcc_store(store, report / "stores" / planned.name, planned, parts)
    experiment = Experiment(
        store=store.parted(planned.scheme, parts),
        recipe=planned.recipe,
        scheme=planned.scheme,
        train_parts=planned.train_parts,
        seed=planned.seed,
    )
    fit(experiment, report / "runs" / planned.name)


def _mfcc_store(store: Store, path: Path, planned: PlannedFit, parts: dict[str, str]) -> Store:
    if not path.exists():
        write_mfcc_store(store, path, scheme=planned.scheme, parts=parts, train=planned.train_parts)
    return Store.load(path)


def _evaluate(run: Run, part: str) -> Outcome:
    clips = run.held_out(part)
    segments, counts = segments_of(
        [clip.power_db for clip in clips], FrontEnd(run.front_end), run.recipe.segment_hop_frames
    )
    import_quietly("keras")
    logits = run.model().predict(segments[..., None], batch_size=PREDICT_BATCH, verbose=0)
    return Outcome(
        labels=run.labels,
        names=tuple(clip.name for clip in clips),
        truth=np.array([run.labels.index(clip.label) for clip in clips], np.int64),
        posteriors=np.split(softmax(np.asarray(logits)), np.cumsum(counts)[:-1]),
    )


def _save(path: Path, outcome: Outcome) -> None:
    with atomic_file(path) as beside:
        np.savez_compressed(
            beside,
            name=np.array(outcome.names, np.str_),
            truth=outcome.truth,
            n_segments=np.array([len(p) for p in outcome.posteriors], np.int64),
            posterior=np.concatenate(outcome.posteriors),
        )
