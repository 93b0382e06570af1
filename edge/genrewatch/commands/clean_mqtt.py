"""`genrewatch clean-mqtt`: deletes a node's retained messages, which would keep its device in Home Assistant.

An empty retained message deletes the retained message of its topic. The topics are found by subscribing to all below
`<base>/<node>` and to the node's discovery topics. Some brokers (RabbitMQ) send no retained messages to such wildcards,
so the topics of every known source are subscribed to one by one, too: sources of the configuration, of this machine's
state, of `--source` and of the topics found.
"""

import argparse
import json
import os
import queue
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from genrewatch.contract.errors import ConfigError
from genrewatch.contract.ids import is_id
from genrewatch.daemon.config import load_config
from genrewatch.host.node import node_id, state_directory
from genrewatch.host.persistent_state import PersistentState
from genrewatch.sinks.mqtt.attempt import connect
from genrewatch.sinks.mqtt.client import Callbacks, MqttClient, Outcome
from genrewatch.sinks.mqtt.config import MqttConfig, check_id, tls_context
from genrewatch.sinks.mqtt.discovery import SOURCES
from genrewatch.sinks.mqtt.message import Message, Received
from genrewatch.sinks.mqtt.topics import ONLINE, Topics

LOCAL_BROKER = "mqtt://localhost"
AT_ONCE = 500
"""Messages that are published before their acknowledgements are awaited."""
ANSWER_S = 5.0
"""Longest time that a broker may take for one answer."""
LARGEST_PACKET = 4 * 1024 * 1024
"""Largest packet to receive, bytes: discovery of many sources was one message until 0.2."""
QUIET_S = 0.3
"""Some brokers send retained messages late; after this time without any, all have arrived."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; options here override it")
    parser.add_argument("--mqtt", metavar="URL", help="mqtt://HOST[:PORT], mqtts://..., ws://... (default the file's)")
    parser.add_argument("--node", metavar="ID", help="node to delete (default this machine's)")
    parser.add_argument("--base", metavar="BASE", help="first level of the topics (default genrewatch)")
    parser.add_argument("--discovery-prefix", metavar="P", help="Home Assistant's (default homeassistant)")
    parser.add_argument("--source", action="append", metavar="ID", help="a source that the node had; repeatable")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")
    parser.add_argument("--force", action="store_true", help="even while the node is online")


def run(args: argparse.Namespace) -> int:
    """Delete a node's retained messages and print their topics; return 1 when the broker keeps some nevertheless.

    Raises ConfigError when there is no broker, when it does not show this login what it keeps, and while the node is
    online, unless forced: its daemon would publish everything again.
    """
    config, node, sources = _settings(args)
    with _open(config, node, sources) as broker:
        kept = broker.kept()
        if kept.get(broker.topics.status(ONLINE).topic) == b"online" and not (args.force or args.dry_run):
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


def _settings(args: argparse.Namespace) -> tuple[MqttConfig, str, set[str]]:
    """Return the settings of the file, overridden by the command line, the node, and its known sources."""
    config = load_config(args.config)
    given = {"url": args.mqtt, "base": args.base, "discovery_prefix": args.discovery_prefix}
    mqtt = replace(config.mqtt, **{key: value for key, value in given.items() if value is not None})
    if mqtt.url == "auto":
        mqtt = replace(mqtt, url=LOCAL_BROKER)
    node = args.node or config.node or _kept_node()
    given_sources = [check_id(source, "--source") for source in args.source or ()]
    configured = [source.id for source in config.source if source.id]
    published: list[str] = PersistentState(state_directory() / f"memory-{check_id(node, '--node')}.json").get(
        SOURCES, []
    )
    return mqtt.with_environment(os.environ), node, {*given_sources, *configured, *filter(is_id, published)}


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
    topics: Topics
    sources: set[str]
    """Ids of the sources known so far."""

    def kept(self) -> dict[str, bytes]:
        """Return the retained payloads by topic; messages published meanwhile are ignored."""
        asked: set[str] = set()
        kept = self._ask([f"{self.topics.root}/#", *self.topics.retained_filters(discovery=True)])
        while new := set(self.topics.retained_topics(self.sources)) - asked:
            kept |= self._ask(sorted(new))
            asked |= new
            self.sources.update(_sources_in(kept, self.topics))
        return kept

    def _ask(self, filters: Sequence[str]) -> dict[str, bytes]:
        """Subscribe to `filters` and return the retained payloads that follow."""
        end = f"{self.topics.root}/clean/{secrets.token_hex(4)}"
        self.client.subscribe([*filters, end])
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
            found = f"no answer from {self.topics.root}/#"
            raise ConfigError("mqtt", found, "a login that may read and write there")
        return kept

    def forget(self, topics: Iterable[str]) -> None:
        """Delete retained messages; those of discovery always, as a payload may be too long to receive."""
        discovery = [self.topics.discovery(b"").topic]
        discovery += [self.topics.source_discovery(source, b"").topic for source in sorted(self.sources)]
        wanted = list(dict.fromkeys([*discovery, *topics]))
        for start in range(0, len(wanted), AT_ONCE):
            messages = [
                Message(topic=topic, payload=b"", qos=1, retain=True) for topic in wanted[start : start + AT_ONCE]
            ]
            for info in [self.client.publish(message) for message in messages]:
                if info is not None:
                    info.wait_for_publish(ANSWER_S)


@contextmanager
def _open(config: MqttConfig, node: str, sources: set[str]) -> Iterator[_Broker]:
    inbox: queue.SimpleQueue[Received] = queue.SimpleQueue()
    name, callbacks = f"genrewatch-clean-{secrets.token_hex(4)}", Callbacks(on_message=inbox.put)
    client, outcome = connect(config, name, None, tls_context(config), callbacks, largest_packet=LARGEST_PACKET)
    if outcome is not Outcome.CONNECTED:
        raise ConfigError("mqtt.url", f"{outcome.value} at {config.endpoint} ({client.why})")
    try:
        topics = Topics(root=f"{config.base}/{node}", node=node, discovery_prefix=config.discovery_prefix)
        yield _Broker(client=client, inbox=inbox, topics=topics, sources=sources)
    finally:
        client.close()


def _sources_in(kept: Mapping[str, bytes], topics: Topics) -> set[str]:
    """Return the sources that retained topics belong to, or that a discovery of the node names."""
    below = [topic.removeprefix(f"{topics.root}/") for topic in kept if topic.startswith(f"{topics.root}/")]
    found = {level.partition("/")[0] for level in below if "/" in level}
    try:
        announced = json.loads(kept.get(topics.discovery(b"").topic, b"{}"))["components"]
    except (ValueError, TypeError, KeyError):  # not a discovery of this program
        announced = {}
    found |= {str(key).partition(".")[0] for key in announced if "." in str(key)}
    return {source for source in found if is_id(source)}


def _topics(topics: Iterable[str]) -> str:
    number = len(list(topics))
    return f"{number} retained topic{'' if number == 1 else 's'}"
