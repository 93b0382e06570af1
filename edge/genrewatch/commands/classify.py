"""`genrewatch classify`: files and folders through the pipeline of `listen`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrewatch.audio.decoding import SUFFIXES, decode_file
from genrewatch.commands.options import add_bundle
from genrewatch.contract.errors import ConfigError, SourceError
from genrewatch.contract.vote import Verdict
from genrewatch.daemon.config import ListenConfig
from genrewatch.host.command_line import ignore_interrupts
from genrewatch.inference.json_fields import result_fields, verdict_fields
from genrewatch.inference.pipeline import Pipeline, SegmentResult, classify_stream, open_pipeline, verdict_on_clip
from genrewatch.sinks.printer import describe


@dataclass(frozen=True, kw_only=True)
class Classified:
    """A file with the verdict over all of its segments (eq. 2) and the rolling one after each, or the error."""

    path: Path
    verdict: Verdict | None
    timeline: tuple[SegmentResult, ...] = ()
    error: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="sound files and folders of them")
    add_bundle(parser)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--timeline", action="store_true", help="add a line for each segment, the rolling verdict")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1; 0 = one a core)")


def run(args: argparse.Namespace) -> int:
    """Print a line per file, in order; return 1 when a file could not be read, after all others are done."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that no worker is left behind
    if args.jobs < 0:
        raise ConfigError("--jobs", f"found {args.jobs}", "0 or more processes")
    config = ListenConfig(bundle=args.bundle)
    paths = find_files(args.paths)
    found = classify_files(paths, config, jobs=args.jobs or os.cpu_count() or 1)
    return print_all(found, as_json=args.json, timeline=args.timeline)


def print_all(found: Iterable[Classified], *, as_json: bool, timeline: bool) -> int:
    """Print a line per file; return 1 when one could not be read."""
    failed = False
    for classified in found:
        failed |= classified.error is not None
        for line in _json_lines(classified, timeline) if as_json else _lines(classified, timeline):
            print(line, flush=True)
    return 1 if failed else 0


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the named files, and of folders, at any depth and sorted, those with the suffix of a sound file."""
    found: list[Path] = []
    for path in paths:
        if os.path.isdir(path):  # unlike Path.is_dir, no error without permission
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside and len(paths) == 1:
                raise SourceError(str(path), "no sound files in this folder", "*" + " *".join(sorted(SUFFIXES)))
            if not inside:
                print(f"genrewatch: {path}: no sound files in this folder", file=sys.stderr)
            found += inside
        else:
            found.append(path)
    return found


def classify_files(paths: Sequence[Path], config: ListenConfig, *, jobs: int) -> Iterator[Classified]:
    """Classify files in order, in this process or in `jobs` others."""
    pipeline = open_pipeline(config.bundle_path, config.vote.apply, config.level)  # reports a wrong bundle at once
    if jobs == 1 or len(paths) == 1:
        yield from (classify_file(path, pipeline) for path in paths)
        return
    with ProcessPoolExecutor(min(jobs, len(paths)), initializer=_start_worker, initargs=(config,)) as pool:
        yield from pool.map(_work, paths)


def classify_file(path: Path, pipeline: Pipeline) -> Classified:
    """Classify one file; one that cannot be read is returned with its error."""
    try:
        timeline = tuple(classify_stream(decode_file(path), pipeline))
    except SourceError as exc:
        return Classified(path=path, verdict=None, error=str(exc))
    return Classified(path=path, verdict=verdict_on_clip(timeline, pipeline), timeline=timeline)


_listener: Pipeline | None = None  # of a worker process


def _start_worker(config: ListenConfig) -> None:
    ignore_interrupts()
    global _listener
    _listener = open_pipeline(config.bundle_path, config.vote.apply, config.level)


def _work(path: Path) -> Classified:
    assert _listener is not None
    return classify_file(path, _listener)


def _json_lines(classified: Classified, timeline: bool) -> Iterator[str]:
    path = str(classified.path)
    records: list[dict[str, Any]] = []
    if timeline:
        records += [{"path": path, **result_fields(result)} for result in classified.timeline]
    if classified.verdict is None:
        records.append({"path": path, "error": classified.error})
    else:
        records.append({"path": path, **verdict_fields(classified.verdict)})
    return (json.dumps(record, allow_nan=False) for record in records)


def _lines(classified: Classified, timeline: bool) -> Iterator[str]:
    if timeline:
        for result in classified.timeline:
            yield f"  {result.start_s:7.2f} - {result.end_s:7.2f} s  {describe(result.verdict)}"
    if classified.verdict is None:
        yield f"error: {classified.error}"
    elif not classified.timeline:
        yield f"{'(too short)':14}  shorter than one segment  {classified.path}"
    else:
        yield f"{describe(classified.verdict)}  {classified.path}"
