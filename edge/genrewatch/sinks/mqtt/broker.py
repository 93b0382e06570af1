"""Finds a broker to publish to. `auto` takes the one on this machine, or else starts a small one of our own.

The embedded broker is amqtt (MQTT 3.1.1, extra `demo`) in a child process, so that the daemon stays small. It listens
on the loopback interface only, keeps nothing on disk, and ends when our end of its standard input closes, that is
also when we are killed.
"""

import asyncio
import importlib.util
import logging
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from genrewatch.contract.errors import ConfigError
from genrewatch.host.environment import child_environment
from genrewatch.sinks.mqtt.client import Outcome, connect
from genrewatch.sinks.mqtt.config import MqttConfig, Protocol, parse_url, tls_context

PORT = 1883
START_S = 20.0
STOP_S = 3.0


@dataclass(frozen=True, kw_only=True)
class OpenBroker:
    """A broker to publish to."""

    url: str
    """`mqtt://` or `mqtts://`."""
    sentence: str
    """What it is, for people."""
    protocol: Protocol
    """The version it is known to speak, or `auto`."""

    def apply(self, config: MqttConfig) -> MqttConfig:
        """`config` with this broker's address, and its version where that is known."""
        return replace(config, url=self.url, protocol=config.protocol if self.protocol == "auto" else self.protocol)

    def watch(self, base: str, node: str) -> str:
        """The command that shows what a node publishes."""
        host, port, _ = parse_url(self.url)
        return f"mosquitto_sub -h {host} -p {port} -t '{base}/{node}/#' -v"


@contextmanager
def open_broker(
    url: str, *, username: str | None = None, password: str | None = None, port: int = PORT
) -> Iterator[OpenBroker]:
    """Turns `auto` into a broker on localhost, for as long as the context lasts; any other url passes through.

    Raises ConfigError for a url that is none, and when `auto` finds no broker and cannot start one.
    """
    if url != "auto":
        endpoint = parse_url(url)
        yield OpenBroker(url=url, sentence=f"the broker at {endpoint}", protocol="auto")
    elif answers("localhost", port, username, password):
        url = f"mqtt://localhost:{port}"
        yield OpenBroker(url=url, sentence=f"the broker that answers on localhost:{port}", protocol="auto")
    else:
        with embedded_broker(port) as actual:
            sentence = f"an embedded demo broker on 127.0.0.1:{actual} (MQTT 3.1.1, forgets all when we stop)"
            yield OpenBroker(url=f"mqtt://127.0.0.1:{actual}", sentence=sentence, protocol="3.1.1")


def answers(host: str, port: int, username: str | None = None, password: str | None = None) -> bool:
    """Whether a broker completes a CONNECT with this login."""
    config = MqttConfig(url=f"mqtt://{host}:{port}", username=username, password=password, protocol="3.1.1")
    try:
        try_broker(config)
    except ConfigError:
        return False
    return True


def try_broker(config: MqttConfig) -> str:
    """Connects, hangs up and says in which version that was; raises ConfigError with the broker's word if it fails.

    It does so under a name of its own, since a broker throws out whoever has the same name.
    """
    client, outcome = connect(config, f"genrewatch-try-{secrets.token_hex(4)}", None, tls_context(config))
    client.close()
    if outcome is not Outcome.CONNECTED:
        raise ConfigError("mqtt.url", f"{outcome.value} at {config.endpoint} ({client.why})")
    return f"{config.endpoint} lets us in, MQTT {client.protocol}"


@contextmanager
def embedded_broker(port: int = PORT) -> Iterator[int]:
    """Runs amqtt on 127.0.0.1 in a child process, on `port` if that is free; yields the port."""
    if importlib.util.find_spec("amqtt") is None:
        raise ConfigError(
            "mqtt.url",
            f"auto, but no broker answers on localhost:{port} and the embedded one is not installed",
            "`pip install genrewatch[demo]`, a running mosquitto, --mqtt URL or --mqtt none",
        )
    actual = _free_port(port)
    with subprocess.Popen(
        [sys.executable, "-m", "genrewatch.sinks.mqtt.broker", str(actual)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,  # Ctrl-C is for us: the broker must outlive our farewell
    ) as child:
        try:
            _wait_ready(child, actual)
            yield actual
        finally:
            _stop(child)


def _wait_ready(child: subprocess.Popen[bytes], port: int) -> None:
    assert child.stdout is not None
    watchdog = threading.Timer(START_S, child.kill)
    watchdog.start()
    word = child.stdout.readline().decode(errors="replace").strip()
    watchdog.cancel()
    if word != "ready":
        raise ConfigError("mqtt.url", f"auto, but the embedded broker did not start on port {port} ({word})")


def _stop(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _free_port(wanted: int) -> int:
    """`wanted` if it can be bound on 127.0.0.1, else any that can."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            actual: int = probe.getsockname()[1]
            return actual
    raise ConfigError("mqtt.url", "auto, but no port of 127.0.0.1 can be bound")


async def _serve(port: int) -> None:
    """The child: runs the broker until standard input ends."""
    from amqtt.broker import Broker

    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    pipelines = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    try:
        await Broker({"listeners": pipelines, "plugins": anonymous}).start()
    except Exception as exc:  # whatever it is, the parent says it in one line
        print(" ".join(str(exc).split()), flush=True)
        return
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(int(sys.argv[1])))
