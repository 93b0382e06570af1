"""Files and folders that are either whole or absent: written beside their place, then renamed into it."""

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
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a path of the same suffix to write; on success it replaces `path`, on failure it is removed."""
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")  # a fixed name: what a kill leaves is used again
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; on success it becomes `path`, which must not exist before."""
    if path.exists():
        raise DataError(str(path), "exists already", "a new folder")
    beside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)  # what a kill left
    try:
        beside.mkdir(parents=True)
        yield beside
        os.replace(beside, path)
    except OSError as exc:
        raise DataError(str(path), os_error_reason(exc)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises DataError naming `path` for whatever the libraries raise on a file that is truncated or not theirs."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as exc:
        reason = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise DataError(str(path), f"cannot be read ({reason[:160]})") from None


def write_json(path: Path, value: object) -> None:
    """A dataclass or plain value as indented JSON."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(encode(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of the same keys as CSV with a header; floats in full precision."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with whole_file(path) as beside:
        beside.write_text(text.getvalue(), encoding="utf-8")
