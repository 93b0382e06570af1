"""Hooks: a command that is run, a URL that is called or a notification that is sent on an event, without a broker.

    results -> EventDetector -> events -> Conditions -> a bounded queue and a thread for each hook -> its action

Nothing here waits for a hook. Events that it is too slow for are dropped, the oldest first, and counted. A failure is
logged once, and once more when the hook works again.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from genrewatch.contract.errors import ConfigError
from genrewatch.host.times import rfc3339, utc_now
from genrewatch.inference.pipeline import Pipeline, SegmentResult
from genrewatch.sinks.events import Event, EventDetector, event_payload, sample_event
from genrewatch.sinks.expectations import Expectation
from genrewatch.sinks.hooks.conditions import Conditions
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.notify import check_urls
from genrewatch.sinks.hooks.worker import HookWorker, QueueLimits
from genrewatch.sinks.sink import Sink, SourceInfo
from genrewatch.sources.source import NowPlaying

__all__ = ["HookConfig", "HookSink", "QueueLimits"]

DRAIN_S = 1.0  # longest time for queued events at the end
STOP_S = 1.2  # longest time for a running hook to stop after that


class HookSink(Sink):
    """Runs the hooks of one node; any thread may call any method."""

    def __init__(
        self,
        hooks: Sequence[HookConfig],
        *,
        node: str,
        names: Mapping[str, str],
        expectations: Mapping[str, Expectation] | None = None,
        quiet_hours: Mapping[str, Sequence[str]] | None = None,
        clock: Callable[[], datetime] = utc_now,
        local_time: Callable[[], datetime] = datetime.now,
        monotonic: Callable[[], float] = time.monotonic,
        limits: QueueLimits | None = None,
    ) -> None:
        """`names` are the display names of all sources, by id; `quiet_hours` are hours without hooks, by source id.

        Raises ConfigError for a hook of an unknown source, or for services that Apprise does not know.
        """
        check_hooks(hooks, names)
        self._node, self._names, self._clock = node, dict(names), clock
        self._quiet_hours, self._local_time, self._monotonic = quiet_hours or {}, local_time, monotonic
        self._limits = limits or QueueLimits()
        self._detector = EventDetector(expectations, local_time)
        self._models = dict[str, tuple[str, str]]()
        self._lock = threading.Lock()  # so that every hook gets the events in the same order
        self._configs = tuple(hooks)
        self._hooks = [HookWorker(number, hook, self._limits) for number, hook in enumerate(hooks)]
        self._conditions = [self._conditions_of(hook, worker) for hook, worker in zip(hooks, self._hooks, strict=True)]

    def set_hooks(self, hooks: Sequence[HookConfig]) -> None:
        """Run these hooks from now on, which `check_hooks` has checked; unchanged ones keep what they have queued.

        The others are closed in a thread, which takes about 2 s at most.
        """
        before = dict(enumerate(zip(self._configs, self._hooks, self._conditions, strict=True)))
        pairs = list[tuple[HookWorker, Conditions]]()
        for number, hook in enumerate(hooks):
            config, worker, conditions = before.get(number, (None, None, None))
            if worker is not None and conditions is not None and config == hook:
                del before[number]
            else:
                worker = HookWorker(number, hook, self._limits)
                conditions = self._conditions_of(hook, worker)
            pairs.append((worker, conditions))
        with self._lock:
            self._configs = tuple(hooks)
            self._hooks, self._conditions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        closed = [worker for _, worker, _ in before.values()]
        threading.Thread(target=_close, args=(closed,), name="hooks", daemon=True).start()

    def on_sources(self, sources: Mapping[str, SourceInfo]) -> None:
        """See `Sink`."""
        with self._lock:
            self._names = {source_id: source.name for source_id, source in sources.items()}
            self._quiet_hours = {source_id: source.quiet_hours for source_id, source in sources.items()}
            self._detector.set_sources({source_id: source.expectation for source_id, source in sources.items()})
            for conditions in self._conditions:
                conditions.quiet_hours = self._quiet_hours
            self._models = {source_id: model for source_id, model in self._models.items() if source_id in sources}

    def on_stream(self, source_id: str, pipeline: Pipeline) -> None:
        """See `Sink`."""
        with self._lock:
            self._models[source_id] = (pipeline.manifest.name, pipeline.manifest.version)
            self._detector.stream(source_id)

    def on_result(self, source_id: str, result: SegmentResult) -> None:
        """See `Sink`."""
        with self._lock:
            self._dispatch(self._detector.result(source_id, result))
            self._release()

    def on_stalled(self, source_id: str) -> None:
        """See `Sink`."""
        with self._lock:
            self._dispatch(self._detector.stalled(source_id))
            self._release()

    def on_now_playing(self, source_id: str, playing: NowPlaying) -> None:
        """See `Sink`."""
        self._detector.playing(source_id, playing)

    def on_test_event(self, source_id: str) -> None:
        """See `Sink`; a hook for this source gets it whatever its `on`."""
        with self._lock:
            self._dispatch([sample_event(source_id)])

    def on_disabled(self, source_id: str, disabled: bool) -> None:
        """See `Sink`."""
        if disabled:
            with self._lock:
                self._detector.reset(source_id)
                for conditions in self._conditions:
                    conditions.forget(source_id)

    def on_health(self, health: Mapping[str, Any]) -> None:
        """See `Sink`; passes on what has lasted, also while no sound arrives."""
        with self._lock:
            self._release()

    def health(self) -> dict[str, dict[str, Any]]:
        """Return by number, from 0 in the order of the file: attempts, failures, events not passed on, last error."""
        return {
            str(hook.number): {**hook.health(), "suppressed": conditions.suppressed}
            for hook, conditions in zip(self._hooks, self._conditions, strict=True)
        }

    def diagnostics(self) -> dict[str, Any]:
        """See `Sink`."""
        return {"hooks": self.health()} if self._hooks else {}

    def problems(self) -> list[str]:
        """See `Sink`; hooks whose last attempt failed."""
        return [problem for hook in self._hooks if (problem := hook.problem())]

    def close(self) -> None:
        """Give queued events a second, then stop all hooks; takes about 2 s at most."""
        _close(self._hooks)

    def _conditions_of(self, hook: HookConfig, worker: HookWorker) -> Conditions:
        return Conditions(
            hook,
            worker.offer,
            quiet_hours=self._quiet_hours,
            local_time=self._local_time,
            monotonic=self._monotonic,
        )

    def _dispatch(self, events: Sequence[Event]) -> None:
        for event in events:
            name = self._names.get(event.source, event.source)
            ts = rfc3339(self._clock())
            model, version = self._models.get(event.source, (None, None))
            body = event_payload(event, node=self._node, name=name, ts=ts, model=model, version=version)
            for conditions in self._conditions:
                conditions.add(event, body)

    def _release(self) -> None:
        for conditions in self._conditions:
            conditions.release()


def check_hooks(hooks: Sequence[HookConfig], source_ids: Collection[str]) -> None:
    """Raise ConfigError for a hook of an unknown source, or for services that Apprise does not know."""
    for number, hook in enumerate(hooks):
        for source_id in hook.sources:
            if source_id not in source_ids:
                expected = "some of " + ", ".join(source_ids)
                raise ConfigError(f"hook[{number}].sources", f"found {source_id!r}", expected)
        if hook.notify:
            check_urls(hook.notify, f"hook[{number}].notify")


def _close(hooks: Sequence[HookWorker]) -> None:
    """Give queued events a second, then stop all hooks; takes about 2 s at most."""
    for hook in hooks:
        hook.drain()
    _join(hooks, DRAIN_S)
    for hook in hooks:
        hook.stop()
    _join(hooks, STOP_S)


def _join(hooks: Sequence[HookWorker], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for hook in hooks:
        hook.join(max(0.0, deadline - time.monotonic()))
