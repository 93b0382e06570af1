"""A child process that cannot outlive its parent, even while it hangs inside a library and its parent was killed."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def kill_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends; elsewhere a closed pipe must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
