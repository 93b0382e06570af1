"""A hook's command: run without a shell, told the event on standard input, and never at liberty to stay.

The event lies in a memory file, so that neither a command that does not read it nor one that reads it late holds
anybody up. What it prints is read away and only the end of it kept: the last line says why it failed.
"""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from genrewatch.contract.errors import os_error_reason
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import STOPPED, Outcome, without_secrets
from genrewatch.sinks.mqtt.config import PASSWORD_VARIABLE

TICK_S = 0.1  # how often a running command is looked at
TERM_WAIT_S = 0.5
KILL_WAIT_S = 0.5
TAIL_BYTES = 2000


class Command:
    """See `Action`; what a command leaves in the background is ended with it."""

    def __init__(self, words: Sequence[str], timeout_s: float) -> None:
        self._words, self._timeout_s = list(words), timeout_s
        self._stopping = threading.Event()

    def run(self, event: Event, body: bytes) -> Outcome:
        """See `Action`."""
        if self._stopping.is_set():
            return Outcome(why=STOPPED, again=True)
        try:
            process = self._start(event, body)
        except (OSError, ValueError) as exc:
            why = os_error_reason(exc)
            return Outcome(why=f"{self._words[0]}: {why}")
        assert process.stdout
        with process.stdout:
            said = self._watch(process, process.stdout.fileno())
            overrun = process.poll() is None
            _end_group(process)
        if overrun:
            return Outcome(why=STOPPED if self._stopping.is_set() else f"still running after {self._timeout_s:g} s")
        return Outcome(why=_why(process.returncode, said) if process.returncode else None)

    def stop(self) -> None:
        """See `Action`."""
        self._stopping.set()

    def _start(self, event: Event, body: bytes) -> subprocess.Popen[bytes]:
        with open(os.memfd_create("genrewatch-event"), "w+b") as told:
            told.write(body)
            told.seek(0)
            return subprocess.Popen(
                self._words,
                stdin=told,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(event),
                start_new_session=True,
            )

    def _watch(self, process: subprocess.Popen[bytes], output: int) -> bytes:
        """Reads what it says until it ends, its time is over or `stop`; the end of what it said."""
        poll = select.poll()
        poll.register(output, select.POLLIN | select.POLLHUP)
        deadline, tail, talks = time.monotonic() + self._timeout_s, b"", True
        while not self._stopping.is_set() and (left_s := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None  # what it leaves in the background may hold its output open
            wait_s = 0.0 if ended else min(TICK_S, left_s)
            if talks and poll.poll(1000 * wait_s):
                data = os.read(output, 65_536)  # as much as a pipe holds
                tail, talks = (tail + data)[-TAIL_BYTES:], bool(data)
            elif not talks:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(wait_s)
            if ended:
                break
        return tail


def _environment(event: Event) -> dict[str, str]:
    """Ours without the broker's password, and what a short script wants to know without reading JSON."""
    ours = {key: value for key, value in os.environ.items() if key != PASSWORD_VARIABLE}
    return {
        **ours,
        "GENREWATCH_EVENT": event.type,
        "GENREWATCH_SOURCE": event.source,
        "GENREWATCH_GENRE": event.genre or "",
    }


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and all that it started: SIGTERM, and SIGKILL for what does not heed it."""
    for sent, longest_s in ((signal.SIGTERM, TERM_WAIT_S), (signal.SIGKILL, KILL_WAIT_S)):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        except PermissionError:  # it runs as somebody else: letting go of its output is all that we can do
            continue
        _wait_group(process, longest_s)


def _wait_group(process: subprocess.Popen[bytes], longest_s: float) -> None:
    """Returns when nobody is left in its process group, or after the time."""
    deadline = time.monotonic() + longest_s
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.01)


def _why(code: int, said: bytes) -> str:
    """`exit code 3: no such host`, from the exit code and the end of the output."""
    how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return without_secrets(f"{how}: {lines[-1]}" if lines else how)
