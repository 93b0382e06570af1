"""Training: a store and a recipe become a run. Killed at any moment, the same command goes on from the last epoch.

An epoch ends with three files replaced one after the other: best.keras if it is the best so far, history.csv, and
last.keras, whose step counter says how many epochs are done. What is on disk beyond that is done again, the same.
"""

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import sha256
from genrewatch.contract.errors import ConfigError, DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import softmax
from genrewatch_trainer.data.splits import parts_of
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.targets import Targets
from genrewatch_trainer.evaluation.metrics import clip_metrics
from genrewatch_trainer.files import readable, whole_file, write_json
from genrewatch_trainer.progress import progress
from genrewatch_trainer.run import (
    AVERAGE,
    BEST,
    LAST,
    RECORD,
    SPLIT,
    VERSION,
    HeldOutClip,
    MoreClips,
    Run,
    RunRecord,
    write_features,
)
from genrewatch_trainer.training.epoch_log import HISTORY, Row, draw_curves, read_history, write_history
from genrewatch_trainer.training.feed import Also, Feed, Taught, representative_segments, segments_of
from genrewatch_trainer.training.hardware import evenly, predict
from genrewatch_trainer.training.network import (
    as_judged,
    build,
    compile_for_training,
    logits_of,
    reseed,
    size,
    take_over,
)
from genrewatch_trainer.training.recipes import Recipe

REPRESENTATIVE_SEGMENTS = 256
EPOCHS_BETWEEN_DRAWINGS = 10
VALIDATION = "valid"
PREDICT_BATCH = 32
SAME_ON_RESUME = (
    "recipe",
    "labels",
    "store_sha256",
    "split_scheme",
    "train_parts",
    "seed",
    "also",
    "targets_sha256",
    "started_from",
)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Segments of the clips that choose the best epoch, one after another."""

    segments: NDArray[np.float32]
    """(n_segments, segment_frames, n_mels, 1) in [0, 1]"""
    n_segments: list[int]
    """Of each clip."""
    labels: NDArray[np.int64]
    """(n_clips,)"""

    def figures(self, model: Any, batch: int) -> dict[str, float]:
        """What clip_metrics says of a model that answers logits, as it is."""
        posterior = softmax(predict(model, self.segments, batch))
        return clip_metrics(np.split(posterior, np.cumsum(self.n_segments)[:-1]), self.labels.tolist())


@dataclass(frozen=True, kw_only=True)
class More:
    """What a network learns from beside its store."""

    also: tuple[tuple[Store, float], ...] = ()
    """Other stores of labelled clips, and crops drawn from each for each crop of the first. Where such a store knows
    the scheme of the split, its clips of the training parts count, else all of them."""
    targets: tuple[Targets, ...] = ()
    """Crops with a teacher's targets."""
    start: Run | None = None
    """A run whose weights to begin with."""


NOTHING_MORE = More()


def fit(
    store: Store,
    recipe: Recipe,
    path: Path,
    *,
    scheme: str,
    train_parts: tuple[str, ...],
    seed: int,
    more: More = NOTHING_MORE,
) -> Run:
    """Trains, or goes on training, the run in folder `path`; raises ConfigError or DataError before it starts."""
    split = parts_of(store.index, scheme, seed)
    feed = feed_of(store, recipe, split, scheme, train_parts, seed, more)
    _require_start(feed, more.start)
    record = record_of(feed, split, scheme, train_parts, more)
    run = open_run(path, record, split, feed)
    model, rows = _resume(run, feed, more.start)
    validation = _validation(store, split, run)
    total, done = recipe.all_epochs * feed.n_batches, len(rows) * feed.n_batches
    with progress(total=total, done=done, unit="batch") as bar:
        for epoch in range(len(rows), recipe.all_epochs):
            bar.set_description(f"epoch {epoch + 1}/{recipe.all_epochs}", refresh=False)
            rows.append(_epoch(model, feed, epoch, validation, bar))
            bar.set_postfix_str(_brief(rows[-1]), refresh=False)
            _keep(run, model, rows, feed)
    return _finish(run, rows, validation)


def feed_of(
    store: Store,
    recipe: Recipe,
    split: dict[str, str],
    scheme: str,
    train_parts: tuple[str, ...],
    seed: int,
    more: More,
) -> Feed:
    """What a network of the recipe learns from; raises ConfigError or DataError where that cannot be."""
    for part in train_parts:
        if part not in split.values():
            raise ConfigError("--train-parts", f"found {part}", "of " + ", ".join(sorted(set(split.values()))))
    sources: list[Store | Targets] = [store, *(other for other, _ in more.also), *more.targets]
    for source in sources:
        if source.index.front_end != recipe.front_end:
            raise DataError(f"{source.path}: front_end", f"is not that of recipe {recipe.name}", f"{recipe.front_end}")
    if recipe.teaches != bool(more.targets):
        found = "none" if recipe.teaches else f"{len(more.targets)} of them"
        raise ConfigError("--targets", f"found {found}", f"what recipe {recipe.name} needs")
    return Feed(
        store=store,
        clips=_clips(store, split, train_parts),
        recipe=recipe,
        seed=seed,
        also=tuple(_also(other, share, scheme, train_parts) for other, share in more.also),
        taught=Taught.of(*more.targets) if more.targets else None,
    )


