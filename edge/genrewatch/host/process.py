"""The one way to run another program: own process group, clean environment, bounded waits, drained pipes.

A child cannot block us. Its standard input is a memory file, so no writer waits for it to read. A thread drains its
standard error, so it may write as much as it likes. Its standard output is read through a `PipeReader`, which can be
interrupted. Every wait has a limit.
"""

import errno
import logging
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from genrewatch.host.environment import child_environment
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.limits import CHILD_ADDRESS_SPACE, CHILD_LIMITS, ChildLimits, limit_child, move_high
from genrewatch.host.orphans import MARK, end_orphans, new_mark
from genrewatch.host.pipe_reader import PipeReader
from genrewatch.host.untrusted_text import decode_text, redacted_line

TERM_WAIT_S = 2.0
KILL_WAIT_S = 1.0
GROUP_WAIT_S = 0.5  # for what an ended child has started; zombies that no process reaps count as alive
DRAIN_WAIT_S = 1.0  # for output that a process outside the group may hold open
POLL_S = 0.01
TAIL_BYTES = 2000
MAX_LINE_BYTES = 4000  # of a longer line the end is kept
MAX_LINES = 500  # of one read
FLOOD_BYTES, FULL_READ, FLOOD_PAUSE_S = 32_000_000, 32_768, 0.01  # a program that floods its output costs little

_HAS_MEMFD = hasattr(os, "memfd_create")  # not on macOS

log = logging.getLogger("genrewatch")


class ChildProcess:
    """A running command. Any thread may call `end`; `close` follows it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        drain_stdout: bool = False,
        on_line: Callable[[bytes], None] | None = None,
        limits: ChildLimits = CHILD_LIMITS,
    ) -> None:
        """Start `command` without a shell; OSError when that fails.

        `stdin` is all that it reads, for what must not be in the list of processes. `environment` is added to ours.
        `drain_stdout` drains standard output together with standard error; else it is read from `stdout`. `on_line`
        receives each drained line, in the thread that drains. `limits` bound it and all that it starts.
        """
        self._mark = new_mark()
        marked = {**(environment or {}), MARK: self._mark}
        if limits.address_space < CHILD_ADDRESS_SPACE:
            marked["MALLOC_ARENA_MAX"] = "2"  # each arena reserves 64 MB
        self._process = _spawn(command, stdin, marked, merged=drain_stdout)
        self._tail, self._on_line = b"", on_line
        self._ended = False
        self._readers: list[PipeReader] = []
        self._drain = GuardedThread(f"output of {command[0]}", self._drain_lines)
        try:
            limit_child(self._process.pid, limits)
            self.stdout = self._drained = self._reader(self._process.stdout)
            if self._process.stderr:
                self._drained = self._reader(self._process.stderr)
            self._drain.start()
        except OSError:  # no descriptor or no thread is left
            self._abandon()
            raise

    def __enter__(self) -> "ChildProcess":
        """Return the child itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill it and release its pipes."""
        self.end(term_wait_s=0.0)
        self.close()

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None when it still runs after the time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def wait_drained(self) -> None:
        """Wait until all that an ended child wrote is drained; a moment only, as another process may hold the pipe."""
        self._drain.join(DRAIN_WAIT_S)

    def last_line(self) -> str:
        """Return the last drained line that is not empty, at most 200 characters, redacted; "" when there is none."""
        self.wait_drained()
        tail = _from_a_word(self._tail) if len(self._tail) == TAIL_BYTES else self._tail
        lines = [line for line in re.split(rb"[\r\n]", tail) if line.strip()]
        return redacted_line(decode_text(lines[-1])) if lines else ""

    def end(self, *, term_wait_s: float = TERM_WAIT_S) -> None:
        """End it and all that it started: SIGTERM unless `term_wait_s` is 0, then SIGKILL, then abandon it."""
        if self._ended:  # its number may belong to another process by now
            return
        if term_wait_s and self._signal_group(signal.SIGTERM) and self.wait(term_wait_s) is not None:
            self._wait_group()
        if self._signal_group(signal.SIGKILL):
            self.wait(KILL_WAIT_S)
        if self.wait(0) is None:
            log.error("process %d cannot be ended and is abandoned", self._process.pid)
        self._ended = True
        end_orphans(self._mark)
        if self.stdout is not self._drained:
            self.stdout.stop()
        self.wait_drained()
        self._drained.stop()

    def close(self) -> None:
        """Release its pipes; call it after `end`, when no thread reads `stdout` any more."""
        self._drain.join(DRAIN_WAIT_S)
        for reader in self._readers:
            reader.close()

    def _reader(self, pipe: IO[bytes] | None) -> PipeReader:
        """Take a pipe over from `subprocess`."""
        assert pipe
        descriptor = os.dup(pipe.fileno())
        pipe.close()
        reader = PipeReader(move_high(descriptor), owned=True)
        self._readers.append(reader)
        return reader

    def _abandon(self) -> None:
        """Kill a child whose pipes cannot be read, and release what there is."""
        self._signal_group(signal.SIGKILL)
        self.wait(KILL_WAIT_S)
        end_orphans(self._mark)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        for reader in self._readers:
            reader.close()

    def _signal_group(self, number: int) -> bool:
        """Send a signal, 0 for none; False when the group is empty or runs as another user."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _wait_group(self) -> None:
        """Give what the child has started a moment to end as well."""
        deadline = time.monotonic() + GROUP_WAIT_S
        while time.monotonic() < deadline and self._signal_group(0):
            time.sleep(POLL_S)

    def _drain_lines(self) -> None:
        rest, drained = b"", 0
        while data := self._drained.read(65_536):
            drained += len(data)
            if drained > FLOOD_BYTES and len(data) >= FULL_READ:
                time.sleep(FLOOD_PAUSE_S)
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            if self._on_line:
                *lines, rest = (rest + data).split(b"\n")
                rest = _shortened(rest)
                for line in lines[-MAX_LINES:]:
                    self._on_line(_shortened(line))
        if self._on_line and rest:
            self._on_line(rest)


def _shortened(line: bytes) -> bytes:
    return line if len(line) <= MAX_LINE_BYTES else _from_a_word(line[-MAX_LINE_BYTES:])


def _from_a_word(cut: bytes) -> bytes:
    """Return the end of a line from its first whole word on: a part of a URL would not be recognised as one."""
    return cut[found.end() :] if (found := re.search(rb"\s+", cut)) else b""


def _spawn(
    command: Sequence[str], stdin: bytes, environment: Mapping[str, str] | None, *, merged: bool
) -> "subprocess.Popen[bytes]":
    with _memory_file(stdin) as file:
        try:
            return subprocess.Popen(
                command,
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                env=child_environment(environment),
                start_new_session=True,
            )
        except ValueError as exc:  # a NUL character in an argument
            raise OSError(errno.EINVAL, str(exc)) from None


@contextmanager
def _memory_file(data: bytes) -> Iterator[IO[bytes]]:
    """Open a file without a name that holds `data`."""
    with open(os.memfd_create("genrewatch-stdin"), "w+b") if _HAS_MEMFD else tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file
