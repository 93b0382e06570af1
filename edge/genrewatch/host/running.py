"""The daemon that runs in a state directory, for commands that ask it for something: its process id, and its answer.

The lock file of a node holds the process id while a daemon holds the lock and takes signals.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrewatch.contract.ids import is_id
from genrewatch.host.paths import write_durably

SUFFIX = ".lock"


def lock_path(directory: Path, node: str) -> Path:
    """Return the file that the daemon of a node holds a lock on."""
    return directory / f"{node}{SUFFIX}"


def announce(directory: Path, node: str) -> None:
    """Write this process's id into the lock file, once it takes signals; OSError where that cannot be written."""
    lock_path(directory, node).write_text(f"{os.getpid()}\n")


def running_nodes(directory: Path) -> dict[str, int | None]:
    """Return the process id of the daemon of each node that runs, None while it starts.

    Raises OSError for a directory that this user cannot read.
    """
    found: dict[str, int | None] = {}
    for path in sorted(directory.iterdir()) if directory.exists() else []:
        node = path.name.removesuffix(SUFFIX)
        if path.name.endswith(SUFFIX) and is_id(node) and _is_locked(path):
            text = path.read_text(errors="replace").strip()
            found[node] = int(text) if text.isascii() and text.isdigit() else None
    return found


def write_answer(directory: Path, node: str, fields: Mapping[str, Any]) -> None:
    """Write the result of a reload, under an id of its own; raises OSError."""
    write_durably(_answer_path(directory, node), json.dumps({"id": secrets.token_hex(8), **fields}) + "\n")


def read_answer(directory: Path, node: str) -> dict[str, Any]:
    """Return the newest result of a reload, with its `id`; empty without one."""
    try:
        answer = json.loads(_answer_path(directory, node).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _answer_path(directory: Path, node: str) -> Path:
    return directory / f"reload-{node}.json"


def _is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
