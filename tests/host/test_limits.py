"""A child is bounded, a machine without a free descriptor or thread costs one source only, and no foreign code runs."""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.sources.test_child import RAW, RecordedEvents

from genrewatch.host import limits as limits_of_children
from genrewatch.host.environment import child_environment
from genrewatch.host.limits import CHILD_OOM_SCORE, DECODER_ADDRESS_SPACE, ChildLimits
from genrewatch.host.process import ChildProcess
from genrewatch.sources.child import ChildSource
from genrewatch.sources.microphone.listing import microphone_command
from genrewatch.sources.supervision import Supervision

linux = pytest.mark.skipif(sys.platform != "linux", reason="prlimit and /proc are Linux's")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@linux
def test_a_child_that_allocates_without_end_fails_and_is_the_first_that_the_kernel_ends():
    program = "import sys; print(open('/proc/self/oom_score_adj').read()); bytearray(3 * 2**30)"
    command = ["sh", "-c", 'sleep 0.2; exec "$0" -c "$1"', sys.executable, program]
    with ChildProcess(command, limits=ChildLimits(address_space=DECODER_ADDRESS_SPACE)) as child:
        assert child.stdout.read_all(20.0).strip() == str(CHILD_OOM_SCORE).encode()
        assert child.wait(5.0) == 1
        assert child.last_line() == "MemoryError"


@linux
def test_all_limits_of_a_child_are_set():
    limits = ChildLimits(address_space=2**31, cpu_s=7, file_bytes=1000, processes=100)
    program = (
        "import resource as r;"
        "print(*[r.getrlimit(k)[0] for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NPROC)])"
    )
    command = ["sh", "-c", 'sleep 0.2; exec "$0" -c "$1"', sys.executable, program]
    with ChildProcess(command, limits=limits) as child:
        address_space, cpu_s, file_bytes, processes = map(int, child.stdout.read_all(20.0).split())
    assert (address_space, cpu_s, file_bytes) == (2**31, 7, 1000)
    assert 100 < processes < 100_000


@linux
def test_open_files_are_raised_to_the_hard_limit():
    program = (
        "import resource; from genrewatch.host.limits import raise_open_files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
        "print(raise_open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 300)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "True\n"


@linux
@pytest.mark.parametrize("free", range(12))
def test_a_source_for_which_no_descriptor_is_left_waits_and_leaves_none_open(free, monkeypatch):
    monkeypatch.setattr(limits_of_children, "RESERVED", 0)
    source = ChildSource("a", ["cat", "/dev/zero"], RAW, Supervision(retry_start=True))
    events, before = RecordedEvents(), descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def restored(why):
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        events.events.append(why)
        source.close()

    events.on_source_online = lambda source_id, why: restored("online")
    events.on_source_offline = lambda source_id, why: restored(why)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + free, limits[1]))
    try:
        list(source.blocks(events))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert events.events[0] == "online" or "too many open files" in events.events[0].lower()
    assert descriptors() == before


def test_a_source_for_which_no_thread_is_left_waits(monkeypatch):
    source, events = ChildSource("a", ["cat", "/dev/zero"], RAW, Supervision(retry_start=True)), RecordedEvents()
    events.on_source_offline = lambda source_id, why: (events.events.append(why), source.close())

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert list(source.blocks(events)) == []
    assert "no thread can be started" in events.events[0]


def test_code_of_the_current_directory_does_not_run_in_a_child_of_ours(tmp_path: Path, monkeypatch):
    mark = tmp_path / "ran"
    for name in ("json", "sounddevice", "argparse"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "/nowhere"]))
    with ChildProcess(microphone_command("none", stall_s=5.0)) as child:
        assert child.wait(20.0) == 2
    assert not mark.exists()
    assert child_environment()["PYTHONPATH"] == "/nowhere"
