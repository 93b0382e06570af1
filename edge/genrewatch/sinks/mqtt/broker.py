"""The broker to publish to: `auto` takes the one on this machine, or else starts an embedded one.

The embedded broker is amqtt (MQTT 3.1.1, extra `demo`) in a child process, so that the daemon stays small. It listens
on the loopback interface only, keeps nothing on disk, and exits when its standard input closes, so also when the
daemon is killed.
"""

import asyncio
import importlib.util
import logging
import secrets
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from genrewatch.contract.errors import ConfigError
from genrewatch.host.environment import child_environment
from genrewatch.sinks.mqtt.attempt import connect
from genrewatch.sinks.mqtt.client import Callbacks, MqttClient, Outcome
from genrewatch.sinks.mqtt.config import MqttConfig, Protocol, parse_url, tls_context
from genrewatch.sinks.mqtt.message import Message
from genrewatch.sinks.mqtt.refusals import Refusals
from genrewatch.sinks.mqtt.topics import Topics

PORT = 1883
START_S = 20.0
ANSWER_S = 5.0
"""Longest wait for the reply to a publish or a subscription."""
STOP_S = 3.0


class BrokerAbsent(ConfigError):
    """No broker answers at the address."""


@dataclass(frozen=True, kw_only=True)
class OpenBroker:
    """A broker to publish to."""

    url: str
    """A URL as `MqttConfig` takes it."""
    description: str
    """Description for people."""
    protocol: Protocol
    """MQTT version that it supports, or `auto` if unknown."""

    def apply(self, config: MqttConfig) -> MqttConfig:
        """Return `config` with this broker's address, and its version if known."""
        return replace(config, url=self.url, protocol=config.protocol if self.protocol == "auto" else self.protocol)

    def watch(self, config: MqttConfig, node: str) -> str:
        """Return the command that shows what a node publishes, with PASSWORD in place of a password."""
        host, port, tls, path = parse_url(self.url)
        topic = f"{config.base}/{node}/#"
        if path is not None:
            return f"an MQTT client with WebSockets, topic '{topic}'"  # mosquitto_sub has none
        words = ["mosquitto_sub", "-h", host, "-p", str(port), *(_tls_words(config) if tls else [])]
        if config.username is not None:
            words += ["-u", config.username]
        if config.password is not None:
            words += ["-P", "PASSWORD"]
        return f"{shlex.join(words)} -t '{topic}' -v"


def _tls_words(config: MqttConfig) -> list[str]:
    """Return the options of mosquitto_sub for the certificates; with the system's authorities it needs a word."""
    words = ["--cafile", config.ca_file] if config.ca_file else ["--tls-use-os-certs"]
    words += ["--cert", config.cert_file] if config.cert_file else []
    return words + (["--key", config.key_file or config.cert_file] if config.cert_file else [])


@contextmanager
def open_broker(
    url: str, *, username: str | None = None, password: str | None = None, port: int = PORT
) -> Iterator[OpenBroker]:
    """Find or start a broker on localhost for `auto`, while the context lasts; any other url is used as it is.

    Where there is none and the embedded one is not installed, it is the address at which one may appear. Raises
    ConfigError for a string that is not a url, and when the embedded broker does not start.
    """
    if url != "auto":
        endpoint = parse_url(url)
        yield OpenBroker(url=url, description=f"the broker at {endpoint}", protocol="auto")
    elif answers("localhost", port, username, password):
        url = f"mqtt://localhost:{port}"
        yield OpenBroker(url=url, description=f"the broker that answers on localhost:{port}", protocol="auto")
    elif importlib.util.find_spec("amqtt") is None:
        description = f"no broker answers on localhost:{port}: listening goes on, and it is tried again"
        yield OpenBroker(url=f"mqtt://localhost:{port}", description=description, protocol="auto")
    else:
        with embedded_broker(port) as actual:
            description = f"an embedded demo broker on 127.0.0.1:{actual} (MQTT 3.1.1, keeps nothing on disk)"
            yield OpenBroker(url=f"mqtt://127.0.0.1:{actual}", description=description, protocol="3.1.1")


def answers(host: str, port: int, username: str | None = None, password: str | None = None) -> bool:
    """Return True if a broker accepts a CONNECT with this login."""
    config = MqttConfig(url=f"mqtt://{host}:{port}", username=username, password=password, protocol="3.1.1")
    try:
        try_broker(config)
    except ConfigError:
        return False
    return True


def try_broker(config: MqttConfig) -> str:
    """Connect, disconnect, and return address and MQTT version; raises ConfigError with the broker's reason on failure.

    The client id is random, since a broker disconnects a client whose id is used again.
    """
    with _connected(config, Refusals()) as client:
        return f"{config.endpoint} accepts the login, MQTT {client.protocol}"


def check_access(config: MqttConfig, node: str) -> list[str]:
    """Subscribe and publish on topics of `node`; return what the broker refuses or does not support, a line each.

    The messages, on `<base>/<node>/doctor` and as discovery of a source `doctor`, are empty and not retained. MQTT
    3.1.1 reports no refused message. Raises ConfigError when there is no connection.
    """
    topics = Topics(root=f"{config.base}/{node}", node=node, discovery_prefix=config.discovery_prefix)
    refusals = Refusals(logs=False)
    with _connected(config, refusals) as client:
        client.subscribe(client.limits.filters([topics.listen_commands], [topics.listen_commands_of("doctor")]))
        wanted = [f"{topics.root}/doctor"]
        wanted += [topics.source_discovery("doctor", b"").topic] if config.discovery else []
        sent = [client.publish(Message(topic=topic, payload=b"", qos=1)) for topic in wanted]
        published = [info for info in sent if info is not None]
        for info in published:
            info.wait_for_publish(ANSWER_S)
        if not client.subacks.arrived.wait(ANSWER_S) or not all(info.is_published() for info in published):
            return ["the broker accepts the login and answers no publish or subscription"]
        return [*refusals.lines(), *client.limits.problems()]


@contextmanager
def _connected(config: MqttConfig, refusals: Refusals) -> Iterator[MqttClient]:
    callbacks = Callbacks(refusals=refusals)
    client, outcome = connect(config, f"genrewatch-try-{secrets.token_hex(4)}", None, tls_context(config), callbacks)
    try:
        if outcome is not Outcome.CONNECTED:
            error = BrokerAbsent if outcome is Outcome.UNREACHABLE else ConfigError
            raise error("mqtt.url", f"{outcome.value} at {config.endpoint} ({client.why})")
        yield client
    finally:
        client.close()


@contextmanager
def embedded_broker(port: int = PORT) -> Iterator[int]:
    """Run amqtt on 127.0.0.1 in a child process, on `port` if that is free; yields the port."""
    actual = _free_port(port)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "genrewatch.sinks.mqtt.broker", str(actual)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,  # Ctrl-C stops the daemon, whose last messages still need the broker
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
    answer = child.stdout.readline().decode(errors="replace").strip()
    watchdog.cancel()
    if answer != "ready":
        raise ConfigError("mqtt.url", f"auto, but the embedded broker did not start on port {port} ({answer})")


def _stop(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _free_port(wanted: int) -> int:
    """Return `wanted` if it can be bound on 127.0.0.1, else any free port."""
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
    """Run the broker in the child process until standard input ends."""
    from amqtt.broker import Broker

    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    pipelines = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    try:
        await Broker({"listeners": pipelines, "plugins": anonymous}).start()
    except Exception as exc:  # the parent reports any error in one line
        print(" ".join(str(exc).split()), flush=True)
        return
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(int(sys.argv[1])))
