"""Processes that a child has started in a session of their own, which a signal to its group does not reach.

As a subreaper (Linux) this process becomes the parent of every process whose own parent has ended. Each child carries a
mark in its environment, which its descendants inherit, so that they are known as its own.
"""

import ctypes
import itertools
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from genrewatch.host.guarded_thread import GuardedThread

MARK = "GENREWATCH_CHILD"
"""Environment variable that marks a child and all that it starts."""
PR_SET_CHILD_SUBREAPER = 36
REAP_S = 10.0
KILL_WAIT_S = 0.5
POLL_S = 0.01

_numbers = itertools.count(1)
_adopting = threading.Event()

log = logging.getLogger("genrewatch")


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, and reap those that end; nothing happens outside Linux."""
    if sys.platform != "linux" or _adopting.is_set():
        return
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        log.warning("orphaned processes cannot be adopted: a command that detaches itself may outlive its source")
        return
    _adopting.set()
    GuardedThread("orphans", _reap_for_ever).start()


def new_mark() -> str:
    """Return a value of `MARK` that no other child has."""
    return f"{os.getpid()}.{time.monotonic_ns()}.{next(_numbers)}"


def end_orphans(mark: str) -> None:
    """Kill the orphans that a child with this mark has left, and those that appear as their parents end."""
    deadline = time.monotonic() + KILL_WAIT_S
    while _adopting.is_set() and time.monotonic() < deadline:
        left = [pid for pid in _orphans() if _mark_of(pid) == mark]
        if not left:
            return
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)
        for pid in left:
            _reap(pid)


def reap_orphans() -> None:
    """Reap ended orphans; children that were started here are left to those who wait for them."""
    session = os.getsid(0)
    for pid in _orphans():
        state, group_session = _state(pid)
        if state == "Z" and group_session not in (session, pid):
            _reap(pid)


def _reap_for_ever() -> None:
    while True:
        time.sleep(REAP_S)
        reap_orphans()


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _orphans() -> list[int]:
    """Return the children of the main thread, to which Linux gives orphans; the others are those of other threads."""
    try:
        return list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:  # no descriptor is left
        return []


def _mark_of(pid: int) -> str | None:
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(MARK.encode() + b"="):
                return entry.partition(b"=")[2].decode(errors="replace")
    return None


def _state(pid: int) -> tuple[str, int]:
    """Return a process's state letter and session; "" and 0 when it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[3])
