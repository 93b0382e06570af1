"""A hook at work: events wait in a bounded queue, and a thread of its own gives them to the command or the webhook.

A server that cannot be reached is tried again, because the outage that ends a stream often takes the way to the server
with it. What has been handed over is never handed over twice, however that went.
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
from genrewatch.host.shell_words import split_command
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import Action, Outcome
from genrewatch.sinks.hooks.command import Command
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.hooks.webhook import Webhook

log = logging.getLogger("genrewatch")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How much a hook holds, and for how long."""

    events: int = 100
    """Events that may wait; of more the oldest are dropped."""
    keep_s: float = 900.0
    """An event that has waited so long is dropped: an alarm of yesterday alarms for nothing."""
    backoff: Backoff = Backoff()
    """Pauses before a server that could not be reached is tried again."""


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    event: Event
    body: bytes
    made: float
    """When, on the monotonic clock."""


class HookWorker:
    """Takes events for one hook, and never keeps whoever brings them."""

    def __init__(self, number: int, config: HookConfig, patience: Patience) -> None:
        self.number, self._config, self._patience = number, config, patience
        self._name = f"hook[{number}] ({config.target})"
        self._action = _action(config)
        self._queue = deque[_Waiting]()
        self._changed = threading.Condition()
        self._finishing = self._failing = self._full = False
        self._ran = self._failed = self._dropped = 0
        self._last_error: str | None = None
        if config.command is not None and shutil.which(config.target) is None:
            log.warning("%s: there is no such program yet", self._name)
        self._thread = threading.Thread(target=self._run, name=f"hook[{number}]", daemon=True)
        self._thread.start()

    def offer(self, event: Event, body: bytes) -> None:
        """Takes an event, with its payload, if the hook is for it."""
        config = self._config
        if event.type not in config.on or (config.sources and event.source not in config.sources):
            return
        with self._changed:
            self._queue.append(_Waiting(event=event, body=body, made=time.monotonic()))
            self._shorten()
            self._changed.notify()

    def health(self) -> dict[str, Any]:
        """Attempts that ran, those of them that failed, events that nobody got, and why the last failure."""
        with self._changed:
            return {
                "ran": self._ran,
                "failed": self._failed,
                "dropped": self._dropped,
                "last_error": self._last_error,
            }

    def trouble(self) -> str | None:
        """What is wrong with it at present; None when it last worked, or has not run yet."""
        with self._changed:
            return f"{self._name}: {self._last_error}" if self._failing else None

    def finish(self) -> None:
        """Ends once those that wait have had their turn."""
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def stop(self) -> None:
        """Drops what waits and ends what runs; after `finish`."""
        with self._changed:
            left = len(self._queue)
            self._queue.clear()
            self._dropped += left
        if left:
            log.warning("%s: ended with %d events that it has not been told", self._name, left)
        self._action.stop()

    def join(self, longest_s: float) -> None:
        """Waits for its end."""
        self._thread.join(longest_s)

    def _run(self) -> None:
        failures, rng = 0, random.Random()
        while waiting := self._next():
            outcome = self._action.run(waiting.event, waiting.body)
            self._note(outcome)
            if outcome.again:
                failures += 1
                self._put_back(waiting, self._patience.backoff.delay_s(failures, rng))
            else:
                failures = 0

    def _next(self) -> _Waiting | None:
        """The oldest event that is still worth it, as soon as there is one; None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: bool(self._queue) or self._finishing)
                while self._queue and time.monotonic() - self._queue[0].made >= self._patience.keep_s:
                    self._queue.popleft()
                    self._dropped += 1
                if self._queue:
                    return self._queue.popleft()
                self._full = False
                if self._finishing:
                    return None

    def _put_back(self, waiting: _Waiting, pause_s: float) -> None:
        """Keeps an event that reached nobody, and waits a little; at the end there is no second try."""
        with self._changed:
            if self._finishing:
                self._dropped += 1
                return
            self._queue.appendleft(waiting)
            self._shorten()
            self._changed.wait_for(lambda: self._finishing, pause_s)

    def _shorten(self) -> None:
        """Drops the oldest of too many, and says so once until all have had their turn."""
        while len(self._queue) > self._patience.events:
            self._queue.popleft()
            self._dropped += 1
            if not self._full:
                log.warning("%s: more than %d events wait, the oldest are dropped", self._name, self._patience.events)
            self._full = True

    def _note(self, outcome: Outcome) -> None:
        """Counts an attempt, and logs a change from working to failing or back."""
        with self._changed:
            was_failing, self._failing = self._failing, outcome.why is not None
            self._ran += 1
            self._failed += self._failing
            self._last_error = outcome.why or self._last_error
        if outcome.why and not was_failing:
            log.warning("%s fails (%s); not said again until it works", self._name, outcome.why)
        elif was_failing and not outcome.why:
            log.info("%s works again", self._name)


def _action(config: HookConfig) -> Action:
    if config.command is not None:
        return Command(split_command(config.command, "command"), config.timeout_s)
    assert config.url is not None
    return Webhook(config.url, config.timeout_s)
