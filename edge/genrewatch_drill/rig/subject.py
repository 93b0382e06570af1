"""The daemon under test: `genrewatch listen --config FILE` as anybody starts it, heard over MQTT or its lines."""

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

from genrewatch.contract.errors import SourceError
from genrewatch_drill.rig.broker import NODE, Mosquitto, find_program, take_down_line
from genrewatch_drill.rig.proc import descendants, runs
from genrewatch_drill.rig.record import Record, Unmet

START_S, END_S, VANISH_S = 60.0, 30.0, 10.0


@dataclass(frozen=True, kw_only=True)
class Farewell:
    """How a daemon ended."""

    seconds: float
    """From the signal to its end."""
    code: int | None
    """Its exit code; None when it had to be killed."""
    left: list[int]
    """Processes that it had started and that outlived it."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the daemon's configuration file says."""

    sources: Sequence[Mapping[str, Any]]
    """`[[source]]` tables."""
    vote: Mapping[str, Any] = field(default_factory=dict)
    talkative: bool = True
    """Whether health and states come every second, and not as seldom as by default."""
    health_s: float | None = None
    """Seconds between health messages, if not as `talkative` says."""
    mqtt: Mapping[str, Any] = field(default_factory=dict)
    """What `[mqtt]` says beside where the broker is and how often."""
    history: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for the daemon and its children, over our own."""


class Subject:
    """A running daemon. What it says goes into `record`, the lines that it prints are kept."""

    def __init__(
        self,
        directory: Path,
        setting: Setting,
        *,
        mqtt: bool | None = None,
        record: Record | None = None,
        url: str | None = None,
    ) -> None:
        """Starts it, with a broker of its own if Mosquitto is installed (or as `mqtt` says), or for the one at `url`.

        Its state directory is `directory`/state: what one daemon leaves there, the next one there finds.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.record = record or Record()
        wants_mqtt = url is None and (find_program("mosquitto") is not None if mqtt is None else mqtt)
        self.broker = Mosquitto(directory / "broker", self.record) if wants_mqtt else None
        self.printed: list[str] = []
        self.complained: list[str] = []
        config = directory / "genrewatch.toml"
        config.write_text(_toml(setting, url or (self.broker.url if self.broker else "none")))
        self._reads_lines = url is None and self.broker is None
        command = [sys.executable, "-m", "genrewatch", "listen", "--config", str(config)]
        environment = {**os.environ, **setting.environment}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--json"] if self._reads_lines else command,
            env={**environment, "GENREWATCH_STATE": str(directory / "state")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.process.stdout
        assert self.process.stderr
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.printed), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.complained), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def until_listening(self) -> None:
        """Waits until it has read its configuration and model; SourceError when it ends instead."""
        deadline = time.monotonic() + START_S
        while not any(" sources: " in line for line in list(self.complained)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                last = self.complained[-1] if self.complained else "not a word"
                raise SourceError("the daemon under test", f"does not start: {last}")
            time.sleep(0.02)

    def lost_s(self, source: str) -> float:
        """Seconds of sound that the daemon says a source has lost."""
        said = self.record.of(source, "segment") + self.record.of(source, "state")
        health = [s.body["sources"][source]["lost_s"] for s in self.record.of("", "health")]
        return float(max([0.0, *health, *(s.body.get("lost_s") or 0.0 for s in said)]))

    def source_health(self, source: str) -> Mapping[str, Any]:
        """The latest that `health` says of a source; empty without a broker, since lines have no health."""
        said = self.record.of("", "health")
        found: Mapping[str, Any] = said[-1].body["sources"][source] if said else {}
        return found

    def check_alive(self) -> None:
        """Unmet when the daemon has ended."""
        if self.process.poll() is not None:
            last = self.complained[-1] if self.complained else "without a word"
            raise Unmet(f"the daemon has ended with code {self.process.returncode}: {last}")

    def end(self) -> Farewell:
        """SIGTERM; SIGKILL only when that does not help."""
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
        left = [pid for pid in started_by_it if runs(pid)]
        for reader in self._readers:
            reader.join(5)
        return Farewell(seconds=seconds, code=code, left=left)

    def ended(self, within_s: float) -> Farewell:
        """How it ended by itself; ended by SIGTERM when it does not in time."""
        begin = time.monotonic()
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return self.end()
        for reader in self._readers:
            reader.join(5)
        return Farewell(seconds=time.monotonic() - begin, code=code, left=[])

    def kill(self) -> list[int]:
        """SIGKILL; returns which of the processes that it had started have not vanished soon after it."""
        started_by_it = descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + VANISH_S
        while (left := [pid for pid in started_by_it if runs(pid)]) and time.monotonic() < deadline:
            time.sleep(0.01)
        for reader in self._readers:
            reader.join(5)
        return left

    def close(self) -> None:
        """Ends whatever still runs."""
        if self.process.poll() is None:
            self.end()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        if self.broker:
            self.broker.close()

    def __enter__(self) -> "Subject":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, pipe: IO[str], lines: list[str]) -> None:
        for line in pipe:
            if lines is self.printed and self._reads_lines:
                take_down_line(line, self.record)
            lines.append(line.rstrip("\n"))


def _toml(setting: Setting, url: str) -> str:
    health_s = setting.health_s or (1 if setting.talkative else None)
    lines = [f"node = {json.dumps(NODE)}", *([f"health_s = {health_s:g}"] if health_s else [])]
    lines += ["", "[mqtt]", f"url = {json.dumps(url)}", *(["heartbeat_s = 1"] if setting.talkative else [])]
    lines += _pairs(setting.mqtt)
    if setting.history:
        lines += ["", "[history]", *_pairs(setting.history)]
    if setting.vote:
        lines += ["", "[vote]", *_pairs(setting.vote)]
    for source in setting.sources:
        lines += ["", "[[source]]", *_pairs(source)]
    return "\n".join([*lines, ""])


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]
