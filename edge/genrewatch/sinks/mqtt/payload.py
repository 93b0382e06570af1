"""The JSON that goes out: `state`, `event`, `votes` and `health`, each stamped with the wall-clock time.

The fields are published in `edge/genrewatch/schema/`; they may be added to, never changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from genrewatch.contract.bundle import Manifest
from genrewatch.contract.compact_json import compact_json
from genrewatch.contract.payload import SCHEMA_VERSION, rounded
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.inference.json_fields import level_fields, verdict_fields
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.events import Event, event_payload
from genrewatch.sources.source import NowPlaying

Key = tuple[Any, ...]
"""What of a state is worth telling at once."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes payloads in the name of one node."""

    node: str
    top_k: int
    names: Mapping[str, str]
    """Source id to its name for people."""
    clock: Callable[[], datetime] = field(default=utc_now)

    def stamp(self) -> str:
        """The time now, RFC 3339 in UTC with milliseconds."""
        return rfc3339(self.clock())

    def state(
        self,
        source: str,
        seq: int,
        heard: Mapping[str, Any],
        playing: NowPlaying,
        model: Manifest,
        *,
        ts: str,
        since: str,
    ) -> bytes:
        """The snapshot of a verdict; `heard` is from `heard_fields` or `silent_fields`."""
        head = {"v": SCHEMA_VERSION, "node": self.node, "source": source, "name": self.names.get(source, source)}
        head |= {"seq": seq, "ts": ts}
        return _json(
            {
                **head,
                **heard,
                "station": playing.station,
                "title": playing.title,
                "since": since,
                "model": model.name,
                "version": model.version,
            }
        )

    def event(self, event: Event, model: Manifest) -> bytes:
        """Something that has happened now."""
        name, ts = self.names.get(event.source, event.source), self.stamp()
        return event_payload(event, node=self.node, name=name, ts=ts, model=model.name, version=model.version)

    def votes(self, source: str, result: SegmentResult, labels: Sequence[str]) -> bytes:
        """One segment: its label, the best of its posterior, whose elements are `labels`, and the tally after it."""
        posterior = None
        if result.ballot.posterior is not None:
            best = result.ballot.posterior.argsort()[::-1][: self.top_k]
            posterior = {labels[i]: rounded(float(result.ballot.posterior[i])) for i in best}
        body = {
            "label": result.ballot.label,
            "posterior": posterior,
            "votes": result.verdict.votes,
            "segments": result.verdict.segments,
        }
        head = {"v": SCHEMA_VERSION, "node": self.node, "source": source, "ts": self.stamp()}
        return _json({**head, **place_fields(result), **body})

    def health(self, diagnostics: Mapping[str, Any]) -> bytes:
        """Diagnostics of the node, as they are given."""
        return _json({"v": SCHEMA_VERSION, "node": self.node, "ts": self.stamp(), **diagnostics})


def heard_fields(result: SegmentResult) -> dict[str, Any]:
    """The part of a state that the pipeline knows."""
    return {**verdict_fields(result.verdict), **place_fields(result), "lost_s": rounded(result.lost_s, 3)}


def place_fields(result: SegmentResult) -> dict[str, Any]:
    """How loud and where in the stream."""
    return {
        **level_fields(result),
        "start_s": rounded(result.start_s, 3),
        "end_s": rounded(result.end_s, 3),
    }


def silent_fields(reason: Literal["stalled", "off"], last: Mapping[str, Any] | None) -> dict[str, Any]:
    """A state without sound: no verdict and no level; place and loss are those of the last segment, if any."""
    last = last or {}
    return {
        "genre": None,
        "reason": reason,
        "confidence": None,
        "share": None,
        "votes": {},
        "segments": 0,
        **dict.fromkeys(("level_dbfs", "peak_dbfs", "clipped", "dc", "dead_air")),
        "start_s": last.get("start_s"),
        "end_s": last.get("end_s"),
        "lost_s": last.get("lost_s", 0.0),
    }


def _json(body: Mapping[str, Any]) -> bytes:
    return compact_json(body).encode()
