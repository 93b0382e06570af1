"""Resource limits: many open files for the daemon, a bounded address space for each child."""

import errno
import fcntl
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 65_536
CHILD_ADDRESS_SPACE = 4 * 2**30
"""Bytes of a child's address space: more than any player maps, less than an endless allocation takes."""
DECODER_ADDRESS_SPACE = 2**30
"""The same for ffmpeg, which maps about 300 MB."""
CHILD_OOM_SCORE = 500
"""The kernel ends a child before the daemon when memory runs out."""
CHILD_PROCESSES = 512
RESERVED = 64
"""Descriptors that sources leave for broker, history, page and hooks."""
LOW_DESCRIPTORS = 1024
"""Descriptors below this number are left to libraries that use `select`, which knows no higher ones."""

_files_before = resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_open_files() -> int:
    """Raise the soft limit of open files as far as the hard limit allows; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return soft


@dataclass(frozen=True, kw_only=True)
class ChildLimits:
    """Limits of one child and of all that it starts; None for no limit."""

    address_space: int = CHILD_ADDRESS_SPACE
    """Bytes."""
    cpu_s: int | None = None
    """Seconds of processor time."""
    file_bytes: int | None = None
    """Bytes of the largest file that it writes."""
    processes: int = CHILD_PROCESSES
    """Processes and threads that this user may have beyond those of the whole machine now; root has no such limit."""


CHILD_LIMITS = ChildLimits()
"""Those of a source's child."""


def limit_child(pid: int, limits: ChildLimits) -> None:
    """Bound a child that has just started, on Linux. Only soft limits are set, which a program may raise for itself."""
    if sys.platform != "linux":
        return
    values = {
        resource.RLIMIT_AS: limits.address_space,
        resource.RLIMIT_NOFILE: _files_before[0],
        resource.RLIMIT_NPROC: _tasks() + limits.processes,
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_FSIZE: limits.file_bytes,
    }
    with suppress(OSError, ValueError):  # it has ended, or runs as another user
        for kind, value in values.items():
            if value is not None:
                soft, hard = resource.prlimit(pid, kind)
                allowed = [limit for limit in (value, soft, hard) if limit != resource.RLIM_INFINITY]
                resource.prlimit(pid, kind, (min(allowed), hard))
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(CHILD_OOM_SCORE))


def require_free_descriptors() -> None:
    """Raise OSError when no more than `RESERVED` descriptors are left, on Linux."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sys.platform == "linux" and soft != resource.RLIM_INFINITY and _open_files() > soft - RESERVED:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return sys.maxsize


def _tasks() -> int:
    """Return the number of processes and threads on this machine."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def move_high(descriptor: int) -> int:
    """Return a descriptor for the same file at a high number, where the limit allows one; the old one is closed."""
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOW_DESCRIPTORS)
    except OSError:
        return descriptor
    os.close(descriptor)
    return high
