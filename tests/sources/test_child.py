"""A child that dies, stalls or ignores SIGTERM is ended, restarted and counted; all its sound arrives."""

import os
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.sounds import tune, write_wav

from genrewatch.audio.pcm import PcmFormat
from genrewatch.contract.errors import SourceError
from genrewatch.host.backoff import Backoff
from genrewatch.sources import child
from genrewatch.sources.child import ChildSource
from genrewatch.sources.child_reader import ChildReader
from genrewatch.sources.stderr import LastLine
from genrewatch.sources.supervision import Supervision

RAW = PcmFormat(rate=8000)
QUICK = Supervision(stall_s=0.5, backoff=Backoff(first_s=0.02, max_s=0.05))


class RecordedEvents:
    """Events, in order."""

    def __init__(self):
        self.events = []

    def on_source_online(self, source_id, why):
        self.events.append("online")

    def on_source_offline(self, source_id, why):
        self.events.append(f"offline: {why}")


def python(program: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program)]


def listen(source: ChildSource, enough, recorded=None) -> tuple[list, list[str]]:
    """Blocks until `enough(blocks)`, then closes."""
    recorded, blocks = recorded or RecordedEvents(), []
    for block in source.blocks(recorded):
        blocks.append(block)
        if enough(blocks):
            source.close()
    return blocks, recorded.events


def samples(blocks) -> int:
    return sum(len(block.samples) for block in blocks)


def test_all_sound_of_a_command_that_writes_wav_arrives(tmp_path):
    sound = tune(2)
    path = write_wav(tmp_path / "a.wav", sound)
    source = ChildSource("a", ["cat", str(path)], None, Supervision(restart=False))
    recorded = RecordedEvents()
    got = np.concatenate([block.samples for block in source.blocks(recorded)])
    assert np.abs(got - sound).max() <= 1 / 32767
    assert recorded.events == ["online"]


def test_a_child_that_dies_is_restarted_and_the_gap_is_counted():
    program = """
        import sys, time
        sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush(); sys.exit("kaput")
    """
    source = ChildSource("a", python(program), RAW, QUICK)
    blocks, events = listen(source, lambda got: samples(got) >= 3 * 1600)
    assert events[:5] == ["online", "offline: kaput", "online", "offline: kaput", "online"]
    assert blocks[0].lost == 0
    assert [block.lost > 0 for block in blocks if block.lost] == [True, True]
    assert source.counts.restarts == 2
    assert source.counts.lost_s["restart"] == pytest.approx(sum(block.lost for block in blocks) / 8000, abs=0.001)


@pytest.mark.parametrize("then", ["sys.exit('kaput')", "time.sleep(600)"])
def test_a_break_is_marked_in_the_blocks_before_the_source_is_offline(then):
    program = f"import sys, time; sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush(); {then}"
    source, recorded, offline_by_then = ChildSource("a", python(program), RAW, QUICK), RecordedEvents(), []
    for block in source.blocks(recorded):
        if block.last:
            assert len(block.samples) == 0
            offline_by_then.append(sum("offline" in event for event in recorded.events))
        if len(offline_by_then) == 2:
            source.close()
    assert offline_by_then == [0, 1]
    assert source.counts.lost_s["restart"] >= (QUICK.stall_s if "sleep" in then else 0)


