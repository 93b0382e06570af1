"""The metrics `process_*` that Prometheus' own client libraries give, read from /proc."""

import os
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from genrewatch.sinks.web.openmetrics import Family, Kind

PROC = Path("/proc")


class ProcessStatus:
    """The numbers of /proc/self/stat after the name of the command."""

    def __init__(self) -> None:
        text = (PROC / "self/stat").read_text(encoding="utf-8")
        self._fields = text.rpartition(")")[2].split()

    def __getitem__(self, number: int) -> int:
        """Return a field, counted as in proc(5) from 3 on."""
        return int(self._fields[number - 3])

    def started(self) -> float:
        """Return the start of the process, seconds since 1970."""
        lines = (PROC / "stat").read_text(encoding="utf-8").splitlines()
        boot = next(line for line in lines if line.startswith("btime"))
        return int(boot.split()[1]) + self[22] / os.sysconf("SC_CLK_TCK")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round(used.ru_utime + used.ru_stime, 3)


PROCESS: Sequence[tuple[str, Kind, str, Callable[[], float]]] = (
    ("process_cpu_seconds", "counter", "Processor time.", _cpu_seconds),
    (
        "process_max_fds",
        "gauge",
        "Limit of open file descriptors.",
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    ),
    ("process_start_time_seconds", "gauge", "Start of this process.", lambda: ProcessStatus().started()),
    (
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory.",
        lambda: ProcessStatus()[24] * os.sysconf("SC_PAGE_SIZE"),
    ),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory.", lambda: ProcessStatus()[23]),
    ("process_open_fds", "gauge", "Open file descriptors.", lambda: len(os.listdir(PROC / "self/fd"))),
    ("process_threads", "gauge", "Threads.", lambda: ProcessStatus()[20]),
)
"""Name, kind, meaning and reader of each."""


def process_families() -> Iterator[Family]:
    """Yield what can be read; without /proc, as in a container that hides it, only processor time and limit."""
    for name, kind, text, read in PROCESS:
        family = Family(name=name, kind=kind, help=text)
        try:
            family.add(read())
        except (OSError, ValueError, IndexError):
            continue
        yield family
