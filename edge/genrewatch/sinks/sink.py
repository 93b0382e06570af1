"""What every place that verdicts go to has in common."""

from collections.abc import Mapping
from typing import Any

from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sources.source import NowPlaying


class Sink:
    """Takes what the daemon says, from a thread per source; this one lets it all pass.

    Of a source it hears, in this order: a stream begins; online, results and offline in turn; how much there was.
    """

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """A source's stream begins, at position 0, and this is what listens to it."""

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        """A source has come or gone; `why` is for people, empty when they have been told elsewhere."""

    def on_stalled(self, source_id: str) -> None:
        """A source that should give sound gives none, which is not silence; said again as long as it lasts."""

    def on_disabled(self, source_id: str, off: bool) -> None:
        """Somebody has switched a source off, or on again; said of each source at the start, too."""

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """A station has said what it is or what it plays."""

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """A segment has been classified."""

    def on_duration(self, source_id: str, heard_s: float, lost_s: float, *, ended: bool) -> None:
        """How much sound of this stream has arrived and is missing, seconds: when it falters and when it has ended."""

    def on_health(self, health: Mapping[str, Any]) -> None:
        """The node's diagnostics."""

    def diagnostics(self) -> dict[str, Any]:
        """What of this sink belongs into the node's diagnostics, by names of its own."""
        return {}

    def problems(self) -> list[str]:
        """What does not work as it should at present, a line each, for people."""
        return []

    def flush(self) -> None:
        """No source will say anything more: gets done what other sinks must still stand for."""

    def close(self) -> None:
        """Says what is to be said at the end and lets go; all sinks do at the same time."""
