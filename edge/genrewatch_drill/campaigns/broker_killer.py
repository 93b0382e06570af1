"""Kills the broker at random moments, about every third time that the daemon is killed, and starts it again.

Every second time it hangs for a while before. Mostly it comes back within seconds; sometimes it stays away while the
daemon is killed several times.
"""

import random
import threading

from genrewatch_drill.rig.exchange import Exchange

DAEMONS_BETWEEN = (1, 5)
"""Kills of the daemon from one kill of the broker to the next."""
AWAY_S = (0.1, 2.0)
FROZEN_SHARE, FROZEN_S = 0.5, (0.3, 2.0)
LONG_SHARE, DAEMONS_WHILE_AWAY = 0.25, (2, 4)


class BrokerKiller:
    """A thread; a context that ends it. The broker may be dead then."""

    def __init__(self, exchange: Exchange, rng: random.Random) -> None:
        self._exchange, self._rng = exchange, rng
        self.kills = 0
        self.wrong: str | None = None
        """Why it gave up, if it did."""
        self._daemons, self._stopping = 0, False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="broker killer", daemon=True)

    def daemon_was_killed(self) -> None:
        """Counts one."""
        with self._news:
            self._daemons += 1
            self._news.notify_all()

    def __enter__(self) -> "BrokerKiller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._stopping = True
            self._news.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._await_daemons(self._rng.randint(*DAEMONS_BETWEEN)) and self._pause(self._rng.uniform(0, 2.0)):
                frozen_s = self._rng.uniform(*FROZEN_S) if self._rng.random() < FROZEN_SHARE else 0.0
                self._exchange.kill(frozen_s=frozen_s, outward=self._rng.random() < 0.5)
                self.kills += 1
                if self._rng.random() < LONG_SHARE:
                    self._await_daemons(self._rng.randint(*DAEMONS_WHILE_AWAY))
                self._pause(self._rng.uniform(*AWAY_S))
                self._exchange.start()
        except Exception as exc:  # a defect of the drill itself, which the drill then tells
            self.wrong = repr(exc)

    def _await_daemons(self, count: int) -> bool:
        """Waits until so many more daemons have been killed; False when it is over."""
        with self._news:
            aim = self._daemons + count
            self._news.wait_for(lambda: self._daemons >= aim or self._stopping)
            return not self._stopping

    def _pause(self, seconds: float) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._stopping, seconds)
            return not self._stopping
