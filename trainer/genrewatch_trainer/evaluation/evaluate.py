"""Evaluation of a model on clips: a run's float network in Keras, a bundle's int8 network as a device runs it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import MANIFEST, load_bundle
from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, PowerDb
from genrewatch.contract.vote import VoteConfig
from genrewatch.inference.classifier import Classifier, softmax
from genrewatch_trainer.data.splits import parts_of
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.evaluation.metrics import (
    clip_metrics,
    confusion,
    genre_report,
    mean_top1,
    vote_posteriors,
    vote_top1,
)
from genrewatch_trainer.quiet import import_quietly
from genrewatch_trainer.run import RECORD, Run
from genrewatch_trainer.training.feed import segments_of

PREDICT_BATCH = 32
PosteriorPerClip = list[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class ClipPrediction:
    """A clip, its label and the labels predicted for it."""

    name: str
    label: str
    mean: str
    """The label of the greatest mean posterior."""
    vote: str | None
    """The label that more than half of the segments chose; None = refused."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of one model on one part of a split."""

    model: str
    kind: str
    """`run` (float, Keras) or `bundle` (as the device computes)."""
    split: str
    labels: tuple[str, ...]
    segment_hop_frames: int
    metrics: dict[str, float | int]
    genres: dict[str, dict[str, float]]
    """precision, recall, f1, support of each genre, by vote; a refusal is a miss."""
    confusion_vote: NDArray[np.int64]
    """(n_labels, n_labels + 1), the last column refused."""
    confusion_mean: NDArray[np.int64]
    clips: tuple[ClipPrediction, ...]
    trained_on: int | None
    """How many of the clips the model was trained on, more than 0 makes the figures worthless; None: unknown."""

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        plain = {key: value for key, value in vars(self).items() if key not in ("clips",)}
        plain |= {key: plain[key].tolist() for key in ("confusion_vote", "confusion_mean")}
        return plain | {"clips": [asdict(clip) for clip in self.clips]}


@dataclass(frozen=True, kw_only=True)
class _Evaluated:
    """A run or a bundle, with what an evaluation needs of it."""

    kind: str
    labels: tuple[str, ...]
    front_end: FrontEndConfig
    hop_frames: int
    seed: int
    """Seed of the random splits."""
    run: Run | None = None
    classifier: Classifier | None = None
    vote: VoteConfig
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """A bundle's record of its training."""

    def posteriors(self, clips: list[PowerDb]) -> PosteriorPerClip:
        """Return the posteriors (n_segments, n_labels) of each clip."""
        segments, counts = segments_of(clips, FrontEnd(self.front_end), self.hop_frames)
        if self.run:
            logits = self.run.model().predict(segments[..., None], batch_size=PREDICT_BATCH, verbose=0)
            posterior = softmax(np.asarray(logits))
        else:
            assert self.classifier
            posterior = np.stack([self.classifier.posterior(segment) for segment in segments])
        return np.split(posterior, np.cumsum(counts)[:-1])

    def vote_posteriors(self, posteriors: PosteriorPerClip) -> PosteriorPerClip:
        """Return the posteriors that cast each clip's votes."""
        hop = self.hop_frames * self.front_end.hop_length
        return vote_posteriors(posteriors, self.vote, hop=hop, sample_rate=self.front_end.sample_rate)


def parse_split(text: str) -> tuple[str, str]:
    """Split `SCHEME:PART` into both; raises ConfigError."""
    scheme, colon, part = text.rpartition(":")
    if not (scheme and colon and part):
        raise ConfigError("--split", f"found {text}", "SCHEME:PART, such as fault_filtered:test")
    return scheme, part


