"""The archive of a backup: a zip file of a manifest and a few files whose names are known, each with size and SHA-256.

An archive may come from anywhere. Only known names are read, never as a path, and no more bytes than the manifest
states; what is stated must fit the disk.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genrewatch import __version__
from genrewatch.contract.decode import decode, encode
from genrewatch.contract.errors import DataError, os_error_reason
from genrewatch.contract.ids import is_id
from genrewatch.history.schema import FORMAT as HISTORY_FORMAT

ARCHIVE_FORMAT = 1
MANIFEST = "manifest.json"
HISTORY, RESERVED, STATE = "history.db", "history.seq", "memory.json"
CORRECTIONS, CONFIG = "corrections.jsonl", "config.toml"
SMALL_BYTES = 10_000_000
"""Largest size of every file but the history."""
MAX_RATIO = 200
"""Largest ratio of a file to its compressed form; that of a history is about 10."""
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of an archive."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Contents and versions of an archive."""

    format: int
    genrewatch: str
    """Version of genrewatch that wrote it."""
    history_format: int
    """Format of the database."""
    node: str
    created: str
    """Time of the backup, RFC 3339."""
    files: dict[str, Entry]
    config_mode: int | None = None
    """Mode of the configuration file; None without one."""


class Archive:
    """An archive that is open for reading, its manifest checked; a context manager. Raises DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as exc:
            raise DataError(str(path), os_error_reason(exc)) from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise self._fault(f"is no archive ({exc})") from None
        try:
            self._members = self._known_members()
            self.manifest = self._read_manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def total_bytes(self) -> int:
        """Size of all files, as the manifest states it."""
        return sum(entry.size for entry in self.manifest.files.values())

    def extract(self, name: str, target: IO[bytes]) -> None:
        """Write a file of the archive to `target`, and check its size and hash while it is read."""
        entry, digest, left = self.manifest.files[name], hashlib.sha256(), self.manifest.files[name].size
        try:
            with self._zip.open(self._members[name]) as file:
                while data := file.read(min(CHUNK, left + 1)):
                    left -= len(data)
                    if left < 0:
                        break
                    digest.update(data)
                    target.write(data)
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as exc:
            raise self._fault(f"{name} is damaged ({exc})") from None
        except OSError as exc:
            raise DataError(str(self.path), f"{name} cannot be extracted ({os_error_reason(exc)})") from None
        except Exception as exc:  # zlib's and lzma's own errors
            raise self._fault(f"{name} is damaged ({exc})") from None
        if left != 0 or digest.hexdigest() != entry.sha256:
            raise self._fault(f"{name} is not what the manifest states")

    def _known_members(self) -> dict[str, zipfile.ZipInfo]:
        """Return the entries of the zip file by name; DataError for a name that is not known, or twice."""
        found: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename not in (MANIFEST, HISTORY, RESERVED, STATE, CORRECTIONS, CONFIG):
                raise self._fault(f"holds {info.filename[:80]!r}")
            if info.filename in found:
                raise self._fault(f"holds {info.filename} twice")
            if info.file_size > MAX_RATIO * max(info.compress_size, 1000) or (
                info.filename != HISTORY and info.file_size > SMALL_BYTES
            ):
                raise self._fault(f"{info.filename} would grow to {info.file_size} bytes")
            found[info.filename] = info
        return found

    def _read_manifest(self) -> Manifest:
        if MANIFEST not in self._members:
            raise self._fault(f"has no {MANIFEST}")
        try:
            data = json.loads(self._zip.read(self._members[MANIFEST]))
        except Exception as exc:  # of zipfile, zlib and json
            raise self._fault(f"{MANIFEST} cannot be read ({exc})") from None
        found = data.get("format") if isinstance(data, dict) else None
        if type(found) is int and found > ARCHIVE_FORMAT:
            raise self._newer(f"format {found}, this version knows {ARCHIVE_FORMAT}")
        manifest = decode(Manifest, data, where=str(self.path), error=DataError)
        if manifest.history_format > HISTORY_FORMAT:
            raise self._newer(f"history format {manifest.history_format}, this version knows {HISTORY_FORMAT}")
        if not is_id(manifest.node):
            raise self._fault(f"is of node {manifest.node[:80]!r}")
        if set(manifest.files) != set(self._members) - {MANIFEST}:
            raise self._fault("holds other files than its manifest states")
        for name, entry in manifest.files.items():
            if entry.size != self._members[name].file_size:
                raise self._fault(f"{name} is not what the manifest states")
        return manifest

    def _newer(self, found: str) -> DataError:
        return DataError(str(self.path), f"written by a newer version of genrewatch: {found}", "an update of this one")

    def _fault(self, found: str) -> DataError:
        return DataError(str(self.path), found, "an archive of `genrewatch backup`, unchanged")


def write_archive(
    file: IO[bytes], node: str, created: str, parts: dict[str, Path], config_mode: int | None
) -> Manifest:
    """Write an archive of files, given by their names in it."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        files = {}
        for name, path in parts.items():
            files[name] = _entry(path)
            archive.write(path, name)
        manifest = Manifest(
            format=ARCHIVE_FORMAT,
            genrewatch=__version__,
            history_format=HISTORY_FORMAT,
            node=node,
            created=created,
            files=files,
            config_mode=config_mode,
        )
        archive.writestr(MANIFEST, json.dumps(encode(manifest), indent=1) + "\n")
    return manifest


def _entry(path: Path) -> Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(size=path.stat().st_size, sha256=digest)
