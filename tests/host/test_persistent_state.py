"""Persistent state survives a kill, and a disk that cannot be written does not stop the node."""

from genrewatch.host.persistent_state import PersistentState


def test_a_value_survives_a_restart(tmp_path):
    path = tmp_path / "state" / "memory.json"
    PersistentState(path).put("off", ["mic"])
    assert PersistentState(path).get("off", []) == ["mic"]
    assert PersistentState(path).get("other", 7) == 7


def test_a_value_of_another_type_or_a_damaged_file_gives_the_default(tmp_path, caplog):
    path = tmp_path / "memory.json"
    path.write_text('{"off": "mic"}')
    assert PersistentState(path).get("off", []) == []
    for contents in ("{", "[1]", "\0\0\0"):
        path.write_text(contents)
        assert PersistentState(path).get("off", ["x"]) == ["x"]
    path.write_bytes(b"\xff\xfe")
    assert PersistentState(path).get("off", []) == []


def test_a_number_is_never_returned_twice_even_after_a_kill(tmp_path):
    path = tmp_path / "memory.json"
    first = PersistentState(path)
    assert [first.number("seq") for _ in range(3)] == [1, 2, 3]
    killed_before = PersistentState(path)
    assert killed_before.number("seq") > 3
    closed = PersistentState(tmp_path / "other.json")
    assert [closed.number("seq") for _ in range(3)] == [1, 2, 3]
    closed.close()
    assert PersistentState(tmp_path / "other.json").number("seq") == 4


def test_a_failing_disk_is_logged_once_and_numbers_go_on(tmp_path, caplog):
    (tmp_path / "file").mkdir()
    persistent_state = PersistentState(tmp_path / "file" / "memory.json")
    (tmp_path / "file").rmdir()
    (tmp_path / "file").write_text("")
    persistent_state.put("off", ["mic"])
    persistent_state.put("off", [])
    assert [persistent_state.number("seq"), persistent_state.number("seq")] == [1, 2]
    assert persistent_state.get("off", ["x"]) == []
    assert len(caplog.records) == 1


def test_without_a_file_values_last_until_the_process_ends():
    persistent_state = PersistentState(None)
    persistent_state.put("off", ["mic"])
    assert persistent_state.get("off", []) == ["mic"]
    assert persistent_state.number("seq") == 1
