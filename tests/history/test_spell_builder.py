"""Spells: every millisecond that a source has given or cost is in exactly one of them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.sinks.mqtt_rig import JAZZ, ROCK, SAMPLE_RATE, SILENCE

from genrewatch.history.spell import Setting
from genrewatch.history.spell_builder import SpellBuilder
from genrewatch.host.times import Timestamp, ms_to_rfc3339, rfc3339_to_ms

SETTING = Setting(node="box", source="mic", name="Mic", model="net", version="1", run="r")
NOON = rfc3339_to_ms("2026-11-24T12:00:00.000Z")


def at(seconds, utc_ms=NOON):
    return Timestamp(utc_ms=utc_ms + round(1000 * seconds), mono_s=100 + seconds)


def heard(result, end_s, lost_s=0.0):
    """A segment that ends there, with so much lost before it."""
    end, lost = round(end_s * SAMPLE_RATE), round(lost_s * SAMPLE_RATE)
    return replace(result, start=max(0, end - 7 * SAMPLE_RATE), end=end, lost=lost)


def told(book):
    """(reason or genre, sound, loss) of each spell."""
    return [(s.subject.genre or s.subject.reason, s.heard_ms, s.lost_ms) for s in book.ended]


def test_segments_of_one_verdict_are_one_spell_and_a_new_verdict_begins_another():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    for second, result in ((7, ROCK), (9, ROCK), (11, JAZZ), (13, JAZZ)):
        book.result("mic", heard(result, second), at(second + 0.25))
    book.heard("mic", 14.5, 0.0, at(14.5))
    book.finish("mic", at(14.5))
    assert told(book) == [("rock", 9000, 0), ("jazz", 5500, 0)]
    rock, jazz = (spell.body() for spell in book.ended)
    assert (rock["start"], rock["end"]) == ("2026-11-24T12:00:00.000Z", "2026-11-24T12:00:09.250Z")
    assert (jazz["start"], jazz["start_s"], jazz["end_s"]) == ("2026-11-24T12:00:09.250Z", 9.0, 14.5)
    assert (rock["votes"], rock["segments"], rock["confidence"], rock["share"]) == ({"rock": 2}, 2, 0.6432, 0.7778)
    assert rock["continues"] is rock["interrupted"] is False


def test_a_held_genre_and_a_won_one_are_the_same_spell_but_dead_air_is_not_silence():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    held = replace(ROCK, verdict=replace(ROCK.verdict, reason="held"))
    for second, result in ((7, ROCK), (9, held), (11, SILENCE), (13, replace(SILENCE, dead_air=True))):
        book.result("mic", heard(result, second), at(second))
    book.finish("mic", at(13))
    assert told(book) == [("rock", 9000, 0), ("silence", 2000, 0), ("silence", 2000, 0)]
    assert [spell.body()["dead_air"] for spell in book.ended] == [False, False, True]
    assert book.ended[1].body()["confidence"] is None


def test_an_outage_is_a_spell_that_costs_what_the_source_says_when_it_is_back():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    book.result("mic", heard(ROCK, 7), at(7))
    book.heard("mic", 8.0, 0.0, at(16))  # 8 s after the last sound it is found to have stalled
    book.stalled("mic", at(16))
    book.stalled("mic", at(40))
    assert book.drafts()[0].lost_ms == 24_000, "by the clock, until the source has counted"
    book.resumed("mic", at(50))
    book.result("mic", heard(JAZZ, 57, lost_s=42), at(57))
    book.finish("mic", at(57))
    assert told(book) == [("rock", 8000, 0), ("stalled", 0, 42_000), ("jazz", 7000, 0)]
    stalled, jazz = book.ended[1].body(), book.ended[2].body()
    assert (stalled["start"][11:19], stalled["end"][11:19]) == ("12:00:16", "12:00:50")
    assert (stalled["start_s"], stalled["end_s"], jazz["start_s"], jazz["end_s"]) == (8.0, 50.0, 50.0, 57.0)


def test_sound_too_short_for_a_segment_between_two_outages_is_warming_up():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    book.result("mic", heard(ROCK, 7), at(7))
    book.stalled("mic", at(15))
    book.resumed("mic", at(20))
    book.heard("mic", 10.0, 13.0, at(31))
    book.stalled("mic", at(31))
    book.finish("mic", at(41))
    assert told(book) == [("rock", 7000, 0), ("stalled", 0, 13_000), ("warming_up", 3000, 0), ("stalled", 0, 10_000)]


def test_a_source_that_is_absent_at_first_is_stalled_by_the_clock():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    book.stalled("mic", at(2))
    book.resumed("mic", at(60))
    book.result("mic", heard(ROCK, 7), at(67))
    book.finish("mic", at(67))
    assert told(book) == [("stalled", 0, 60_000), ("rock", 7000, 0)]


def test_loss_without_an_outage_belongs_to_the_spell_in_which_it_happened():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    book.result("mic", heard(ROCK, 7), at(7))
    book.result("mic", heard(ROCK, 17, lost_s=1.5), at(17))
    book.finish("mic", at(17))
    assert told(book) == [("rock", 15_500, 1500)]


def test_a_spell_is_cut_at_the_full_hour_and_goes_on():
    book = SpellBuilder()
    book.begin(SETTING, at(3590))
    book.result("mic", heard(ROCK, 7), at(3597))
    book.result("mic", heard(ROCK, 15), at(3605))
    book.stalled("mic", at(3613))
    book.stalled("mic", at(7201))
    book.resumed("mic", at(7300))
    book.result("mic", heard(ROCK, 3710, lost_s=3688), at(7307))
    book.finish("mic", at(7307))
    assert told(book) == [
        ("rock", 7000, 0),
        ("rock", 8000, 0),
        ("stalled", 0, 8000),
        ("stalled", 0, 3_680_000),
        ("rock", 7000, 0),
    ]
    assert [spell.continues for spell in book.ended] == [False, True, False, True, False]


def test_a_full_hour_between_two_segments_cuts_once():
    book = SpellBuilder()
    book.begin(SETTING, at(3580))
    for number in range(10):
        seconds = 7 + 1.86 * number
        book.result("mic", heard(ROCK, seconds), at(3580 + seconds))
    book.finish("mic", at(3605))
    assert [spell.continues for spell in book.ended] == [False, True]


def test_a_clock_that_is_set_is_noted_and_changes_no_duration():
    book = SpellBuilder()
    book.begin(SETTING, at(0))
    book.result("mic", heard(ROCK, 7), at(7))
    book.result("mic", heard(ROCK, 9), at(9, utc_ms=NOON + 600_000))
    book.result("mic", heard(JAZZ, 11), at(11, utc_ms=NOON - 600_000))
    book.finish("mic", at(11, utc_ms=NOON - 600_000))
    assert told(book) == [("rock", 9000, 0), ("jazz", 2000, 0)]
    assert [spell.body()["clock_step_s"] for spell in book.ended] == [600.0, -1200.0]
    assert [spell.body()["mono_end_s"] for spell in book.ended] == [109.0, 111.0]


def test_what_is_said_of_a_source_without_a_stream_is_of_no_account():
    book = SpellBuilder()
    book.stalled("mic", at(0))
    book.resumed("mic", at(0))
    book.heard("mic", 5.0, 1.0, at(1))
    book.result("mic", ROCK, at(8))
    book.finish("mic", at(9))
    assert not book.ended
    assert not book.drafts()


steps = st.lists(
    st.tuples(
        st.sampled_from(["sound", "gap", "outage", "short"]),
        st.integers(1, 20_000),
        st.sampled_from([ROCK, JAZZ, SILENCE]),
    ),
    max_size=30,
)


@given(steps)
def test_spells_add_up_to_what_was_heard_and_lost_whatever_happens(steps):
    book, now_s, heard_ms, lost_ms = SpellBuilder(), 0.0, 0, 0
    book.begin(SETTING, at(0))
    for what, ms, result in steps:
        now_s += ms / 1000
        if what == "gap":
            lost_ms += ms
        elif what == "outage":
            if not heard_ms:
                continue  # before the first sound nothing is counted
            book.heard("mic", heard_ms / 1000, lost_ms / 1000, at(now_s))
            book.stalled("mic", at(now_s))
            book.resumed("mic", at(now_s + 1))
            lost_ms, now_s = lost_ms + ms, now_s + 1
            heard_ms += 1
            book.heard("mic", heard_ms / 1000, lost_ms / 1000, at(now_s))
        else:
            heard_ms += ms
            if what == "sound":
                book.result("mic", heard(result, (heard_ms + lost_ms) / 1000, lost_ms / 1000), at(now_s))
    book.heard("mic", heard_ms / 1000, lost_ms / 1000, at(now_s))
    book.finish("mic", at(now_s))
    assert sum(spell.heard_ms for spell in book.ended) == heard_ms
    assert sum(spell.lost_ms for spell in book.ended) == lost_ms
    assert all(spell.heard_ms >= 0 <= spell.lost_ms for spell in book.ended)


def test_a_time_is_written_and_read_to_the_millisecond():
    for utc_ms in (0, NOON, NOON + 1, NOON + 999, -1):
        assert rfc3339_to_ms(ms_to_rfc3339(utc_ms)) == utc_ms
    assert rfc3339_to_ms("2026-11-24T13:00:00+01:00") == NOON
