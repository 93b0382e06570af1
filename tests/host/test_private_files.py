"""What the daemon stores can be read by its owner only."""

import os
import stat

import pytest

from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.host.node import held_node_id
from genrewatch.host.persistent_state import PersistentState
from genrewatch.host.private_files import make_private_directory, make_private_file


@pytest.fixture(autouse=True)
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def use(state):
    """Use everything that a daemon stores, and return the modes while the database is open."""
    with held_node_id(state, None) as node:
        persistent_state = PersistentState(state / f"memory-{node}.json")
        persistent_state.put("off", [])
        persistent_state.number("seq")
        store = HistoryStore(database_path(state, node), node, deliver=False)
        modes = {path.name: mode(path) for path in state.iterdir()}
        store.close()
        return modes | {path.name: mode(path) for path in state.iterdir()}


def test_all_files_of_a_node_are_created_for_their_owner(tmp_path):
    state = tmp_path / "deep" / "state"
    modes = use(state)
    assert mode(state) == 0o700
    assert {name.split(".", 1)[-1] for name in modes} >= {"db", "db-wal", "db-shm", "json", "lock", "node_id"}
    assert set(modes.values()) == {0o600}


def test_files_that_every_user_can_read_are_corrected_and_logged_once(tmp_path, caplog):
    state = tmp_path / "state"
    use(state)
    state.chmod(0o755)
    for path in state.iterdir():
        path.chmod(0o644)
    count = len([path for path in state.iterdir() if path.suffix not in (".lock", ".seq")])
    modes = use(state)
    assert mode(state) == 0o700
    assert {name: found for name, found in modes.items() if found != 0o600 and not name.endswith(".lock")} == {}
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(set(messages)) >= count
    assert all("could be read by every user (mode" in message for message in messages)
    caplog.clear()
    use(state)
    assert not caplog.records


def test_access_of_a_group_and_directories_that_others_share_stay(tmp_path):
    group, sticky = tmp_path / "group", tmp_path / "sticky"
    group.mkdir(mode=0o750)
    sticky.mkdir()
    sticky.chmod(0o1777)
    (group / "file").touch(0o640)
    make_private_directory(group)
    make_private_directory(sticky)
    make_private_file(group / "file")
    assert [mode(group), mode(sticky), mode(group / "file")] == [0o750, 0o1777, 0o640]
