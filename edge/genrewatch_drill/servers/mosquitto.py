"""A real Mosquitto on a free loopback port; it can be killed and restarted, and keeps nothing on disk."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from genrewatch.contract.errors import GenrewatchError
from genrewatch_drill.servers.ports import free_port, wait_for_port
from genrewatch_drill.servers.programs import require_program


class Mosquitto:
    """A broker that always restarts on the same port, with an empty store; a context manager."""

    def __init__(
        self, directory: Path, *, lines: Sequence[str] = ("allow_anonymous true",), verbose: bool = True
    ) -> None:
        """`directory` receives the configuration file and the log; `lines` follow the listener in the file."""
        self.port = free_port()
        self.lines = list(lines)
        self._directory, self._verbose = directory, verbose
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address that a node is configured with."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, None while the broker does not run."""
        return self._process.pid if self._process else None

    def start(self) -> "Mosquitto":
        """Start the broker and wait until it accepts connections; GenrewatchError when it does not."""
        program = require_program("mosquitto")
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "mosquitto.conf"
        user = ["user root"] if os.geteuid() == 0 else []  # another user could not read files written by root
        config.write_text("\n".join([*user, f"listener {self.port} 127.0.0.1", *self.lines, ""]))
        command = [program, *(["-v"] if self._verbose else []), "-c", str(config)]
        with (self._directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(self.port, self._process)
        return self

    def kill(self) -> None:
        """Send SIGKILL: clients see a closed connection and no DISCONNECT."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Send SIGSTOP: connections stay open and nothing answers, until `kill`."""
        if self._process is None:
            raise GenrewatchError("mosquitto", "does not run", "a call of start first")
        self._process.send_signal(signal.SIGSTOP)

    def log(self) -> str:
        """Return the broker's log, for a failure's message."""
        return (self._directory / "mosquitto.log").read_text(errors="replace")

    def __enter__(self) -> "Mosquitto":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
