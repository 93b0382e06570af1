"""Contents of a node's database after its daemon has ended, read from a copy, because reading may change the files."""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from genrewatch.history.database import Damaged, Unavailable, database_path
from genrewatch.history.reader import HistoryReader, Selection
from genrewatch.history.verify import verify_history
from genrewatch_drill.rig.audit import canonical


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The records and the outbox of one node."""

    texts: dict[int, str] = field(default_factory=dict)
    """Records by `seq`, as `canonical` JSON."""
    outbox: set[int] = field(default_factory=set)
    problem: str | None = None
    """A defect of the hash chain, or the reason why the database cannot be read."""

    def changed_since(self, earlier: "Snapshot") -> int:
        """Count the records of an earlier snapshot that are absent or different here."""
        return sum(self.texts.get(seq) != text for seq, text in earlier.texts.items())

    def absent(self, received: Iterable[tuple[int, str]]) -> int:
        """Count the received (seq, text) that are absent or different here."""
        return sum(self.texts.get(seq) != text for seq, text in set(received))

    def removed_unacknowledged(self, acknowledged: set[int]) -> int:
        """Count the records that left the outbox without a PUBACK."""
        return len(set(self.texts) - self.outbox - acknowledged)


def snapshot(state: Path, node: str) -> Snapshot:
    """Read the database in a node's state directory; empty while there is none."""
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
            reader = HistoryReader(copy)
        except (Damaged, Unavailable) as exc:
            return Snapshot(problem=f"cannot be opened: {exc}")
        try:
            return _read(reader)
        finally:
            reader.close()


def _read(reader: HistoryReader) -> Snapshot:
    try:
        texts = {record["seq"]: canonical(record) for page in reader.pages(Selection()) for record in page}
        outbox = {seq for (seq,) in reader.db.execute("SELECT seq FROM outbox")}
    except (Damaged, Unavailable) as exc:
        return Snapshot(problem=f"cannot be read: {exc}")
    found = verify_history(reader)
    problem = f"seq {found.fault_seq}: {found.fault}" if found.fault else None
    return Snapshot(texts=texts, outbox=outbox, problem=problem)
