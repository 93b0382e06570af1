"""What PortAudio's callback hands over, and what was lost on the way: it copies, counts and returns.

The callback runs in the sound library's thread, where whatever waits or prints costs sound. So it never does either:
when nobody takes what it brings, it drops the newest and counts it exactly.
"""

import queue
import time
from typing import Any

QUEUE_S = 10.0
CLOCK_SLACK_S = 1.0  # a card's buffer may hold this much beside what the callbacks' times show


class Recorder:
    """The queue between the callback and whoever writes."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._queue: queue.SimpleQueue[tuple[int, int, bytes] | None] = queue.SimpleQueue()
        self._put = self._taken = 0  # samples; each is written by one thread alone
        self._lost = 0  # samples, not yet told to the other side
        self._adc_end: float | None = None  # when the last sample was heard, on the card's clock
        self._arrived: float | None = None  # when its callback came, on the monotonic clock

    def callback(self, indata: Any, frames: int, when: Any, status: Any) -> None:
        """For RawInputStream with `blocksize=0`, where an overflow flag means: lost just before this buffer."""
        now = time.monotonic()
        if status.input_overflow:
            self._lost += self._overflowed(frames, when.inputBufferAdcTime, now)
        self._adc_end, self._arrived = when.inputBufferAdcTime + frames / self._rate, now
        if self._put - self._taken > QUEUE_S * self._rate:
            self._lost += frames
            return
        self._put += frames
        self._queue.put((self._lost, frames, bytes(indata)))
        self._lost = 0

    def finished(self) -> None:
        """For `finished_callback`: there will be no more."""
        self._queue.put(None)

    def take(self, longest_wait_s: float) -> tuple[int, bytes] | None:
        """Samples lost and the PCM that follows them; None after `finished`; `queue.Empty` when nothing comes."""
        item = self._queue.get(timeout=longest_wait_s)
        if item is None:
            return None
        lost, frames, data = item
        self._taken += frames
        return lost, data

    def _overflowed(self, frames: int, adc: float, now: float) -> int:
        """Samples that an overflow has cost, at least one.

        The card's own times say it, unless there are none (0) or a wall clock was stepped, which the time between the
        callbacks shows; without them that time is all there is.
        """
        if self._adc_end is None or self._arrived is None:
            return 1
        elapsed_s = now - self._arrived
        lost_s = elapsed_s - frames / self._rate
        if adc > 0 and 0 <= adc - self._adc_end <= elapsed_s + CLOCK_SLACK_S:
            lost_s = adc - self._adc_end
        return max(1, round(lost_s * self._rate))
