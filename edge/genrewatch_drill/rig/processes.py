"""Memory, processor time, threads, descriptors and children of a process, from /proc."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Resources of a process at one time."""

    rss_mb: float
    """Resident memory."""
    threads: int
    descriptors: int
    children: int
    """Running child processes."""
    zombies: int
    """Child processes that have ended and were not waited for."""


def footprint(pid: int) -> Footprint:
    """Return the resources that a process uses now; FileNotFoundError when it has ended."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    states = [state for child in children(pid) if (state := _state(child))]
    return Footprint(
        rss_mb=int(status["VmRSS"].split()[0]) / 1024,
        threads=int(status["Threads"]),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        children=sum(state != "Z" for state in states),
        zombies=sum(state == "Z" for state in states),
    )


class PeakMemory:
    """The peak memory of a process over a context."""

    EVERY_S = 0.1

    def __init__(self, pid: int) -> None:
        self._pid, self._stop = pid, threading.Event()
        self.first_mb = self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self.first_mb = self.peak_mb = footprint(self._pid).rss_mb
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(OSError):  # it has ended
            while not self._stop.wait(self.EVERY_S):
                self.peak_mb = max(self.peak_mb, footprint(self._pid).rss_mb)


def children(pid: int) -> list[int]:
    """Return the ids of child processes, zombies included."""
    found: list[int] = []
    for task in _listed(f"/proc/{pid}/task"):
        try:
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            continue  # the thread has ended meanwhile
    return found


def descendants(pid: int) -> list[int]:
    """Return the ids of child processes at any depth."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def peak_mb(pid: int) -> float:
    """Return the largest resident memory that a process has had; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process without its children; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main_thread_cpu_s(pid: int) -> float:
    """Return the same for a process of one thread, with a resolution of nanoseconds."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def is_running(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    return _state(pid) not in (None, "Z")


def describe_process(pid: int) -> str:
    """Return id, state, kernel wait channel and command line of a process, for a failure's message."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        waits = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return f"{pid} (has ended)"
    return f"{pid} ({_state(pid)}, {waits}): {command}"


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
