"""Corrections of verdicts by listeners: a line of JSON each, in a file beside the history.

The newest correction of a spell counts; one without a label withdraws the earlier ones. The file is only appended to,
so that a power cut costs at most the last line, and it is bounded: a full one accepts no more.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrewatch.contract.errors import DataError, os_error_reason
from genrewatch.contract.ids import is_id
from genrewatch.host.private_files import FILE_MODE, give_to_owner, make_private_directory
from genrewatch.host.times import ms_to_rfc3339, now

MAX_BYTES = 4_000_000
"""Largest size of the file, some 15,000 corrections."""
MAX_LABEL = 64
MAX_TEXT = 200
"""Longest genre, reason or way of a line."""


def is_label(text: object) -> bool:
    """Return whether a text can be a corrected label: 1 to 64 printable characters, none of them around it a space."""
    return isinstance(text, str) and 1 <= len(text) <= MAX_LABEL and text.isprintable() and text == text.strip()


@dataclass(frozen=True, kw_only=True)
class Correction:
    """One correction."""

    ts: str
    """Time of the correction, RFC 3339."""
    source: str
    seq: int | None
    """Number of the spell in the history; None for one that had not ended, which `source` and `start` identify."""
    start: str
    """Start of the spell, RFC 3339."""
    end: str | None
    """End of the spell; None for one that had not ended."""
    genre: str | None
    """The genre that was published; None where there was none."""
    reason: str
    """The reason that was published: majority, refused, silence ..."""
    label: str | None
    """The label that the listener gave; None withdraws the earlier corrections of this spell."""
    by: str
    """`page`, `command` or `mqtt`."""

    @classmethod
    def of_spell(cls, spell: Mapping[str, Any], label: str | None, by: str) -> "Correction":
        """Return a correction, made now, of a record of the history."""
        return cls(
            ts=ms_to_rfc3339(now().utc_ms),
            source=spell["source"],
            seq=spell.get("seq"),
            start=spell["start"],
            end=None if spell.get("open") else spell["end"],
            genre=spell["genre"],
            reason=spell["reason"],
            label=label,
            by=by,
        )

    @property
    def key(self) -> tuple[str, int | str]:
        """The spell that it is about."""
        return self.source, self.start if self.seq is None else self.seq


def corrections_path(database: Path) -> Path:
    """Return the file beside a history `history-NODE.db`."""
    return database.with_name(f"corrections-{database.stem.removeprefix('history-')}.jsonl")


class Corrections:
    """The corrections of one node; several processes may add to them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, correction: Correction) -> None:
        """Append a correction and wait until it is on disk; raises DataError where that is impossible."""
        line = json.dumps(asdict(correction), ensure_ascii=False).encode() + b"\n"
        try:
            make_private_directory(self.path.parent)
            with self._locked() as file:
                size = os.fstat(file).st_size
                if size + len(line) > MAX_BYTES:
                    expected = "less than 4 MB; move the file away to begin another"
                    raise DataError(str(self.path), "is full of corrections", expected)
                torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
                os.write(file, (b"\n" if torn else b"") + line)
                os.fsync(file)
            give_to_owner(self.path)
        except OSError as exc:
            raise DataError(str(self.path), f"cannot be written ({os_error_reason(exc)})") from None

    def read(self) -> list[Correction]:
        """Return all corrections, the oldest first, without lines that are none; raises DataError."""
        try:
            data = self.path.read_bytes()[: MAX_BYTES + 1]
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise DataError(str(self.path), f"cannot be read ({os_error_reason(exc)})") from None
        return [made for line in data.split(b"\n") if (made := _parsed(line)) is not None]

    def present(self) -> list[Correction]:
        """Return the newest correction of each spell, without what was withdrawn; raises DataError."""
        newest = {made.key: made for made in self.read()}
        return [made for made in newest.values() if made.label is not None]

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        with closing(os.fdopen(descriptor, "rb", buffering=0)):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,12}Z")


def _parsed(line: bytes) -> Correction | None:
    """Return the correction of a line; None for one that is torn or was written by hand."""
    try:
        return parsed_correction(json.loads(line))
    except (ValueError, RecursionError):
        return None


def parsed_correction(fields: object) -> Correction | None:
    """Return the correction with these fields; None if they are those of no correction."""
    try:
        made = Correction(**fields)  # type: ignore[arg-type]
    except TypeError:
        return None
    times = (made.ts, made.start, *([made.end] if made.end is not None else []))
    texts = (made.source, made.reason, made.by, *([made.genre] if made.genre is not None else []))
    good = (
        all(isinstance(text, str) and len(text) <= MAX_TEXT and text.isprintable() for text in texts)
        and is_id(made.source)
        and all(isinstance(time, str) and _TIME.fullmatch(time) for time in times)
        and (made.seq is None or (type(made.seq) is int and made.seq > 0))
        and (made.label is None or is_label(made.label))
    )
    return made if good else None
