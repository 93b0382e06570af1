"""The child that records ends with its parent and with its reader, even while its card is silent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.sources.microphones import YETI, Microphones

from genrewatch.audio.packets import HEADER_BYTES, MAGIC

CHILD = [sys.executable, "-m", "genrewatch.sources.microphone.capture", "--silent-s", "600"]
PARENT = """
import subprocess, sys, time
print(subprocess.Popen(sys.argv[1:]).pid, file=sys.stderr, flush=True)
time.sleep(600)
"""


@pytest.fixture
def machine(tmp_path):
    return Microphones(tmp_path / "machine.json", YETI, mute=["Blue Yeti"])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_with_a_silent_card_ends_with_its_killed_parent_though_its_pipe_is_still_read(machine):
    reading, writing = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *CHILD],
        env={**os.environ, **machine.environment},
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    with parent.stderr:
        child = int(parent.stderr.readline())
    os.close(writing)
    assert os.read(reading, HEADER_BYTES)[:4] == MAGIC  # it records, and blocks on nothing of ours
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.close(reading)
    if alive(child):
        os.kill(child, signal.SIGKILL)
        pytest.fail("the child still runs")


def test_a_child_whose_reader_has_closed_the_pipe_ends_without_output(machine):
    machine.set(YETI)
    command = {"env": {**os.environ, **machine.environment}, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(CHILD, **command)
    child.stdout.read(HEADER_BYTES)
    child.stdout.close()
    assert child.wait(20) == 0
    assert child.stderr.read() == b""
    child.stderr.close()
