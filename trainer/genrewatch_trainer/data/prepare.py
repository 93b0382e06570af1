"""A feature store of labelled sound files, a folder per genre, as GTZAN is laid out.

Decoding and front end are the device's own (`genrewatch.audio.decoding`, `genrewatch.contract`), so the network is
trained on what the device computes, bit for bit. Files are independent and spread over cores, or over a cluster.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import delayed

from genrewatch.audio.decoding import ffmpeg_path, read_filtered
from genrewatch.contract.errors import DataError, GenrewatchError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, PowerDb
from genrewatch_trainer.cluster import parallel
from genrewatch_trainer.data.oracle import AGREEMENT_DB, difference_db
from genrewatch_trainer.data.splits import SplitTable, check_table, read_splits
from genrewatch_trainer.data.store import StoreWriter, new_store
from genrewatch_trainer.progress import progress

SUFFIXES = (".wav", ".au", ".mp3", ".flac", ".ogg")


@dataclass(frozen=True, kw_only=True)
class DecodedFile:
    """One file after decoding and front end. Without `power_db` it cannot be used, for the reason in `error`."""

    path: Path
    power_db: PowerDb | None = None
    samples_sha256: str = ""
    error: str = ""
    """Where and what, in one line."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The result of preparing a corpus."""

    n_clips: int
    skipped: tuple[DecodedFile, ...]
    duplicates: tuple[tuple[str, str], ...]
    """(clip, earlier clip with exactly the same samples); both are kept, as one track."""
    difference_db: float
    """Largest difference of a log-mel cell of the first readable clip from librosa's."""


def prepare(
    audio: Path,
    store: Path,
    front_end: FrontEndConfig,
    *,
    splits: Path | None,
    jobs: int,
    cluster: str | None = None,
) -> Prepared:
    """Write the store of every readable file under `audio`/GENRE.

    Raises DataError where no file can be used, or where this machine's log-mel differs from librosa's.
    """
    names = clip_names(audio)
    table = read_splits(splits) if splits else SplitTable()
    check_table(table, {name: path.parent.name for path, name in names.items()}, str(splits))
    agreement = _agreement_with_librosa(names, front_end)
    provenance = f"prepare {audio.name}"
    with (
        parallel(jobs=jobs, cluster=cluster) as run,
        new_store(store, front_end, provenance=provenance, splits=table.schemes) as writer,
    ):
        files = run(delayed(decode_file)(path.absolute(), front_end) for path in names)  # a worker is in another folder
        done = _fill(writer, progress(files, total=len(names), name="prepare", unit="clip"), names, table)
        return replace(done, difference_db=agreement)


def _agreement_with_librosa(paths: Iterable[Path], front_end: FrontEndConfig) -> float:
    """Return the difference from librosa on the first usable clip; raises DataError where it is too large."""
    ffmpeg_path()
    error = ""
    for path in paths:
        item = decode_file(path, front_end)
        if item.power_db is None:
            error = error or item.error
            continue
        found = difference_db(read_filtered(path, front_end.sample_rate), front_end)
        if not found <= AGREEMENT_DB:
            raise DataError(str(path), f"log-mel is {found:.2g} dB off librosa's", f"at most {AGREEMENT_DB} dB")
        return found
    raise DataError(error, "and no other file can be used either")


def clip_names(audio: Path) -> dict[Path, str]:
    """Map every sound file in the genre folders of `audio` to its name: its stem, or its path where stems clash."""
    if not audio.is_dir():
        raise DataError(str(audio), "is not a folder", "a folder per genre")
    paths = sorted(p for p in audio.glob("*/*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(str(audio), "holds no sound files", "a folder per genre with " + " ".join(SUFFIXES))
    stems = Counter(path.stem for path in paths)
    return {p: p.stem if stems[p.stem] == 1 else p.relative_to(audio).as_posix() for p in paths}


def decode_file(path: Path, front_end: FrontEndConfig) -> DecodedFile:
    """Decode one file and compute its log-mel; the result has an `error` where it is unreadable or too short."""
    try:
        samples = read_filtered(path, front_end.sample_rate)
    except GenrewatchError as exc:
        return DecodedFile(path=path, error=str(exc))
    power_db = FrontEnd(front_end).power_db(samples)
    if len(power_db) < front_end.segment_frames:
        return DecodedFile(path=path, error=f"{path}: {len(power_db)} frames, a segment has {front_end.segment_frames}")
    return DecodedFile(path=path, power_db=power_db, samples_sha256=hashlib.sha256(samples.tobytes()).hexdigest())


def _fill(writer: StoreWriter, files: Iterable[DecodedFile], names: dict[Path, str], table: SplitTable) -> Prepared:
    skipped: list[DecodedFile] = []
    duplicates: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    for item, (path, name) in zip(files, names.items(), strict=True):
        if item.power_db is None:
            skipped.append(item)
            continue
        label = path.parent.name
        track = first.setdefault(item.samples_sha256, name)
        if track != name:
            duplicates.append((name, track))
        writer.add(item.power_db, name=name, label=label, track=track, artist=table.artists.get(name))
    return Prepared(n_clips=len(writer.clips), skipped=tuple(skipped), duplicates=tuple(duplicates), difference_db=0.0)