def _require_start(feed: Feed, start: Run | None) -> None:
    """ConfigError where the recipe goes on with a whole network, but `start` is not one of its layers and labels."""
    recipe = feed.recipe
    if not recipe.tunes:
        return
    if start is None:
        raise ConfigError("--start-from", "found nothing", f"a readout, with which recipe {recipe.name} goes on")
    for what, found, expected in (
        ("head", start.recipe.head, recipe.head),
        ("labels", " ".join(start.labels), " ".join(feed.labels)),
        ("blocks", start.recipe.blocks, recipe.blocks),
    ):
        if found != expected:
            raise ConfigError(f"--start-from {start.path}: {what}", f"found {found}", f"{expected}")


def _also(store: Store, share: float, scheme: str, train_parts: tuple[str, ...]) -> Also:
    parts = store.index.splits.get(scheme) or {clip.name: train_parts[0] for clip in store.index.clips}
    clips = _clips(store, parts, train_parts)
    if not clips:
        raise DataError(str(store.path), "holds no clip to train on", "of " + ", ".join(train_parts))
    return Also(store=store, clips=clips, share=share)


def record_of(feed: Feed, split: dict[str, str], scheme: str, train_parts: tuple[str, ...], more: More) -> RunRecord:
    """What run.json says before anything is learned."""
    store, recipe = feed.store, feed.recipe
    validates = VALIDATION in split.values() and VALIDATION not in train_parts
    return RunRecord(
        version=VERSION,
        recipe=recipe,
        labels=feed.labels,
        store=store.path.resolve().name,
        store_sha256=store.index.power_db_sha256,
        store_provenance=store.index.provenance,
        split_scheme=scheme,
        train_parts=train_parts,
        validation_part=VALIDATION if validates else None,
        seed=feed.seed,
        also=tuple(
            MoreClips(
                store=other.store.path.resolve().name,
                store_sha256=other.store.index.power_db_sha256,
                n_clips=len(other.clips),
                share=other.share,
            )
            for other in feed.also
        ),
        targets=tuple(f"{each.path.resolve().name}: {each.index.teacher}" for each in more.targets),
        targets_sha256=sha256(feed.taught.target.tobytes()) if feed.taught else "",
        started_from=more.start.path.resolve().name if more.start else "",
        versions={name: version(name) for name in ("keras", "numpy")}
        | {"backend": keras.backend.backend(), "precision": keras.config.dtype_policy().name},
    )


def _clips(store: Store, split: dict[str, str], parts: tuple[str, ...]) -> tuple[int, ...]:
    """Positions of the clips of some parts, each of which must hold a segment."""
    chosen = tuple(i for i, clip in enumerate(store.index.clips) if split.get(clip.name) in parts)
    for i in chosen:
        clip = store.index.clips[i]
        if clip.n_frames < store.index.front_end.segment_frames:
            raise DataError(f"{store.path}: {clip.name}", f"has {clip.n_frames} frames", "at least a segment")
    return chosen


def open_run(path: Path, record: RunRecord, split: dict[str, str], feed: Feed) -> Run:
    """The run in `path` if it is this one, else a new one; run.json is written last, so it means all is there."""
    if (path / RECORD).is_file():
        run = Run.load(path)
        for key in SAME_ON_RESUME:
            if getattr(run.record, key) != getattr(record, key):
                raise ConfigError(str(path), f"holds a run with another {key}", "a new folder, or the same settings")
        if run.split != split:
            raise ConfigError(str(path), "holds a run whose clips were parted otherwise", "a new folder")
        return run
    if left := [name for name in (BEST, LAST, HISTORY) if (path / name).exists()]:
        raise ConfigError(str(path), f"holds {left[0]} of another run but no {RECORD}", "a new folder")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / SPLIT, split)
    held_out = sorted(set(split.values()) - set(record.train_parts))
    clips = [_held_out(feed.store, i, split) for i in _clips(feed.store, split, tuple(held_out))]
    write_features(path, clips, representative_segments(feed, REPRESENTATIVE_SEGMENTS))
    write_json(path / RECORD, record)
    return Run.load(path)


def _held_out(store: Store, i: int, split: dict[str, str]) -> HeldOutClip:
    clip = store.index.clips[i]
    return HeldOutClip(name=clip.name, label=clip.label, part=split[clip.name], power_db=store.clip(i))


