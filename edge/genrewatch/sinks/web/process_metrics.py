"""The metrics `process_*` that Prometheus' own client libraries give, read from /proc."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from genrewatch.sinks.web.openmetrics import Family

PROC = Path("/proc")


def process_families() -> Iterator[Family]:
    """Yield processor time, memory, file descriptors and threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = Family(name="process_cpu_seconds", kind="counter", help="Processor time.")
    cpu.add(round(used.ru_utime + used.ru_stime, 3))
    limit = Family(name="process_max_fds", kind="gauge", help="Limit of open file descriptors.")
    limit.add(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from (cpu, limit)
    try:
        yield from _from_proc()
    except (OSError, ValueError, IndexError):  # no /proc, as in a container that hides it
        return


def _from_proc() -> Iterator[Family]:
    fields = (PROC / "self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    boot = next(line for line in (PROC / "stat").read_text(encoding="utf-8").splitlines() if line.startswith("btime"))
    for name, value, text in (
        ("process_start_time_seconds", int(boot.split()[1]) + int(fields[19]) / ticks, "Start of this process."),
        ("process_resident_memory_bytes", int(fields[21]) * page, "Resident memory."),
        ("process_virtual_memory_bytes", int(fields[20]), "Virtual memory."),
        ("process_open_fds", len(os.listdir(PROC / "self/fd")), "Open file descriptors."),
        ("process_threads", int(fields[17]), "Threads."),
    ):
        family = Family(name=name, kind="gauge", help=text)
        family.add(value)
        yield family
