"""Time that passes without sound on an open pipe is lost; bursts, jitter and the drift of a clock are not."""

import pytest

from genrewatch.sources import sound_clock
from genrewatch.sources.sound_clock import SoundClock


class Time:
    """The two clocks of a machine that a test moves."""

    def __init__(self, monkeypatch):
        self.awake_s = self.suspended_s = 0.0
        monkeypatch.setattr(sound_clock, "elapsed_s", lambda: self.awake_s + self.suspended_s)
        monkeypatch.setattr(sound_clock.time, "monotonic", lambda: self.awake_s)


@pytest.fixture
def clock(monkeypatch) -> Time:
    return Time(monkeypatch)


def play(sound, clock, seconds, *, speed=1.0, block_s=0.5):
    """Let sound arrive in blocks at a multiple of real time; return what is missing."""
    missing = 0.0
    for _ in range(round(seconds / block_s)):
        clock.awake_s += block_s / speed
        missing += sound.arrive(block_s)
    return missing


def test_a_pause_is_lost_but_for_the_sound_of_the_block_that_ends_it(clock):
    sound = SoundClock()
    assert play(sound, clock, 25) == 0
    clock.awake_s += 40
    assert sound.arrive(0.5) == pytest.approx(39, abs=0.6)
    assert play(sound, clock, 10) == 0


def test_a_suspended_machine_has_paused(clock):
    sound = SoundClock()
    play(sound, clock, 5)
    clock.suspended_s += 3600
    assert sound.arrive(0.5) == pytest.approx(3600, abs=1)


def test_jitter_that_is_caught_up_loses_nothing(clock):
    sound = SoundClock()
    play(sound, clock, 5)
    clock.awake_s += 6
    assert sound.arrive(6.0) == 0


def test_a_burst_covers_a_later_wait_up_to_a_buffer_and_no_more(clock):
    sound = SoundClock()
    sound.arrive(1.0)
    assert play(sound, clock, 30, speed=100) == 0
    clock.awake_s += 8
    assert sound.arrive(0.5) == 0
    clock.awake_s += 40
    assert sound.arrive(0.5) > 36


@pytest.mark.parametrize("speed", [0.98, 1.0, 1.02])
def test_a_clock_that_drifts_for_a_day_loses_nothing(clock, speed):
    sound = SoundClock()
    assert play(sound, clock, 86_400, speed=speed, block_s=5.0) == 0
    assert sound.lacking_s < 1


def test_sound_that_trickles_is_lost_in_part_and_lacking(clock):
    sound = SoundClock()
    missing = play(sound, clock, 100, speed=0.5)
    assert missing == pytest.approx(90, abs=10)
    assert sound.lacking_s > 80


def test_a_source_that_reports_its_losses_pauses_only_with_the_machine(clock):
    sound = SoundClock(reports_lost=True)
    play(sound, clock, 5)
    clock.awake_s += 20
    assert sound.arrive(0.5) == 0
    clock.suspended_s += 60
    assert sound.arrive(0.5) == pytest.approx(60)


def test_time_in_which_the_stream_was_not_read_is_excused(clock):
    sound = SoundClock()
    sound.arrive(0.5)
    clock.awake_s += 60
    assert sound.arrive(0.5, excused_s=59.5) == 0
