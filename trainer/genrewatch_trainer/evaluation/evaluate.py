"""How good a model is on clips that are new to it: a run's float network, a bundle's int8 one as a device runs it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import MANIFEST, load_bundle
from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, PowerDb
from genrewatch.inference.classifier import Classifier, softmax
from genrewatch_trainer.data.splits import parts_of
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.evaluation.metrics import clip_metrics, confusion, genre_report, mean_top1, vote_top1
from genrewatch_trainer.quiet import import_quietly
from genrewatch_trainer.run import RECORD, Run
from genrewatch_trainer.training.feed import segments_of

PREDICT_BATCH = 32
PosteriorPerClip = list[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class JudgedClip:
    """A clip and what became of it."""

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
    clips: tuple[JudgedClip, ...]
    trained_on: int | None
    """How many of the clips the model was trained on, more than 0 makes the figures worthless; None: cannot be told."""

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        plain = {key: value for key, value in vars(self).items() if key not in ("clips",)}
        plain |= {key: plain[key].tolist() for key in ("confusion_vote", "confusion_mean")}
        return plain | {"clips": [asdict(clip) for clip in self.clips]}


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """A model of either kind, as evaluation needs it."""

    kind: str
    labels: tuple[str, ...]
    front_end: FrontEndConfig
    hop_frames: int
    seed: int
    """Of the random splits."""
    run: Run | None = None
    classifier: Classifier | None = None
    sharpness: float = 1.0
    """Of a verdict's confidence."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What a bundle says of its training."""

    def posteriors(self, clips: list[PowerDb]) -> PosteriorPerClip:
        """(n_segments, n_labels) of each clip."""
        segments, counts = segments_of(clips, FrontEnd(self.front_end), self.hop_frames)
        if self.run:
            logits = self.run.model().predict(segments[..., None], batch_size=PREDICT_BATCH, verbose=0)
            posterior = softmax(np.asarray(logits))
        else:
            assert self.classifier
            posterior = np.stack([self.classifier.posterior(segment) for segment in segments])
        return np.split(posterior, np.cumsum(counts)[:-1])


def parse_split(text: str) -> tuple[str, str]:
    """`SCHEME:PART` -> both; raises ConfigError."""
    scheme, colon, part = text.rpartition(":")
    if not (scheme and colon and part):
        raise ConfigError("--split", f"found {text}", "SCHEME:PART, such as fault_filtered:test")
    return scheme, part


def evaluate(model: Path, *, store: Path | None, split: tuple[str, str] | None) -> Evaluation:
    """Judges every clip of a part, from `store` or else from what the run holds out; raises a GenrewatchError."""
    judge = _judge(model)
    scheme, part = split or _own_split(judge, store)
    if store is not None:
        names, labels, clips = _from_store(Store.load(store), judge, scheme, part)
    else:
        names, labels, clips = _from_run(judge, model, scheme, part)
    posteriors = judge.posteriors(clips)
    truth = [judge.labels.index(label) for label in labels]
    mean, voted = mean_top1(posteriors), vote_top1(posteriors)
    judged = [
        JudgedClip(name=n, label=lb, mean=judge.labels[m], vote=judge.labels[v] if v >= 0 else None)
        for n, lb, m, v in zip(names, labels, mean, voted, strict=True)
    ]
    return Evaluation(
        model=str(model),
        kind=judge.kind,
        split=f"{scheme}:{part}",
        labels=judge.labels,
        segment_hop_frames=judge.hop_frames,
        metrics=clip_metrics(posteriors, truth, judge.sharpness),
        genres=genre_report(truth, voted.tolist(), judge.labels),
        confusion_vote=confusion(truth, voted.tolist(), len(judge.labels)),
        confusion_mean=confusion(truth, mean.tolist(), len(judge.labels)),
        clips=tuple(judged),
        trained_on=_trained_on(judge, names, store),
    )


def _judge(path: Path) -> _Judge:
    if (path / RECORD).is_file():
        run = Run.load(path)
        import_quietly("keras")
        return _Judge(
            kind="run",
            labels=run.labels,
            front_end=run.front_end,
            hop_frames=run.recipe.segment_hop_frames,
            seed=run.record.seed,
            run=run,
        )
    if not (path / MANIFEST).is_file():
        raise DataError(str(path), f"holds neither {RECORD} nor {MANIFEST}", "a run or a bundle")
    bundle = load_bundle(path)
    front_end = bundle.manifest.front_end
    return _Judge(
        kind="bundle",
        labels=bundle.manifest.labels,
        front_end=front_end,
        hop_frames=bundle.manifest.vote.segment_hop // front_end.hop_length,
        seed=int(bundle.manifest.provenance.get("seed", 0)),
        classifier=Classifier.of(bundle),
        sharpness=bundle.manifest.vote.sharpness,
        provenance=bundle.manifest.provenance,
    )


def _own_split(judge: _Judge, store: Path | None) -> tuple[str, str]:
    if judge.run is None:
        raise ConfigError("--split", "is missing", "SCHEME:PART, since a bundle does not say which clips are new to it")
    return judge.run.record.split_scheme, "test"


def _from_run(judge: _Judge, model: Path, scheme: str, part: str) -> tuple[list[str], list[str], list[PowerDb]]:
    if judge.run is None:
        raise ConfigError("--store", "is missing", "a feature store, since a bundle holds no clips")
    if scheme != judge.run.record.split_scheme:
        raise ConfigError("--split", f"found {scheme}", f"{judge.run.record.split_scheme}, or --store with another one")
    held_out = judge.run.held_out(part)
    return [c.name for c in held_out], [c.label for c in held_out], [c.power_db for c in held_out]


def _from_store(store: Store, judge: _Judge, scheme: str, part: str) -> tuple[list[str], list[str], list[PowerDb]]:
    if store.index.front_end != judge.front_end:
        raise DataError(f"{store.path}: front_end", "is not the model's", str(judge.front_end))
    parts = parts_of(store.index, scheme, judge.seed)
    chosen = [i for i, clip in enumerate(store.index.clips) if parts.get(clip.name) == part]
    if not chosen:
        raise ConfigError("--split", f"no clip has part {part}", "one of " + ", ".join(sorted(set(parts.values()))))
    labels = [store.index.clips[i].label for i in chosen]
    if unknown := sorted(set(labels) - set(judge.labels)):
        raise DataError(f"{store.path}: label", f"found {unknown[0]}", "one of " + " ".join(judge.labels))
    return [store.index.clips[i].name for i in chosen], labels, [store.clip(i) for i in chosen]


def _trained_on(judge: _Judge, names: list[str], store: Path | None) -> int | None:
    if judge.run is not None:
        return judge.run.trained_on(names)
    said = judge.provenance
    index = Store.load(store).index if store else None
    if index is None or not {"store_sha256", "split", "train_parts", "seed"} <= said.keys():
        return None
    if said["store_sha256"] != index.power_db_sha256:
        return None
    parts = parts_of(index, said["split"], judge.seed)
    return sum(parts.get(name) in said["train_parts"] for name in names)
