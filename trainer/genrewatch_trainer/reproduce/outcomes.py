"""A fit and what it says of the clips that it never saw. Both stay on disk, so nothing that is done is done again.

REPORT/stores/...             MFCC pictures and the log-mel of sound files, made on demand
REPORT/runs/NAME/             the run directory of a fit
REPORT/runs/NAME/judged.npz   name, truth, n_segments of each test clip; the posterior of all their segments
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
from genrewatch_trainer.reproduce.mfcc import write_picture_store
from genrewatch_trainer.reproduce.plan import Experiment, split_of
from genrewatch_trainer.run import RECORD, Run
from genrewatch_trainer.training.feed import segments_of

JUDGED = "judged.npz"


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
        """(n_clips, n_labels) the mean over each clip's segments."""
        return np.stack([p.mean(axis=0) for p in self.posteriors])

    @property
    def segments(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(n, n_labels) posteriors of all segments and the truth of each."""
        return np.concatenate(self.posteriors), np.repeat(self.truth, [len(p) for p in self.posteriors])


def together(outcomes: list[Outcome]) -> Outcome:
    """All test clips of several fits as one; a clip that several of them judged counts as often."""
    return Outcome(
        labels=outcomes[0].labels,
        names=tuple(name for o in outcomes for name in o.names),
        truth=np.concatenate([o.truth for o in outcomes]),
        posteriors=[p for o in outcomes for p in o.posteriors],
    )


def finished(experiment: Experiment, report: Path, store: Store) -> Outcome | None:
    """What is on disk of this experiment with this store, if it is complete; judges a fit that was not judged yet."""
    path = report / "runs" / experiment.name
    if not (path / RECORD).is_file():
        return None
    run = Run.load(path)
    same = run.recipe == experiment.recipe and run.split == split_of(store.index, experiment)
    if not (same and run.finished and run.labels == store.index.labels):
        return None
    if not (path / JUDGED).is_file():
        _keep(path / JUDGED, _judge(run, experiment.test_part))
    with readable(path / JUDGED), np.load(path / JUDGED, allow_pickle=False) as held:
        posteriors = np.split(held["posterior"], np.cumsum(held["n_segments"])[:-1])
        names = tuple(map(str, held["name"]))
        return Outcome(labels=run.labels, names=names, truth=held["truth"], posteriors=posteriors)


def carry_out(experiment: Experiment, report: Path, store: Store) -> None:
    """Fits, or goes on fitting; raises ConfigError where the folder holds another run."""
    import_quietly("keras")
    from genrewatch_trainer.training import experiment as training
    from genrewatch_trainer.training.fit import fit

    parts = split_of(store.index, experiment)
    if experiment.part == "mfcc":
        store = _picture_store(store, report / "stores" / experiment.name, experiment, parts)
    fitted = training.Experiment(
        store=store.parted(experiment.scheme, parts),
        recipe=experiment.recipe,
        scheme=experiment.scheme,
        train_parts=experiment.train_parts,
        seed=experiment.seed,
    )
    fit(fitted, report / "runs" / experiment.name)


def _picture_store(store: Store, path: Path, experiment: Experiment, parts: dict[str, str]) -> Store:
    if not path.exists():
        write_picture_store(store, path, scheme=experiment.scheme, parts=parts, train=experiment.train_parts)
    return Store.load(path)


def _judge(run: Run, part: str) -> Outcome:
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


def _keep(path: Path, outcome: Outcome) -> None:
    with atomic_file(path) as beside:
        np.savez_compressed(
            beside,
            name=np.array(outcome.names, np.str_),
            truth=outcome.truth,
            n_segments=np.array([len(p) for p in outcome.posteriors], np.int64),
            posterior=np.concatenate(outcome.posteriors),
        )
