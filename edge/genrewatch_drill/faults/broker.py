"""Faults of brokers and of other clients, each with its own daemon and broker; and an output that is not read."""

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from genrewatch_drill.faults.context import TIMEOUT_S, Context
from genrewatch_drill.faults.row import Row
from genrewatch_drill.rig.daemon import NODE, DaemonConfig, DaemonProcess
from genrewatch_drill.rig.results import CheckFailed, Outcome
from genrewatch_drill.servers.scripted_broker import ScriptedBroker, publish_packet, scripted_broker
from genrewatch_drill.servers.subscriber import Subscriber

SOURCES = [f"line-{number}" for number in range(6)]
RECEIVE_MAXIMUM = 10
SETTLED_S = 5.0
"""A connection that lasts this much longer is not ended by what was published."""
ROOT = f"genrewatch/{NODE}"


def _config(sources: Sequence[str] = SOURCES) -> DaemonConfig:
    return DaemonConfig(sources=[{"id": name, "uri": "demo:"} for name in sources])


def _limited(name: str, fault: str, line: str, check: Callable[[DaemonProcess], str]) -> Row:
    """Return the row of a Mosquitto with a limit: states of all sources arrive on one connection."""

    def play(context: Context) -> Outcome:
        with DaemonProcess(context.directory / name, _config(), broker_lines=[line]) as daemon:
            for source in SOURCES:
                state = daemon.messages.wait(
                    source, "state", lambda body: bool(body.get("segments")), within_s=TIMEOUT_S
                )
            health = daemon.messages.wait("", "health", since=state.at + SETTLED_S, within_s=TIMEOUT_S).body
            if health["mqtt"]["connections"] != 1:
                raise CheckFailed(f"{health['mqtt']['connections']} connections")
            return Outcome(seen=f"{len(SOURCES)} states on one connection; {check(daemon)}")

    return Row(name=name, fault=fault, own_daemon=True, play=play, needs=("mosquitto",))


def _degraded(words: str) -> Callable[[DaemonProcess], str]:
    def check(daemon: DaemonProcess) -> str:
        lines = _newest_health(daemon)["degraded"]
        if not any(words in line for line in lines):
            raise CheckFailed(f"{words!r} is not in degraded: {lines}")
        return f"degraded: {words}"

    return check


def _newest_health(daemon: DaemonProcess) -> Mapping[str, Any]:
    return daemon.messages.of("", "health")[-1].body


def _larger_left_out(daemon: DaemonProcess) -> str:
    """Check that what is larger than the limit, if anything, is logged once and listed in `degraded`."""
    lines = [line for line in daemon.stderr_lines if "refuses" in line]
    listed = [line for line in _newest_health(daemon)["degraded"] if "larger than its limit" in line]
    if len(lines) > 1 or len(lines) != len(listed):
        raise CheckFailed(f"{len(lines)} lines, {listed} in degraded")
    return f"degraded: {listed[0]}" if listed else "everything fits"


def _scripted(
    name: str, fault: str, rules: Callable[[], ScriptedBroker], check: Callable[[ScriptedBroker], str]
) -> Row:
    """Return the row of a scripted broker: messages of all sources arrive, and go on arriving."""

    def play(context: Context) -> Outcome:
        with scripted_broker(rules()) as broker:
            url = f"mqtt://127.0.0.1:{broker.port}"
            with DaemonProcess(context.directory / name, _config(), url=url):
                for source in SOURCES:
                    broker.wait_for(f"{source}/votes", TIMEOUT_S)
                count = _healths(broker)
                broker.wait_until(lambda: _healths(broker) >= count + SETTLED_S, TIMEOUT_S)
            return Outcome(seen=check(broker))

    return Row(name=name, fault=fault, own_daemon=True, play=play)


def _healths(broker: ScriptedBroker) -> int:
    return sum(topic.endswith("/health") for topic in list(broker.topics))


def _receive_maximum() -> ScriptedBroker:
    connack = b"\x21" + struct.pack(">H", RECEIVE_MAXIMUM)
    return ScriptedBroker(connack=connack, receive_maximum=RECEIVE_MAXIMUM, ack_delay_s=0.02)


