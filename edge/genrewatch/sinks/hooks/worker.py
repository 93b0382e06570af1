"""The worker of a hook: a bounded queue of events, and a thread that passes them to the command or the webhook.

A server that cannot be reached is tried again, because the outage that stops a stream often cuts off the server too. An
event that may have been delivered is never sent twice.
"""

import logging
import random
import shutil
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from genrewatch.host.backoff import Backoff
from genrewatch.host.defects import defect_reason
from genrewatch.host.guarded_thread import GuardedThread
from genrewatch.host.progress import STUCK_S
from genrewatch.host.shell_words import split_command
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import Action, Outcome
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.notify import Notification
from genrewatch.sinks.hooks.rendering import RenderedCommand, Rendering
from genrewatch.sinks.hooks.webhook import Webhook

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """Limits of a hook's queue."""

    events: int = 100
    """Longest queue; beyond it the oldest events are dropped."""
    keep_s: float = 900.0
    """Age at which a queued event is dropped, seconds."""
    backoff: Backoff = Backoff()
    """Pauses before a server that could not be reached is tried again."""


@dataclass(frozen=True, kw_only=True)
class _Queued:
    event: Event
    body: bytes
    made: float
    """Time of the event, monotonic clock."""


class HookWorker:
    """Runs one hook in a thread; callers never wait for it."""

    def __init__(self, number: int, config: HookConfig, limits: QueueLimits) -> None:
        self.number, self._limits = number, limits
        self._name = f"hook[{number}] ({config.target})"
        self._action = _action(config)
        self._queue = deque[_Queued]()
        self._changed = threading.Condition()
        self._draining = self._failing = self._full = False
        self._ran = self._failed = self._dropped = 0
        self._last_error: str | None = None
        if config.command is not None and shutil.which(config.target) is None:
            log.warning("%s: no such program yet", self._name)
        self._thread = GuardedThread(f"hook[{number}]", self._run, stuck_s=config.timeout_s + STUCK_S)
        self._thread.start()

    def offer(self, event: Event, body: bytes) -> None:
        """Queue an event with its payload."""
        with self._changed:
            self._queue.append(_Queued(event=event, body=body, made=time.monotonic()))
            self._shorten()
            self._changed.notify()

    def health(self) -> dict[str, Any]:
        """Return the numbers of attempts, failures and dropped events, and the last error."""
        with self._changed:
            return {
                "ran": self._ran,
                "failed": self._failed,
                "dropped": self._dropped,
                "last_error": self._last_error,
            }

    def problem(self) -> str | None:
        """Return the error of the last attempt, or what is wrong with the thread; None when all is well."""
        with self._changed:
            failure = f"{self._name}: {self._last_error}" if self._failing else None
        return failure or self._thread.problem

    def drain(self) -> None:
        """Make the thread end once the queue is empty."""
        with self._changed:
            self._draining = True
            self._changed.notify()

    def stop(self) -> None:
        """Drop the queue and stop the running attempt; call after `drain`."""
        with self._changed:
            left = len(self._queue)
            self._queue.clear()
            self._dropped += left
        if left:
            log.warning("%s: stopped, %d queued events are dropped", self._name, left)
        self._action.stop()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failures, rng = 0, random.Random()
        while queued := self._next():
            outcome = self._attempt(queued)
            self._note(outcome)
            if outcome.retry:
                failures += 1
                self._put_back(queued, self._limits.backoff.delay_s(failures, rng))
            else:
                failures = 0

    def _attempt(self, queued: _Queued) -> Outcome:
        try:
            with self._thread.working():
                return self._action.run(queued.event, queued.body)
        except Exception as exc:
            self._thread.defects.add(exc)
            return Outcome(why=defect_reason(type(exc).__name__))

    def _next(self) -> _Queued | None:
        """Return the oldest event that is not too old, as soon as there is one; None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: bool(self._queue) or self._draining)
                while self._queue and time.monotonic() - self._queue[0].made >= self._limits.keep_s:
                    self._queue.popleft()
                    self._dropped += 1
                if self._queue:
                    return self._queue.popleft()
                self._full = False
                if self._draining:
                    return None

    def _put_back(self, queued: _Queued, pause_s: float) -> None:
        """Queue an undelivered event again and wait for `pause_s`; while draining, drop it."""
        with self._changed:
            if self._draining:
                self._dropped += 1
                return
            self._queue.appendleft(queued)
            self._shorten()
            self._changed.wait_for(lambda: self._draining, pause_s)

    def _shorten(self) -> None:
        """Drop the oldest of too many; logged once until the queue was empty."""
        while len(self._queue) > self._limits.events:
            self._queue.popleft()
            self._dropped += 1
            if not self._full:
                log.warning(
                    "%s: more than %d events are queued, the oldest are dropped", self._name, self._limits.events
                )
            self._full = True

    def _note(self, outcome: Outcome) -> None:
        """Count an attempt, and log a change from working to failing or back."""
        with self._changed:
            was_failing, self._failing = self._failing, outcome.why is not None
            self._ran += 1
            self._failed += self._failing
            self._last_error = outcome.why or self._last_error
        if outcome.why and not was_failing:
            log.warning("%s fails (%s); not logged again until it works", self._name, outcome.why)
        elif was_failing and not outcome.why:
            log.info("%s works again", self._name)


def _action(config: HookConfig) -> Action:
    rendering = Rendering(config)
    if config.command is not None:
        return RenderedCommand(split_command(config.command, "command"), rendering, config.timeout_s)
    if config.notify:
        return Notification(config.notify, rendering, config.timeout_s)
    assert config.url is not None
    return Webhook(config.url, rendering, config.timeout_s)
