"""The node id is made once, survives a power cut, and never prevents a start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch.host import node
from genrewatch.host.node import held_node_id, node_id, state_directory


def test_the_id_is_made_once_and_kept(tmp_path):
    made = node_id(tmp_path / "state")
    assert made.startswith("gw-")
    assert node_id(tmp_path / "state") == made
    assert node_id(tmp_path / "another") != made


@pytest.mark.parametrize("contents", [b"", b"\0" * 12, b"\xff\xfe", b"a/b"])
def test_a_damaged_id_file_is_replaced_by_a_new_id_that_is_kept(tmp_path, contents):
    (tmp_path / "node_id").write_bytes(contents)
    made = node_id(tmp_path)
    assert made.startswith("gw-")
    assert node_id(tmp_path) == made


def test_without_a_writable_directory_the_id_is_derived_from_the_machine(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "machine-id").write_text("0123456789abcdef")
    monkeypatch.setattr(node, "MACHINE_ID", tmp_path / "machine-id")
    made = node_id(tmp_path / "file" / "state")
    assert made.startswith("gw-")
    assert node_id(tmp_path / "file" / "state") == made
    (tmp_path / "machine-id").write_text("another")
    assert node_id(tmp_path / "file" / "state") != made


def test_an_id_is_held_by_one_daemon_at_a_time(tmp_path):
    held = held_node_id(tmp_path)
    name = held.__enter__()
    with pytest.raises(ConfigError, match=f"another genrewatch runs as {name}"), held_node_id(tmp_path):
        pass
    held.__exit__(None, None, None)
    with held_node_id(tmp_path) as again:
        assert again == name


def test_without_any_home_one_line_names_the_variable(monkeypatch):
    for name in ("GENREWATCH_STATE", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    with pytest.raises(ConfigError, match="user 54321 has no home directory, expected GENREWATCH_STATE="):
        state_directory()


def test_a_user_id_without_a_name_gets_one_line_and_no_traceback(tmp_path):
    unshare = [shutil.which("unshare") or "unshare", "-U", "--map-user=54321"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine has no user namespaces")
    command = [*unshare, "env", "-i", f"PATH={os.defpath}", sys.executable, "-m", "genrewatch"]
    for arguments in (["listen", "--source", "demo:", "--mqtt", "none"], ["history"], ["report"]):
        answer = subprocess.run([*command, *arguments], cwd=Path(__file__).parents[2], capture_output=True, text=True)
        assert answer.returncode == 2, answer.stderr
        assert "Traceback" not in answer.stderr
        assert "GENREWATCH_STATE" in answer.stderr.splitlines()[-1]
