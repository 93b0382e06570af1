"""A real Mosquitto on a free loopback port, and a subscriber that takes down all that the daemon publishes there."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from genrewatch.contract.errors import SourceError
from genrewatch_drill.rig.record import Kind, Record, Said

READY_S = 15.0
NODE = "drill"
_PLACES = os.pathsep.join(["/usr/sbin", "/usr/local/sbin"])
_KINDS: dict[str, Kind] = {"availability": "availability", "state": "state", "votes": "segment"}


def find_program(name: str) -> str | None:
    """Where a program is, /usr/sbin included, or None."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), _PLACES]))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns once a process accepts connections on 127.0.0.1:`port`; SourceError when it ends or takes too long."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SourceError(str(process.args), f"does not listen on port {port}", "a server that starts")


class Mosquitto:
    """A broker that keeps nothing, and a subscriber to everything; what it hears goes into a record."""

    def __init__(self, directory: Path, record: Record) -> None:
        """Starts both; `directory` holds the configuration and the log."""
        self._record = record
        port = free_port()
        self.url = f"mqtt://127.0.0.1:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "mosquitto.conf"
        user = ["user root"] if os.geteuid() == 0 else []  # else it could not read what root wrote
        config.write_text("\n".join([*user, f"listener {port} 127.0.0.1", "allow_anonymous true", ""]))
        with (directory / "mosquitto.log").open("ab") as log:
            command = [find_program("mosquitto") or "mosquitto", "-c", str(config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(port, self._process)
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._take_down
        self._client.on_connect = lambda client, *_: client.subscribe(f"genrewatch/{NODE}/#", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """Ends both."""
        self._client.disconnect()
        self._client.loop_stop()
        self._process.terminate()
        self._process.wait()

    def _take_down(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        at, levels, text = time.monotonic(), message.topic.split("/")[2:], message.payload.decode()
        source, last = ("", levels[0]) if len(levels) == 1 else (levels[0], levels[1])
        if last == "status":
            self._record.add(Said(at=at, kind="status", source="", body={"online": text == "online"}))
        elif last == "availability":
            self._record.add(Said(at=at, kind="availability", source=source, body={"online": text == "online"}))
        elif last == "health" or last in _KINDS:
            body: dict[str, Any] = json.loads(text)
            self._record.add(Said(at=at, kind=_KINDS.get(last, "health"), source=source, body=body))


def take_down_line(line: str, record: Record) -> None:
    """The same for a line of `listen --json`, which is a verdict and a segment in one."""
    at, body = time.monotonic(), json.loads(line)
    source = body.get("source", "")
    if "availability" in body:
        body = {"online": body["availability"] == "online", "why": body["why"]}
        record.add(Said(at=at, kind="availability", source=source, body=body))
    elif "reason" in body:
        if "start_s" in body:
            record.add(Said(at=at, kind="segment", source=source, body=body))
        record.add(Said(at=at, kind="state", source=source, body=body))
    elif "title" in body:
        record.add(Said(at=at, kind="state", source=source, body={"reason": None, **body}))
