"""Targets for distillation: random crops of sound files, and a teacher program's vector for each of them.

A teacher is any program. It is started as `PROGRAM... RATE N_SAMPLES`, reads crops of N_SAMPLES float32 numbers, mono
at RATE samples a second, from its standard input, and writes for each a vector of float32 numbers to its standard
output, in the same order, all of one length; both little-endian without any header. It may read ahead, and exits when
its input ends. Its standard error is shown.
"""

import shlex
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from genrewatch.audio.decoding import SUFFIXES
from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch.contract.front_end import FrontEnd, FrontEndConfig, Samples
from genrewatch_trainer.data.splits import read_splits
from genrewatch_trainer.distillation.crops import CropChanges, random_crop
from genrewatch_trainer.distillation.degraded import degraded
from genrewatch_trainer.distillation.targets import INDEX, VERSION, TargetIndex, Targets, chunk_path, read_index
from genrewatch_trainer.files import atomic_file, write_json
from genrewatch_trainer.progress import progress

CROPS_PER_CHUNK = 256


def teach(songs: Sequence[Path], index: TargetIndex, path: Path, noises: Sequence[Path] = ()) -> Targets:
    """Make the target store of `index` in folder `path`, or resume it; raises a GenrewatchError.

    `noises` are files for the noise of degraded copies.
    """
    if (path / INDEX).is_file():
        if read_index(path) != index:
            raise ConfigError(str(path), "holds targets with other settings", "a new folder, or the same settings")
    else:
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / INDEX, index)
    missing = [n for n in range(index.n_chunks) if not chunk_path(path, n).is_file()]
    done = (index.n_chunks - len(missing)) * index.crops_per_chunk
    with progress(total=index.n_crops, done=min(done, index.n_crops), unit="crop", name="teach") as bar:
        for number in missing:
            count = min(index.crops_per_chunk, index.n_crops - number * index.crops_per_chunk)
            _make_chunk(songs, noises, index, chunk_path(path, number), number, count)
            bar.update(count)
    return Targets.load(path)


def index_of(
    songs: Sequence[Path],
    teacher: str,
    front_end: FrontEndConfig,
    changes: CropChanges,
    *,
    n_crops: int,
    seed: int,
    n_degraded: int = 0,
    noises: Sequence[Path] = (),
) -> TargetIndex:
    """Return the index of a target store with these settings."""
    return TargetIndex(
        version=VERSION,
        front_end=front_end,
        teacher=teacher,
        songs=_names(songs),
        changes=changes,
        n_crops=n_crops,
        crops_per_chunk=CROPS_PER_CHUNK,
        seed=seed,
        n_degraded=n_degraded,
        noises=_names(noises),
    )


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(f"{path.parent.name}/{path.name}" for path in paths)


def find_songs(folders: Sequence[Path], splits: Path | None, scheme: str, parts: Sequence[str]) -> list[Path]:
    """List every sound file below the folders, in order; of files named in the table `splits`, only those of `parts`.

    So the recordings of a test part are not used. Raises DataError or ConfigError.
    """
    table = read_splits(splits) if splits else None
    if table and scheme not in table.schemes:
        raise ConfigError("--split", f"found {scheme}", "one of " + ", ".join(table.schemes))
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(str(folder), "is not a folder", "one that holds sound files")
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
            if not table or path.stem not in table.labels or table.schemes[scheme].get(path.stem) in parts:
                found.append(path)
    if not found:
        raise DataError(", ".join(map(str, folders)), "hold no sound file to take crops from")
    return found


def _make_chunk(
    songs: Sequence[Path], noises: Sequence[Path], index: TargetIndex, path: Path, number: int, count: int
) -> None:
    config = index.front_end
    front_end, rng = FrontEnd(config), np.random.default_rng((index.seed, number))
    of_copies = np.random.default_rng((index.seed, number, 1))  # so that the crops do not depend on the copies
    power_db = np.empty((count, config.segment_frames, config.n_mels), np.float16)
    copies = np.empty((count, index.n_degraded, config.segment_frames, config.n_mels), np.float16)

    def crops() -> Iterator[Samples]:
        for i in range(count):
            crop = random_crop(songs, config.segment_samples, config.sample_rate, index.changes, rng)
            power_db[i] = front_end.power_db(crop)
            yield crop
            for k in range(index.n_degraded):
                copies[i, k] = front_end.power_db(degraded(crop, config.sample_rate, noises, of_copies))

    command = [*shlex.split(index.teacher), str(config.sample_rate), str(config.segment_samples)]
    target = run_teacher(command, crops())
    if len(target) != count:
        raise DataError(index.teacher, f"wrote {len(target)} vectors", f"{count}, one per crop")
    with atomic_file(path) as partial:
        if index.n_degraded:
            np.savez(partial, power_db=power_db, target=target, degraded=copies)
        else:
            np.savez(partial, power_db=power_db, target=target)


def run_teacher(command: Sequence[str], crops: Iterator[Samples]) -> NDArray[np.float32]:
    """Return (n_crops, n_values): the vectors of a teacher program for the crops; raises DataError or ConfigError."""
    with _running(command) as process:
        assert process.stdin
        assert process.stdout
        received: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(process.stdout, received))
        reader.start()
        n_crops = 0
        try:
            for crop in crops:
                process.stdin.write(np.ascontiguousarray(crop, "<f4").tobytes())
                n_crops += 1
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has exited: its exit code and output are checked below
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
        code = process.wait()
    values = np.frombuffer(b"".join(received)[: sum(map(len, received)) // 4 * 4], "<f4")
    if code != 0:
        raise DataError(command[0], f"exit code {code}", "0")
    if not n_crops or not len(values) or len(values) % n_crops:
        raise DataError(command[0], f"wrote {len(values)} numbers for {n_crops} crops", "equally many for each")
    if not np.isfinite(values).all():
        raise DataError(command[0], "wrote a number that is not finite", "finite numbers")
    return values.reshape(n_crops, -1).astype(np.float32)


@contextmanager
def _running(command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except (OSError, ValueError) as exc:
        why = os_error_reason(exc)
        raise ConfigError("--teacher", f"{command[0]}: {why}", "a program that can run") from None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                _close(pipe)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        pass  # the program has exited and reads no more


def _read_all(pipe: IO[bytes], received: list[bytes]) -> None:
    while data := pipe.read(65_536):
        received.append(data)
