"""Brokers other than Mosquitto on a free loopback port, as they are installed; the tests of absent ones are skipped."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import accepts, free_port, wait_for_port, wait_until_closed

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
AEDES = """
const { Aedes } = require("aedes");
Aedes.createBroker().then((broker) => require("net").createServer(broker.handle).listen(+process.argv[1], "127.0.0.1"));
"""


class Peer:
    """A broker in a process group of its own; it can be killed, restarted, frozen and thawed."""

    def __init__(self, command: list[str], port: int, environment: Mapping[str, str] | None = None) -> None:
        self._command, self._environment, self.port = command, {**os.environ, **(environment or {})}, port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(3):  # RabbitMQ needs up to 20 s
            try:
                return wait_for_port(self.port, self._process)
            except Exception:
                if self._process.poll() is not None:
                    raise
        raise AssertionError(f"nothing listens on port {self.port}")

    def kill(self) -> None:
        """Send SIGKILL to all its processes."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            wait_until_closed(self.port)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes, such as SIGSTOP and SIGCONT."""
        assert self._process
        os.killpg(self._process.pid, number)


@contextmanager
def rabbitmq(directory: Path) -> Iterator[Peer]:
    """RabbitMQ with its MQTT plugin; no retained messages for wildcards."""
    if not RABBITMQ.exists():
        pytest.skip("RabbitMQ is not installed")
    port, epmd_port = free_port(), str(free_port())
    (directory / "plugins").write_text("[rabbitmq_mqtt].\n")
    (directory / "rabbit.conf").write_text(f"listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:{port}\n")
    environment = {
        "HOME": str(directory),
        "RABBITMQ_NODENAME": f"peer{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbit.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": epmd_port,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    try:
        yield Peer([str(RABBITMQ)], port, environment)
    finally:
        if accepts(int(epmd_port)):  # Erlang's port mapper is a daemon of its own
            subprocess.run(["epmd", "-port", epmd_port, "-kill"], stdout=subprocess.DEVNULL)


@contextmanager
def aedes(directory: Path) -> Iterator[Peer]:
    """Aedes, the broker of Node-RED and others: `npm install aedes`, and NODE_PATH for the modules."""
    node = shutil.which("node")
    if not node or subprocess.run([node, "-e", "require('aedes')"], capture_output=True).returncode:
        pytest.skip("aedes is not installed (npm install aedes; NODE_PATH)")
    port = free_port()
    yield Peer([node, "-e", AEDES, str(port)], port)


@contextmanager
def amqtt(directory: Path) -> Iterator[Peer]:
    """The embedded broker of the demo."""
    pytest.importorskip("amqtt")
    port = free_port()
    yield Peer([sys.executable, "-P", "-m", "genrewatch.sinks.mqtt.broker", str(port)], port)


@contextmanager
def mosquitto(directory: Path) -> Iterator[Mosquitto]:
    """The broker of the other tests."""
    yield Mosquitto(directory)


BROKERS: dict[str, Callable[[Path], object]] = {
    "mosquitto": mosquitto,
    "rabbitmq": rabbitmq,
    "aedes": aedes,
    "amqtt": amqtt,
}
