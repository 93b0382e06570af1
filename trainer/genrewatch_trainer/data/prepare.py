"""A corpus of labelled sound files becomes a feature store: a folder per genre, as GTZAN is laid out.

Decoding and front end are the device's own (`genrewatch.audio.decoding`, `genrewatch.contract`), so the network is
trained on what the device computes, bit for bit. Files are independent and are spread over cores, or over a cluster.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import delayed

from genrewatch.audio.decoding import ffmpeg_path, read_samples
from genrewatch.contract.errors import DataError, GenrewatchError
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, PowerDb
from genrewatch_trainer.cluster import parallel
from genrewatch_trainer.data.oracle import AGREEMENT_DB, difference_db
from genrewatch_trainer.data.splits import SplitTable, check_table, read_splits
from genrewatch_trainer.data.store import StoreWriter, new_store
from genrewatch_trainer.progress import progress

SUFFIXES = (".wav", ".au", ".mp3", ".flac", ".ogg")


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One file, decoded and transformed; without `power_db` it is of no use, for the reason in `wrong`."""

    path: Path
    power_db: PowerDb | None = None
    samples_sha256: str = ""
    wrong: str = ""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What came of a corpus."""

    n_clips: int
    skipped: tuple[Heard, ...]
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
    """Writes the store of every readable file under `audio`/GENRE; raises DataError where there is nothing to do, or
    when this machine computes another log-mel than librosa.
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
        heard = run(delayed(hear)(path.absolute(), front_end) for path in names)  # a worker is in another folder
        done = _fill(writer, progress(heard, total=len(names), name="prepare", unit="clip"), names, table)
        return replace(done, difference_db=agreement)


def _agreement_with_librosa(paths: Iterable[Path], front_end: FrontEndConfig) -> float:
    """The difference from librosa on the first clip that can be used; DataError when none can, or it is too large."""
    ffmpeg_path()
    wrong = ""
    for path in paths:
        item = hear(path, front_end)
        if item.power_db is None:
            wrong = wrong or item.wrong
            continue
        found = difference_db(read_samples(path, front_end.sample_rate), front_end)
        if not found <= AGREEMENT_DB:
            raise DataError(str(path), f"log-mel is {found:.2g} dB off librosa's", f"at most {AGREEMENT_DB} dB")
        return found
    raise DataError(wrong, "and no other file can be used either")


def clip_names(audio: Path) -> dict[Path, str]:
    """Every sound file in the genre folders of `audio` -> its name: its stem, or its path where that is taken."""
    if not audio.is_dir():
        raise DataError(str(audio), "is not a folder", "a folder per genre")
    paths = sorted(p for p in audio.glob("*/*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(str(audio), "holds no sound files", "a folder per genre with " + " ".join(SUFFIXES))
    stems = Counter(path.stem for path in paths)
    return {p: p.stem if stems[p.stem] == 1 else p.relative_to(audio).as_posix() for p in paths}


def hear(path: Path, front_end: FrontEndConfig) -> Heard:
    """Decodes one file and computes its log-mel; an unreadable or too short one says so."""
    try:
        samples = read_samples(path, front_end.sample_rate)
    except GenrewatchError as exc:
        return Heard(path=path, wrong=str(exc))
    power_db = FrontEnd(front_end).power_db(samples)
    if len(power_db) < front_end.segment_frames:
        return Heard(path=path, wrong=f"{path}: {len(power_db)} frames, a segment has {front_end.segment_frames}")
    return Heard(path=path, power_db=power_db, samples_sha256=hashlib.sha256(samples.tobytes()).hexdigest())


def _fill(writer: StoreWriter, heard: Iterable[Heard], names: dict[Path, str], table: SplitTable) -> Prepared:
    skipped: list[Heard] = []
    duplicates: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    for item, (path, name) in zip(heard, names.items(), strict=True):
        if item.power_db is None:
            skipped.append(item)
            continue
        label = path.parent.name
        track = first.setdefault(item.samples_sha256, name)
        if track != name:
            duplicates.append((name, track))
        writer.add(item.power_db, name=name, label=label, track=track, artist=table.artists.get(name))
    return Prepared(n_clips=len(writer.clips), skipped=tuple(skipped), duplicates=tuple(duplicates), difference_db=0.0)
