"""The daemon does not wait for the reader of its output: real pipes that no process drains, a real broker."""

import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest
from tests.servers import Watcher

from genrewatch_drill.servers.mosquitto import Mosquitto

LONGEST_S = 60.0
LISTEN = [sys.executable, "-m", "genrewatch", "listen", "--source", "demo:?pace=max&loop=yes"]


def undrained_pipe() -> tuple[int, int]:
    """A pipe that is full after 4 kB."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    return out, into


@pytest.mark.slow
def test_readers_of_stdout_and_stderr_that_stop_reading_stop_nothing_else(tmp_path):
    config = tmp_path / "listen.toml"
    config.write_text("health_s = 1.0\n")
    environment = {**os.environ, "GENREWATCH_STATE": str(tmp_path / "state")}
    out, stdout = undrained_pipe()
    err, stderr = undrained_pipe()
    os.write(stderr, b"x" * 4000)
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        command = [*LISTEN, "--config", str(config), "--mqtt", broker.url, "--node", "box", "--json"]
        daemon = subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr)
        seen = watcher.until(
            lambda seen: (
                seen.topic == "genrewatch/box/health"
                and sum(": its reader has not read for " in line for line in json.loads(seen.payload)["degraded"]) == 2
            ),
            LONGEST_S,
        )
        health = json.loads(seen.payload)
        later = watcher.until(
            lambda seen: (
                seen.topic == "genrewatch/box/health" and json.loads(seen.payload)["segments"] > health["segments"]
            ),
            LONGEST_S,
        )
        assert json.loads(later.payload)["lines_dropped"]["stdout"] >= 0
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0
    for descriptor in (out, stdout, err, stderr):
        os.close(descriptor)
