"""What is worth an event, and that it is told once."""

import json
import math
import threading
from dataclasses import replace

from tests.sinks.mqtt_rig import JAZZ, ROCK, SILENCE

from genrewatch.contract.vote import Verdict
from genrewatch.inference.pipeline import SegmentResult
from genrewatch.sinks.events import Changes, Event, event_payload
from genrewatch.sources.source import NowPlaying

REFUSED = replace(
    ROCK, verdict=Verdict(genre=None, reason="refused", share=0.4, confidence=None, votes={"rock": 4}, segments=9)
)
DEAD_AIR = replace(SILENCE, dead_air=True)


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def told(changes: Changes, *results: SegmentResult) -> list[list[str]]:
    """What each result of source `mic` leads to."""
    return [types(changes.result("mic", result)) for result in results]


def test_the_first_genre_is_a_change_from_none_and_says_what_the_verdict_says() -> None:
    assert Changes().result("mic", ROCK) == [
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
    assert told(Changes(), ROCK, ROCK, ROCK) == [["genre_changed"], [], []]


def test_a_genre_that_comes_back_after_refusal_silence_or_an_outage_has_not_changed() -> None:
    changes = Changes()
    assert told(changes, ROCK, REFUSED, ROCK, SILENCE, ROCK) == [["genre_changed"], [], [], [], []]
    changes.stalled("mic")
    changes.stream("mic")
    assert told(changes, REFUSED, ROCK) == [["resumed"], []]


def test_another_genre_is_a_change_from_the_one_before_whatever_lay_between() -> None:
    changes = Changes()
    told(changes, ROCK, REFUSED, SILENCE)
    changes.stalled("mic")
    events = changes.result("mic", JAZZ)
    assert types(events) == ["resumed", "genre_changed"]
    assert {(event.genre, event.previous_genre) for event in events} == {("jazz", "rock")}


def test_dead_air_and_its_end_are_told_once_each() -> None:
    changes = Changes()
    assert told(changes, ROCK, SILENCE, DEAD_AIR, DEAD_AIR, SILENCE, REFUSED, ROCK) == [
        ["genre_changed"],
        [],
        ["dead_air"],
        [],
        ["sound_returned"],
        [],
        [],
    ]


def test_dead_air_says_what_was_heard_before_it() -> None:
    changes = Changes()
    told(changes, ROCK)
    (event,) = changes.result("mic", DEAD_AIR)
    assert (event.genre, event.previous_genre, event.reason, event.level_dbfs) == (None, "rock", "silence", None)


def test_an_outage_is_told_once_however_often_it_is_said_and_its_end_with_the_first_result() -> None:
    changes = Changes()
    assert [types(changes.stalled("mic")) for _ in range(3)] == [["stalled"], [], []]
    assert told(changes, REFUSED, REFUSED) == [["resumed"], []]
    assert types(changes.stalled("mic")) == ["stalled"]


def test_an_outage_is_told_once_by_however_many_threads() -> None:
    changes, events = Changes(), list[Event]()
    threads = [threading.Thread(target=lambda: events.extend(changes.stalled("mic"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert types(events) == ["stalled"]


def test_dead_air_that_outlasts_an_outage_is_not_told_again() -> None:
    changes = Changes()
    told(changes, DEAD_AIR)
    changes.stalled("mic")
    assert told(changes, DEAD_AIR, ROCK) == [["resumed"], ["sound_returned", "genre_changed"]]


def test_sound_after_an_outage_ends_the_dead_air_before_it() -> None:
    changes = Changes()
    told(changes, DEAD_AIR)
    changes.stalled("mic")
    assert told(changes, ROCK, DEAD_AIR) == [["resumed", "sound_returned", "genre_changed"], ["dead_air"]]


def test_an_outage_neither_begins_nor_ends_dead_air() -> None:
    changes = Changes()
    told(changes, ROCK)
    assert types(changes.stalled("mic")) == ["stalled"]
    assert told(changes, SILENCE, DEAD_AIR) == [["resumed"], ["dead_air"]]


def test_the_silence_at_the_start_of_a_new_stream_does_not_end_dead_air_but_sound_does() -> None:
    changes = Changes()
    told(changes, DEAD_AIR)
    changes.stream("mic")
    assert told(changes, SILENCE, SILENCE, DEAD_AIR, SILENCE) == [[], [], [], ["sound_returned"]]
    told(changes, DEAD_AIR)
    changes.stream("mic")
    assert told(changes, SILENCE, REFUSED, SILENCE) == [[], ["sound_returned"], []]


def test_a_source_that_was_switched_off_begins_anew_without_an_event() -> None:
    changes = Changes()
    told(changes, ROCK, DEAD_AIR)
    changes.stalled("mic")
    changes.off("mic")
    changes.off("never heard of")
    (event,) = changes.result("mic", ROCK)
    assert (event.type, event.previous_genre) == ("genre_changed", None)


def test_sources_do_not_mix() -> None:
    changes = Changes()
    told(changes, ROCK)
    changes.stalled("mic")
    assert types(changes.result("radio", JAZZ)) == ["genre_changed"]
    changes.off("radio")
    assert told(changes, ROCK) == [["resumed"]]


def test_events_say_what_the_station_says_until_an_outage() -> None:
    changes = Changes()
    changes.playing("radio", NowPlaying(station="Radio X", title="Song"))
    (changed,) = changes.result("radio", ROCK)
    (stalled,) = changes.stalled("radio")
    (resumed,) = changes.result("radio", ROCK)
    assert [(event.station, event.title) for event in (changed, stalled, resumed)] == [
        ("Radio X", "Song"),
        ("Radio X", "Song"),
        (None, None),
    ]
    assert (stalled.genre, stalled.previous_genre, stalled.reason) == (None, "rock", "stalled")
    assert (stalled.confidence, stalled.level_dbfs) == (None, None)


def test_the_payload_of_an_event_has_these_fields_and_rounds_as_states_do() -> None:
    (event,) = Changes().result("mic", ROCK)
    arguments = {"node": "box", "name": "Record player", "ts": "2026-11-22T12:00:00.123Z"}
    body = json.loads(event_payload(event, **arguments, model="net", version="1.2.0"))
    assert body == {
        "v": 1,
        "node": "box",
        "source": "mic",
        "name": "Record player",
        "ts": "2026-11-22T12:00:00.123Z",
        "event_type": "genre_changed",
        "genre": "rock",
        "previous_genre": None,
        "reason": "majority",
        "confidence": 0.6432,
        "level_dbfs": -18.3,
        "station": None,
        "title": None,
        "model": "net",
        "version": "1.2.0",
    }
    assert (
        json.loads(event_payload(replace(event, level_dbfs=-math.inf), **arguments, model=None, version=None))[
            "level_dbfs"
        ]
        is None
    )
