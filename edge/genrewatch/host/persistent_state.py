"""The persistent state of a node: named values in a small JSON file that survives a restart and a power cut.

Where the file cannot be written the node goes on with the values in memory; that is logged once.
"""

import json
import logging
import threading
from pathlib import Path
from typing import Any, TypeVar

from genrewatch.contract.errors import os_error_reason
from genrewatch.host.paths import write_durably
from genrewatch.host.private_files import make_private_file

RESERVED = 100_000
"""Numbers reserved with each write: the caller of `number` waits for the disk, so this should be rare."""

T = TypeVar("T")

log = logging.getLogger("genrewatch")


class PersistentState:
    """Named values of one node; any thread may call any method."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file; without one, values last until the process ends."""
        self._path, self._lock, self._warned = path, threading.Lock(), False
        self._values = _read(path) if path else {}
        self._used: dict[str, int] = {}
        self._counting = threading.Lock()  # its own, so that `number` does not wait for `put`

    def get(self, key: str, default: T) -> T:
        """Return the value, if it has the type of `default`; else `default`."""
        value = self._values.get(key, default)
        return value if isinstance(value, type(default)) else default

    def put(self, key: str, value: Any) -> None:
        """Store a value that JSON can hold; the file is written only when it has changed."""
        with self._lock:
            if self._values.get(key) == value:
                return
            self._values[key] = value
            if self._path:
                self._write(self._path)

    def number(self, key: str) -> int:
        """Return 1, 2, 3 ...: never the same number twice, though a kill may skip many."""
        with self._counting:
            used = self._used.get(key, self.get(key, 0)) + 1
            if used > self.get(key, 0):
                self.put(key, used + RESERVED)
            self._used[key] = used
            return used

    def close(self) -> None:
        """Release the reserved numbers that were not used."""
        with self._counting:
            for key, used in self._used.items():
                self.put(key, used)

    def _write(self, path: Path) -> None:
        try:
            write_durably(path, json.dumps(self._values, indent=1, ensure_ascii=False) + "\n")
            self._warned = False
        except OSError as exc:
            if not self._warned:
                log.warning(
                    "%s cannot be written (%s); its values are lost when genrewatch ends", path, os_error_reason(exc)
                )
            self._warned = True


def _read(path: Path) -> dict[str, Any]:
    try:
        make_private_file(path)
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        log.warning("%s cannot be read (%s); it starts empty", path, exc)
        return {}
    return values if isinstance(values, dict) else {}
