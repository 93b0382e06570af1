"""Real servers for tests, on free loopback ports: Mosquitto, a client that watches it, and a gate that hates MQTT 5."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

READY_S = 10.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def mosquitto_program(name: str = "mosquitto") -> str:
    """Where Mosquitto is; a test that needs it fails without."""
    package = "mosquitto" if name == "mosquitto" else "mosquitto-clients or mosquitto"
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    assert found, f"{name} is not installed: apt install {package}"
    return found


class Mosquitto:
    """A Mosquitto that can be started, killed and started again on the same port; it keeps nothing on disk."""

    def __init__(self, directory: Path, *, lines: Sequence[str] = ("allow_anonymous true",)) -> None:
        """`lines` follow the listener in the configuration file, which `directory` holds."""
        self.port = free_port()
        self.lines = list(lines)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> "Mosquitto":
        """Starts it and waits until it accepts connections."""
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "mosquitto.conf"
        user = ["user root"] if os.geteuid() == 0 else []  # else it could not read what a test wrote
        config.write_text("\n".join([*user, f"listener {self.port} 127.0.0.1", *self.lines, ""]))
        output = (self._directory / "mosquitto.log").open("ab")
        with output:
            self._process = subprocess.Popen(
                [mosquitto_program(), "-v", "-c", str(config)], stdout=output, stderr=output
            )
        wait_for_port(self.port, alive=lambda: self._process is not None and self._process.poll() is None)
        return self

    def kill(self) -> None:
        """Ends it without a word to its clients."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Lets it hang: connections stay open, nothing answers, until `kill`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def log(self) -> str:
        """What it has said, for looking at after a failure."""
        return (self._directory / "mosquitto.log").read_text(errors="replace")

    def __enter__(self) -> "Mosquitto":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def wait_for_port(port: int, *, alive: Callable[[], bool] = lambda: True) -> None:
    """Returns once something accepts connections on 127.0.0.1:`port`."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and alive():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")


def wait_until_closed(port: int) -> None:
    """Returns once nothing accepts connections on 127.0.0.1:`port` any more."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError(f"something still listens on port {port}")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A message as a subscriber got it."""

    topic: str
    payload: str
    retain: bool
    qos: int
    properties: dict[str, Any]


class Watcher:
    """A subscriber to everything. The retain flag is set on what the broker had kept, not on what is said now."""

    def __init__(self, port: int, *, v5: bool = True, login: tuple[str, str] | None = None) -> None:
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        if login:
            self._client.username_pw_set(*login)
        self._port = port
        self._subscribed = threading.Event()
        self._messages: queue.Queue[Seen] = queue.Queue()
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()

    def __enter__(self) -> "Watcher":
        wait_for_port(self._port)
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(READY_S), "the broker did not take the subscription"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def next(self, topic_end: str, timeout_s: float = 10.0) -> Seen:
        """The next message whose topic ends so; those before it are dropped."""
        return self.until(lambda seen: seen.topic.endswith(topic_end), timeout_s)

    def until(self, wanted: Callable[[Seen], bool], timeout_s: float = 10.0) -> Seen:
        """The next message that is `wanted`; those before it are dropped."""
        others: list[Seen] = []
        end = time.monotonic() + timeout_s
        while True:
            try:
                seen = self._messages.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no such message in {timeout_s} s, only {others}") from None
            if wanted(seen):
                return seen
            others.append(seen)

    def settled(self) -> list[Seen]:
        """All that has come until a message sent now comes back."""
        topic, seen = "settled/here", list[Seen]()
        self._client.publish(topic, "", qos=1)
        while not seen or seen[-1].topic != topic:
            seen.append(self._messages.get(timeout=READY_S))
        return seen[:-1]

    def publish(self, topic: str, payload: str) -> None:
        """Says something to everyone."""
        self._client.publish(topic, payload, qos=1).wait_for_publish(READY_S)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        properties = vars(message.properties) if message.properties is not None else {}
        self._messages.put(
            Seen(
                topic=message.topic,
                payload=message.payload.decode(),
                retain=message.retain,
                qos=message.qos,
                properties=properties,
            )
        )


@contextmanager
def no_mqtt_5(broker_port: int, refusal: bytes) -> Iterator[int]:
    """A gate before a broker, which answers a CONNECT of version 5 with `refusal` and hangs up; yields its port.

    `b""` is a broker that hangs up without a word; `20 02 00 01` one that knows 3.1.1; `20 03 00 84 00` one of MQTT 5
    that has it switched off.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=gate, args=(server.accept()[0],), daemon=True).start()

        def gate(client: socket.socket) -> None:
            with client, suppress(OSError):
                first = client.recv(4096)
                if first[first.index(b"MQTT") + 4] == 5:
                    client.sendall(refusal)
                    return
                with socket.create_connection(("127.0.0.1", broker_port)) as broker:
                    broker.sendall(first)
                    threading.Thread(target=pump, args=(broker, client), daemon=True).start()
                    pump(client, broker)

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(4096):
                    sink.sendall(data)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


class Gate:
    """A way to a broker that can be shut and opened: shut, it is as if the broker had died, and the broker sees all."""

    def __init__(self, broker_port: int) -> None:
        self.port = free_port()
        self._broker_port = broker_port
        self._server: socket.socket | None = None
        self._ways: list[socket.socket] = []

    @property
    def url(self) -> str:
        """The broker's address through the gate."""
        return f"mqtt://127.0.0.1:{self.port}"

    def open(self) -> "Gate":
        """Lets through whoever comes."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self._server,), daemon=True).start()
        return self

    def shut(self) -> None:
        """Cuts off everybody, and lets nobody in."""
        ways, self._ways = self._ways, []
        for way in [*([self._server] if self._server else []), *ways]:
            with suppress(OSError):
                way.shutdown(socket.SHUT_RDWR)
            way.close()
        self._server = None

    def _serve(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
                self._ways += [client, broker]
                for one, other in ((client, broker), (broker, client)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "Gate":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.shut()
