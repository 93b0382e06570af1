"""The id of a node: made once and kept, so that it survives a new hostname, a new address and a power cut."""

import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genrewatch.contract.errors import ConfigError, os_error_reason
from genrewatch.contract.ids import is_id
from genrewatch.host.paths import write_durably
from genrewatch.host.private_files import make_private_directory, make_private_file, open_private
from genrewatch.host.running import lock_path

MACHINE_ID = Path("/etc/machine-id")

log = logging.getLogger("genrewatch")


def state_directory() -> Path:
    """Return the directory of all that outlives a restart: $GENREWATCH_STATE, else systemd's or XDG's.

    Raises ConfigError where none of them is set and this user has no home.
    """
    for variable in ("GENREWATCH_STATE", "STATE_DIRECTORY"):
        if given := os.environ.get(variable):
            return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or _home() / ".local" / "state") / "genrewatch"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user id without a name, as in containers
        found = f"no HOME, and user {os.getuid()} has no home directory"
        raise ConfigError("state directory", found, "GENREWATCH_STATE=DIRECTORY in the environment") from None


@contextmanager
def held_node_id(directory: Path, wanted: str | None = None) -> Iterator[str]:
    """Yield the node id, or the wanted one, for one daemon at a time; ConfigError while another holds it.

    Two daemons with one id would take over each other's MQTT session for ever and write to one history.
    """
    kept = wanted or node_id(directory)
    try:
        make_private_directory(directory)
        lock = os.fdopen(open_private(lock_path(directory, kept), empty=False), "w")
    except OSError:  # a directory that cannot be written cannot hold a lock
        yield kept
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError("node", f"another genrewatch runs as {kept}", "--node ID for a second one") from None
        lock.truncate()  # the process id of an earlier daemon
        yield kept


def node_id(directory: Path) -> str:
    """Return the id in `directory`, made at random the first time; derived from the machine where it cannot be kept."""
    path = directory / "node_id"
    try:
        make_private_file(path)
        kept = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""
        if not is_id(kept):
            if kept:
                log.warning("%s holds no valid id; a new one is written", path)
            kept = f"gw-{secrets.token_hex(4)}"
            write_durably(path, kept + "\n")
        return kept
    except OSError as exc:
        log.warning("%s cannot be written (%s); the node id is derived from the machine id", path, os_error_reason(exc))
        return _machine_node_id()


def kept_node_id(directory: Path) -> str:
    """Return the id that `node_id` keeps in `directory`; "" without one."""
    try:
        return (directory / "node_id").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _machine_node_id() -> str:
    try:
        seed = MACHINE_ID.read_bytes()
    except OSError:
        seed = secrets.token_bytes(16)
    return f"gw-{hashlib.sha256(b'genrewatch' + seed).hexdigest()[:8]}"
