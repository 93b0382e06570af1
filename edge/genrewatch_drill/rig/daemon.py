"""The daemon under test: `genrewatch listen --config FILE` as users start it, observed over MQTT or its JSON lines."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from paho.mqtt.client import MQTTMessage

from genrewatch.contract.errors import GenrewatchError
from genrewatch_drill.rig.messages import MessageLog, message_of_publish, messages_of_line
from genrewatch_drill.rig.processes import descendants, is_running
from genrewatch_drill.rig.results import CheckFailed
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.programs import find_program
from genrewatch_drill.servers.subscriber import Subscriber

NODE = "drill"
PIPE_BYTES = 4096
START_S, END_S, CHILDREN_END_S = 60.0, 30.0, 10.0


@dataclass(frozen=True, kw_only=True)
class DaemonExit:
    """The end of a daemon."""

    seconds: float
    """Seconds from the signal to the end."""
    code: int | None
    """Exit code; None when SIGKILL was necessary."""
    orphans: list[int]
    """Process ids of its descendants that outlived it."""


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """Contents of the daemon's configuration file, and its environment."""

    sources: Sequence[Mapping[str, Any]]
    """`[[source]]` tables."""
    vote: Mapping[str, Any] = field(default_factory=dict)
    every_second: bool = True
    """Publish health and states every second instead of at the default intervals."""
    health_s: float | None = None
    """Seconds between health messages; None follows `every_second`."""
    mqtt: Mapping[str, Any] = field(default_factory=dict)
    """`[mqtt]` beside `url` and `heartbeat_s`."""
    history: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables added to ours."""

    def toml(self, url: str) -> str:
        """Return the configuration file for a broker."""
        health_s = self.health_s or (1 if self.every_second else None)
        lines = [f"node = {json.dumps(NODE)}", *([f"health_s = {health_s:g}"] if health_s else [])]
        lines += ["", "[mqtt]", f"url = {json.dumps(url)}", *(["heartbeat_s = 1"] if self.every_second else [])]
        lines += _pairs(self.mqtt)
        lines += ["", "[web]", "enabled = false"]
        if self.history:
            lines += ["", "[history]", *_pairs(self.history)]
        if self.vote:
            lines += ["", "[vote]", *_pairs(self.vote)]
        for source in self.sources:
            lines += ["", "[[source]]", *_pairs(source)]
        return "\n".join([*lines, ""])


class DaemonProcess:
    """A running daemon; its messages go into `messages`, its lines are kept. A context manager."""

    def __init__(
        self,
        directory: Path,
        config: DaemonConfig,
        *,
        mqtt: bool | None = None,
        messages: MessageLog | None = None,
        url: str | None = None,
        broker_lines: Sequence[str] = (),
        unread: bool = False,
    ) -> None:
        """Start the daemon with the broker at `url`, or with its own if Mosquitto is installed (`mqtt` overrides this).

        `broker_lines` are added to the configuration of its own broker. With `unread`, it prints a line for each
        segment into a pipe of 4 kB that no program reads. The state directory is `directory`/state, which consecutive
        daemons share.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.messages = messages or MessageLog()
        own_broker = url is None and (find_program("mosquitto") is not None if mqtt is None else mqtt)
        lines = ("allow_anonymous true", *broker_lines)
        self.broker = Mosquitto(directory / "broker", lines=lines, verbose=False).start() if own_broker else None
        self._subscriber = self._subscribe(self.broker) if self.broker else None
        self.printed: list[str] = []
        """Lines of standard output."""
        self.stderr_lines: list[str] = []
        path = directory / "genrewatch.toml"
        path.write_text(config.toml(url or (self.broker.url if self.broker else "none")))
        self._reads_lines, self._unread = url is None and self.broker is None, unread
        self.started = time.monotonic()
        self.process = self._spawn(path, {**config.environment, "GENREWATCH_STATE": str(directory / "state")})
        assert self.process.stdout
        assert self.process.stderr
        pipes = [(self.process.stderr, self.stderr_lines), *([] if unread else [(self.process.stdout, self.printed)])]
        self._readers = [threading.Thread(target=self._read, args=pipe, daemon=True) for pipe in pipes]
        for reader in self._readers:
            reader.start()

    def wait_until_listening(self) -> None:
        """Wait until configuration and model are loaded; GenrewatchError when the daemon ends instead."""
        deadline = time.monotonic() + START_S
        while not any(" sources: " in line for line in list(self.stderr_lines)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise GenrewatchError("the daemon under test", f"does not start: {self.last_line}")
            time.sleep(0.02)

    @property
    def last_line(self) -> str:
        """The last line on standard error."""
        return self.stderr_lines[-1] if self.stderr_lines else "nothing on standard error"

    def lost_s(self, source: str) -> float:
        """Return the seconds of sound that a source has lost, as the daemon counts them."""
        bodies = [m.body for kind in ("segment", "state") for m in self.messages.of(source, kind)]
        health = [m.body["sources"][source]["lost_s"] for m in self.messages.of("", "health")]
        return float(max([0.0, *health, *(body.get("lost_s") or 0.0 for body in bodies)]))

    def hop_factor(self, source: str) -> int:
        """Return the largest factor by which the hop was lengthened, as the machine is too slow; 1 if unknown."""
        health = self.messages.of("", "health")
        factors: list[int] = [message.body["sources"][source]["hop_factor"] for message in health]
        return max(factors, default=1)

    def source_health(self, source: str) -> Mapping[str, Any]:
        """Return a source's part of the newest health; empty without a broker, because lines have no health."""
        health = self.messages.of("", "health")
        found: Mapping[str, Any] = health[-1].body["sources"][source] if health else {}
        return found

    def check_alive(self) -> None:
        """Raise CheckFailed when the daemon has ended."""
        if self.process.poll() is not None:
            raise CheckFailed(f"the daemon has ended with code {self.process.returncode}: {self.last_line}")

    def stop(self) -> DaemonExit:
        """Send SIGTERM, and SIGKILL after `END_S`."""
        started_by_it = descendants(self.process.pid)
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            code = None
            self.process.kill()
            self.process.wait()
        seconds = time.monotonic() - begin
        orphans = [pid for pid in started_by_it if is_running(pid)]
        self._join_readers()
        return DaemonExit(seconds=seconds, code=code, orphans=orphans)

    def wait_for_exit(self, within_s: float) -> DaemonExit:
        """Wait until the daemon ends by itself; stop it when it does not in time."""
        begin = time.monotonic()
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return self.stop()
        self._join_readers()
        return DaemonExit(seconds=time.monotonic() - begin, code=code, orphans=[])

    def kill(self) -> list[int]:
        """Send SIGKILL; return the descendants that still run `CHILDREN_END_S` later."""
        started_by_it = descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + CHILDREN_END_S
        while (orphans := [pid for pid in started_by_it if is_running(pid)]) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._join_readers()
        return orphans

    def close(self) -> None:
        """Stop everything that still runs."""
        if self.process.poll() is None:
            self.stop()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        if self._subscriber:
            self._subscriber.close()
        if self.broker:
            self.broker.kill()

    def __enter__(self) -> "DaemonProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _subscribe(self, broker: Mosquitto) -> Subscriber:
        subscriber = Subscriber(broker.port, self._on_publish, topics=[f"genrewatch/{NODE}/#"])
        subscriber.connect()
        return subscriber

    def _spawn(self, config: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "genrewatch", "listen", "--config", str(config)]
        return subprocess.Popen(
            [*command, "--json"] if self._reads_lines or self._unread else command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pipesize=PIPE_BYTES if self._unread else -1,
            text=True,
            errors="replace",
        )

    def _on_publish(self, publish: MQTTMessage) -> None:
        if message := message_of_publish(publish.topic, publish.payload):
            self.messages.add(message)

    def _read(self, pipe: IO[str], lines: list[str]) -> None:
        for line in pipe:
            if lines is self.printed and self._reads_lines:
                for message in messages_of_line(line):
                    self.messages.add(message)
            lines.append(line.rstrip("\n"))

    def _join_readers(self) -> None:
        for reader in self._readers:
            reader.join(5)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]
