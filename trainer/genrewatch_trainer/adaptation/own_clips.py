"""Features of sound files of one's own, a folder per label, by the body of a bundle."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from genrewatch.contract.bundle import RESERVED_LABELS, Bundle
from genrewatch.contract.errors import DataError
from genrewatch.contract.front_end import FrontEnd
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import body_of
from genrewatch_trainer.adaptation.clip_features import ClipFeatures, Features, segment_features
from genrewatch_trainer.cluster import parallel
from genrewatch_trainer.data.prepare import clip_names, decode_file
from genrewatch_trainer.progress import progress

FEWEST_FILES = 2
"""Of a label: one to learn from while the other is held out."""


@dataclass(frozen=True, kw_only=True)
class FileFeatures:
    """One sound file; without `features` it cannot be used, for the reason in `error`."""

    features: Features | None = None
    sha256: str = ""
    error: str = ""
    """Where and what, in one line."""


def own_clips(bundle: Bundle, audio: Path, jobs: int) -> tuple[ClipFeatures, tuple[str, ...]]:
    """Return the features of every readable file under `audio`/LABEL, and a line for each file that is left out.

    Files with the same content form one group. Raises DataError for a label that is not allowed, or has fewer than
    `FEWEST_FILES` files.
    """
    from joblib import delayed

    names = clip_names(audio)
    _check_labels(audio, {path.parent.name for path in names})
    with parallel(jobs=jobs, cluster=None) as run:
        found = run(delayed(_features_of_file)(path.absolute(), bundle) for path in names)
        files = dict(zip(names, progress(found, total=len(names), unit="file", name="features"), strict=True))
    used = {path: file for path, file in files.items() if file.features is not None}
    clips = ClipFeatures(
        collection=audio.resolve().name,
        names=tuple(names[path] for path in used),
        labels=tuple(path.parent.name for path in used),
        groups=tuple(file.sha256 for file in used.values()),
        features=tuple(file.features for file in used.values() if file.features is not None),
    )
    for label in sorted({path.parent.name for path in names}):
        groups = {group for group, its in zip(clips.groups, clips.labels, strict=True) if its == label}
        if len(groups) < FEWEST_FILES:
            raise DataError(str(audio / label), f"{len(groups)} usable files", f"{FEWEST_FILES} or more")
    return clips, tuple(file.error for file in files.values() if file.error)


def _check_labels(audio: Path, labels: set[str]) -> None:
    for label in sorted(labels):
        if label in RESERVED_LABELS or not label.isprintable():
            raise DataError(str(audio), f"a folder {label!a}", "another name: this one is reserved or not printable")


def _features_of_file(path: Path, bundle: Bundle) -> FileFeatures:
    """Decode one file and compute its features, as the device would."""
    manifest = bundle.manifest
    decoded = decode_file(path, manifest.front_end)
    if decoded.power_db is None:
        return FileFeatures(error=decoded.error)
    hop_frames = manifest.vote.segment_hop // manifest.front_end.hop_length
    body = Classifier(body_of(bundle.model))
    features = segment_features(decoded.power_db, FrontEnd(manifest.front_end), body, hop_frames)
    return FileFeatures(features=features, sha256=hashlib.sha256(decoded.power_db.tobytes()).hexdigest())
