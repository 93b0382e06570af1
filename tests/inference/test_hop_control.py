"""The hop is widened step by step while sound waits, and narrowed again afterwards."""

import numpy as np

from genrewatch.inference.hop_control import EveryHop, WidenWhenLate


class Queue:
    """A queue and a clock that the test sets."""

    waiting = now = 0.0

    def __init__(self) -> None:
        self.control = WidenWhenLate(lambda: self.waiting, lambda: self.now)

    def factors(self, seconds: float, waiting: float, step: float = 0.5) -> list[int]:
        self.waiting, factors = waiting, []
        for _ in np.arange(0, seconds, step):
            self.now += step
            factors.append(self.control.hop_factor(2.0))
        return factors


def test_a_burst_that_is_processed_at_once_does_not_widen_the_hop() -> None:
    queue = Queue()
    assert set(queue.factors(1.5, waiting=12.0) + queue.factors(60, waiting=0.0)) == {1}


def test_waiting_sound_widens_the_hop_step_by_step_to_a_limit_and_calm_narrows_it() -> None:
    queue = Queue()
    late = queue.factors(30, waiting=10.0)
    assert late == sorted(late)
    assert sorted(set(late)) == [1, 2, 4, 8, 16]
    calm = queue.factors(60, waiting=0.1)
    assert calm == sorted(calm, reverse=True)
    assert sorted(set(calm)) == [1, 2, 4, 8, 16]
    assert calm[-1] == 1


def test_it_widens_faster_than_it_narrows() -> None:
    queue = Queue()
    queue.factors(30, waiting=10.0)
    assert queue.factors(5, waiting=0.0)[-1] == 16


def test_every_hop_never_widens() -> None:
    assert EveryHop().hop_factor(2.0) == 1
