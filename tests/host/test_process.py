"""Child processes: nothing that they do or leave undone can block us or outlive us."""

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from genrewatch.host.environment import child_environment
from genrewatch.host.process import ChildProcess

LONG_S = 20.0


def python(program: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_standard_input_may_be_larger_than_a_pipe_and_need_not_be_read():
    data = os.urandom(1_000_000)
    with ChildProcess(["cat"], stdin=data) as child:
        assert child.stdout.read_all(LONG_S) == data
        assert child.wait(LONG_S) == 0
    with ChildProcess(["true"], stdin=data) as child:
        assert child.wait(LONG_S) == 0
    with ChildProcess(["cat"]) as child:
        assert child.stdout.read_all(LONG_S) == b""


def test_a_program_that_cannot_be_started_is_an_oserror():
    for command in (["/no/such/program"], ["echo", "a\0b"]):
        with pytest.raises(OSError, match=r"No such file|null byte"):
            ChildProcess(command)


def test_standard_error_is_drained_and_its_last_line_kept():
    lines: list[bytes] = []
    program = "import sys; sys.stderr.write('noise\\n' * 100_000 + 'the reason\\n\\n'); print('out')"
    with ChildProcess(python(program), on_line=lines.append) as child:
        assert child.stdout.read_all(LONG_S) == b"out\n"
        assert child.wait(LONG_S) == 0
        assert child.last_line() == "the reason"
        assert lines[-2:] == [b"the reason", b""]
        assert len(lines) < 20_000, "a flood must not cost the time of every line"


def test_drained_output_is_complete_after_the_end():
    with ChildProcess(["sh", "-c", "echo first; echo last >&2; sleep 600 &"], drain_stdout=True) as child:
        assert child.wait(LONG_S) == 0
        child.end()
        assert child.last_line() == "last"


def test_reading_everything_has_a_limit():
    with ChildProcess(["sh", "-c", "echo some; sleep 600"]) as child:
        assert child.stdout.read_all(0.3) is None


def test_a_child_is_asked_to_end_before_it_is_killed(tmp_path):
    polite = f"trap 'echo bye > {tmp_path}/bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    with ChildProcess(["sh", "-c", polite]) as child:
        child.stdout.read(10)
        child.end()
        assert child.wait(0) == 3
    assert (tmp_path / "bye").exists()


def test_a_child_that_ignores_sigterm_is_killed_with_all_that_it_started():
    with ChildProcess(["sh", "-c", "trap '' TERM; sleep 600 & echo $!; wait"]) as child:
        grandchild = int(child.stdout.read(20))
        began = time.monotonic()
        child.end(term_wait_s=0.2)
        assert time.monotonic() - began < LONG_S
        assert child.wait(0) == -9
    while alive(grandchild):
        assert time.monotonic() - began < LONG_S
        time.sleep(0.01)


def test_ending_twice_does_nothing_more_and_closing_leaves_no_descriptor():
    before = len(os.listdir("/proc/self/fd"))
    child = ChildProcess(["sleep", "600"])
    child.end()
    child.end()
    child.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_child_sees_our_secrets(monkeypatch):
    secrets = {
        "GENREWATCH_MQTT_USERNAME",
        "GENREWATCH_MQTT_PASSWORD",
        "GENREWATCH_WEB_PASSWORD",
        "CREDENTIALS_DIRECTORY",
    }
    for name in secrets:
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("GENREWATCH_STATE", "/state")
    environment = child_environment({"GENREWATCH_EVENT": "stalled"})
    assert not secrets & environment.keys()
    assert (environment["GENREWATCH_STATE"], environment["GENREWATCH_EVENT"]) == ("/state", "stalled")
    with ChildProcess(["env"], environment={"MORE": "1"}) as child:
        output = child.stdout.read_all(LONG_S)
    assert output is not None
    assert b"hush" not in output
    assert b"MORE=1\n" in output
