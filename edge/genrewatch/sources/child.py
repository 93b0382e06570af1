"""A child process that writes PCM to a pipe, watched: one that dies or falls silent on the pipe is ended and restarted.

So a wedged sound library, a hung stream or a crashed decoder can neither stop nor corrupt another source. Bytes that
arrive are the sign of life; silence is bytes too.
"""

import random
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from genrewatch.audio.pcm import READ_BYTES, Block, PcmFormat, pcm_blocks, until_break
from genrewatch.contract.errors import SourceError
from genrewatch.host.process import Child
from genrewatch.sources.source import NowPlaying, SourceCounts, SourceEvents
from genrewatch.sources.words import LastWords, Words

GATHER_S = 0.2
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

    def __init__(
        self,
        source_id: str,
        command: Sequence[str],
        pcm: PcmFormat | None,
        watch: Watch,
        *,
        where: str | None = None,
        tell: Callable[[int], bytes] = lambda lives: b"",
        words: Callable[[], Words] = LastWords,
    ) -> None:
        """`where` names it in an error, default its id; `tell` is given how many children there were before and says
        what the next one reads on standard input; `words` makes sense of one child's standard error."""
        self.id = source_id
        self._command, self._pcm, self._watch = list(command), pcm, watch
        self._where, self._tell, self._words = where or source_id, tell, words
        self._playing: NowPlaying | None = None  # as last told
        self._closed = threading.Event()
        self._child: Child | None = None
        self._heard: _Drained | None = None
        self._last_sound: float | None = None  # on the monotonic clock
        self._sounded_s = 0.0  # of this life
        self.counts = SourceCounts()

    def blocks(self, events: SourceEvents) -> Iterator[Block]:
        """See `Source.blocks`."""
        failures = 0
        while not self._closed.is_set():
            self._sounded_s = 0.0
            try:
                yield from self._one_life(events)
                why = "ended"
            except _Ended as exc:
                why = exc.why
            if not self._will_return():
                if self._last_sound is None and not self._closed.is_set():
                    raise SourceError(self._where, why)
                return
            failures = 1 if self._sounded_s > self._watch.steady_s else failures + 1
            self.counts.restarts += 1
            self._closed.wait(self._pause_s(failures))

    def waiting_s(self) -> float:
        """See `Source.waiting_s`."""
        return self._heard.waiting_s() if self._heard else 0.0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        if self._child:
            self._child.end()

    def _one_life(self, events: SourceEvents) -> Iterator[Block]:
        """Blocks of one child from its start to its end; raises `_Ended` with the reason, already told to `events`."""
        self._playing = None  # an outage has made everybody forget it
        try:
            words = self._words()
            told = self._tell(self.counts.restarts)
            child = self._child = Child(self._command, told=told, on_line=words.line)
            if self._closed.is_set():  # `close` came before there was this child to end
                child.end()
                child.close()
                raise _Ended("closed")
        except SourceError as exc:
            if self._will_return():
                events.on_source_offline(self.id, str(exc))
            raise _Ended(str(exc)) from None
        heard = self._heard = _Drained(child, self._pcm, self._watch, self.counts, words, name=self._command[0])
        why = None
        try:
            for number, block in enumerate(until_break(heard.blocks())):
                if number == 0:
                    events.on_source_online(self.id, "sound arrives")
                    block = replace(block, lost=block.lost + self._missed(block.sample_rate))
                if not block.last:
                    self._last_sound = time.monotonic()
                self._sounded_s += _seconds(block)
                self._tell_playing(words.playing(), events)
                yield block
        except _Stalled:
            why = f"no sound for {self._watch.stall_s:g} s"
        except SourceError as exc:
            why = str(exc)
        finally:
            why = heard.own_words() or why or "ended"
            if self._will_return():
                events.on_source_offline(self.id, why)  # before the child is ended, which can take a while
            heard.end()
        raise _Ended(why)

    def _tell_playing(self, playing: NowPlaying | None, events: SourceEvents) -> None:
        if playing and playing != self._playing:
            self._playing = playing
            events.on_source_now_playing(self.id, playing)

    def _will_return(self) -> bool:
        """Whether a child that ends now is started again."""
        return (
            not self._closed.is_set() and self._watch.restart and (self._last_sound is not None or self._watch.patient)
        )

    def _missed(self, sample_rate: int) -> int:
        """Samples that a pause between two lives has cost."""
        if self._last_sound is None:
            return 0
        seconds = time.monotonic() - self._last_sound
        self.counts.lose("restart", seconds)
        return round(seconds * sample_rate)

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

    def __init__(
        self,
        child: Child,
        pcm: PcmFormat | None,
        watch: Watch,
        counts: SourceCounts,
        words: Words,
        *,
        name: str,
    ) -> None:
        self._child, self._watch, self._words, self._counts = child, watch, words, counts
        self._queue = _BlockQueue(watch.queue_s, counts if watch.restart else None)
        self.waiting_s = self._queue.waiting_s
        self._pipe_ended = False
        self._ending = threading.Event()
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
        """What the child said of why it ended, if it ended by itself."""
        code = self._child.wait(EXIT_WAIT_S) if self._pipe_ended else None
        if code is None:
            return None
        self._child.hear_out()
        return self._words.why(code)

    def end(self) -> None:
        """Ends the child and the thread."""
        self._ending.set()
        self._child.end()
        self._queue.close()
        self._reader.join()
        self._child.close()

    def _drain(self, name: str, pcm: PcmFormat | None) -> None:
        try:
            for block in pcm_blocks(self._gather, pcm, where=name):
                lost = block.lost + round(self._words.lost_s() * block.sample_rate)
                if lost:
                    self._counts.lose("overflow", lost / block.sample_rate)
                self._queue.put(replace(block, lost=lost))
            self._queue.put(None)
        except SourceError as exc:
            self._queue.put(exc)

    def _gather(self, n: int) -> bytes:
        """Reads; sound that trickles is left to gather, since each waking costs more than the sound it brings."""
        data = self._child.out.read(n)
        if n >= READ_BYTES and 0 < len(data) < n // 4:
            self._ending.wait(GATHER_S)
        return data


class _BlockQueue:
    """At most so many seconds of blocks. A full one drops its oldest and counts them as lost in the next, for sound
    that does not wait; or lets the writer wait."""

    def __init__(self, longest_s: float, drop: SourceCounts | None) -> None:
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
                self._drop.lose("queue", _seconds(oldest))
                lost = oldest.lost + len(oldest.samples) + following.lost
                self._items[0] = replace(following, lost=lost)
            self._ready.notify_all()

    def waiting_s(self) -> float:
        return self._held_s

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
    except ValueError as exc:
        raise SourceError(f"cmd:{text}", f"cannot be split into words ({exc})") from None
    if not words:
        raise SourceError("cmd:", "no command", "cmd:PROGRAM ARGUMENTS")
    return words


def _seconds(item: Block | SourceError | None) -> float:
    return len(item.samples) / item.sample_rate if isinstance(item, Block) else 0.0
