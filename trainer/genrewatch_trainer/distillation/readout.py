"""A genre head by logistic regression on what a network has learned to see: the last step of distillation.

The network of an earlier run, which a teacher's targets have formed, stays as it is. Its pooled features of plain
segments, standardised, go through multinomial logistic regression, and scaling and weights are folded into the one
dense layer `logits`, so that what comes out is an ordinary run of one ordinary network:

    logits = W ((f - mean) / deviation) + b = (W / deviation) f + (b - W mean / deviation)

A segment's label may be softened by what tables of features heard by others say of its clip, and crops that nobody has
labelled be learned from as such tables judge them (`trainer/genrewatch_trainer/distillation/opinions.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import softmax
from genrewatch_trainer.data.splits import parts_of
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.opinions import Opinions
from genrewatch_trainer.distillation.targets import Half
from genrewatch_trainer.evaluation.metrics import clip_metrics
from genrewatch_trainer.files import write_csv
from genrewatch_trainer.progress import progress
from genrewatch_trainer.run import Run
from genrewatch_trainer.training.feed import Feed, segments_of
from genrewatch_trainer.training.fit import More, feed_of, finish_untrained, open_run, record_of
from genrewatch_trainer.training.hardware import predict
from genrewatch_trainer.training.network import LOGITS, build, take_over
from genrewatch_trainer.training.recipes import Head, Recipe

PREDICT_BATCH = 32
PREDICT_AT_ONCE = 4096
MOST_STEPS = 2000
OTHER_STORE, CROP = -1, -2
ACROSS_ARTISTS = "across_artists.csv"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What the regression learns from."""

    features: NDArray[np.float32]
    """(n_segments, n_features)"""
    shares: NDArray[np.float64]
    """(n_segments, n_labels) of each label in a segment, which sum to 1."""
    weights: NDArray[np.float64]
    """(n_segments,) of each segment in the loss; those of the first store are 1 on average."""
    clips: NDArray[np.int64]
    """(n_segments,) position in the first store, OTHER_STORE for a segment of another one, CROP for what opinions alone
    label."""

    def of(self, feed: Feed, opinions: Opinions | None) -> "Lesson":
        """The segments of the feed's clips and of all other stores; opinions are asked about those clips alone."""
        shares = self.shares.copy()
        softened = opinions.shares(feed) if opinions else {}
        for i in feed.clips:
            name = feed.store.index.clips[i].name
            if name in softened:
                shares[self.clips == i] = softened[name]
        if opinions and (self.clips == CROP).any():
            shares[self.clips == CROP] = opinions.crop_shares(feed)
        first = self.clips >= 0
        kept = np.isin(self.clips, feed.clips)
        weights = np.where(first, self.weights, self.weights * kept.sum() / first.sum())
        kept |= ~first
        return Lesson(features=self.features[kept], shares=shares[kept], weights=weights[kept], clips=self.clips[kept])


def fit_readout(
    taught: Run,
    store: Store,
    path: Path,
    *,
    scheme: str,
    train_parts: tuple[str, ...],
    strength: float,
    also: tuple[tuple[Store, float], ...] = (),
    pooling: Head = "mean",
    opinions: Opinions | None = None,
    folds: int = 0,
) -> Run:
    """A run in the new folder `path` with the layers of `taught` and a head for the labels of all stores.

    `strength` is scikit-learn's C: the inverse of the penalty on the weights. A store of `also` weighs as much as its
    share of the first one. `pooling` is the recipe's `head`, which need not be that of `taught`. With `folds` the
    training clips of each artist are also judged by a head that has not learned from them, in so many folds, and
    `across_artists.csv` in the run says of each what it was taken for. Raises ConfigError or DataError.
    """
    more = More(also=also, start=taught)
    recipe = replace(recipe_of(taught), head=pooling)
    split = parts_of(store.index, scheme, taught.record.seed)
    feed = feed_of(store, recipe, split, scheme, train_parts, taught.record.seed, more)
    run = open_run(path, record_of(feed, split, scheme, train_parts, more), split, feed)
    if run.finished:
        return run
    keras.utils.set_random_seed(feed.seed)
    model = build(recipe, len(feed.labels))
    take_over(model, taught.whole_model())
    if opinions:
        opinions.require_front_end(recipe.front_end)
    lesson = lesson_of(feed, pooled_features(model), opinions)
    figures: dict[str, Any] = {"readout_strength": strength} | (opinions.as_json() if opinions else {})
    if folds:
        answers = across_artists(feed, lesson, strength, opinions, folds)
        figures["across_artists"] = clip_metrics(list(answers.values()), [feed.label(i) for i in answers])
        write_csv(run.path / ACROSS_ARTISTS, [_line(feed, i, posterior) for i, posterior in answers.items()])
    weights, offsets = head(lesson.of(feed, opinions), strength)
    model.get_layer(LOGITS).set_weights([weights, offsets])
    return finish_untrained(run, model, store, split, figures)


