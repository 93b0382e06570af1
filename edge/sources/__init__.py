"""Where sound comes from. Every source is an iterator of blocks; which one is decided by its URI."""

from edge.sources.kinds import name_for_people, open_sources
from edge.sources.source import NowPlaying, Source, SourceCounts, SourceEvents
from edge.sources.uri import SourceConfig

__all__ = ["NowPlaying", "Source", "SourceConfig", "SourceCounts", "SourceEvents", "name_for_people", "open_sources"]
