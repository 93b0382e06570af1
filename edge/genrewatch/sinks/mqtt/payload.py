"""The JSON payloads of `state`, `event`, `votes` and `health`, each with the wall-clock time as `ts`.

Their fields are specified in `edge/genrewatch/schema/`: fields may be added, never changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from genrewatch.contract.bundle import Manifest
from genrewatch.contract.compact_json import compact_json
from genrewatch.contract.payload import SCHEMA_VERSION, rounded
from genrewatch.contract.verdict_text import verdict_text
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.inference.json_fields import level_fields, mix_fields, verdict_fields
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.events import Event, event_payload
from genrewatch.sources.source import NowPlaying


@dataclass(frozen=True, kw_only=True)
class Payloads:
    """Encodes the payloads of one node."""

    node: str
    top_k: int
    names: Mapping[str, str]
    """Display names by source id."""
    clock: Callable[[], datetime] = field(default=utc_now)

    def stamp(self) -> str:
        """Return the current time, RFC 3339 in UTC with milliseconds."""
        return rfc3339(self.clock())

    def state(
        self,
        source: str,
        seq: int,
        fields: Mapping[str, Any],
        playing: NowPlaying,
        model: Manifest,
        *,
        ts: str,
        since: str,
    ) -> bytes:
        """Encode a verdict; `fields` are those of `sound_fields` or `no_sound_fields`."""
        head = {"v": SCHEMA_VERSION, "node": self.node, "source": source, "name": self.names.get(source, source)}
        head |= {"seq": seq, "ts": ts}
        return _json(
            {
                **head,
                **fields,
                "text": verdict_text(fields["genre"], fields["reason"]),
                "station": playing.station,
                "title": playing.title,
                "since": since,
                "model": model.name,
                "version": model.version,
            }
        )

    def event(self, event: Event, model: Manifest) -> bytes:
        """Encode an event that happens now."""
        name, ts = self.names.get(event.source, event.source), self.stamp()
        return event_payload(event, node=self.node, name=name, ts=ts, model=model.name, version=model.version)

    def votes(self, source: str, result: SegmentResult, labels: Sequence[str]) -> bytes:
        """Encode a segment: its label, the `top_k` of its posterior (n_labels,), and the votes including it."""
        posterior = None
        if result.ballot.posterior is not None:
            best = result.ballot.posterior.argsort()[::-1][: self.top_k]
            posterior = {labels[i]: rounded(float(result.ballot.posterior[i])) for i in best}
        body = {
            "label": result.ballot.label,
            "posterior": posterior,
            "votes": result.verdict.votes,
            "segments": result.verdict.segments,
            "distance": rounded(result.ballot.distance, 3),
        }
        head = {"v": SCHEMA_VERSION, "node": self.node, "source": source, "ts": self.stamp()}
        return _json({**head, **place_fields(result), **body})

    def health(self, diagnostics: Mapping[str, Any]) -> bytes:
        """Encode the diagnostics of the node."""
        return _json({"v": SCHEMA_VERSION, "node": self.node, "ts": self.stamp(), **diagnostics})


def sound_fields(result: SegmentResult) -> dict[str, Any]:
    """Return the fields of a state that come from the pipeline."""
    return {
        **verdict_fields(result.verdict),
        **place_fields(result),
        **mix_fields(result.mix),
        "lost_s": rounded(result.lost_s, 3),
    }


def place_fields(result: SegmentResult) -> dict[str, Any]:
    """Return the level and the place in the stream."""
    return {
        **level_fields(result),
        "start_s": rounded(result.start_s, 3),
        "end_s": rounded(result.end_s, 3),
    }


NoSound = Literal["warming_up", "stalled", "off"]
"""Reasons of a state that does not come from the pipeline."""


def no_sound_fields(reason: NoSound, last: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the same fields for a source without sound: place and loss are those of the last segment, if any."""
    last = last or {}
    return {
        "genre": None,
        "reason": reason,
        "confidence": None,
        "share": None,
        "votes": {},
        "segments": 0,
        **dict.fromkeys(("level_dbfs", "peak_dbfs", "clipped", "dc", "dead_air", "bandwidth_hz", "channels", "phase")),
        "start_s": last.get("start_s"),
        "end_s": last.get("end_s"),
        "lost_s": last.get("lost_s", 0.0),
    }


def _json(body: Mapping[str, Any]) -> bytes:
    return compact_json(body).encode()