def recipe_of(taught: Run) -> Recipe:
    """The recipe of `taught` without its stages: nothing is trained by gradients any more."""
    return replace(
        taught.recipe,
        name=f"{taught.recipe.name}-readout",
        teach_epochs=0,
        epochs=1,
        taught_percent=0,
        average_momentum=0.0,
        settle_batches=0,
        steps_per_epoch=0,
    )


def pooled_features(model: Any) -> Any:
    """(n, segment_frames, n_mels, 1) -> (n, n_features): what the head of a network looks at."""
    return keras.Model(model.inputs, model.get_layer(LOGITS).input)


def lesson_of(feed: Feed, features: Any, opinions: Opinions | None = None) -> Lesson:
    """The features of all training segments, at half a segment's distance from one another, and their labels; and of
    the crops that opinions are asked about, still without.
    """
    front_end = FrontEnd(feed.recipe.front_end)
    hop = max(1, front_end.config.segment_frames // 2)
    stores = [(feed.store, feed.clips, 1.0), *((more.store, more.clips, more.share) for more in feed.also)]
    one_hot = np.eye(len(feed.labels))
    parts: list[Lesson] = []
    with progress(total=len(stores), done=0, unit="store", name="features") as bar:
        for store, clips, share in stores:
            segments, counts = segments_of([store.clip(i) for i in clips], front_end, hop)
            first = len(parts[0].weights) if parts else len(segments)
            labels = [feed.labels.index(store.index.clips[i].label) for i in clips]
            part = Lesson(
                features=predict(features, segments[..., None], PREDICT_BATCH),
                shares=np.repeat(one_hot[labels], counts, axis=0),
                weights=np.full(len(segments), share * first / len(segments)),
                clips=np.repeat(clips if store is feed.store else np.full(len(clips), OTHER_STORE), counts),
            )
            parts.append(part)
            bar.update()
    if opinions and opinions.crops:
        seen = _crop_features(opinions.crops, front_end, features)
        weight = opinions.crops_share * len(parts[0].weights) / len(seen)
        parts.append(
            Lesson(
                features=seen,
                shares=np.zeros((len(seen), len(feed.labels))),
                weights=np.full(len(seen), weight),
                clips=np.full(len(seen), CROP),
            )
        )
    return Lesson(
        features=np.concatenate([part.features for part in parts]),
        shares=np.concatenate([part.shares for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        clips=np.concatenate([part.clips for part in parts]),
    )


def _crop_features(crops: Sequence[Half], front_end: FrontEnd, features: Any) -> NDArray[np.float32]:
    """(n_crops, n_features) of all stores' crops."""
    seen = []
    with progress(total=sum(map(len, crops)), done=0, unit="crop", name="features of crops") as bar:
        for power_db in crops:
            for start in range(0, len(power_db), PREDICT_AT_ONCE):
                some = front_end.scale(power_db[start : start + PREDICT_AT_ONCE].astype(np.float32))
                seen.append(predict(features, some[..., None], PREDICT_BATCH))
                bar.update(len(some))
    return np.concatenate(seen)


def across_artists(
    feed: Feed, lesson: Lesson, strength: float, opinions: Opinions | None, n_folds: int
) -> dict[int, NDArray[np.float32]]:
    """Position of each training clip -> (n_segments, n_labels), its posteriors by a head (and opinions) of clips by
    other artists.

    All of them judge, not the few that are held out, so heads and networks that differ by little can be told apart.
    Raises DataError where there are fewer artists than folds.
    """
    from sklearn.model_selection import GroupKFold

    clips = np.array(feed.clips)
    groups = [feed.store.index.clips[i].group for i in clips]
    if len(set(groups)) < n_folds:
        raise DataError("--folds", f"{len(set(groups))} artists to learn from", f"at least {n_folds}")
    posteriors: dict[int, NDArray[np.float32]] = {}
    with progress(total=n_folds, done=0, unit="fold", name="across artists") as bar:
        for learned, asked in GroupKFold(n_folds).split(clips, groups=groups):
            fold = replace(feed, clips=tuple(clips[learned].tolist()))
            weights, offsets = head(lesson.of(fold, opinions), strength)
            for i in clips[asked].tolist():
                posteriors[i] = softmax(lesson.features[lesson.clips == i] @ weights + offsets)
            bar.update()
    return {i: posteriors[i] for i in clips.tolist()}


def _line(feed: Feed, i: int, posterior: NDArray[np.float32]) -> dict[str, object]:
    """Of the table of all clips: what one is, and its mean posterior."""
    clip, mean = feed.store.index.clips[i], posterior.mean(axis=0)
    known = {"name": clip.name, "group": clip.group, "label": clip.label, "named": feed.labels[int(mean.argmax())]}
    return known | {label: round(float(p), 4) for label, p in zip(feed.labels, mean, strict=True)}


def head(lesson: Lesson, strength: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (n_features, n_labels) and offsets (n_labels,) of the layer `logits`; DataError without every label."""
    found, n_labels = int((lesson.shares.max(axis=0) > 0).sum()), lesson.shares.shape[1]
    if found != n_labels or n_labels < 3:
        raise DataError("readout", f"clips of {found} labels", "three or more, each with clips")
    mean = lesson.features.mean(axis=0, dtype=np.float64)
    deviation = lesson.features.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1.0
    x = (lesson.features - mean.astype(np.float32)) / deviation.astype(np.float32)
    weights, offsets = regression(x, lesson.shares, lesson.weights, strength)
    weights = weights / deviation[:, None]
    return weights.astype(np.float32), (offsets - mean @ weights).astype(np.float32)


def regression(
    x: NDArray[np.floating], shares: NDArray[np.float64], weights: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (n_features, n_labels) and offsets (n_labels,) that minimise scikit-learn's multinomial loss

        strength sum_i w_i H(shares_i, softmax(x_i W + b)) + |W|^2 / 2

    which scikit-learn itself has for hard labels alone. Products are taken in the precision of `x`.
    """
    from scipy.optimize import minimize

    shape = x.shape[1], shares.shape[1]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, b = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        logits = x @ w.astype(x.dtype) + b
        log_posterior = logits - logits.max(axis=1, keepdims=True)
        log_posterior -= np.log(np.exp(log_posterior).sum(axis=1, keepdims=True))
        error = (np.exp(log_posterior) - shares) * weights[:, None]
        surprise = -float(weights @ (shares * log_posterior).sum(axis=1))
        slope = np.concatenate([(x.T @ error.astype(x.dtype) + w / strength).ravel(), error.sum(axis=0)])
        return surprise + float((w**2).sum()) / 2 / strength, slope

    start = np.zeros((shape[0] + 1) * shape[1])
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS}
    )
    return found.x[: -shape[1]].reshape(shape), found.x[-shape[1] :]
