"""Hooks: a command that is run or a URL that is called when something happens, for those who have no broker to ask.

    results -> Changes -> events -> a bounded queue and a thread for each hook -> Command or Webhook

Nothing here waits for a hook. What it is too slow for is dropped, the oldest first, and counted; a hook that fails is
said once, and once more when it works again.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from genrewatch.contract.errors import ConfigError
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.events import Changes, Event, event_payload
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.worker import HookWorker, Patience
from genrewatch.sinks.sink import Sink
from genrewatch.sources.source import NowPlaying

__all__ = ["HookConfig", "HookSink", "Patience"]

FINISH_S = 1.0  # what is under way at the end may take this long
STOP_S = 1.2  # and this long to go when it is made to


class HookSink(Sink):
    """Runs the hooks of one node; any thread may call any method."""

    def __init__(
        self,
        hooks: Sequence[HookConfig],
        *,
        node: str,
        names: Mapping[str, str],
        clock: Callable[[], datetime] = utc_now,
        patience: Patience | None = None,
    ) -> None:
        """`names` are those of all sources, by id; raises ConfigError for a hook that is for none of them."""
        for number, hook in enumerate(hooks):
            for source_id in hook.sources:
                if source_id not in names:
                    raise ConfigError(f"hook[{number}].sources", f"found {source_id!r}", "some of " + ", ".join(names))
        self._node, self._names, self._clock = node, dict(names), clock
        self._changes, self._models = Changes(), dict[str, tuple[str, str]]()
        self._lock = threading.Lock()  # the events of a source come to every hook in one order
        self._hooks = [HookWorker(number, hook, patience or Patience()) for number, hook in enumerate(hooks)]

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`."""
        with self._lock:
            self._models[source_id] = (pipeline.manifest.name, pipeline.manifest.version)
            self._changes.stream(source_id)

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        with self._lock:
            self._say(self._changes.result(source_id, result))

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        with self._lock:
            self._say(self._changes.stalled(source_id))

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `Sink`."""
        self._changes.playing(source_id, playing)

    def on_disabled(self, source_id: str, off: bool) -> None:
        """See `Sink`."""
        if off:
            self._changes.off(source_id)

    def health(self) -> dict[str, dict[str, Any]]:
        """By number, from 0 as in the file: attempts that ran and failed, events that nobody got, the last error."""
        return {str(hook.number): hook.health() for hook in self._hooks}

    def diagnostics(self) -> dict[str, Any]:
        """See `Sink`."""
        return {"hooks": self.health()}

    def problems(self) -> list[str]:
        """See `Sink`; the hooks that failed when they ran last."""
        return [trouble for hook in self._hooks if (trouble := hook.trouble())]

    def close(self) -> None:
        """Lets what waits and runs come to its end for a second, then ends it; about 2 s at most."""
        for hook in self._hooks:
            hook.finish()
        self._join(FINISH_S)
        for hook in self._hooks:
            hook.stop()
        self._join(STOP_S)

    def _join(self, longest_s: float) -> None:
        deadline = time.monotonic() + longest_s
        for hook in self._hooks:
            hook.join(max(0.0, deadline - time.monotonic()))

    def _say(self, events: Sequence[Event]) -> None:
        for event in events:
            name = self._names.get(event.source, event.source)
            ts = rfc3339(self._clock())
            model, version = self._models.get(event.source, (None, None))
            body = event_payload(event, node=self._node, name=name, ts=ts, model=model, version=version)
            for hook in self._hooks:
                hook.offer(event, body)
