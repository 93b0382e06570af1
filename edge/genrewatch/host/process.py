"""A child process whose output is read without ever being at its mercy: no full pipe, no full disk, no endless wait.

Its standard output is read through a pipe that can be let go of at any moment, its complaints are drained into a short
tail, and it is ended with its whole process group: SIGTERM, SIGKILL, and, if even that does not help, abandoned.
"""

import logging
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from genrewatch.contract.errors import SourceError

TERM_WAIT_S = 2.0
KILL_WAIT_S = 1.0
TAIL_BYTES = 2000
LONGEST_LINE = 4000  # bytes; of a longer one the end is kept

log = logging.getLogger("genrewatch")


class PipeReader:
    """Reads a file descriptor that it does not own; `stop` lets a blocked reader go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._wake_out, self._wake_in = os.pipe()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)
        self._poll.register(self._wake_out, select.POLLIN)
        self._stopped = False
        self._stopping = threading.Lock()  # one thread may stop while another closes

    def wait(self, longest_s: float | None = None) -> bool:
        """Whether there is something to read, an end or a stop, within the time."""
        return bool(self._poll.poll(None if longest_s is None else 1000 * longest_s))

    def read(self, n: int) -> bytes:
        """1 to n bytes, blocking until there is one; none at the end or after `stop`."""
        self.wait()
        return b"" if self._stopped else os.read(self._descriptor, n)

    def stop(self) -> None:
        """Makes `read` return nothing, now and ever after."""
        with self._stopping:
            if not self._stopped:
                self._stopped = True
                os.write(self._wake_in, b"!")

    def close(self) -> None:
        """Gives back what `stop` needs; nobody may be reading."""
        with self._stopping:
            self._stopped = True
            os.close(self._wake_out)
            os.close(self._wake_in)


class Child:
    """A running command in a process group of its own; SourceError when it cannot be started.

    It is `told` some bytes on standard input: what nobody shall read in the list of processes. `on_line` gets each line
    of its standard error, in the thread that drains it.
    """

    def __init__(
        self, command: Sequence[str], *, told: bytes = b"", on_line: Callable[[bytes], None] | None = None
    ) -> None:
        assert len(told) <= select.PIPE_BUF, "more than a pipe takes at once"
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            why = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
            raise SourceError(command[0], why.lower(), "a program that can run") from None
        assert self._process.stdout
        assert self._process.stderr
        self._stdout, self._stderr = self._process.stdout, self._process.stderr
        self.out = PipeReader(self._stdout.fileno())
        self._complaints = PipeReader(self._stderr.fileno())
        self._tail, self._on_line = b"", on_line
        if self._process.stdin:
            with suppress(BrokenPipeError), self._process.stdin as ear:
                ear.write(told)
        self._drain = threading.Thread(target=self._keep_tail, daemon=True)
        self._drain.start()

    def wait(self, longest_s: float) -> int | None:
        """The exit code, or None when it still runs after the time."""
        try:
            return self._process.wait(longest_s)
        except subprocess.TimeoutExpired:
            return None

    def complaint(self) -> str:
        """The last line that it wrote to standard error, perhaps empty."""
        self.hear_out()
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:200] if lines else ""

    def hear_out(self) -> None:
        """Waits for what a child that has ended still had to say; a moment only, if what it started lives on."""
        self._drain.join(1.0)

    def end(self, *, gently: bool = True) -> None:
        """Ends it and all that it started, with a chance to tidy up or not; from any thread, and twice if need be."""
        steps = [(signal.SIGTERM, TERM_WAIT_S)] if gently else []
        for sent, longest_s in (*steps, (signal.SIGKILL, KILL_WAIT_S)):
            try:
                os.killpg(self._process.pid, sent)
            except ProcessLookupError:
                break
            except PermissionError:  # it runs as somebody else: letting go of its pipes is all that we can do
                continue
            self.wait(longest_s)
        if self.wait(0) is None:
            log.error("process %d cannot be ended and is abandoned", self._process.pid)
        self.out.stop()
        self._complaints.stop()

    def close(self) -> None:
        """Gives back its pipes; after `end`, when nobody reads any more."""
        self._drain.join(1.0)
        for reader, pipe in ((self.out, self._stdout), (self._complaints, self._stderr)):
            reader.close()
            pipe.close()

    def _keep_tail(self) -> None:
        rest = b""
        while data := self._complaints.read(65_536):
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            if self._on_line:
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-LONGEST_LINE:]
                for line in lines:
                    self._on_line(line[-LONGEST_LINE:])
        if self._on_line and rest:
            self._on_line(rest)
