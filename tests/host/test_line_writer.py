"""Lines for stdout and stderr: no caller waits for their reader."""

import fcntl
import io
import logging
import os
import time

import pytest

from genrewatch.host import line_writer
from genrewatch.host.line_writer import LineHandler, LineWriter


@pytest.fixture
def pipe():
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    stream = os.fdopen(into, "w")
    yield out, stream
    stream.close()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_to_end(descriptor: int) -> list[str]:
    with os.fdopen(descriptor) as file:
        return file.read().splitlines()


def test_lines_keep_their_order_and_the_last_ones_are_written_at_the_end(pipe):
    out, stream = pipe
    lines = LineWriter(stream, "stdout")
    for number in range(200):
        lines.put(f"line {number}")
    lines.close()
    stream.close()
    assert read_to_end(out) == [f"line {number}" for number in range(200)]
    assert (lines.dropped, lines.problem()) == (0, None)


def test_a_reader_that_stops_reading_delays_no_caller_and_is_a_problem(pipe, monkeypatch, caplog):
    monkeypatch.setattr(line_writer, "BLOCKED_S", 0.1)
    out, stream = pipe
    lines = LineWriter(stream, "stdout", max_lines=10)
    began = time.monotonic()
    for number in range(1000):
        lines.put(f"line {number} " + "x" * 500)
    assert time.monotonic() - began < 1
    until(lambda: lines.problem())
    assert lines.problem().startswith("stdout: its reader has not read for 0 s, 9")
    assert lines.dropped >= 980
    os.read(out, 100_000)
    until(lambda: lines.problem() is None)
    os.set_blocking(out, False)
    until(lambda: b"line 999 " in os.read(out, 100_000))
    assert "stdout is read again" in caplog.text
    lines.close()
    os.close(out)


def test_closing_does_not_wait_for_a_reader_that_has_stopped_and_what_prints_later_is_not_blocked(pipe):
    out, stream = pipe
    lines = LineWriter(stream, "stdout")
    for _ in range(100):
        lines.put("x" * 500)
    began = time.monotonic()
    lines.close(timeout_s=0.1)
    assert time.monotonic() - began < 2
    assert lines.dropped > 80
    print("y" * 10_000, file=stream, flush=True)
    os.close(out)


def test_an_exited_reader_is_reported_once(pipe):
    out, stream = pipe
    errors: list[BrokenPipeError] = []
    lines = LineWriter(stream, "stdout")
    lines.on_broken_pipe = errors.append
    os.close(out)
    lines.put("one")
    until(lambda: errors)
    lines.put("two")
    lines.close()
    assert (len(errors), lines.dropped) == (1, 2)


def test_a_full_disk_is_logged_once_and_tried_again(caplog):
    with open("/dev/full", "w") as full:
        lines = LineWriter(full, "stdout")
        for _ in range(3):
            lines.put("line")
        lines.close()
    assert lines.problem() == "stdout: no space left on device, 3 lines are dropped"
    assert [record.message for record in caplog.records] == ["stdout cannot be written: no space left on device"]


def test_characters_that_the_encoding_lacks_are_escaped():
    raw = io.BytesIO()
    lines = LineWriter(io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace"), "stdout")
    lines.put("caf\xe9")
    lines.close()
    assert raw.getvalue() == b"caf\\xe9\n"


def test_the_log_never_waits_for_its_reader(pipe):
    out, stream = pipe
    lines = LineWriter(stream, "stderr", max_lines=5)
    logger = logging.Logger("test")
    logger.addHandler(LineHandler(lines))
    began = time.monotonic()
    for number in range(100):
        logger.error("line %d %s", number, "x" * 1000)
    assert time.monotonic() - began < 1
    assert lines.dropped > 80
    lines.close(timeout_s=0.1)
    os.close(out)
