"""The queue behind PortAudio's callback, with an exact count of lost samples.

The callback runs in the sound library's thread, where waiting or printing costs sound. So it only copies and counts;
when the queue is full it drops the newest samples.
"""

import queue
import time
from typing import Any

QUEUE_S = 10.0
CLOCK_SLACK_S = 1.0  # a card's buffer may hold this much beside what the callbacks' times show


class Recorder:
    """The queue between the callback and the thread that writes to the pipe."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._queue: queue.SimpleQueue[tuple[int, int, bytes] | None] = queue.SimpleQueue()
        self._put = self._taken = 0  # samples; only one thread writes each
        self._lost = 0  # samples, not yet reported
        self._adc_end: float | None = None  # of the last sample, on the card's clock
        self._arrived: float | None = None  # of its callback, on the monotonic clock

    def callback(self, indata: Any, frames: int, when: Any, status: Any) -> None:
        """Queue a buffer of RawInputStream; with `blocksize=0` an overflow flag means: lost just before this buffer."""
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
        """Mark the end of the sound; this is the `finished_callback`."""
        self._queue.put(None)

    def take(self, timeout_s: float) -> tuple[int, bytes] | None:
        """Return the samples lost and the PCM behind them; None after `finished`; `queue.Empty` after the time."""
        item = self._queue.get(timeout=timeout_s)
        if item is None:
            return None
        lost, frames, data = item
        self._taken += frames
        return lost, data

    def _overflowed(self, frames: int, adc: float, now: float) -> int:
        """Return the samples that an overflow has cost, at least one.

        They follow from the card's own times, unless there are none (0) or a wall clock was stepped, which the time
        between the callbacks shows; then they follow from that time.
        """
        if self._adc_end is None or self._arrived is None:
            return 1
        elapsed_s = now - self._arrived
        lost_s = elapsed_s - frames / self._rate
        if adc > 0 and 0 <= adc - self._adc_end <= elapsed_s + CLOCK_SLACK_S:
            lost_s = adc - self._adc_end
        return max(1, round(lost_s * self._rate))
