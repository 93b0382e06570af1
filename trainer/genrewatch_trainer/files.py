"""Atomic writes: a file or folder is written beside its place, then renamed into it, so it is complete or absent."""

import csv
import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from genrewatch.contract.decode import encode
from genrewatch.contract.errors import DataError, os_error_reason


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path of the same suffix to write to; on success it replaces `path`, on failure it is removed."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")  # a fixed name: the next write replaces a kill's
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; on success it becomes `path`.

    Raises DataError where `path` exists before or cannot be written.
    """
    if path.exists():
        raise DataError(str(path), "exists already", "a new folder")
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # a killed process may have left one
    try:
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, path)
    except OSError as exc:
        raise DataError(str(path), os_error_reason(exc)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise DataError naming `path` for any error of the libraries on a file that is truncated or of another format."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as exc:
        reason = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise DataError(str(path), f"cannot be read ({reason[:160]})") from None


def write_json(path: Path, value: object) -> None:
    """Write a dataclass or plain value as indented JSON."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(encode(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same keys as CSV with a header; floats in full precision."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with atomic_file(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
