"""Resource limits: many open files for the daemon, a bounded address space for each child."""

import fcntl
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

MAX_FILES = 65_536
CHILD_ADDRESS_SPACE = 4 * 2**30
"""Bytes of a child's address space: more than any player maps, less than an endless allocation takes."""
DECODER_ADDRESS_SPACE = 2**30
"""The same for ffmpeg, which maps about 300 MB."""
CHILD_OOM_SCORE = 500
"""The kernel ends a child before the daemon when memory runs out."""
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


def limit_child(pid: int, address_space: int) -> None:
    """Bound a child that has just started, on Linux. Only soft limits are set, which a program may raise for itself."""
    if sys.platform != "linux":
        return
    with suppress(OSError, ValueError):  # it has ended, or runs as another user
        _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        soft = address_space if hard == resource.RLIM_INFINITY else min(hard, address_space)
        resource.prlimit(pid, resource.RLIMIT_AS, (soft, hard))
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_files_before[0], hard))
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(CHILD_OOM_SCORE))


def move_high(descriptor: int) -> int:
    """Return a descriptor for the same file at a high number, where the limit allows one; the old one is closed."""
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOW_DESCRIPTORS)
    except OSError:
        return descriptor
    os.close(descriptor)
    return high
