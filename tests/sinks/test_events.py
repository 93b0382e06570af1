"""Events of the detector, each reported once."""

import json
import math
import threading
from dataclasses import replace

from tests.sinks.hook_rig import EVENT
from tests.sinks.mqtt_rig import JAZZ, ROCK, SILENCE

from genrewatch.contract.vote import Verdict
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.events import Event, EventDetector, event_payload
from genrewatch.sources.source import NowPlaying

REFUSED = replace(
    ROCK, verdict=Verdict(genre=None, reason="refused", share=0.4, confidence=None, votes={"rock": 4}, segments=9)
)
DEAD_AIR = replace(SILENCE, dead_air=True)


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def events_of(detector: EventDetector, *results: SegmentResult) -> list[list[str]]:
    """Return the types of the events after each result of source `mic`."""
    return [types(detector.result("mic", result)) for result in results]


def test_the_first_genre_is_a_change_from_none_with_the_fields_of_the_verdict() -> None:
    assert EventDetector().result("mic", ROCK) == [
        Event(
            type="genre_changed",
            source="mic",
            genre="rock",
            previous_genre=None,
            reason="majority",
            confidence=0.64321,
            level_dbfs=-18.26,
            station=None,
            title=None,
        )
    ]


def test_a_genre_that_lasts_is_no_event() -> None:
    assert events_of(EventDetector(), ROCK, ROCK, ROCK) == [["genre_changed"], [], []]


def test_a_genre_that_comes_back_after_refusal_silence_or_an_outage_has_not_changed() -> None:
    detector = EventDetector()
    assert events_of(detector, ROCK, REFUSED, ROCK, SILENCE, ROCK) == [["genre_changed"], [], [], [], []]
    detector.stalled("mic")
    detector.stream("mic")
    assert events_of(detector, REFUSED, ROCK) == [["resumed"], []]


def test_another_genre_is_a_change_from_the_one_before_whatever_lay_between() -> None:
    detector = EventDetector()
    events_of(detector, ROCK, REFUSED, SILENCE)
    detector.stalled("mic")
    events = detector.result("mic", JAZZ)
    assert types(events) == ["resumed", "genre_changed"]
    assert {(event.genre, event.previous_genre) for event in events} == {("jazz", "rock")}


def test_dead_air_and_its_end_are_reported_once_each() -> None:
    detector = EventDetector()
    assert events_of(detector, ROCK, SILENCE, DEAD_AIR, DEAD_AIR, SILENCE, REFUSED, ROCK) == [
        ["genre_changed"],
        [],
        ["dead_air"],
        [],
        ["sound_returned"],
        [],
        [],
    ]


def test_dead_air_has_the_genre_before_it() -> None:
    detector = EventDetector()
    events_of(detector, ROCK)
    (event,) = detector.result("mic", DEAD_AIR)
    assert (event.genre, event.previous_genre, event.reason, event.level_dbfs) == (None, "rock", "silence", None)


def test_an_outage_is_reported_once_and_its_end_with_the_first_result() -> None:
    detector = EventDetector()
    assert [types(detector.stalled("mic")) for _ in range(3)] == [["stalled"], [], []]
    assert events_of(detector, REFUSED, REFUSED) == [["resumed"], []]
    assert types(detector.stalled("mic")) == ["stalled"]


def test_an_outage_is_reported_once_by_however_many_threads() -> None:
    detector, events = EventDetector(), list[Event]()
    threads = [threading.Thread(target=lambda: events.extend(detector.stalled("mic"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert types(events) == ["stalled"]


def test_dead_air_that_outlasts_an_outage_is_not_reported_again() -> None:
    detector = EventDetector()
    events_of(detector, DEAD_AIR)
    detector.stalled("mic")
    assert events_of(detector, DEAD_AIR, ROCK) == [["resumed"], ["sound_returned", "genre_changed"]]


def test_sound_after_an_outage_ends_the_dead_air_before_it() -> None:
    detector = EventDetector()
    events_of(detector, DEAD_AIR)
    detector.stalled("mic")
    assert events_of(detector, ROCK, DEAD_AIR) == [["resumed", "sound_returned", "genre_changed"], ["dead_air"]]


def test_an_outage_neither_begins_nor_ends_dead_air() -> None:
    detector = EventDetector()
    events_of(detector, ROCK)
    assert types(detector.stalled("mic")) == ["stalled"]
    assert events_of(detector, SILENCE, DEAD_AIR) == [["resumed"], ["dead_air"]]


def test_the_silence_at_the_start_of_a_new_stream_does_not_end_dead_air_but_sound_does() -> None:
    detector = EventDetector()
    events_of(detector, DEAD_AIR)
    detector.stream("mic")
    assert events_of(detector, SILENCE, SILENCE, DEAD_AIR, SILENCE) == [[], [], [], ["sound_returned"]]
    events_of(detector, DEAD_AIR)
    detector.stream("mic")
    assert events_of(detector, SILENCE, REFUSED, SILENCE) == [[], ["sound_returned"], []]


def test_a_source_that_was_switched_off_starts_from_nothing_without_an_event() -> None:
    detector = EventDetector()
    events_of(detector, ROCK, DEAD_AIR)
    detector.stalled("mic")
    detector.reset("mic")
    detector.reset("never heard of")
    (event,) = detector.result("mic", ROCK)
    assert (event.type, event.previous_genre) == ("genre_changed", None)


def test_sources_do_not_mix() -> None:
    detector = EventDetector()
    events_of(detector, ROCK)
    detector.stalled("mic")
    assert types(detector.result("radio", JAZZ)) == ["genre_changed"]
    detector.reset("radio")
    assert events_of(detector, ROCK) == [["resumed"]]


def test_events_have_station_and_title_until_an_outage() -> None:
    detector = EventDetector()
    detector.playing("radio", NowPlaying(station="Radio X", title="Song"))
    (changed,) = detector.result("radio", ROCK)
    (stalled,) = detector.stalled("radio")
    (resumed,) = detector.result("radio", ROCK)
    assert [(event.station, event.title) for event in (changed, stalled, resumed)] == [
        ("Radio X", "Song"),
        ("Radio X", "Song"),
        (None, None),
    ]
    assert (stalled.genre, stalled.previous_genre, stalled.reason) == (None, "rock", "stalled")
    assert (stalled.confidence, stalled.level_dbfs) == (None, None)


def test_the_payload_of_an_event_has_these_fields_and_rounds_as_states_do() -> None:
    (event,) = EventDetector().result("mic", ROCK)
    arguments = {"node": "box", "name": "Record player", "ts": "2026-11-22T12:00:00.123Z"}
    body = json.loads(event_payload(event, **arguments, model="net", version="1.2.0"))
    assert body == {**EVENT, "station": None}
    assert (
        json.loads(event_payload(replace(event, level_dbfs=-math.inf), **arguments, model=None, version=None))[
            "level_dbfs"
        ]
        is None
    )
