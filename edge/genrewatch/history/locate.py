"""The database that a command should read, and errors about it in one line for the user."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from genrewatch.contract.errors import ConfigError, DataError, os_error_reason
from genrewatch.contract.ids import is_id
from genrewatch.history.database import CONTENT_ERRORS, Damaged, NewerFormat, Unavailable, database_path
from genrewatch.history.reader import HistoryReader
from genrewatch.history.schema import FORMAT
from genrewatch.host.node import kept_node_id, state_directory

SERVICE_STATE = Path("/var/lib/genrewatch")
"""State directory of the systemd service; only root may read it."""


def find_database(directory: Path | None, node: str | None) -> Path:
    """Find the database of a node in the state directory, by default the only one, or that of this machine's own id.

    Raises ConfigError if there is none.
    """
    service = SERVICE_STATE if directory is None and os.path.lexists(SERVICE_STATE) else None
    directory = directory or state_directory()
    if node is not None:
        path = database_path(directory, node)
        if not is_id(node) or not path.exists():
            raise ConfigError("--node", f"no history of {node} in {directory}", _one_of(_nodes(directory)))
        return path
    nodes = _nodes(directory)
    if not nodes:
        expected = f"--state {service} (perhaps with sudo)" if service else "one created by `genrewatch listen`"
        raise ConfigError(str(directory), "no history-NODE.db here", expected)
    if len(nodes) > 1 and (own := kept_node_id(directory)) in nodes:
        return database_path(directory, own)
    if len(nodes) > 1:
        raise ConfigError("--node", f"several histories in {directory}", _one_of(nodes))
    return database_path(directory, nodes[0])


def _nodes(directory: Path) -> list[str]:
    """Return the ids of the nodes with a history; the names of damaged files that were moved aside are no ids."""
    try:
        names = [path.name for path in directory.glob("history-*.db")]
    except OSError as exc:
        raise ConfigError(str(directory), os_error_reason(exc), "a directory") from None
    return sorted(node for name in names if is_id(node := name.removeprefix("history-").removesuffix(".db")))


def _one_of(nodes: list[str]) -> str:
    return f"one of {', '.join(nodes)}" if nodes else "one created by `genrewatch listen`"


@contextmanager
def user_errors(path: Path) -> Iterator[None]:
    """Translate errors of the database, and whatever its contents raise, into errors of one line for the user."""
    try:
        yield
    except NewerFormat as exc:
        raise ConfigError(
            str(path), f"written by a newer version of genrewatch (format {exc.found})", f"format {FORMAT}: update it"
        ) from None
    except Unavailable as exc:
        raise ConfigError(str(path), f"cannot be read ({exc})") from None
    except (Damaged, *CONTENT_ERRORS) as exc:
        found = str(exc) if isinstance(exc, Damaged) else f"its contents lead to {exc!r}"
        raise DataError(str(path), f"is damaged ({found})", "a history; `genrewatch listen` creates a new one") from exc


@contextmanager
def open_history(path: Path) -> Iterator[HistoryReader]:
    """Open the history at `path`; its errors become errors of one line for the user."""
    with user_errors(path), closing(HistoryReader(path)) as reader:
        yield reader
