"""A real daemon with a configuration file that a test changes, and `genrewatch reload`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genrewatch.host.running import running_nodes

LONGEST_S = 40.0
PLAYER = "import sys,time\nwhile True:\n sys.stdout.buffer.write(bytes(4410)); sys.stdout.flush(); time.sleep(0.02)"
"""Writes 16-bit samples in at most five times real time."""
HEAD = "[web]\nenabled = false\n[level]\nsilence_dbfs = -90.0\n"


def player(source_id: str, uri: str = "", **more: Any) -> str:
    """A `[[source]]` table of a program that plays without end."""
    uri = uri or f"cmd:{sys.executable} -c '{PLAYER}'?rate=22050"
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return f"[[source]]\nid = {json.dumps(source_id)}\nuri = {json.dumps(uri)}\n{keys}"


class Daemon:
    """The running `genrewatch listen --json`."""

    def __init__(self, directory: Path, process: subprocess.Popen[str], environment: dict[str, str]) -> None:
        self.directory, self.process, self._environment = directory, process, environment

    def write(self, *tables: str, mqtt: str = 'url = "none"\n') -> None:
        """Write the configuration."""
        (self.directory / "config.toml").write_text("".join(tables) + f"[mqtt]\n{mqtt}{HEAD}")

    def reload(self, *tables: str, mqtt: str = 'url = "none"\n') -> subprocess.CompletedProcess[str]:
        """Write the configuration, and reload it by the command."""
        self.write(*tables, mqtt=mqtt)
        command = [sys.executable, "-m", "genrewatch", "reload"]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60)

    def segments(self, source_id: str) -> list[dict[str, Any]]:
        """The segments of a source so far."""
        lines = [json.loads(line) for line in (self.directory / "out").read_text().splitlines(keepends=True)[:-1]]
        return [line for line in lines if line["source"] == source_id and "start_s" in line]

    def until_more(self, source_id: str, count: int = 2) -> None:
        """Wait until a source has given `count` more segments."""
        wanted = len(self.segments(source_id)) + count
        until(lambda: len(self.segments(source_id)) >= wanted)

    @property
    def log(self) -> str:
        return (self.directory / "err").read_text()


def until(condition: Any) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.03)


@contextmanager
def running_daemon(directory: Path, *tables: str, mqtt: str = 'url = "none"\n', **more: Any) -> Iterator[Daemon]:
    """Run a daemon as node `box` with its state in `directory`, until it takes signals."""
    state = directory / "state"
    environment = {**os.environ, "GENREWATCH_STATE": str(state)}
    command = [sys.executable, "-m", "genrewatch", "listen", "--json", "--node", "box"]
    command += ["--config", str(directory / "config.toml")]
    with open(directory / "out", "w") as out, open(directory / "err", "w") as err:
        daemon = Daemon(directory, None, environment)  # type: ignore[arg-type]
        daemon.write(*tables, mqtt=mqtt)
        daemon.process = subprocess.Popen(command, env=environment, stdout=out, stderr=err, text=True, **more)
    try:
        until(lambda: (state.exists() and running_nodes(state).get("box")) or daemon.process.poll() is not None)
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.process.terminate()
        daemon.process.wait(20)
