"""What a node must remember over a restart beside its history: a small JSON file, written so that it is never half.

Where it cannot be written the node goes on with what it knows; that is said once.
"""

import json
import logging
import threading
from pathlib import Path
from typing import Any, TypeVar

from genrewatch.contract.errors import os_error_reason
from genrewatch.host.paths import write_durably

RESERVED = 100_000
"""Numbers that are set aside at a time: the disk is seldom asked, since whoever wants a number waits for it."""

T = TypeVar("T")

log = logging.getLogger("genrewatch")


class PersistentState:
    """Named values of one node; any thread may call any method."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file; without one, all is forgotten at the end."""
        self._path, self._lock, self._complained = path, threading.Lock(), False
        self._values = _read(path) if path else {}
        self._used: dict[str, int] = {}
        self._counting = threading.Lock()  # apart, so that who counts does not wait for who writes

    def get(self, key: str, default: T) -> T:
        """The value, if it has the type of `default`; else `default`."""
        value = self._values.get(key, default)
        return value if isinstance(value, type(default)) else default

    def put(self, key: str, value: Any) -> None:
        """Remembers a value that JSON can hold; writes only what is new."""
        with self._lock:
            if self._values.get(key) == value:
                return
            self._values[key] = value
            if self._path:
                self._write(self._path)

    def number(self, key: str) -> int:
        """1, 2, 3 ...: never the same number again, though a kill may leave many out."""
        with self._counting:
            used = self._used.get(key, self.get(key, 0)) + 1
            if used > self.get(key, 0):
                self.put(key, used + RESERVED)
            self._used[key] = used
            return used

    def close(self) -> None:
        """Gives back the numbers that were not used."""
        with self._counting:
            for key, used in self._used.items():
                self.put(key, used)

    def _write(self, path: Path) -> None:
        try:
            write_durably(path, json.dumps(self._values, indent=1, ensure_ascii=False) + "\n")
            self._complained = False
        except OSError as exc:
            if not self._complained:
                log.warning("%s cannot be kept (%s): what it holds is forgotten at the end", path, os_error_reason(exc))
            self._complained = True


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        log.warning("%s cannot be read (%s): begun anew", path, exc)
        return {}
    return values if isinstance(values, dict) else {}
