"""The signals of the daemon: SIGTERM and SIGINT stop it, SIGHUP reloads it, or stops it if its terminal is gone."""

import os
import signal
from collections.abc import Callable
from types import FrameType


def handle_signals(stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """Call `stop` or `reload` on signals, from the main thread; a SIGHUP that is ignored, as by nohup, stays so."""
    has_terminal = _terminal_answers()

    def on_stop(number: int, frame: FrameType | None) -> None:
        stop()

    def on_hang_up(number: int, frame: FrameType | None) -> None:
        if has_terminal and not _terminal_answers():
            stop()
        else:
            reload()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, on_hang_up)


def _terminal_answers() -> bool:
    """Return whether this process has a terminal that has not hung up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
