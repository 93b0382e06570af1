"""The C library's heap, kept small in a process with many threads."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # glibc's malloc.h
ARENAS = 2
OWN_MAPPING_BYTES = 2**18
"""Above what the front end needs for one call, so that long blocks are returned to the system and it stays fast."""


def limit_heap() -> None:
    """Let threads share two arenas, and give every large array a mapping that is unmapped when it is freed.

    By default glibc has eight arenas a processor, each of which keeps the most that its threads ever had, and it stops
    unmapping arrays of a size that was freed once. Other C libraries have no `mallopt` and are left as they are.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)
