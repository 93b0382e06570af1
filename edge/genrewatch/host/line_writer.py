"""Lines for stdout and stderr that no caller waits for: a bounded queue, and a thread that writes.

A reader that stops reading (a FIFO that no process drains, Ctrl-S, a hung `tee`) blocks only that thread. Lines that
find the queue full push out the oldest ones, which are counted.
"""

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from genrewatch.contract.errors import os_error_reason
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.untrusted_text import redact_urls

MAX_LINES = 1000
"""Lines that may wait; beyond it the oldest are dropped."""
MAX_LINE_CHARACTERS = 20_000
BLOCKED_S = 3.0
"""Duration of one write after which its reader counts as stopped."""
CLOSE_S = 1.0
"""Longest time that `close` waits for the last lines to be written."""

log = logging.getLogger("genrewatch")


class LineWriter:
    """Writes lines to a text stream in the order of the calls; any thread may call any method."""

    def __init__(self, out: TextIO, name: str, *, max_lines: int = MAX_LINES, before: str = "") -> None:
        """`name` is that of the stream, for people; `before` precedes each line."""
        self._before = before
        self._name, self._max_lines, self._encoding = name, max_lines, getattr(out, "encoding", None) or "utf-8"
        self._out, self._descriptor = out, _copied_descriptor(out)
        self._lines, self._changed = deque[str](), threading.Condition()
        self._closing = self._broken = self._reported = False
        self._blocked_since: float | None = None
        self._error: str | None = None
        self.dropped = 0
        """Lines that were not written."""
        self.on_broken_pipe: Callable[[BrokenPipeError], None] = lambda exc: None
        """Called once, in the writing thread, when the reader has exited."""
        self._thread = GuardedThread(name, self._run)
        self._thread.start()

    def put(self, line: str, *, end: str = "\n") -> None:
        """Queue a line and its `end`; never blocks."""
        with self._changed:
            if self._broken or self._closing:
                self.dropped += 1
                return
            self._lines.append(line[:MAX_LINE_CHARACTERS] + end)
            while len(self._lines) > self._max_lines:
                self._lines.popleft()
                self.dropped += 1
            self._changed.notify()

    @property
    def blocked(self) -> bool:
        """True while the reader does not read."""
        since = self._blocked_since
        return since is not None and time.monotonic() - since > BLOCKED_S

    def problem(self) -> str | None:
        """Return the present problem as text for people, None without one."""
        since = self._blocked_since
        if since is not None and self.blocked:
            waited_s = time.monotonic() - since
            return f"{self._name}: its reader has not read for {waited_s:.0f} s, {self.dropped} lines are dropped"
        if self._error:
            return f"{self._name}: {self._error}, {self.dropped} lines are dropped"
        return self._thread.problem

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write the queued lines within the time; drop what is left, and all later lines."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._detach()
        with self._changed:
            self.dropped += len(self._lines)
            self._lines.clear()

    def _run(self) -> None:
        while (line := self._next()) is not None:
            self._write_line(line)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _detach(self) -> None:
        """Point the stream to nowhere, so that nothing that prints later, such as a last error, is blocked as well."""
        if self._descriptor is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._out.fileno())
            os.close(null)

    def _next(self) -> str | None:
        """Return the oldest line as soon as there is one; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._lines) or self._closing)
            return self._lines.popleft() if self._lines else None

    def _write_line(self, line: str) -> None:
        before, self._blocked_since = self.dropped, time.monotonic()
        try:
            self._write(self._before + line)
        except OSError as exc:
            self._note_error(exc)
            return
        finally:
            blocked, self._blocked_since = self.blocked, None
        if blocked:
            log.warning("%s is read again; %d lines were dropped meanwhile", self._name, self.dropped - before)
        if self._error:
            self._error = None
            log.warning("%s can be written again", self._name)

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            self._out.write(line)
            self._out.flush()
        else:
            _write_all(self._descriptor, line.encode(self._encoding, errors="backslashreplace"))

    def _note_error(self, exc: OSError) -> None:
        """Count the line; give up when the reader has exited, else try again with the next line."""
        with self._changed:
            self.dropped += 1
            if isinstance(exc, BrokenPipeError):
                self._broken = True
                self.dropped += len(self._lines)
                self._lines.clear()
        first, self._error = self._error is None, os_error_reason(exc)
        if first and not isinstance(exc, BrokenPipeError):  # ended by its reader, such as `head`
            log.error("%s cannot be written: %s", self._name, self._error)
        if isinstance(exc, BrokenPipeError):
            self.on_broken_pipe(exc)


class LineHandler(logging.Handler):
    """A log handler that never blocks its callers, and writes no login of a URL."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line."""
        try:
            self._writer.put(redact_urls(self.format(record), keep_path=True))
        except Exception:  # a record whose arguments do not fit its text, as in every handler of the library
            self.handleError(record)


def _copied_descriptor(out: TextIO) -> int | None:
    """Return a copy of the descriptor of `out`; None for a stream in memory.

    Written directly, because a blocked write through the stream would hold the lock of its buffer at the exit. A copy,
    because the runtime of the model points stderr elsewhere for moments.
    """
    try:
        out.flush()
        return os.dup(out.fileno())
    except (OSError, ValueError):
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # another program has made the terminal non-blocking
            select.select([], [descriptor], [], 1.0)
