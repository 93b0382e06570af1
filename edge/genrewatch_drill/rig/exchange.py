"""A Mosquitto that is killed and started again, with a subscriber that is always there before the nodes are let in.

It keeps nothing on disk, so it comes back with an empty store. It hands each message on at once (no limit of messages
under way), before it acknowledges it: what it has acknowledged, the subscriber has got.
"""

import os
import subprocess
import threading
import time
from pathlib import Path

from genrewatch_drill.rig.broker import find_program, free_port, wait_for_port
from genrewatch_drill.rig.collector import Collector
from genrewatch_drill.rig.gate import Gate

CONFIG = """{user}listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
log_type error
log_type warning
"""


class Exchange:
    """Broker, subscriber and gate; a context that ends them all."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._port = directory, free_port()
        directory.mkdir(parents=True, exist_ok=True)
        user = "user root\n" if os.geteuid() == 0 else ""  # else it could not read what root wrote
        (directory / "mosquitto.conf").write_text(CONFIG.format(user=user, port=self._port))
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.collector, self.gate = Collector(), Gate()
        self.outages: list[tuple[float, float]] = []
        """(killed, open again) of each, on the monotonic clock."""
        self._killed_at = 0.0

    @property
    def url(self) -> str:
        """Where nodes find it."""
        return f"mqtt://127.0.0.1:{self.gate.port}"

    @property
    def port(self) -> int:
        """Of the broker itself."""
        return self._port

    @property
    def pid(self) -> int | None:
        """The broker's process, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the broker, subscribes, and lets the nodes in."""
        with self._lock:
            if self._process is not None:
                return
            with (self._directory / "mosquitto.log").open("ab") as log:
                command = [find_program("mosquitto") or "mosquitto", "-c", str(self._directory / "mosquitto.conf")]
                self._process = subprocess.Popen(command, stdout=log, stderr=log)
            wait_for_port(self._port, self._process)
            self.collector.connect(self._port)
            self.gate.open(self._port)
            if self._killed_at:
                self.outages.append((self._killed_at, time.monotonic()))

    def kill(self, *, frozen_s: float = 0.0, outward: bool = True) -> None:
        """SIGKILL, in the midst of whatever it does; nodes may have waited for a word of it for `frozen_s` before,
        and it may have heard nothing of theirs (`outward`) either."""
        with self._lock:
            if self._process is None:
                return
            self._killed_at = time.monotonic()
            if frozen_s:
                self.gate.freeze(outward=outward)
                time.sleep(frozen_s)
            self._process.kill()
            self._process.wait()
            self._process = None
            self.gate.close()
            self.collector.drop(gone=True)

    def __enter__(self) -> "Exchange":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.end()
        with self._lock:
            self.collector.drop(gone=False)
            if self._process is not None:
                self._process.terminate()
                self._process.wait()
