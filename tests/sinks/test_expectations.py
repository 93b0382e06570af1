"""The stream is up but wrong: the events `unexpected_genre` and `expected_genre`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.sinks.mqtt_rig import JAZZ, ROCK, SAMPLE_RATE, SILENCE

from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.events import EventDetector
from genrewatch.sinks.expectations import Expectation

EVENING = datetime(2026, 11, 23, 20, 30)
WANTED = Expectation(genres=("jazz", "blues"), hours=("20:00-23:00",), after_s=60.0)
HOP = 5 * SAMPLE_RATE
REFUSED = replace(ROCK, verdict=replace(ROCK.verdict, genre=None, reason="refused"))


class Stream:
    """Segments of one stream, 5 s after another."""

    def __init__(self, expectation: Expectation = WANTED) -> None:
        self.now, self.position = EVENING, 0
        self.detector = EventDetector({"radio": expectation}, lambda: self.now)

    def play(self, result: SegmentResult, times: int, hop: int = HOP) -> Iterator[Any]:
        for _ in range(times):
            self.position += hop
            moved = replace(result, start=self.position, end=self.position + 7 * SAMPLE_RATE)
            yield from (
                event for event in self.detector.result("radio", moved) if event.type.endswith("expected_genre")
            )


def types(events: Iterator[Any]) -> list[str]:
    return [event.type for event in events]


def test_another_genre_for_long_enough_is_one_event_and_its_end_another() -> None:
    stream = Stream()
    assert types(stream.play(JAZZ, 3)) == []
    assert types(stream.play(ROCK, 11)) == []
    assert types(stream.play(REFUSED, 1)) == ["unexpected_genre"]
    assert types(stream.play(ROCK, 100)) == []
    (event,) = stream.play(JAZZ, 3)
    assert (event.type, event.genre, event.source) == ("expected_genre", "jazz", "radio")


def test_a_short_change_is_none() -> None:
    stream = Stream()
    for _ in range(5):
        assert types(stream.play(ROCK, 11)) == types(stream.play(JAZZ, 1)) == []


def test_silence_is_dead_air_and_counts_for_nothing() -> None:
    stream = Stream()
    assert types(stream.play(ROCK, 11)) == types(stream.play(SILENCE, 100)) == []
    assert types(stream.play(ROCK, 1)) == ["unexpected_genre"]


def test_a_gap_is_no_sound() -> None:
    assert types(Stream().play(ROCK, 2, hop=3600 * SAMPLE_RATE)) == []


def test_outside_the_hours_everything_is_expected() -> None:
    stream = Stream()
    stream.now = EVENING.replace(hour=19)
    assert types(stream.play(ROCK, 100)) == []
    stream.now = EVENING
    assert types(stream.play(ROCK, 11)) == []
    assert types(stream.play(ROCK, 1)) == ["unexpected_genre"]


def test_a_source_without_expectations_has_no_such_event() -> None:
    assert [event.type for event in EventDetector().result("radio", ROCK)] == ["genre_changed"]
