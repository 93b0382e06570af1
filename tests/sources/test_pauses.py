"""A pause on an open pipe is a gap in the blocks, whichever source the pipe belongs to; jitter is none."""

import os
import signal
import sys
import time
from dataclasses import replace

import pytest
from tests.daemon.listening import Running, opened
from tests.sources.test_child import RAW, RecordedEvents, listen, python, samples

from genrewatch.host.backoff import Backoff
from genrewatch.sources.child import ChildSource
from genrewatch.sources.supervision import Supervision

PATIENT = Supervision(stall_s=5.0, backoff=Backoff(first_s=0.02, max_s=0.05))
PAUSE_S = 2.0
PAUSING = f"""
    import sys, time
    out = sys.stdout.buffer
    out.write(bytes(8000)); out.flush(); time.sleep({PAUSE_S}); out.write(bytes(%d)); out.flush(); time.sleep(600)
"""


def lost_s(blocks) -> float:
    return sum(block.lost / block.sample_rate for block in blocks)


def test_a_command_that_pauses_has_a_gap_of_its_length():
    source = ChildSource("a", python(PAUSING % 1600), RAW, PATIENT)
    blocks, events = listen(source, lambda got: samples(got) >= 4800)
    assert lost_s(blocks) == pytest.approx(PAUSE_S, abs=0.6)
    assert source.counts.lost_s == {"pause": pytest.approx(lost_s(blocks), abs=0.01)}
    assert [block.lost > 0 for block in blocks if len(block.samples)] == [False, True]
    assert events == ["online"]


def test_a_command_that_catches_up_after_a_wait_has_none():
    source = ChildSource("a", python(PAUSING % 32_000), RAW, PATIENT)
    blocks, _ = listen(source, lambda got: samples(got) >= 20_000)
    assert lost_s(blocks) == 0
    assert source.counts.lost_s == {}


def test_a_command_that_is_stopped_and_continued_has_a_gap(tmp_path):
    pid_file = tmp_path / "pid"
    program = f"""
        import os, sys, time
        open({str(pid_file)!r}, "w").write(str(os.getpid()))
        while True: sys.stdout.buffer.write(bytes(1600)); sys.stdout.flush(); time.sleep(0.1)
    """
    source = ChildSource("a", python(program), RAW, PATIENT)
    stopped: list[int] = []

    def enough(blocks) -> bool:
        if not stopped and samples(blocks) > 4000:
            stopped.append(int(pid_file.read_text()))
            os.kill(stopped[0], signal.SIGSTOP)
            time.sleep(PAUSE_S)
            os.kill(stopped[0], signal.SIGCONT)
        return bool(lost_s(blocks))

    blocks, _ = listen(source, enough)
    assert lost_s(blocks) == pytest.approx(PAUSE_S, abs=1.0)


def test_a_command_that_runs_once_and_waits_for_a_slow_reader_has_none():
    program = "import sys; sys.stdout.buffer.write(bytes(640_000)); sys.stdout.flush()"
    source = ChildSource("a", python(program), RAW, Supervision(queue_s=1.0, restart=False))
    got = source.blocks(RecordedEvents())
    blocks = [next(got)]
    time.sleep(1.5)
    blocks += got
    assert lost_s(blocks) == 0


def test_a_fifo_whose_writer_pauses_has_a_gap(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with Running(opened(f"fifo:{path}?rate=8000")) as running, path.open("wb", buffering=0) as out:
        out.write(bytes(8000))
        running.until(lambda: samples(running.blocks) == 4000)
        time.sleep(PAUSE_S)
        out.write(bytes(1600))
        running.until(lambda: samples(running.blocks) == 4800)
    assert lost_s(running.blocks) == pytest.approx(PAUSE_S, abs=0.6)
    assert running.source.counts.lost_s == {"pause": pytest.approx(lost_s(running.blocks), abs=0.01)}


@pytest.mark.parametrize("paused", [True, False])
def test_standard_input_that_pauses_has_a_gap_and_a_file_has_none(monkeypatch, tmp_path, paused):
    path = tmp_path / "sound"
    path.write_bytes(bytes(9600))
    out_of, into = os.pipe()
    with os.fdopen(out_of, "rb") if paused else path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with Running(opened("stdin:?rate=8000")) as running:
            os.write(into, bytes(8000))
            running.until(lambda: samples(running.blocks) >= 4000)
            time.sleep(1.5)
            os.write(into, bytes(1600))
            running.until(lambda: samples(running.blocks) == 4800)
    os.close(into)
    assert (lost_s(running.blocks) > 0.5) is paused


def test_a_command_that_gives_no_sound_is_ended_by_a_limit_of_its_own():
    supervision = replace(PATIENT, stall_s=0.2, first_sound_s=0.8, retry_start=True)
    source, events = ChildSource("a", ["sleep", "600"], RAW, supervision), RecordedEvents()
    events.on_source_offline = lambda source_id, why: (events.events.append(why), source.close())
    began = time.monotonic()
    list(source.blocks(events))
    assert 0.7 < time.monotonic() - began < 3
    assert events.events == ["no sound within 0.8 s of its start (first_sound_s)"]


def test_a_program_that_is_silent_while_idle_is_waited_for_without_end():
    program = "import sys, time; time.sleep(1); sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush(); time.sleep(9)"
    source = ChildSource("a", python(program), RAW, replace(PATIENT, stall_s=0.2, first_sound_s=float("inf")))
    _, events = listen(source, lambda got: True)
    assert events[0] == "online"


def test_a_command_that_writes_a_byte_now_and_then_is_not_online():
    program = "import sys, time\nwhile True: sys.stdout.buffer.write(b'x'); sys.stdout.flush(); time.sleep(0.05)"
    source = ChildSource("a", python(program), RAW, replace(PATIENT, first_sound_s=1.0, retry_start=True))
    events = RecordedEvents()
    events.on_source_offline = lambda source_id, why: (events.events.append(why), source.close())
    assert list(source.blocks(events)) == []
    assert events.events == ["no sound within 1 s of its start (first_sound_s)"]


def test_a_command_that_becomes_too_slow_is_ended_with_that_reason(monkeypatch):
    monkeypatch.setattr(Supervision, "lacking_limit_s", 1.0)  # instead of 10
    program = """
        import sys, time
        sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush()
        while True: sys.stdout.buffer.write(bytes(80)); sys.stdout.flush(); time.sleep(0.1)
    """
    source = ChildSource("a", python(program), RAW, PATIENT)
    _, events = listen(source, lambda got: len(got) > 3 and got[-1].lost)
    assert events[1] == "offline: too slow, 1 s of sound are missing"


def test_a_commands_last_line_shows_no_login_and_no_control_character():
    program = "import sys; sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush(); sys.exit(%r)"
    text = "cannot read http://me:hunter2@host/live?token=abc \x1b[31mred"
    source = ChildSource("a", python(program % text), RAW, PATIENT)
    _, events = listen(source, lambda got: got[-1].lost)
    assert events[1] == "offline: cannot read http://host [31mred"
