"""`genrewatch clean-mqtt`: deletes a node's retained messages, which would keep its device in Home Assistant.

An empty retained message deletes the retained message of its topic. The topics are found by subscribing to all below
`<base>/<node>` and to the node's discovery topic.
"""

import argparse
import os
import queue
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch.daemon.config import load_config
from genrewatch.host.node import node_id, state_directory
from genrewatch.sinks.mqtt.client import Callbacks, Message, MqttClient, Outcome, Received, connect
from genrewatch.sinks.mqtt.config import MqttConfig, check_id, tls_context

LOCAL_BROKER = "mqtt://localhost"
ANSWER_S = 5.0
"""Longest time that a broker may take for one answer."""
QUIET_S = 0.3
"""Some brokers send retained messages late; after this time without any, all have arrived."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; options here override it")
    parser.add_argument("--mqtt", metavar="URL", help="mqtt://HOST[:PORT] or mqtts://... (default the file's)")
    parser.add_argument("--node", metavar="ID", help="node to delete (default this machine's)")
    parser.add_argument("--base", metavar="BASE", help="first level of the topics (default genrewatch)")
    parser.add_argument("--discovery-prefix", metavar="P", help="Home Assistant's (default homeassistant)")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")
    parser.add_argument("--force", action="store_true", help="even while the node is online")


def run(args: argparse.Namespace) -> int:
    """Delete a node's retained messages and print their topics; return 1 when the broker keeps some nevertheless.

    Raises ConfigError when there is no broker, when it does not show this login what it keeps, and while the node is
    online, unless forced: its daemon would publish everything again.
    """
    config, node = _settings(args)
    with _open(config, node) as broker:
        kept = broker.kept()
        if kept.get(f"{broker.root}/status") == b"online" and not (args.force or args.dry_run):
            raise ConfigError(node, "is online and would publish everything again", "its daemon stopped, or --force")
        print(*sorted(kept), sep="\n", end="\n" if kept else "")
        if args.dry_run:
            print(f"{_topics(kept)} of {node} would be removed")
            return 0
        broker.forget(kept)
        left = broker.kept()
    print(f"{_topics(kept.keys() - left.keys())} of {node} removed")
    if left:
        print(f"genrewatch: still there, may this login write to it? {', '.join(sorted(left))}", file=sys.stderr)
    return 1 if left else 0


def _settings(args: argparse.Namespace) -> tuple[MqttConfig, str]:
    """Return the settings of the file, overridden by the command line, and the node."""
    config = load_config(args.config)
    given = {"url": args.mqtt, "base": args.base, "discovery_prefix": args.discovery_prefix}
    mqtt = replace(config.mqtt, **{key: value for key, value in given.items() if value is not None})
    if mqtt.url == "auto":
        mqtt = replace(mqtt, url=LOCAL_BROKER)
    node = args.node or config.node or _kept_node()
    return mqtt.with_environment(os.environ), check_id(node, "--node")


def _kept_node() -> str:
    directory = state_directory()
    if not (directory / "node_id").exists():
        raise ConfigError("node", f"no id is kept in {directory}", "--node ID")
    return node_id(directory)


@dataclass(frozen=True, kw_only=True)
class _Broker:
    """A connection to a broker and the topics of one node."""

    client: MqttClient
    inbox: "queue.SimpleQueue[Received]"
    root: str
    discovery: str
    """Topic of the node's discovery payload."""

    def kept(self) -> dict[str, bytes]:
        """Return the retained payloads by topic; messages published meanwhile are ignored."""
        end = f"{self.root}/clean/{secrets.token_hex(4)}"
        self.client.subscribe([f"{self.root}/#", self.discovery])
        self.client.publish(Message(topic=end, payload=b"", qos=1))
        kept: dict[str, bytes] = {}
        ended, deadline = False, time.monotonic() + ANSWER_S
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                received = self.inbox.get(timeout=left_s)
            except queue.Empty:
                break
            if received.retain and received.payload:
                kept[received.topic] = received.payload
            elif received.topic != end:
                continue  # published meanwhile; such messages never end
            ended = ended or received.topic == end
            deadline = time.monotonic() + (QUIET_S if ended else ANSWER_S)
        if not ended:
            found = f"no answer from {self.root}/#"
            raise ConfigError("mqtt", found, "a login that may read and write there")
        return kept

    def forget(self, topics: Iterable[str]) -> None:
        """Delete retained messages; that of discovery always, as its payload may be too long to receive."""
        for topic in [self.discovery, *(topic for topic in topics if topic != self.discovery)]:
            info = self.client.publish(Message(topic=topic, payload=b"", qos=1, retain=True))
            if info is not None:
                info.wait_for_publish(ANSWER_S)


@contextmanager
def _open(config: MqttConfig, node: str) -> Iterator[_Broker]:
    inbox: queue.SimpleQueue[Received] = queue.SimpleQueue()
    name, callbacks = f"genrewatch-clean-{secrets.token_hex(4)}", Callbacks(on_message=inbox.put)
    client, outcome = connect(config, name, None, tls_context(config), callbacks)
    if outcome is not Outcome.CONNECTED:
        raise ConfigError("mqtt.url", f"{outcome.value} at {config.endpoint} ({client.why})")
    try:
        discovery = f"{config.discovery_prefix}/device/{node}/config"
        yield _Broker(client=client, inbox=inbox, root=f"{config.base}/{node}", discovery=discovery)
    finally:
        client.close()


def _topics(topics: Iterable[str]) -> str:
    number = len(list(topics))
    return f"{number} retained topic{'' if number == 1 else 's'}"
