"""What a node's database holds at a moment, read from a copy, so that the next daemon finds it as the last one left it.

Only while nobody writes: a daemon that has been killed or has ended.
"""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from genrewatch.history.database import Damaged, Unavailable, database_path
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.verify import verify_history
from genrewatch_drill.rig.ledger import plain


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The records and the outbox of one node."""

    texts: dict[int, str] = field(default_factory=dict)
    """Each record by its `seq`, see `plain`."""
    outbox: set[int] = field(default_factory=set)
    wrong: str | None = None
    """What is wrong with its chain, or why it cannot be opened."""

    def against_earlier(self, earlier: "Snapshot") -> int:
        """How many records of an earlier one are not here as they were."""
        return sum(self.texts.get(seq) != text for seq, text in earlier.texts.items())

    def against_received(self, texts: Iterable[tuple[int, str]]) -> int:
        """How many records that somebody had received by then are not here."""
        return sum(self.texts.get(seq) != text for seq, text in set(texts))

    def struck_without_receipt(self, acknowledged: set[int]) -> int:
        """How many records were taken out of the outbox though the broker never acknowledged them."""
        return len(set(self.texts) - self.outbox - acknowledged)


def snapshot(state: Path, node: str) -> Snapshot:
    """Of a node whose state directory this is; an empty one while there is no database."""
    path = database_path(state, node)
    if not path.exists() or path.stat().st_size == 0:
        return Snapshot()
    with tempfile.TemporaryDirectory(prefix="genrewatch-snapshot-") as place:
        copy = Path(place) / path.name
        shutil.copyfile(path, copy)
        wal = path.with_name(path.name + "-wal")
        if wal.exists():
            shutil.copyfile(wal, copy.with_name(wal.name))
        try:
            log = HistoryReader(copy)
        except (Damaged, Unavailable) as exc:
            return Snapshot(wrong=f"cannot be opened: {exc}")
        try:
            return _read(log)
        finally:
            log.close()


def _read(log: HistoryReader) -> Snapshot:
    try:
        texts = {record["seq"]: plain(record) for page in log.pages(Selection()) for record in page}
        outbox = {seq for (seq,) in log.db.execute("SELECT seq FROM outbox")}
    except (Damaged, Unavailable) as exc:
        return Snapshot(wrong=f"cannot be read: {exc}")
    found = verify_history(log)
    wrong = f"seq {found.fault_seq}: {found.fault}" if found.fault else None
    return Snapshot(texts=texts, outbox=outbox, wrong=wrong)
