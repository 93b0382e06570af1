"""When sound waits the hop is widened step by step, and it comes back by itself."""

import numpy as np

from genrewatch.inference.hop_control import EveryHop, WidenWhenLate


class Sound:
    """A queue whose fill and a clock whose time the test sets."""

    waiting = now = 0.0

    def __init__(self) -> None:
        self.control = WidenWhenLate(lambda: self.waiting, lambda: self.now)

    def factors(self, seconds: float, waiting: float, step: float = 0.5) -> list[int]:
        self.waiting, told = waiting, []
        for _ in np.arange(0, seconds, step):
            self.now += step
            told.append(self.control.hop_factor(2.0))
        return told


def test_a_burst_that_is_worked_off_at_once_widens_nothing() -> None:
    sound = Sound()
    assert set(sound.factors(1.5, waiting=12.0) + sound.factors(60, waiting=0.0)) == {1}


def test_sound_that_keeps_waiting_widens_the_hop_step_by_step_to_a_limit_and_calm_narrows_it_again() -> None:
    sound = Sound()
    late = sound.factors(30, waiting=10.0)
    assert late == sorted(late)
    assert sorted(set(late)) == [1, 2, 4, 8, 16]
    calm = sound.factors(60, waiting=0.1)
    assert calm == sorted(calm, reverse=True)
    assert sorted(set(calm)) == [1, 2, 4, 8, 16]
    assert calm[-1] == 1


def test_it_widens_faster_than_it_narrows() -> None:
    sound = Sound()
    sound.factors(30, waiting=10.0)
    assert sound.factors(5, waiting=0.0)[-1] == 16


def test_sound_that_waits_for_its_reader_is_looked_at_at_every_hop() -> None:
    assert EveryHop().hop_factor(2.0) == 1