def test_a_child_that_stalls_without_ending_is_ended_though_it_ignores_sigterm(tmp_path):
    pids = tmp_path / "pids"
    program = f"""
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open({str(pids)!r}, "a").write(f"{{os.getpid()}}\\n")
        sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush()
        time.sleep(600)
    """
    source = ChildSource("a", python(program), RAW, QUICK)
    blocks, events = listen(source, lambda got: samples(got) >= 2 * 1600)
    assert events == ["online", "offline: no sound for 0.5 s", "online"]
    assert len([block for block in blocks if block.lost]) == 1
    for pid in map(int, pids.read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_processes_that_the_child_started_are_ended_with_it(tmp_path):
    pid_file = tmp_path / "pid"
    program = f"""
        import subprocess, sys, time
        child = subprocess.Popen(["sleep", "600"])
        open({str(pid_file)!r}, "w").write(str(child.pid))
        sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush()
        time.sleep(600)
    """
    listen(ChildSource("a", python(program), RAW, QUICK), lambda got: True)
    pid = int(pid_file.read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the grandchild still runs"
        time.sleep(0.02)


def test_a_command_that_fails_at_once_is_an_error_with_its_last_line():
    source = ChildSource("a", python("import sys; sys.exit('no such card')"), RAW, QUICK)
    with pytest.raises(SourceError, match="no such card"):
        list(source.blocks(RecordedEvents()))


def test_among_several_sources_one_that_fails_at_once_is_tried_again(tmp_path):
    flag = tmp_path / "plugged-in"
    program = f"""
        import os, sys
        os.path.exists({str(flag)!r}) or sys.exit("no such card")
        sys.stdout.buffer.write(bytes(3200))
    """
    supervision = replace(QUICK, stall_s=8.0, retry_start=True)
    source = ChildSource("a", python(program), RAW, supervision)
    threading.Timer(0.4, flag.touch).start()
    _, events = listen(source, lambda got: True)
    assert events[0] == "offline: no such card"
    assert events[-1] == "online"


def test_a_missing_program_is_one_error_line():
    with pytest.raises(SourceError, match=r"arecordd: no such file or directory, expected a program"):
        list(ChildSource("a", ["arecordd"], RAW, QUICK).blocks(RecordedEvents()))


def test_bytes_that_are_neither_wav_nor_declared_raw_are_refused():
    source = ChildSource("a", ["cat", "/etc/os-release"], None, QUICK)
    with pytest.raises(SourceError, match="without a WAV header"):
        list(source.blocks(RecordedEvents()))


def test_too_slow_a_reader_loses_the_oldest_sound_and_counts_every_sample():
    total = 8000 * 20
    program = f"import sys; sys.stdout.buffer.write(bytes(2 * {total})); sys.stdout.flush()"
    source = ChildSource("a", python(program), RAW, replace(QUICK, queue_s=1.0, stall_s=8.0))
    blocks, recorded = [], RecordedEvents()
    for block in source.blocks(recorded):
        if not blocks:
            time.sleep(1.0)  # the child has long written all that it has
        if "offline: ended" in recorded.events:
            break
        blocks.append(block)
    assert samples(blocks) + sum(block.lost for block in blocks) == total
    assert sum(block.lost for block in blocks) > 8000


def test_a_program_that_is_missing_at_a_restart_is_waited_for(tmp_path):
    script = tmp_path / "program"

    def write():
        script.write_text(f"#!{sys.executable}\nimport os, sys\nos.unlink(sys.argv[0])\nprint('x' * 3199)\n")
        script.chmod(0o755)

    class Installer(RecordedEvents):
        def on_source_offline(self, source_id, why):
            super().on_source_offline(source_id, why)
            if "no such file" in why:
                write()

    write()
    source = ChildSource("a", [str(script)], RAW, QUICK)
    _, events = listen(source, lambda got: samples(got) >= 2 * 1600, Installer())
    assert events[:2] == ["online", "offline: ended"]
    assert any("no such file" in event for event in events)
    assert events[-1] == "online"


def test_pauses_grow_while_children_end_early_and_start_short_after_a_steady_one(monkeypatch):
    source = ChildSource("a", python("print('x' * 3199)"), RAW, QUICK)
    failures = []
    monkeypatch.setattr(source, "_pause_s", lambda n: failures.append(n) or 0.01)
    listen(source, lambda got: len(failures) >= 3)
    assert failures[:3] == [1, 2, 3]
    steady = ChildSource("a", python("print('x' * 3199)"), RAW, replace(QUICK, steady_s=0.0))
    failures.clear()
    monkeypatch.setattr(steady, "_pause_s", lambda n: failures.append(n) or 0.01)
    listen(steady, lambda got: len(failures) >= 3)
    assert failures[:3] == [1, 1, 1]


def test_a_child_that_floods_its_standard_error_is_not_blocked_and_its_last_line_is_kept():
    program = """
        import sys
        sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush()
        for _ in range(200): sys.stderr.write("noise " * 20000)
        sys.exit("\\nthe last word")
    """
    source = ChildSource("a", python(program), RAW, QUICK)
    _, events = listen(source, lambda got: samples(got) >= 2 * 1600)
    assert events[1] == "offline: the last word"


def test_a_child_that_closes_its_pipe_before_it_ends_may_still_write_its_reason():
    command = ["sh", "-c", "echo the reason >&2; exec 1>&-; sleep 0.3; exit 3"]
    with pytest.raises(SourceError, match="the reason"):
        list(ChildSource("a", command, RAW, QUICK).blocks(RecordedEvents()))


@pytest.mark.slow
def test_thirty_restarts_leave_no_descriptor_thread_or_zombie_behind():
    def left_after(deaths):
        supervision = Supervision(backoff=Backoff(first_s=0.001, max_s=0.001))
        source = ChildSource("a", python("print('x' * 3199)"), RAW, supervision)
        listen(source, lambda got: samples(got) >= 1600 * deaths)
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    assert left_after(30) == left_after(3)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in children]
    assert "Z" not in states


def test_a_command_that_runs_once_waits_for_a_slow_reader_and_loses_nothing():
    total = 8000 * 20
    program = f"import sys; sys.stdout.buffer.write(bytes(2 * {total})); sys.stdout.flush()"
    source = ChildSource("a", python(program), RAW, Supervision(queue_s=1.0, restart=False))
    got = source.blocks(RecordedEvents())
    blocks = [next(got)]
    time.sleep(0.5)
    blocks += got
    assert samples(blocks) == total
    assert not any(block.lost for block in blocks)


def test_a_reader_that_leaves_early_ends_a_command_that_waits_for_it():
    source = ChildSource("a", ["cat", "/dev/zero"], RAW, Supervision(queue_s=1.0, restart=False))
    got = source.blocks(RecordedEvents())
    next(got)
    time.sleep(0.2)
    before = threading.active_count()
    got.close()
    assert threading.active_count() < before


def test_closing_from_another_thread_ends_a_source_that_is_waiting():
    source = ChildSource("a", ["sleep", "600"], RAW, Supervision(stall_s=500))
    ended = threading.Event()

    def drain():
        list(source.blocks(RecordedEvents()))
        ended.set()

    threading.Thread(target=drain, daemon=True).start()
    time.sleep(0.2)
    source.close()
    assert ended.wait(5)


def test_closing_while_a_child_is_being_started_ends_that_child(monkeypatch):
    starting, started = threading.Event(), []

    class Slow(child.ChildProcess):
        def __init__(self, *arguments, **more):
            starting.set()
            assert source._closed.wait(20)
            super().__init__(*arguments, **more)
            started.append(self)

    monkeypatch.setattr(child, "ChildProcess", Slow)
    source = ChildSource("a", python("import time; time.sleep(600)"), RAW, replace(QUICK, retry_start=True))
    recorded = RecordedEvents()
    thread = threading.Thread(target=lambda: list(source.blocks(recorded)), daemon=True)
    thread.start()
    assert starting.wait(20)
    source.close()
    thread.join(20)
    assert not thread.is_alive()
    assert started[0].wait(0) is not None
    assert recorded.events == []


class DefectiveStderr(LastLine):
    """A parser with a defect."""

    def feed(self, line):
        raise ZeroDivisionError


def test_a_defect_of_a_stderr_parser_is_logged_once_and_neither_sound_nor_child_waits(caplog):
    program = """
        import sys
        for _ in range(20000): sys.stderr.write("noise\\n")
        sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush()
    """
    source = ChildSource("a", python(program), RAW, replace(QUICK, first_sound_s=20.0), stderr=DefectiveStderr)
    listen(source, lambda got: samples(got) >= 2 * 1600)
    assert source.counts.defects.problem == "a: a defect of genrewatch (ZeroDivisionError), see the log"
    assert [record.message for record in caplog.records] == ["a defect in a; the same one is not logged again"]


def test_a_defect_in_reading_the_sound_restarts_the_child(monkeypatch, caplog):
    defects = [ZeroDivisionError()]
    read = ChildReader._with_lost

    def read_or_fail(*arguments):
        if defects:
            raise defects.pop()
        return read(*arguments)

    monkeypatch.setattr(ChildReader, "_with_lost", read_or_fail)
    program = "import sys, time; sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush(); time.sleep(600)"
    source = ChildSource("a", python(program), RAW, replace(QUICK, stall_s=30.0, retry_start=True))
    _, events = listen(source, lambda got: samples(got) >= 1600)
    assert events == ["offline: a defect of genrewatch (ZeroDivisionError), see the log", "online"]
    assert [record.message for record in caplog.records] == ["a defect in a; the same one is not logged again"]