def _resume(run: Run, feed: Feed, start: Run | None) -> tuple[Any, list[Row]]:
    """The model as the last finished epoch left it, optimizer and all, and the rows up to there."""
    keras.utils.set_random_seed(feed.seed)
    model = build(feed.recipe, len(run.labels), feed.taught.n_values if feed.taught else 0)
    compile_for_training(model, feed.recipe, feed.n_batches, len(run.labels))
    model.optimizer.build(model.trainable_variables)
    if not (run.path / LAST).is_file():
        if start:
            take_over(model, start.whole_model())
        return model, []
    with readable(run.path / LAST):
        model.load_weights(run.path / LAST)
    epochs_done = int(model.optimizer.iterations) // feed.n_batches
    return model, read_history(run.path)[:epochs_done]


def _validation(store: Store, split: dict[str, str], run: Run) -> Validation | None:
    if run.record.validation_part is None:
        return None
    clips = _clips(store, split, (run.record.validation_part,))
    front_end = FrontEnd(run.front_end)
    segments, counts = segments_of([store.clip(i) for i in clips], front_end, front_end.config.segment_frames)
    labels = np.array([run.labels.index(store.index.clips[i].label) for i in clips], np.int64)
    return Validation(segments=segments[..., None], n_segments=counts, labels=labels)


def _target_error(model: Any, feed: Feed, taught: Taught) -> float:
    """Mean squared error on the crops kept back, in units of each value's variance: 1 less R2, about."""
    crops = taught.power_db[taught.n_learned :].astype(np.float32)
    answer = predict(model, FrontEnd(feed.recipe.front_end).scale(crops)[..., None], PREDICT_BATCH)
    return float(np.mean((answer[:, -taught.n_values :] - taught.target[taught.n_learned :]) ** 2))


def _epoch(model: Any, feed: Feed, epoch: int, validation: Validation | None, bar: Any) -> Row:
    began = time.monotonic()
    reseed(model, feed.seed, epoch)
    batches = _counted(((evenly(x), evenly(y)) for x, y in feed.epoch(epoch)), bar)
    trained = model.fit(batches, steps_per_epoch=feed.n_batches, epochs=1, shuffle=False, verbose=0).history
    row = {"epoch": epoch + 1.0, "loss": trained["loss"][0], "accuracy": trained["accuracy"][0]}
    if feed.taught and feed.taught.n_held_back:
        with as_judged(model):
            row |= {"target_error": _target_error(model, feed, feed.taught)}
    with as_judged(model, feed.plain()):
        if validation:
            figures = validation.figures(logits_of(model), PREDICT_BATCH)
            row |= {"val_loss": figures["segment_nll"], "val_accuracy": figures["segment_accuracy"]}
            row |= {"val_clip_accuracy": figures["clip_accuracy_mean"]}
    return row | {"seconds": round(time.monotonic() - began, 3)}


def _brief(row: Row) -> str:
    return " ".join(f"{key} {row[key]:.3f}" for key in row if key not in ("epoch", "seconds"))


def _counted(batches: Any, bar: Any) -> Any:
    for batch in batches:
        yield batch
        bar.update()


def _keep(run: Run, model: Any, rows: list[Row], feed: Feed) -> None:
    """Writes what an epoch gave, in the order that makes a kill between any two writes harmless."""
    with as_judged(model, feed.plain()):
        if "val_accuracy" in rows[-1] and max(rows, key=_goodness) is rows[-1]:
            _save(model, run.path / BEST)
        if run.recipe.judges_others:
            _save(model, run.path / AVERAGE)
    write_history(run.path, rows)
    _save(model, run.path / LAST)
    write_json(run.path / RECORD, replace(run.record, epochs_done=len(rows)))
    if len(rows) % EPOCHS_BETWEEN_DRAWINGS == 0:
        draw_curves(run.path, rows)


def _goodness(row: Row) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def _save(model: Any, path: Path) -> None:
    with whole_file(path) as beside:
        model.save(beside)


def finish_untrained(run: Run, model: Any, store: Store, split: dict[str, str], figures: dict[str, Any]) -> Run:
    """Writes a model that was not trained by gradients as the only epoch of a run, with its figures."""
    for name in (LAST, BEST) if run.record.validation_part else (LAST,):
        _save(model, run.path / name)
    metrics: dict[str, Any] = {**figures, "size": size(model)}
    if validation := _validation(store, split, run):
        metrics["valid"] = validation.figures(model, PREDICT_BATCH) | {"best_epoch": 1}
    write_json(run.path / RECORD, replace(run.record, epochs_done=run.recipe.all_epochs, metrics=metrics))
    return Run.load(run.path)


def _finish(run: Run, rows: list[Row], validation: Validation | None) -> Run:
    draw_curves(run.path, rows)
    metrics: dict[str, Any] = {"train": {key: rows[-1][key] for key in ("loss", "accuracy")}}
    if validation:
        metrics["valid"] = validation.figures(run.model(), PREDICT_BATCH)
        metrics["valid"]["best_epoch"] = int(max(rows, key=_goodness)["epoch"])
        metrics["valid_last"] = validation.figures(run.model(last=True), PREDICT_BATCH)
    metrics["size"] = size(run.model(last=True))
    write_json(run.path / RECORD, replace(run.record, epochs_done=len(rows), metrics=metrics))
    return Run.load(run.path)
