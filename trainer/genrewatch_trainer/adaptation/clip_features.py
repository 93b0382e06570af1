"""Features of labelled clips by the body of a bundle, computed as the device computes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Bundle
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import body_of
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.progress import progress
from genrewatch_trainer.training.feed import clip_segments

Features = NDArray[np.float32]
"""(n_segments, n_features)"""


@dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """The labelled clips of one collection."""

    collection: str
    """Name of the store."""
    names: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    """Artist of each clip, or its track, or its name."""
    features: tuple[Features, ...]
    """Of each clip, its segments at the hop of the bundle's vote."""

    def __len__(self) -> int:
        return len(self.names)

    def select(self, kept: Sequence[bool]) -> "ClipFeatures":
        """Return the clips whose flag is set."""
        ids = [i for i, keep in enumerate(kept) if keep]
        return ClipFeatures(
            collection=self.collection,
            names=tuple(self.names[i] for i in ids),
            labels=tuple(self.labels[i] for i in ids),
            groups=tuple(self.groups[i] for i in ids),
            features=tuple(self.features[i] for i in ids),
        )


def clip_features(bundle: Bundle, store: Store, clips: Sequence[int]) -> ClipFeatures:
    """Compute the features of some clips of a store; clips with a label that the bundle lacks are left out.

    Raises DataError for a store of another front end, or without a clip of at least one segment.
    """
    manifest = bundle.manifest
    if store.index.front_end != manifest.front_end:
        raise DataError(f"{store.path}: front_end", "is not the bundle's", str(manifest.front_end))
    hop_frames = manifest.vote.segment_hop // manifest.front_end.hop_length
    n_least = manifest.front_end.segment_frames
    index = store.index.clips
    chosen = [i for i in clips if index[i].label in manifest.labels and index[i].n_frames >= n_least]
    if not chosen:
        raise DataError(str(store.path), "no clip of a segment or more", "labels " + " ".join(manifest.labels))
    front_end, body = FrontEnd(manifest.front_end), Classifier(body_of(bundle.model))
    features = []
    with progress(total=len(chosen), done=0, unit="clip", name=f"features of {store.path.name}") as bar:
        for i in chosen:
            segments = clip_segments(store.clip(i), front_end, hop_frames)
            features.append(np.stack([body.logits(segment) for segment in segments]))
            bar.update()
    return ClipFeatures(
        collection=store.path.resolve().name,
        names=tuple(index[i].name for i in chosen),
        labels=tuple(index[i].label for i in chosen),
        groups=tuple(index[i].group for i in chosen),
        features=tuple(features),
    )
