"""A daemon in this process, with sources that play what a test plants in them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from genrewatch.audio.level import LevelConfig
from genrewatch.audio.pcm import Block
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.daemon.daemon import Daemon
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import SourceCounts

LONGEST_S = 30.0
BLOCK = Block(samples=np.ones(800, np.float32), sample_rate=8000)


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` returns as soon as it is true."""
    deadline = time.monotonic() + LONGEST_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)
    return found


def pipeline() -> Pipeline:
    return open_pipeline(SHIPPED_BUNDLE, lambda vote: vote, LevelConfig())


class Playing:
    """A source that plays a block each 10 ms until it is closed or `defects` has one."""

    def __init__(self, source_id: str = "a", defects: list[Exception] | None = None) -> None:
        self.id, self.counts, self.played = source_id, SourceCounts(), 0
        self._defects, self._closed = defects if defects is not None else [], threading.Event()

    def blocks(self, events: Any) -> Iterator[Block]:
        events.on_source_online(self.id, "sound arrives")
        while not self._closed.wait(0.01):
            if self._defects:
                raise self._defects.pop()
            self.played += 1
            yield BLOCK

    def waiting_s(self) -> float:
        return 0.0

    def close(self) -> None:
        self._closed.set()


class Kept(Sink):
    """A sink that records its callbacks."""

    def __init__(self) -> None:
        self.online, self.health, self.disabled, self.closed = list[Any](), list[Any](), list[Any](), False

    def on_availability(self, source_id: str, online: bool, why: str) -> None:
        self.online.append((source_id, online, why))

    def on_disabled(self, source_id: str, disabled: bool) -> None:
        self.disabled.append((source_id, disabled))

    def on_health(self, health: Any) -> None:
        self.health.append(health)

    def close(self) -> None:
        self.closed = True


class Run:
    """A daemon that runs in a thread."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.code = daemon, -1
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.code = self.daemon.run()

    def end(self) -> int:
        """Its exit code."""
        self.daemon.stop()
        self.thread.join(LONGEST_S)
        assert not self.thread.is_alive()
        return self.code


@contextmanager
def running(*sources: Playing, sinks: list[Sink], restarts: bool = False, **more: Any) -> Iterator[Run]:
    """A daemon with these sources, which can be opened again as themselves."""
    setups = [
        SourceSetup(
            source=source,
            pipeline=pipeline(),
            name=source.id,
            reopen=lambda source=source: type(source)(source.id),
            restarts=restarts,
        )
        for source in sources
    ]
    run = Run(Daemon(setups, sinks, **{"health_s": 60, "heartbeat_s": 0.05, **more}))
    run.thread.start()
    try:
        yield run
    finally:
        run.end()