def evaluate(model: Path, *, store: Path | None, split: tuple[str, str] | None) -> Evaluation:
    """Classify every clip of a part, from `store` or from the clips that the run held out; raises a GenrewatchError."""
    evaluated = _load(model)
    scheme, part = split or _own_split(evaluated, store)
    if store is not None:
        names, labels, clips = _from_store(Store.load(store), evaluated, scheme, part)
    else:
        names, labels, clips = _from_run(evaluated, model, scheme, part)
    posteriors = evaluated.posteriors(clips)
    truth = [evaluated.labels.index(label) for label in labels]
    filtered = evaluated.vote_posteriors(posteriors)
    mean, voted = mean_top1(posteriors), vote_top1(filtered)
    predictions = [
        ClipPrediction(name=n, label=lb, mean=evaluated.labels[m], vote=evaluated.labels[v] if v >= 0 else None)
        for n, lb, m, v in zip(names, labels, mean, voted, strict=True)
    ]
    return Evaluation(
        model=str(model),
        kind=evaluated.kind,
        split=f"{scheme}:{part}",
        labels=evaluated.labels,
        segment_hop_frames=evaluated.hop_frames,
        metrics=clip_metrics(posteriors, truth, evaluated.vote.sharpness_used, filtered=filtered),
        genres=genre_report(truth, voted.tolist(), evaluated.labels),
        confusion_vote=confusion(truth, voted.tolist(), len(evaluated.labels)),
        confusion_mean=confusion(truth, mean.tolist(), len(evaluated.labels)),
        clips=tuple(predictions),
        trained_on=_trained_on(evaluated, names, store),
    )


def _load(path: Path) -> _Evaluated:
    if (path / RECORD).is_file():
        run = Run.load(path)
        import_quietly("keras")
        return _Evaluated(
            kind="run",
            labels=run.labels,
            front_end=run.front_end,
            hop_frames=run.recipe.segment_hop_frames,
            seed=run.record.seed,
            run=run,
            vote=VoteConfig(segment_hop=run.recipe.segment_hop_frames * run.front_end.hop_length),
        )
    if not (path / MANIFEST).is_file():
        raise DataError(str(path), f"holds neither {RECORD} nor {MANIFEST}", "a run or a bundle")
    bundle = load_bundle(path)
    front_end = bundle.manifest.front_end
    return _Evaluated(
        kind="bundle",
        labels=bundle.manifest.labels,
        front_end=front_end,
        hop_frames=bundle.manifest.vote.segment_hop // front_end.hop_length,
        seed=int(bundle.manifest.provenance.get("seed", 0)),
        classifier=Classifier.of(bundle),
        vote=bundle.manifest.vote,
        provenance=bundle.manifest.provenance,
    )


def _own_split(evaluated: _Evaluated, store: Path | None) -> tuple[str, str]:
    if evaluated.run is None:
        raise ConfigError("--split", "is missing", "SCHEME:PART, a bundle does not record its test clips")
    return evaluated.run.record.split_scheme, "test"


def _from_run(evaluated: _Evaluated, model: Path, scheme: str, part: str) -> tuple[list[str], list[str], list[PowerDb]]:
    if evaluated.run is None:
        raise ConfigError("--store", "is missing", "a feature store: a bundle holds no clips")
    if scheme != evaluated.run.record.split_scheme:
        raise ConfigError(
            "--split", f"found {scheme}", f"{evaluated.run.record.split_scheme}, or --store with another one"
        )
    held_out = evaluated.run.held_out(part)
    return [c.name for c in held_out], [c.label for c in held_out], [c.power_db for c in held_out]


def _from_store(
    store: Store, evaluated: _Evaluated, scheme: str, part: str
) -> tuple[list[str], list[str], list[PowerDb]]:
    if store.index.front_end != evaluated.front_end:
        raise DataError(f"{store.path}: front_end", "is not the model's", str(evaluated.front_end))
    parts = parts_of(store.index, scheme, evaluated.seed)
    chosen = [i for i, clip in enumerate(store.index.clips) if parts.get(clip.name) == part]
    if not chosen:
        raise ConfigError("--split", f"no clip has part {part}", "one of " + ", ".join(sorted(set(parts.values()))))
    labels = [store.index.clips[i].label for i in chosen]
    if unknown := sorted(set(labels) - set(evaluated.labels)):
        raise DataError(f"{store.path}: label", f"found {unknown[0]}", "one of " + " ".join(evaluated.labels))
    return [store.index.clips[i].name for i in chosen], labels, [store.clip(i) for i in chosen]


def _trained_on(evaluated: _Evaluated, names: list[str], store: Path | None) -> int | None:
    if evaluated.run is not None:
        return evaluated.run.trained_on(names)
    provenance = evaluated.provenance
    index = Store.load(store).index if store else None
    if index is None or not {"store_sha256", "split", "train_parts", "seed"} <= provenance.keys():
        return None
    if provenance["store_sha256"] != index.power_db_sha256:
        return None
    parts = parts_of(index, provenance["split"], evaluated.seed)
    return sum(parts.get(name) in provenance["train_parts"] for name in names)
