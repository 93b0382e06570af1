"""Features of sound of one's own by the body of a bundle: a folder per label, or a recording with labelled times."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genrewatch.audio.decoding import read_filtered
from genrewatch.contract.bundle import RESERVED_LABELS, Bundle
from genrewatch.contract.errors import DataError, os_error_reason
from genrewatch.contract.front_end import FrontEnd, PowerDb
from genrewatch.inference.classifier import Classifier
from genrewatch.inference.head import body_of
from genrewatch_trainer.adaptation.clip_features import ClipFeatures, Features, segment_features
from genrewatch_trainer.cluster import parallel
from genrewatch_trainer.data.prepare import clip_names, decode_file
from genrewatch_trainer.progress import progress

FEWEST_CLIPS = 2
"""Of a label: one to learn from while the other is held out."""
EXPECTED_ROW = "start, end and label, separated by tabs, as Audacity exports labels"


@dataclass(frozen=True, kw_only=True)
class OwnClip:
    """One labelled stretch of sound; without `features` it cannot be used, for the reason in `error`."""

    name: str
    label: str
    content: str = ""
    """Hash of its log-mel."""
    features: Features | None = None
    error: str = ""
    """Where and what, in one line."""


@dataclass(frozen=True, kw_only=True)
class LabelledTime:
    """A row of a label file."""

    start_s: float
    end_s: float
    label: str


def clips_of_folder(bundle: Bundle, audio: Path, jobs: int) -> list[OwnClip]:
    """Compute the features of every sound file under `audio`/LABEL; DataError where there is none."""
    from joblib import delayed

    names = clip_names(audio)
    _check_labels(audio, {path.parent.name for path in names})
    with parallel(jobs=jobs, cluster=None) as run:
        found = run(delayed(_clip_of_file)(path.absolute(), name, bundle) for path, name in names.items())
        return list(progress(found, total=len(names), unit="file", name="features"))


def clips_of_recording(bundle: Bundle, recording: Path, labels: Path) -> list[OwnClip]:
    """Compute the features of the labelled stretches of a recording; DataError for a wrong row."""
    rows = list(read_labels(labels))
    _check_labels(labels, {row.label for row in rows})
    config = bundle.manifest.front_end
    samples, front_end = read_filtered(recording, config.sample_rate), FrontEnd(config)
    clips = []
    for row in progress(rows, total=len(rows), unit="label", name="features"):
        stretch = samples[round(row.start_s * config.sample_rate) : round(row.end_s * config.sample_rate)]
        name = f"{recording.name} {row.start_s:g}-{row.end_s:g} s"
        clips.append(_own_clip(name, row.label, front_end.power_db(stretch), bundle))
    return clips


def own_clips(collection: str, clips: Sequence[OwnClip]) -> ClipFeatures:
    """Return the clips that can be used; those with the same content form one group.

    Raises DataError for a label with fewer than `FEWEST_CLIPS` of them.
    """
    used = [(clip, clip.features) for clip in clips if clip.features is not None]
    for label in sorted({clip.label for clip in clips}):
        n = len({clip.content for clip, _ in used if clip.label == label})
        if n < FEWEST_CLIPS:
            raise DataError(f"{collection}: {label}", f"{n} usable clips", f"{FEWEST_CLIPS} or more")
    return ClipFeatures(
        collection=collection,
        names=tuple(clip.name for clip, _ in used),
        labels=tuple(clip.label for clip, _ in used),
        groups=tuple(clip.content for clip, _ in used),
        features=tuple(features for _, features in used),
    )


def read_labels(path: Path) -> Iterator[LabelledTime]:
    """Yield the rows of a label file; DataError for a row that cannot be read, or a file without rows."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        found = os_error_reason(exc) if isinstance(exc, OSError) else "is not UTF-8"
        raise DataError(str(path), found, "a label file") from None
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("\\")]
    if not rows:
        raise DataError(str(path), "no row", EXPECTED_ROW)
    for number, line in rows:  # a row that starts with a backslash holds the frequencies of the row before it
        yield _labelled_time(line, where=f"{path}:{number}")


def _labelled_time(line: str, *, where: str) -> LabelledTime:
    start, end, label = [*line.split("\t", 2), "", ""][:3]
    try:
        row = LabelledTime(start_s=float(start), end_s=float(end), label=label.strip())
    except ValueError:
        raise DataError(where, f"found {line[:80]!a}", EXPECTED_ROW) from None
    if not (0 <= row.start_s < row.end_s < float("inf") and row.label):
        raise DataError(where, f"found {line[:80]!a}", "a start before its end, and a label")
    return row


def _check_labels(where: Path, labels: set[str]) -> None:
    for label in sorted(labels):
        if label in RESERVED_LABELS or not label.isprintable():
            raise DataError(str(where), f"the label {label!a}", "another one: it is reserved or not printable")


def _clip_of_file(path: Path, name: str, bundle: Bundle) -> OwnClip:
    decoded = decode_file(path, bundle.manifest.front_end)
    if decoded.power_db is None:
        return OwnClip(name=name, label=path.parent.name, error=decoded.error)
    return _own_clip(name, path.parent.name, decoded.power_db, bundle)


def _own_clip(name: str, label: str, power_db: PowerDb, bundle: Bundle) -> OwnClip:
    """Compute the features of (n_frames, n_mels) dB, as the device would."""
    config = bundle.manifest.front_end
    if len(power_db) < config.segment_frames:
        error = f"{name}: {len(power_db)} frames, a segment has {config.segment_frames}"
        return OwnClip(name=name, label=label, error=error)
    hop_frames = bundle.manifest.vote.segment_hop // config.hop_length
    body = Classifier(body_of(bundle.model))
    features = segment_features(power_db, FrontEnd(config), body, hop_frames)
    return OwnClip(name=name, label=label, content=hashlib.sha256(power_db.tobytes()).hexdigest(), features=features)
