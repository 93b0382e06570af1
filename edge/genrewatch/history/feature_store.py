"""The features of spells, in 8 bits, in a file of its own beside the history; `genrewatch learn` reads it.

It is of less worth than the history: a damaged file is moved aside, and where none can be written that is one line.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.errors import DataError, os_error_reason
from genrewatch.history.database import CONTENT_ERRORS, UNAVAILABLE_CODES
from genrewatch.history.spell import Spell
from genrewatch.host.private_files import make_private_directory, make_private_file

BUSY_S = 2.0
MAX_VALUE_BYTES = 2_000_000
ROW_BYTES = 200
"""Bytes of a row beside its features, rounded up."""
MAX_VECTORS = 16
TABLE = """CREATE TABLE IF NOT EXISTS features (
    seq INTEGER PRIMARY KEY, source TEXT NOT NULL, start_ms INTEGER NOT NULL,
    body TEXT NOT NULL, vectors INTEGER NOT NULL, codes BLOB NOT NULL
)"""

log = logging.getLogger("genrewatch")


def features_path(database: Path) -> Path:
    """Return the file beside a history `history-NODE.db`."""
    return database.with_name(f"features-{database.stem.removeprefix('history-')}.db")


@dataclass(frozen=True, kw_only=True, eq=False)
class SpellFeatures:
    """The features of one spell."""

    source: str
    start_ms: int
    """Start of the spell, milliseconds since 1970."""
    body: str
    """Hash of the network without its head."""
    vectors: NDArray[np.float32]
    """(n, n_features)"""


class FeatureStore:
    """The writer of the file; its methods raise nothing: what does not work is in `problem`."""

    def __init__(self, path: Path, max_mb: int) -> None:
        """`max_mb` is the size at which the oldest features are deleted."""
        self._path, self._max_bytes = path, max_mb * 1_000_000
        self._db: sqlite3.Connection | None = None
        self._moved = False
        self.problem: str | None = None
        """Why no features are kept at present, as text for people."""

    def add(self, first_seq: int, spells: Sequence[Spell]) -> None:
        """Keep the features of spells with the numbers from `first_seq` on."""
        rows = [
            _row(seq, spell) for seq, spell in enumerate(spells, first_seq) if spell.features and spell.context.body
        ]
        if rows:
            self._try(lambda db: self._insert(db, rows))

    def prune(self, first_seq: int) -> None:
        """Delete the features of spells before `first_seq`."""
        if self._path.exists():
            self._try(lambda db: db.execute("DELETE FROM features WHERE seq < ?", (first_seq,)))

    def _insert(self, db: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        db.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?, ?, ?)", rows)
        query = f"SELECT coalesce(sum(length(codes) + {ROW_BYTES}), 0), count(*) FROM features"
        n_bytes, count = db.execute(query).fetchone()
        if n_bytes > self._max_bytes:
            oldest = max(len(rows), count // 50)
            db.execute("DELETE FROM features WHERE seq IN (SELECT seq FROM features ORDER BY seq LIMIT ?)", (oldest,))

    def _try(self, work: Callable[[sqlite3.Connection], object]) -> None:
        try:
            self._db = self._db or _open(self._path)
            with self._db:
                work(self._db)
            self.problem = None
        except (sqlite3.Error, OSError, *CONTENT_ERRORS) as exc:
            self._close()
            self._fail(exc)

    def _fail(self, exc: Exception) -> None:
        reason = os_error_reason(exc)
        if _is_damage(exc) and not self._moved:
            self._moved = True
            try:
                self._path.replace(self._path.with_name(f"{self._path.stem}.damaged.db"))
                reason += "; it was moved aside, a new one is created"
            except OSError as failed:
                reason += f", and cannot be moved aside ({os_error_reason(failed)})"
        text = f"{self._path.name} cannot be used ({reason})"
        if text != self.problem:
            log.error("no features are kept: %s", text)
        self.problem = text

    def _close(self) -> None:
        db, self._db = self._db, None
        if db:
            with _ignored():
                db.close()


def read_features(path: Path) -> dict[int, SpellFeatures]:
    """Return seq -> features of all spells; DataError, one line, for a file that genrewatch did not write."""
    if not path.is_file():
        raise DataError(str(path), "no such file", "[history] features = 8 in the configuration, and spells since then")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as db:
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
            db.execute("PRAGMA trusted_schema = OFF")
            rows = db.execute("SELECT seq, source, start_ms, body, vectors, codes FROM features ORDER BY seq")
            return {row[0]: _features(*row) for row in rows}
    except (sqlite3.Error, OSError, *CONTENT_ERRORS) as exc:
        raise DataError(str(path), f"is damaged ({os_error_reason(exc)})", "one that genrewatch wrote") from None


def _row(seq: int, spell: Spell) -> tuple[object, ...]:
    assert spell.features
    means = spell.features.means()
    context = spell.context
    return seq, context.source, spell.start.utc_ms, context.body, len(means), encoded(means)


def encoded(vectors: NDArray[np.float32]) -> bytes:
    """Return (n, n_features) vectors in 8 bits: least value and step of each as float32, then its codes."""
    low = vectors.min(axis=1, keepdims=True).astype("<f4")
    step = (vectors.max(axis=1, keepdims=True) - low).astype("<f4") / np.float32(255)
    codes = np.round((vectors - low) / np.where(step > 0, step, 1)).clip(0, 255).astype(np.uint8)
    return bytes(low.tobytes() + step.tobytes() + codes.tobytes())


def decoded(content: bytes, n: int) -> NDArray[np.float32]:
    """Return the (n, n_features) vectors; ValueError for other content."""
    n_features, rest = divmod(len(content) - 8 * n, n)
    if rest or n_features < 1:
        raise ValueError("codes of another length")
    low, step = (np.frombuffer(content, "<f4", n, 4 * n * part)[:, None] for part in (0, 1))
    codes = np.frombuffer(content, np.uint8, n * n_features, 8 * n).reshape(n, n_features)
    with np.errstate(all="ignore"):
        vectors = (low + step * codes).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError("features that are not finite")
    return vectors


def _features(seq: int, source: str, start_ms: int, body: str, vectors: int, codes: bytes) -> SpellFeatures:
    texts = isinstance(source, str) and isinstance(body, str) and isinstance(codes, bytes)
    if not (texts and type(start_ms) is int and type(vectors) is int and 1 <= vectors <= MAX_VECTORS):
        raise ValueError(f"a wrong value in row {seq}")
    return SpellFeatures(source=source, start_ms=start_ms, body=body, vectors=decoded(codes, vectors))


def _open(path: Path) -> sqlite3.Connection:
    make_private_directory(path.parent)
    if path.exists() and not path.is_file():
        raise OSError("is not a regular file")
    make_private_file(path, create=True)
    db = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    try:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA secure_delete = ON")
        db.execute(TABLE)
        found = db.execute("SELECT sql FROM sqlite_master WHERE name = 'features' OR type = 'trigger'").fetchall()
        expected = TABLE.replace("IF NOT EXISTS ", "")
        if [" ".join(str(sql).split()) for (sql,) in found] != [" ".join(expected.split())]:
            raise ValueError("its tables are not those of genrewatch")
    except BaseException:
        db.close()
        raise
    return db


def _is_damage(exc: Exception) -> bool:
    code = getattr(exc, "sqlite_errorcode", None)
    return not isinstance(exc, OSError) and (code is None or code & 0xFF not in UNAVAILABLE_CODES)


@contextmanager
def _ignored() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        pass  # it is closed because of such an error
