"""Where sound comes from. Every source is an iterator of blocks; which one is decided by its URI."""

from edge.sources.source import Source, SourceEvents
from edge.sources.uri import SourceConfig, open_sources

__all__ = ["Source", "SourceConfig", "SourceEvents", "open_sources"]
