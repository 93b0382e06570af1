"""The interface of all sinks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.inference.settings import Value
from genrewatch.sinks.expectations import Expectation
from genrewatch.sources.source import NowPlaying


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """The facts about one source that the sinks take from the configuration."""

    name: str
    """Display name."""
    kind: str
    """Kind of its URI: mic, file, demo ..."""
    expectation: Expectation | None = None
    quiet_hours: Sequence[str] = ()
    """Local hours in which its events run no hooks."""
    suggested_area: str | None = None
    """Area that Home Assistant gives its device."""


class Sink:
    """Receives the callbacks of the daemon, from a thread per source; this base class ignores them all.

    The order of a source's callbacks: its stream begins; online, results and offline in turn; its duration.
    """

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """Handle the start of a stream at position 0, classified by `pipeline`."""

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """Handle a source that is online or offline; `why` is for people, empty if it was logged."""

    def on_stalled(self, source_id: str) -> None:
        """Handle a source that should give sound and gives none; called again as long as that lasts."""

    def on_disabled(self, source_id: str, disabled: bool) -> None:
        """Handle a command that switched a source off or on; called for each source at the start, too."""

    def on_settings(self, source_id: str, settings: Mapping[str, Value]) -> None:
        """Handle the settings that commands can change; called for each source at the start and after a change."""

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """Handle a station's name or title."""

    def on_test_event(self, source_id: str) -> None:
        """Handle a user's request for an event of type `test`."""

    def on_correction(self, source_id: str, seq: int | None, label: str | None) -> None:
        """Handle a correction that was received over MQTT; see `CommandHandler.correct`."""

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """Handle a classified segment."""

    def on_duration(self, source_id: str, heard_s: float, lost_s: float, *, ended: bool) -> None:
        """Handle the seconds of sound received and lost in this stream; called when it stalls and when it has ended."""

    def on_sources(self, sources: Mapping[str, SourceInfo]) -> None:
        """Handle a changed configuration: these are all sources now, by id; the others have ended for good."""

    def on_health(self, health: Mapping[str, Any]) -> None:
        """Handle the diagnostics of the node."""

    def diagnostics(self) -> dict[str, Any]:
        """Return this sink's part of the diagnostics, under keys that no other sink uses."""
        return {}

    def problems(self) -> list[str]:
        """Return what does not work at present, a line each."""
        return []

    @property
    def tried(self) -> bool:
        """True once it has tried to reach what it needs, with or without success."""
        return True

    def flush(self) -> None:
        """Write and deliver what is held back, while the other sinks are still open; no callback follows."""

    def close(self) -> None:
        """Release everything, after all sinks are flushed; all sinks are closed at the same time."""
