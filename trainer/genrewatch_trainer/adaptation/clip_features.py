"""Features of labelled clips by the body of a bundle, computed as the device computes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Bundle
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd, PowerDb
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import body_of
from genrewatch_trainer.adaptation.field import Change
from genrewatch_trainer.data.store import Store
from genrewatch_trainer.progress import progress
from genrewatch_trainer.training.feed import clip_segments

Features = NDArray[np.float32]
"""(n_segments, n_features)"""
FIELD_HOPS = 3
"""Hops between the segments of a changed copy; neighbours overlap, so fewer serve as well."""


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
    field: tuple[Features, ...] = ()
    """Of each clip, segments of its changed copies, see `adaptation.field`; empty where they are not learned."""

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
            field=tuple(self.field[i] for i in ids if self.field),
        )


def clip_features(
    bundle: Bundle, store: Store, clips: Sequence[int], changes: Mapping[str, Change] | None = None
) -> ClipFeatures:
    """Compute the features of some clips of a store; clips with a label that the bundle lacks are left out.

    `changes` make the copies of `ClipFeatures.field`; their random parts depend on the clip's name only.

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
    features: list[Features] = []
    field: list[Features] = []
    with progress(total=len(chosen), done=0, unit="clip", name=f"features of {store.path.name}") as bar:
        for i in chosen:
            features.append(segment_features(store.clip(i), front_end, body, hop_frames))
            if changes:
                rng = np.random.default_rng(crc32(index[i].name.encode()))
                copies = [change(store.clip(i), manifest.front_end, rng) for change in changes.values()]
                hop = FIELD_HOPS * hop_frames
                field.append(np.concatenate([segment_features(copy, front_end, body, hop) for copy in copies]))
            bar.update()
    return ClipFeatures(
        collection=store.path.resolve().name,
        names=tuple(index[i].name for i in chosen),
        labels=tuple(index[i].label for i in chosen),
        groups=tuple(index[i].group for i in chosen),
        features=tuple(features),
        field=tuple(field),
    )


def segment_features(power_db: PowerDb, front_end: FrontEnd, body: Classifier, hop_frames: int) -> Features:
    """Compute the features of all segments of a clip (n_frames, n_mels) in dB."""
    return np.stack([body.logits(segment) for segment in clip_segments(power_db, front_end, hop_frames)])
