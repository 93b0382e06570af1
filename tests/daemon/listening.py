"""A source that runs in a thread, with its events; a test waits for conditions, with a long deadline."""

import threading
import time
from typing import Any

from genrewatch.sources.kinds import open_sources
from genrewatch.sources.source import Source
from genrewatch.sources.uri import SourceConfig

LONGEST_S = 60.0


class Events:
    """The notifications of a source, in order; a test can wait for them."""

    def __init__(self):
        self.notified, self.playing, self._new = [], [], threading.Condition()

    def on_source_online(self, source_id, why):
        self._notify("online")

    def on_source_offline(self, source_id, why):
        self._notify(f"offline: {why}")

    def on_source_now_playing(self, source_id, playing):
        self.playing.append((playing.station, playing.title))

    def _notify(self, text):
        with self._new:
            self.notified.append(text)
            self._new.notify_all()

    def wait(self, count, longest_s=LONGEST_S):
        with self._new:
            assert self._new.wait_for(lambda: len(self.notified) >= count, longest_s), self.notified
            return self.notified[:count]


class Running:
    """A source whose blocks a thread takes."""

    def __init__(self, source):
        self.source, self.events, self.blocks = source, Events(), []
        self._thread = threading.Thread(target=self._take, daemon=True)

    def _take(self):
        for block in self.source.blocks(self.events):
            self.blocks.append(block)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.source.close()
        self._thread.join(10)

    def until(self, condition, longest_s=LONGEST_S):
        deadline = time.monotonic() + longest_s
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.02)


def opened(uri: str, **more: Any) -> Source:
    """Open the source of a URI."""
    (source,) = open_sources([SourceConfig(uri=uri, **more)])
    return source
