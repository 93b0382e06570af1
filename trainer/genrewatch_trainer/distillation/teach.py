"""Targets for a student: random crops of sound files, and what a teacher program answers to each of them.

A teacher is any program. It is started as `PROGRAM... RATE N_SAMPLES`, reads crops of N_SAMPLES float32 numbers, mono
at RATE samples a second, from its standard input, and writes for each a vector of float32 numbers to its standard
output, in the same order, all of one length; both little-endian without any header. It may read ahead as far as it
likes, and ends when its input does. What it says on standard error is shown.
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
from genrewatch_trainer.distillation.targets import INDEX, VERSION, TargetIndex, Targets, chunk_path, read_index
from genrewatch_trainer.files import atomic_file, write_json
from genrewatch_trainer.progress import progress

CROPS_PER_CHUNK = 256


def teach(songs: Sequence[Path], index: TargetIndex, path: Path) -> Targets:
    """Makes the target store that `index` describes in folder `path`, or goes on with it; raises a GenrewatchError."""
    if (path / INDEX).is_file():
        if read_index(path) != index:
            raise ConfigError(str(path), "holds targets made otherwise", "a new folder, or the same settings")
    else:
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / INDEX, index)
    missing = [n for n in range(index.n_chunks) if not chunk_path(path, n).is_file()]
    done = (index.n_chunks - len(missing)) * index.crops_per_chunk
    with progress(total=index.n_crops, done=min(done, index.n_crops), unit="crop", name="teach") as bar:
        for number in missing:
            count = min(index.crops_per_chunk, index.n_crops - number * index.crops_per_chunk)
            _make_chunk(songs, index, chunk_path(path, number), number, count)
            bar.update(count)
    return Targets.load(path)


def index_of(
    songs: Sequence[Path], teacher: str, front_end: FrontEndConfig, changes: CropChanges, *, n_crops: int, seed: int
) -> TargetIndex:
    """What the target store of these settings says of itself."""
    return TargetIndex(
        version=VERSION,
        front_end=front_end,
        teacher=teacher,
        songs=tuple(f"{song.parent.name}/{song.name}" for song in songs),
        changes=changes,
        n_crops=n_crops,
        crops_per_chunk=CROPS_PER_CHUNK,
        seed=seed,
    )


def find_songs(folders: Sequence[Path], splits: Path | None, scheme: str, parts: Sequence[str]) -> list[Path]:
    """Every sound file below the folders, in order; of those that the table `splits` names, only the ones of `parts`.

    So recordings that a test part holds stay unheard. Raises DataError or ConfigError.
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


def _make_chunk(songs: Sequence[Path], index: TargetIndex, path: Path, number: int, count: int) -> None:
    config = index.front_end
    front_end, rng = FrontEnd(config), np.random.default_rng((index.seed, number))
    pictures = np.empty((count, config.segment_frames, config.n_mels), np.float16)

    def crops() -> Iterator[Samples]:
        for i in range(count):
            crop = random_crop(songs, config.segment_samples, config.sample_rate, index.changes, rng)
            pictures[i] = front_end.power_db(crop)
            yield crop

    command = [*shlex.split(index.teacher), str(config.sample_rate), str(config.segment_samples)]
    answers = ask(command, crops())
    if len(answers) != count:
        raise DataError(index.teacher, f"gave {len(answers)} vectors", f"{count}, one a crop")
    with atomic_file(path) as partial:
        np.savez(partial, power_db=pictures, target=answers)


def ask(command: Sequence[str], crops: Iterator[Samples]) -> NDArray[np.float32]:
    """(n_crops, n_values): the answers of a teacher program to crops; raises DataError."""
    with _running(command) as process:
        assert process.stdin
        assert process.stdout
        heard: list[bytes] = []
        pipeline = threading.Thread(target=_listen, args=(process.stdout, heard))
        pipeline.start()
        n_crops = 0
        try:
            for crop in crops:
                process.stdin.write(np.ascontiguousarray(crop, "<f4").tobytes())
                n_crops += 1
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended: its exit code and what it has answered say how
        except BaseException:
            process.kill()
            raise
        finally:
            pipeline.join()
        code = process.wait()
    answer = np.frombuffer(b"".join(heard)[: sum(map(len, heard)) // 4 * 4], "<f4")
    if code != 0:
        raise DataError(command[0], f"ended with exit code {code}", "0")
    if not n_crops or not len(answer) or len(answer) % n_crops:
        raise DataError(command[0], f"answered {len(answer)} numbers to {n_crops} crops", "as many to each")
    if not np.isfinite(answer).all():
        raise DataError(command[0], "answered what is not finite", "numbers")
    return answer.reshape(n_crops, -1).astype(np.float32)


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
        pass  # what was still to be written is wanted by nobody


def _listen(pipe: IO[bytes], heard: list[bytes]) -> None:
    while data := pipe.read(65_536):
        heard.append(data)