def _check_in_flight(broker: ScriptedBroker) -> str:
    if broker.exceeded or broker.connections != 1:
        raise CheckFailed(f"exceeded {broker.exceeded} times on {broker.connections} connections")
    return f"at most {broker.most_in_flight} messages in flight"


def _check_reconnected(broker: ScriptedBroker) -> str:
    if broker.connections > 2:
        raise CheckFailed(f"{broker.connections} connections")
    return f"published on, {broker.connections} connections"


def _foreign() -> Row:
    """Return the row of a client that publishes a retained `offline` on topics of the node."""
    name, source = "foreign-offline", SOURCES[0]

    def play(context: Context) -> Outcome:
        with DaemonProcess(context.directory / name, _config([source])) as daemon:
            assert daemon.broker
            daemon.messages.wait(source, "availability", lambda body: body["online"], within_s=TIMEOUT_S)
            with Subscriber(daemon.broker.port, lambda message: None) as other:
                fault_at = time.monotonic()
                for topic in (f"{ROOT}/status", f"{ROOT}/{source}/availability"):
                    other.publish(topic, "offline", retain=True)
            wait = partial(daemon.messages.wait, test=lambda body: body["online"], since=fault_at, within_s=TIMEOUT_S)
            mended_at = max(wait("", "status").at, wait(source, "availability").at)
        return Outcome(seen="put right", recovered_s=mended_at - fault_at)

    return Row(name=name, fault="another client retains offline", own_daemon=True, play=play, needs=("mosquitto",))


def _twins() -> Row:
    """Return the row of two nodes with one id: both stay connected, and one reports the other."""
    name = "twins"

    def play(context: Context) -> Outcome:
        with ExitStack() as daemons:
            first = daemons.enter_context(DaemonProcess(context.directory / name, _config(SOURCES[:1])))
            assert first.broker
            config, url = _config(SOURCES[1:2]), first.broker.url
            second = daemons.enter_context(DaemonProcess(context.directory / f"{name}-2", config, url=url))
            began, lines = time.monotonic(), list[str]()
            while not lines:
                if time.monotonic() > began + TIMEOUT_S:
                    raise CheckFailed("no line reports the other node")
                time.sleep(0.2)
                lines = [line for line in [*first.stderr_lines, *second.stderr_lines] if "another client" in line]
            took_s = time.monotonic() - began
            for source in SOURCES[:2]:
                first.messages.wait(source, "state", since=time.monotonic(), within_s=TIMEOUT_S)
        return Outcome(seen=f"reported after {took_s:.0f} s, both publish")

    return Row(name=name, fault="two nodes with one id", own_daemon=True, play=play, needs=("mosquitto",))


def _unread() -> Row:
    """Return the row of a reader of standard output that stops reading: everything else goes on."""
    name = "unread"

    def play(context: Context) -> Outcome:
        config = DaemonConfig(sources=[{"id": "line", "uri": "demo:?pace=max"}])
        with DaemonProcess(context.directory / name, config, unread=True) as daemon:
            health = daemon.messages.wait(
                "",
                "health",
                lambda body: any("its reader has not read" in line for line in body["degraded"]),
                within_s=TIMEOUT_S,
            )
            later = daemon.messages.wait(
                "", "health", lambda body: body["segments"] > health.body["segments"], within_s=TIMEOUT_S
            )
        return Outcome(seen=f"degraded reports it, {later.body['segments']} segments")

    return Row(name=name, fault="reader of stdout stops reading", own_daemon=True, play=play, needs=("mosquitto",))


ROWS = (
    _scripted(
        "receive-maximum",
        f"broker with Receive Maximum {RECEIVE_MAXIMUM}",
        _receive_maximum,
        _check_in_flight,
    ),
    _limited("packet-size", "broker with Maximum Packet Size 4096", "max_packet_size 4096", _larger_left_out),
    _limited("no-retain", "broker that retains nothing", "retain_available false", _degraded("retains nothing")),
    _limited("qos-0", "broker with QoS 0 only", "max_qos 0", _degraded("QoS 0")),
    _scripted(
        "not-utf-8",
        "PUBLISH whose topic is not UTF-8",
        lambda: ScriptedBroker(first_packets=[publish_packet(b"genrewatch/\xff/\xfe", b"x")]),
        _check_reconnected,
    ),
    _foreign(),
    _twins(),
    _unread(),
)
