"""The data of a readout: pooled features of segments by a trained network, with soft labels and weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEnd
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.distillation.soft_labels import SoftLabels
from genrewatch_trainer.distillation.targets import Half
from genrewatch_trainer.progress import progress
from genrewatch_trainer.training.feed import Feed, segments_of
from genrewatch_trainer.training.hardware import predict

PREDICT_BATCH = 32
PREDICT_AT_ONCE = 4096
EXTRA_STORE, CROP = -1, -2


@dataclass(frozen=True, kw_only=True)
class LabelledFeatures:
    """Segments as features, a row each."""

    features: NDArray[np.float32]
    """(n_segments, n_features)"""
    soft_labels: NDArray[np.float64]
    """(n_segments, n_labels), each row sums to 1"""
    weights: NDArray[np.float64]
    """(n_segments,) in the loss; those of the first store are 1 on average."""
    clips: NDArray[np.int64]
    """(n_segments,) position in the first store; EXTRA_STORE for a clip of another one, CROP for an unlabelled crop"""

    def select(self, feed: Feed, soft_labels: SoftLabels | None) -> "LabelledFeatures":
        """Return the segments of the feed's clips, of all extra stores and of all crops.

        Soft labels are computed from the feed's clips only. Extra stores and crops keep their share of the weight.
        """
        labels = self._softened(feed, soft_labels)
        first = self.clips >= 0
        kept = np.isin(self.clips, feed.clips)
        weights = np.where(first, self.weights, self.weights * kept.sum() / first.sum())
        kept |= ~first
        return LabelledFeatures(
            features=self.features[kept], soft_labels=labels[kept], weights=weights[kept], clips=self.clips[kept]
        )

    def _softened(self, feed: Feed, soft_labels: SoftLabels | None) -> NDArray[np.float64]:
        labels = self.soft_labels.copy()
        if soft_labels is None:
            return labels
        softened = soft_labels.of_clips(feed)
        for i in feed.clips:
            name = feed.store.index.clips[i].name
            if name in softened:
                labels[self.clips == i] = softened[name]
        if (self.clips == CROP).any():
            labels[self.clips == CROP] = soft_labels.of_crops(feed)
        return labels


def labelled_features(feed: Feed, network: Any, soft_labels: SoftLabels | None = None) -> LabelledFeatures:
    """Compute the features of all training segments, half a segment apart, with their labels.

    `network` maps (n, segment_frames, n_mels, 1) to (n, n_features). The crops of `soft_labels` follow, with labels 0
    that `select` fills in.
    """
    front_end = FrontEnd(feed.recipe.front_end)
    parts: list[LabelledFeatures] = []
    stores = [(feed.store, feed.clips, 1.0), *((extra.store, extra.clips, extra.share) for extra in feed.extra)]
    with progress(total=len(stores), done=0, unit="store", name="features") as bar:
        for store, clips, share in stores:
            n_first = len(parts[0].weights) if parts else None
            parts.append(_of_store(feed, front_end, network, store, clips, share, n_first))
            bar.update()
    if soft_labels and soft_labels.crops:
        features = _of_crops(soft_labels.crops, front_end, network)
        weight = soft_labels.crops_share * len(parts[0].weights) / len(features)
        parts.append(
            LabelledFeatures(
                features=features,
                soft_labels=np.zeros((len(features), len(feed.labels))),
                weights=np.full(len(features), weight),
                clips=np.full(len(features), CROP),
            )
        )
    return _joined(parts)


def _of_store(
    feed: Feed,
    front_end: FrontEnd,
    network: Any,
    store: Store,
    clips: Sequence[int],
    share: float,
    n_first: int | None,
) -> LabelledFeatures:
    """Compute the features of one store's clips, which together weigh `share` of the first store's segments."""
    hop = max(1, front_end.config.segment_frames // 2)
    segments, counts = segments_of([store.clip(i) for i in clips], front_end, hop)
    labels = [feed.labels.index(store.index.clips[i].label) for i in clips]
    positions = clips if store is feed.store else np.full(len(clips), EXTRA_STORE)
    return LabelledFeatures(
        features=predict(network, segments[..., None], PREDICT_BATCH),
        soft_labels=np.repeat(np.eye(len(feed.labels))[labels], counts, axis=0),
        weights=np.full(len(segments), share * (len(segments) if n_first is None else n_first) / len(segments)),
        clips=np.repeat(positions, counts),
    )


def _of_crops(crops: Sequence[Half], front_end: FrontEnd, network: Any) -> NDArray[np.float32]:
    """Compute (n_crops, n_features) of all crops, dB before scaling."""
    found = []
    with progress(total=sum(map(len, crops)), done=0, unit="crop", name="features of crops") as bar:
        for power_db in crops:
            for start in range(0, len(power_db), PREDICT_AT_ONCE):
                scaled = front_end.scale(power_db[start : start + PREDICT_AT_ONCE].astype(np.float32))
                found.append(predict(network, scaled[..., None], PREDICT_BATCH))
                bar.update(len(scaled))
    return np.concatenate(found)


def _joined(parts: Sequence[LabelledFeatures]) -> LabelledFeatures:
    return LabelledFeatures(
        features=np.concatenate([part.features for part in parts]),
        soft_labels=np.concatenate([part.soft_labels for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        clips=np.concatenate([part.clips for part in parts]),
    )
