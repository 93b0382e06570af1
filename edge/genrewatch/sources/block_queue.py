"""A bounded queue of blocks between the thread that reads a pipe and the one that classifies."""

import threading
from collections import deque
from dataclasses import dataclass, replace

from genrewatch.audio.pcm import Block
from genrewatch.sources.source import SourceCounts


@dataclass(frozen=True, kw_only=True)
class PipeEnd:
    """The last item of a queue."""

    error: str | None = None
    """Why the bytes could not be read as sound; None when the pipe ended."""


class BlockQueue:
    """At most `max_s` seconds of sound."""

    def __init__(self, max_s: float, drop_counts: SourceCounts | None) -> None:
        """With `drop_counts` a full queue drops its oldest blocks and counts them; without, `put` waits."""
        self._max_s, self._drop_counts, self._closed = max_s, drop_counts, False
        self._items: deque[Block | PipeEnd] = deque()
        self._queued_s = 0.0
        self._changed = threading.Condition()

    def put(self, item: Block | PipeEnd) -> None:
        """Append an item."""
        with self._changed:
            if not self._drop_counts:
                self._changed.wait_for(lambda: self._queued_s <= self._max_s or self._closed)
            self._items.append(item)
            self._queued_s += _seconds(item)
            if self._drop_counts:
                self._drop_oldest(self._drop_counts)
            self._changed.notify_all()

    def get(self, timeout_s: float | None) -> Block | PipeEnd | None:
        """Remove and return the oldest item; None when there is none within the time, if that is limited."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout_s):
                return None
            item = self._items.popleft()
            self._queued_s -= _seconds(item)
            self._changed.notify_all()
            return item

    def queued_s(self) -> float:
        """Return the seconds of sound in the queue."""
        return self._queued_s

    def close(self) -> None:
        """Let a waiting `put` return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _drop_oldest(self, counts: SourceCounts) -> None:
        """Drop blocks beyond the limit; the block behind them carries their count."""
        while self._queued_s > self._max_s and len(self._items) > 1:
            oldest, following = self._items[0], self._items[1]
            if not isinstance(oldest, Block) or not isinstance(following, Block):
                break
            self._items.popleft()
            self._queued_s -= _seconds(oldest)
            counts.lose("queue", _seconds(oldest))
            self._items[0] = replace(following, lost=oldest.lost + len(oldest.samples) + following.lost)


def _seconds(item: Block | PipeEnd) -> float:
    return item.duration_s if isinstance(item, Block) else 0.0
