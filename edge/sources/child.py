"""A child process that writes PCM to a pipe, watched: one that dies or falls silent on the pipe is ended and restarted.

So a wedged sound library, a hung stream or a crashed decoder can neither stop nor corrupt another source. Bytes that
arrive are the sign of life; silence is bytes too.
"""

import random
import shlex
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edge.contract.errors import SourceError
from edge.pcm import Block, PcmFormat, pcm_blocks
from edge.process import Child
from edge.sources.source import SourceEvents

EXIT_WAIT_S = 1.0  # for a child whose pipe has ended to say why


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a child is looked after."""

    stall_s: float = 8.0
    """Seconds without a byte after which a child is ended."""
    first_wait_s: float = 1.0
    """Pause before the first restart; each further one doubles it."""
    longest_wait_s: float = 60.0
    """Longest pause."""
    steady_s: float = 60.0
    """Seconds of sound after which the pauses begin short again."""
    queue_s: float = 30.0
    """Seconds of sound that may wait to be classified; beyond it the oldest are dropped and counted."""
    restart: bool = True
    """Whether a child that ends is started again; if not, its end is the end of the source, and it waits, not drops."""
    patient: bool = False
    """Whether a child that fails before its first sound is tried again; if not, that is a SourceError."""


class ChildSource:
    """A live source: a command that writes WAV or raw PCM to its standard output."""

    def __init__(self, source_id: str, command: Sequence[str], pcm: PcmFormat | None, watch: Watch) -> None:
        self.id = source_id
        self._command, self._pcm, self._watch = list(command), pcm, watch
        self._closed = threading.Event()
        self._child: Child | None = None
        self._last_sound: float | None = None  # on the monotonic clock
        self.restarts = 0

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        failures = 0
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                yield from self._one_life(events)
                why = "ended"
            except _Ended as ended:
                why = ended.why
            if not self._will_return():
                if self._last_sound is None and not self._closed.is_set():
                    raise SourceError(self.id, why)
                return
            failures = 1 if time.monotonic() - began > self._watch.steady_s else failures + 1
            self.restarts += 1
            self._closed.wait(self._pause_s(failures))

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        if self._child:
            self._child.end()

    def _one_life(self, events: SourceEvents) -> Iterator[Block]:
        """Blocks of one child from its start to its end; raises `_Ended` with the reason, already told to `events`."""
        try:
            child = self._child = Child(self._command)
        except SourceError as wrong:
            if self._will_return():
                events.source_offline(self.id, str(wrong))
            raise _Ended(str(wrong)) from None
        heard = _Drained(child, self._pcm, self._watch, name=self._command[0])
        why = None
        try:
            for number, block in enumerate(heard.blocks()):
                if number == 0:
                    events.source_online(self.id, "sound arrives")
                    block = replace(block, lost=block.lost + self._missed(block.sample_rate))
                self._last_sound = time.monotonic()
                yield block
        except _Stalled:
            why = f"no sound for {self._watch.stall_s:g} s"
        except SourceError as wrong:
            why = str(wrong)
        finally:
            why = heard.own_words() or why or "ended"
            if self._will_return():
                events.source_offline(self.id, why)  # before the child is ended, which can take a while
            heard.end()
        raise _Ended(why)

    def _will_return(self) -> bool:
        """Whether a child that ends now is started again."""
        return (
            not self._closed.is_set() and self._watch.restart and (self._last_sound is not None or self._watch.patient)
        )

    def _missed(self, sample_rate: int) -> int:
        """Samples that a pause between two lives has cost."""
        return 0 if self._last_sound is None else round((time.monotonic() - self._last_sound) * sample_rate)

    def _pause_s(self, failures: int) -> float:
        longest = min(self._watch.longest_wait_s, self._watch.first_wait_s * 2 ** min(failures - 1, 16))
        return float(longest * random.uniform(0.75, 1.25))  # so that many sources do not come back in step


class _Stalled(Exception):
    """No byte came in time."""


class _Ended(Exception):
    """A child's life is over."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class _Drained:
    """A child whose pipe a thread drains into a bounded queue."""

    def __init__(self, child: Child, pcm: PcmFormat | None, watch: Watch, *, name: str) -> None:
        self._child, self._watch = child, watch
        self._queue = _BlockQueue(watch.queue_s, drop=watch.restart)
        self._pipe_ended = False
        self._reader = threading.Thread(target=self._drain, args=(name, pcm), daemon=True)
        self._reader.start()

    def blocks(self) -> Iterator[Block]:
        """Blocks until the pipe ends; raises `_Stalled`, or the SourceError that the reader met."""
        while True:
            item = self._queue.get(self._watch.stall_s)
            if isinstance(item, Block):
                yield item
                continue
            self._pipe_ended = True
            if item is None:
                return
            raise item

    def own_words(self) -> str | None:
        """What the child said when it ended by itself and with an error."""
        code = self._child.wait(EXIT_WAIT_S) if self._pipe_ended else None
        return (self._child.complaint() or f"exit code {code}") if code else None

    def end(self) -> None:
        """Ends the child and the thread."""
        self._child.end()
        self._queue.close()
        self._reader.join()
        self._child.close()

    def _drain(self, name: str, pcm: PcmFormat | None) -> None:
        try:
            for block in pcm_blocks(self._child.out.read, pcm, where=name):
                self._queue.put(block)
            self._queue.put(None)
        except SourceError as wrong:
            self._queue.put(wrong)


class _BlockQueue:
    """At most so many seconds of blocks. A full one drops its oldest and counts them as lost in the next, for sound
    that does not wait; or lets the writer wait."""

    def __init__(self, longest_s: float, *, drop: bool) -> None:
        self._longest_s, self._drop, self._closed = longest_s, drop, False
        self._items: deque[Block | SourceError | None] = deque()
        self._held_s = 0.0
        self._ready = threading.Condition()

    def put(self, item: Block | SourceError | None) -> None:
        with self._ready:
            if not self._drop:
                self._ready.wait_for(lambda: self._held_s <= self._longest_s or self._closed)
            self._items.append(item)
            self._held_s += _seconds(item)
            while self._drop and self._held_s > self._longest_s and len(self._items) > 1:
                oldest, following = self._items[0], self._items[1]
                if not isinstance(oldest, Block) or not isinstance(following, Block):
                    break  # nothing behind it that could carry its count
                self._items.popleft()
                self._held_s -= _seconds(oldest)
                lost = oldest.lost + len(oldest.samples) + following.lost
                self._items[0] = replace(following, lost=lost)
            self._ready.notify_all()

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def get(self, longest_wait_s: float) -> Block | SourceError | None:
        with self._ready:
            if not self._ready.wait_for(lambda: bool(self._items), longest_wait_s):
                raise _Stalled
            item = self._items.popleft()
            self._held_s -= _seconds(item)
            self._ready.notify_all()
            return item


def split_command(text: str) -> list[str]:
    """The words of a `cmd:` command; it runs without a shell."""
    try:
        words = shlex.split(text)
    except ValueError as wrong:
        raise SourceError(f"cmd:{text}", f"cannot be split into words ({wrong})") from None
    if not words:
        raise SourceError("cmd:", "no command", "cmd:PROGRAM ARGUMENTS")
    return words


def _seconds(item: Block | SourceError | None) -> float:
    return len(item.samples) / item.sample_rate if isinstance(item, Block) else 0.0
