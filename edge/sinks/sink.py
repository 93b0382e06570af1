"""What every place that verdicts go to has in common."""

from collections.abc import Mapping
from typing import Any, Protocol

from edge.pipeline import SegmentResult
from edge.sources import NowPlaying


class Sink(Protocol):
    """Takes what the daemon says; called from a thread per source."""

    def publish_online(self, source_id: str, online: bool, why: str) -> None:
        """A source has come or gone; `why` is for people, empty when they have been told elsewhere."""

    def publish_stalled(self, source_id: str) -> None:
        """A source that should give sound gives none, which is not silence; said again as long as it lasts."""

    def publish_playing(self, source_id: str, playing: NowPlaying) -> None:
        """A station has said what it is or what it plays."""

    def publish_result(self, source_id: str, result: SegmentResult) -> None:
        """A segment has been classified."""

    def publish_health(self, health: Mapping[str, Any]) -> None:
        """The node's diagnostics."""

    def close(self) -> None:
        """Says what is to be said at the end and lets go."""
