"""Restoration of a backup: checked whole beside its place, then put there, and no number is assigned a second time.

The old box may have gone on after the backup and published records under numbers that the backup does not know. So
the numbers continue far above.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch.history.backup.archive import CONFIG, CORRECTIONS, HISTORY, RESERVED, STATE, Archive
from genrewatch.history.corrections import corrections_path
from genrewatch.history.database import Damaged, Unavailable, database_errors, database_path, open_for_writing
from genrewatch.history.locate import user_errors
from genrewatch.history.reader import HistoryReader
from genrewatch.history.reserved_seq import CLOSED, ReservedSeq
from genrewatch.history.schema import MAX_NUMBER
from genrewatch.host.node import held_node_id
from genrewatch.host.private_files import make_private_directory
from genrewatch.host.running import running_nodes

SKIPPED = 10_000_000_000
"""Numbers that a restored history leaves out: more than 200 sources that change with every segment use in two years."""
COUNTER = "state_seq"
"""Counter of the persistent state that must not go back either."""
LEAST_FREE_BYTES = 50_000_000


class Restoration:
    """The files of one archive on their way into a state directory."""

    def __init__(self, archive: Archive, directory: Path, config: Path | None) -> None:
        """`config` receives the configuration file, if the archive has one."""
        self._archive, self._directory = archive, directory
        self.node = archive.manifest.node
        database = database_path(directory, self.node)
        self._database = database
        places = {
            RESERVED: database.with_suffix(".seq"),
            HISTORY: database,
            STATE: directory / f"memory-{self.node}.json",
            CORRECTIONS: corrections_path(database),
        }
        if config is not None and CONFIG in archive.manifest.files:
            places[CONFIG] = config
        self._places = places
        self.first_seq = 0
        """The number that the next record will have at the earliest."""

    def existing(self) -> list[Path]:
        """Return the files that are in the way."""
        present = [path for path in self._places.values() if os.path.lexists(path)]
        node_id = self._directory / "node_id"
        return [*present, *([node_id] if os.path.lexists(node_id) else [])]

    def run(self, *, replace: bool) -> None:
        """Check and put all files in place; ConfigError while a daemon runs, or if files are in the way."""
        try:
            make_private_directory(self._directory)
            if running := running_nodes(self._directory):
                names = f"genrewatch runs as {', '.join(running)}"
                raise ConfigError(str(self._directory), names, "it to be stopped (sudo systemctl stop genrewatch)")
            with held_node_id(self._directory, self.node):
                if (found := self.existing()) and not replace:
                    raise ConfigError(str(found[0]), "is there already", "--replace to overwrite what is there")
                self._require_space()
                with self._extracted() as work:
                    self._check_history(work)
                    self._continue_numbers(work)
                    self._put(work)
        except OSError as exc:
            where = exc.filename or self._directory
            raise ConfigError(str(where), os_error_reason(exc), "a directory that can be written") from None

    def _require_space(self) -> None:
        free, wanted = shutil.disk_usage(self._directory).free, self._archive.total_bytes + LEAST_FREE_BYTES
        if free < wanted:
            raise ConfigError(str(self._directory), f"{free // 10**6} MB free", f"{wanted // 10**6} MB for this backup")

    @contextmanager
    def _extracted(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=self._directory) as work:
            for name in self._archive.manifest.files:
                with open(os.open(Path(work) / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    self._archive.extract(name, file)
                    file.flush()
                    os.fsync(file.fileno())
            yield Path(work)

    def _check_history(self, work: Path) -> None:
        """Open the history as a daemon would, which checks all of it; DataError where it would not be used."""
        path = work / HISTORY
        if not path.exists():
            return
        with user_errors(self._archive.path), closing(open_for_writing(path)) as db, database_errors():
            node = db.execute("SELECT value FROM meta WHERE key = 'node'").fetchone()
            db.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
        if node is None or node[0] != self.node:
            raise DataError(str(self._archive.path), "holds the history of another node", f"that of {self.node}")

    def _continue_numbers(self, work: Path) -> None:
        """Write the number after which the history goes on: above all that the backup and this card know."""
        known = [_last_seq(path) for path in (work / HISTORY, self._database) if path.exists()]
        known += [ReservedSeq(path).limit for path in (work / HISTORY, self._database)]
        last = max(known, default=0) + SKIPPED
        if last > MAX_NUMBER:
            raise DataError(str(self._archive.path), "was restored too often", "a new node")
        self.first_seq = last + 1
        (work / RESERVED).write_text(f"{last} {CLOSED}\n", encoding="ascii")
        state = work / STATE
        if state.exists():
            try:
                values = json.loads(state.read_text(encoding="utf-8"))
                values[COUNTER] = int(values.get(COUNTER, 0)) + SKIPPED
            except (ValueError, TypeError, AttributeError, RecursionError):
                raise DataError(str(self._archive.path), f"{STATE} is no persistent state") from None
            state.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _put(self, work: Path) -> None:
        """Move the files to their places, the numbers first: a power cut in between assigns none twice."""
        (work / "node_id").write_text(f"{self.node}\n", encoding="ascii")
        owner = self._directory.stat()
        for name, place in {**self._places, "node_id": self._directory / "node_id"}.items():
            made = work / name
            if name == HISTORY:
                for suffix in ("-wal", "-shm"):
                    place.with_name(place.name + suffix).unlink(missing_ok=True)
            if not made.exists():
                place.unlink(missing_ok=True)
                continue
            if name == CONFIG:
                made.chmod((self._archive.manifest.config_mode or 0) & 0o644 | 0o600)
            elif os.geteuid() == 0:
                os.chown(made, owner.st_uid, owner.st_gid)
            shutil.move(made, place)


def _last_seq(path: Path) -> int:
    """Return the last number that a history has assigned; 0 where it cannot be read."""
    try:
        with closing(HistoryReader(path)) as reader:
            return reader.newest_seq
    except (Unavailable, Damaged):
        return 0
