"""Backup beside the writer, restoration without a number twice, archives from anywhere."""

import json
import shutil
import sqlite3
import threading
import zipfile
from pathlib import Path

import pytest
from tests.history.rig import spell

from genrewatch.cli import main
from genrewatch.history.backup.load import SKIPPED
from genrewatch.history.database import NewerFormat, database_path, open_for_reading
from genrewatch.history.schema import FORMAT
from genrewatch.history.store import HistoryStore
from genrewatch.host.node import held_node_id, node_id
from genrewatch.host.persistent_state import PersistentState


def opened(directory: Path) -> HistoryStore:
    return HistoryStore(database_path(directory, "box"), "box", deliver=True)


@pytest.fixture
def box(tmp_path):
    """A box with three records, one of them delivered, an open spell, a correction and a configuration."""
    directory = tmp_path / "old"
    directory.mkdir()
    (directory / "node_id").write_text("box\n")
    (directory / "corrections-box.jsonl").write_text("{}\n")
    state = PersistentState(directory / "memory-box.json")
    state.put("off", ["mic"])
    assert state.number("state_seq") == 1
    config = tmp_path / "box.toml"
    config.write_text('[mqtt]\nusername = "box"\npassword = "geheim"\n')
    config.chmod(0o600)
    store = opened(directory)
    store.append([spell("rock"), spell("jazz"), spell(None)], [spell("pop")])
    store.remove_delivered([1])
    yield directory
    store.close()


@pytest.fixture
def archive(box, tmp_path):
    path = tmp_path / "box.backup"
    assert main(["backup", str(path), "--state", str(box), "--config", str(tmp_path / "box.toml")]) == 0
    return path


def test_a_backup_is_private_whole_and_leaves_nothing_else(archive, tmp_path, capsys):
    assert archive.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"old", "box.toml", "box.backup"}
    with zipfile.ZipFile(archive) as made:
        manifest = json.loads(made.read("manifest.json"))
    assert (manifest["node"], manifest["format"], manifest["history_format"]) == ("box", 1, FORMAT)
    expected = {"history.db", "history.seq", "memory.json", "corrections.jsonl", "config.toml"}
    assert set(manifest["files"]) == expected
    assert "geheim" not in capsys.readouterr().out


def test_a_restored_history_goes_on_above_all_that_the_old_box_may_have_published(box, archive, tmp_path, capsys):
    new, config = tmp_path / "new", tmp_path / "new.toml"
    late = opened(tmp_path / "late")  # the old box goes on after the backup
    late.append([spell("rock")] * 5, [])
    late.close()
    assert main(["restore", str(archive), "--state", str(new), "--config", str(config)]) == 0
    assert node_id(new) == "box"
    assert config.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in new.iterdir()} == {0o600}
    assert json.loads((new / "memory-box.json").read_text())["off"] == ["mic"]
    assert PersistentState(new / "memory-box.json").number("state_seq") > SKIPPED
    store = opened(new)
    assert (store.stored, store.waiting) == (3, 2)  # the open spell is the old box's to publish
    store.append([spell("metal")], [])
    assert store.last_seq > SKIPPED
    store.close()
    assert main(["history", "verify", "--state", str(new)]) == 0
    assert "intact" in capsys.readouterr().out


def test_a_second_restoration_goes_on_above_the_first(archive, tmp_path, capsys):
    new = tmp_path / "new"
    assert main(["restore", str(archive), "--state", str(new)]) == 0
    store = opened(new)
    store.append([spell("metal")], [])
    store.close()
    assert main(["restore", str(archive), "--state", str(new)]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["restore", str(archive), "--state", str(new), "--replace"]) == 0
    store = opened(new)
    assert store.stored == 3
    store.append([spell("metal")], [])
    assert store.last_seq > 2 * SKIPPED
    store.close()


def test_a_restoration_waits_for_no_daemon_and_changes_nothing_under_it(box, archive, capsys):
    before = {path.name: path.read_bytes() for path in box.iterdir()}
    with held_node_id(box, "box"):
        assert main(["restore", str(archive), "--state", str(box), "--replace"]) == 2
    error = capsys.readouterr().err
    assert "genrewatch runs as box, expected it to be stopped" in error
    assert error.count("\n") == 1
    assert {name: (box / name).read_bytes() for name in before} == before


def test_a_backup_while_records_are_written_holds_what_was_committed(box, tmp_path):
    done, store = threading.Event(), opened(tmp_path / "busy")

    def write() -> None:
        while not done.is_set():
            store.append([spell("rock"), spell("jazz")], [])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            path = tmp_path / f"{number}.backup"
            assert main(["backup", str(path), "--state", str(tmp_path / "busy"), "--node", "box"]) == 0
            assert main(["restore", str(path), "--state", str(tmp_path / f"new{number}")]) == 0
            assert main(["history", "verify", "--state", str(tmp_path / f"new{number}")]) == 0
    finally:
        done.set()
        writer.join()
        store.close()


