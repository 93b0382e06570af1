"""The newest of every source: its published messages, its last ballots, and what the metrics count."""

import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genrewatch.contract.bundle import Manifest
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.mqtt.message import Message
from genrewatch.sinks.mqtt.payload import Payloads
from genrewatch.sinks.mqtt.source_states import SourceStates
from genrewatch.sinks.mqtt.topics import ON, ONLINE, Topics
from genrewatch.sinks.web.event_streams import EventStreams


@dataclass(frozen=True, kw_only=True)
class SourceLabel:
    """The names of a source."""

    name: str
    """Display name."""
    kind: str
    """Kind of its URI: mic, file, demo ..."""


@dataclass(kw_only=True)
class LiveSource:
    """One source as the page and the metrics see it."""

    label: SourceLabel
    online: bool = False
    listening: bool = True
    state: bytes | None = None
    """Payload of the newest state."""
    votes: bytes | None = None
    """Payload of the votes of the newest segment."""
    result: SegmentResult | None = None
    """The newest segment; None once no sound arrives."""
    result_at: float | None = None
    """Time of the newest segment, seconds since 1970."""
    ballots: deque[str] = field(default_factory=lambda: deque[str](maxlen=9))
    """Labels of the last ballots, oldest first."""
    verdict: str = "warming_up"
    """The genre, or the reason why there is none."""
    end: int = 0
    """End of the newest segment of this stream, samples."""
    lost: int = 0
    """Samples lost in this stream."""
    airtime_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict[str, float](float))
    """Seconds of sound by verdict."""
    ballot_counts: Counter[str] = field(default_factory=Counter)
    event_counts: Counter[str] = field(default_factory=Counter)

    def begin_stream(self, pipeline: Pipeline) -> None:
        """Start again at position 0."""
        self.end = self.lost = 0
        self.ballots = deque(self.ballots, maxlen=pipeline.vote.segments)

    def add(self, result: SegmentResult, at: float) -> None:
        """Count a segment."""
        lost = result.lost - self.lost
        begin = self.end if self.end else result.start
        self.verdict = result.verdict.genre or result.verdict.reason
        self.airtime_s[self.verdict] += max(0, result.end - begin - lost) / result.sample_rate
        self.end, self.lost, self.result, self.result_at = result.end, result.lost, result, at
        self.ballots.append(result.ballot.label)
        self.ballot_counts[result.ballot.label] += 1

    def end_sound(self, reason: str) -> None:
        """Note that no sound arrives."""
        self.verdict, self.result = reason, None
        self.ballots.clear()

    def fields(self, source_id: str) -> dict[str, Any]:
        """Return the source as the API has it."""
        return {
            "id": source_id,
            "name": self.label.name,
            "kind": self.label.kind,
            "online": self.online,
            "listening": self.listening,
            "ballots": list(self.ballots),
            "segments": self.ballots.maxlen,
            "state": None if self.state is None else json.loads(self.state),
            "votes": None if self.votes is None else json.loads(self.votes),
        }


class LiveSources:
    """All sources; the messages that MQTT would publish of them go to `streams` and are kept.

    It stands in for a broker's connection: `SourceStates` publishes through it, so that API and MQTT agree.
    """

    protocol = "5"
    """Messages may expire and be retained."""

    def __init__(self, labels: Mapping[str, SourceLabel], streams: EventStreams) -> None:
        self._sources = {source_id: LiveSource(label=label) for source_id, label in labels.items()}
        self._streams = streams
        self.lock = threading.RLock()
        """Held while a source changes."""

    def __getitem__(self, source_id: str) -> LiveSource:
        """Return a source; KeyError for an unknown one."""
        return self._sources[source_id]

    def set_labels(self, labels: Mapping[str, SourceLabel]) -> None:
        """Know these sources from now on, in this order; the others are forgotten, with their counts."""
        before, self._sources = self._sources, {key: LiveSource(label=label) for key, label in labels.items()}
        for source_id in before.keys() & labels.keys():
            self._sources[source_id] = replace(before[source_id], label=labels[source_id])

    def items(self) -> Sequence[tuple[str, LiveSource]]:
        """Return all sources with their ids."""
        return list(self._sources.items())

    def publish(self, message: Message) -> None:
        """Keep a message of a source and send it to the viewers."""
        _, source_id, name = message.topic.split("/")
        source = self._sources.get(source_id)
        if source is None:
            return
        with self.lock:
            if name == "availability":
                source.online = message.payload == ONLINE
                payload = json.dumps({"source": source_id, "online": source.online}).encode()
            elif name == "listen":
                source.listening = message.payload == ON
                payload = json.dumps({"source": source_id, "listening": source.listening}).encode()
            else:
                payload = message.payload
            if name == "state":
                source.state = payload
            if name == "votes":
                source.votes = payload
            self._streams.publish(name, payload)


def source_states(
    config: MqttConfig, payloads: Payloads, live: LiveSources, model: Manifest, persistent_state: PersistentState
) -> SourceStates:
    """Return the states of all sources, published to `live` as MQTT publishes them to a broker."""
    topics = Topics(root="", node=payloads.node, discovery_prefix="")
    return SourceStates(config, topics, payloads, live, model=model, persistent_state=persistent_state)
