"""A wall clock that is ahead of the machine's by the seconds in the file FAKE_CLOCK, which may change at any time.

Python imports this module at its start. The clock of the machine and the monotonic clock do not change.
"""

import os
import time

_machine_ns = time.time_ns


def _time_ns() -> int:
    with open(os.environ["FAKE_CLOCK"]) as file:
        return _machine_ns() + 1_000_000_000 * int(file.read())


def _time() -> float:
    return _time_ns() / 1e9


if "FAKE_CLOCK" in os.environ:
    time.time_ns, time.time = _time_ns, _time