def altered(archive: Path, **changes: bytes | None) -> Path:
    """Return a copy of an archive with other members; the manifest states what is changed."""
    path = archive.with_suffix(".altered")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in old.namelist():
            key = name.replace(".", "_")
            if changes.get(key, b"") is not None:
                made.writestr(name, changes.get(key) or old.read(name))
    return path


def with_manifest(archive: Path, **fields: object) -> Path:
    with zipfile.ZipFile(archive) as made:
        manifest = json.loads(made.read("manifest.json"))
    return altered(archive, manifest_json=json.dumps({**manifest, **fields}).encode())


def with_member(archive: Path, name: str, data: bytes) -> Path:
    path = altered(archive)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, data)
    return path


def truncated(archive: Path) -> Path:
    path = archive.with_suffix(".truncated")
    path.write_bytes(archive.read_bytes()[:-300])
    return path


def other_history(archive: Path) -> bytes:
    directory = archive.parent / "other"
    store = HistoryStore(database_path(directory, "attic"), "attic", deliver=True)
    store.append([spell("rock")], [])
    store.close()
    return database_path(directory, "attic").read_bytes()


HOSTILE = {
    "no zip file": (lambda path: Path(shutil.copy(__file__, path.with_suffix(".py"))), "is no archive"),
    "a truncated file": (truncated, "is no archive"),
    "a name that is a path": (lambda path: with_member(path, "../evil", b"x"), "holds '../evil'"),
    "an absolute name": (lambda path: with_member(path, "/etc/evil", b"x"), "holds '/etc/evil'"),
    "a name twice": (lambda path: with_member(path, "history.seq", b"9"), "holds history.seq twice"),
    "a bomb": (lambda path: altered(path, memory_json=bytes(9_000_000)), "would grow to 9000000 bytes"),
    "a large small file": (lambda path: altered(path, config_toml=bytes(range(256)) * 50_000), "would grow to"),
    "no manifest": (lambda path: altered(path, manifest_json=None), "has no manifest.json"),
    "a manifest that is no JSON": (lambda path: altered(path, manifest_json=b"{" * 9999), "cannot be read"),
    "a newer archive": (lambda path: with_manifest(path, format=2), "newer version of genrewatch: format 2"),
    "a newer history": (lambda path: with_manifest(path, history_format=99), "newer version of genrewatch: history"),
    "a node that is a path": (lambda path: with_manifest(path, node="../x"), "is of node '../x'"),
    "an unknown key": (lambda path: with_manifest(path, more=1), "unknown key"),
    "a file that is not stated": (lambda path: with_manifest(path, files={}), "other files than its manifest"),
    "an altered file": (lambda path: altered(path, history_seq=b"999999"), "not what the manifest states"),
    "another node's history": (lambda path: with_history(path, other_history(path)), "history of another node"),
    "a history that is none": (lambda path: with_history(path, b"rubbish " * 1000), "is damaged"),
}


def with_history(archive: Path, data: bytes) -> Path:
    from hashlib import sha256

    with zipfile.ZipFile(archive) as made:
        manifest = json.loads(made.read("manifest.json"))
    manifest["files"]["history.db"] = {"size": len(data), "sha256": sha256(data).hexdigest()}
    return altered(archive, manifest_json=json.dumps(manifest).encode(), history_db=data)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_cannot_be_used_is_one_line_and_leaves_nothing(name, archive, tmp_path, capsys):
    make, message = HOSTILE[name]
    new = tmp_path / "new"
    assert main(["restore", str(make(archive)), "--state", str(new)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not new.exists() or {path.name for path in new.iterdir()} <= {"box.lock"}
    assert not (tmp_path / "evil").exists()


def test_a_full_disk_is_found_before_anything_is_written(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**6})())
    assert main(["restore", str(archive), "--state", str(tmp_path / "new")]) == 2
    assert "1 MB free, expected" in capsys.readouterr().err


def test_nothing_to_back_up_is_one_line(tmp_path, capsys):
    assert main(["backup", str(tmp_path / "x"), "--state", str(tmp_path / "none")]) == 2
    assert "no node_id here" in capsys.readouterr().err
    assert main(["backup", str(tmp_path / "x"), "--state", str(tmp_path), "--node", "box"]) == 2
    assert "nothing of node box here" in capsys.readouterr().err


def test_a_database_of_a_newer_version_is_left_as_it_is_with_one_line(tmp_path, capsys):
    """So does an older program after an upgrade was undone."""
    opened(tmp_path).close()
    path = database_path(tmp_path, "box")
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}, this version knows {FORMAT}"):
        opened(tmp_path)
    for command in (["history"], ["report"], ["replay"], ["history", "verify"]):
        assert main([*command, "--state", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert f"written by a newer version of genrewatch (format {FORMAT + 1})" in error
        assert error.count("\n") == 1
    assert main(["backup", str(tmp_path / "x"), "--state", str(tmp_path), "--node", "box"]) == 2
    assert "newer version" in capsys.readouterr().err
    assert path.read_bytes() == before
    with pytest.raises(NewerFormat):
        open_for_reading(path)
