"""Spells: every millisecond received or lost is in exactly one of them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.sinks.mqtt_rig import JAZZ, ROCK, SAMPLE_RATE, SILENCE

from genrewatch.history.spell import SpellContext
from genrewatch.history.spell_builder import SpellBuilder
from genrewatch.host.times import Timestamp, ms_to_rfc3339, rfc3339_to_ms

CONTEXT = SpellContext(node="box", source="mic", name="Mic", model="net", version="1", run="r")
NOON = rfc3339_to_ms("2026-11-24T12:00:00.000Z")


def at(seconds, utc_ms=NOON):
    return Timestamp(utc_ms=utc_ms + round(1000 * seconds), mono_s=100 + seconds)


def segment(result, end_s, lost_s=0.0):
    """A result whose segment ends at `end_s`, with `lost_s` missing before it."""
    end, lost = round(end_s * SAMPLE_RATE), round(lost_s * SAMPLE_RATE)
    return replace(result, start=max(0, end - 7 * SAMPLE_RATE), end=end, lost=lost)


def spells_of(builder):
    """(reason or genre, sound, loss) of each spell."""
    return [(s.key.genre or s.key.reason, s.received_ms, s.lost_ms) for s in builder.ended]


def test_segments_with_one_verdict_are_one_spell_and_a_new_verdict_starts_another():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    for second, result in ((7, ROCK), (9, ROCK), (11, JAZZ), (13, JAZZ)):
        builder.add_result("mic", segment(result, second), at(second + 0.25))
    builder.add_duration("mic", 14.5, 0.0, at(14.5))
    builder.end_stream("mic", at(14.5))
    assert spells_of(builder) == [("rock", 9000, 0), ("jazz", 5500, 0)]
    rock, jazz = (spell.fields() for spell in builder.ended)
    assert (rock["start"], rock["end"]) == ("2026-11-24T12:00:00.000Z", "2026-11-24T12:00:09.250Z")
    assert (jazz["start"], jazz["start_s"], jazz["end_s"]) == ("2026-11-24T12:00:09.250Z", 9.0, 14.5)
    assert (rock["votes"], rock["segments"], rock["confidence"], rock["share"]) == ({"rock": 2}, 2, 0.6432, 0.7778)
    assert rock["continues"] is rock["interrupted"] is False


def test_a_held_genre_and_a_won_one_are_the_same_spell_but_dead_air_is_not_silence():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    held = replace(ROCK, verdict=replace(ROCK.verdict, reason="held"))
    for second, result in ((7, ROCK), (9, held), (11, SILENCE), (13, replace(SILENCE, dead_air=True))):
        builder.add_result("mic", segment(result, second), at(second))
    builder.end_stream("mic", at(13))
    assert spells_of(builder) == [("rock", 9000, 0), ("silence", 2000, 0), ("silence", 2000, 0)]
    assert [spell.fields()["dead_air"] for spell in builder.ended] == [False, False, True]
    assert builder.ended[1].fields()["confidence"] is None


def test_an_outage_is_a_spell_with_the_loss_that_the_source_reports_afterwards():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    builder.add_result("mic", segment(ROCK, 7), at(7))
    builder.add_duration("mic", 8.0, 0.0, at(16))  # 8 s after the last sound it is found to have stalled
    builder.mark_stalled("mic", at(16))
    builder.mark_stalled("mic", at(40))
    assert builder.open_spells()[0].lost_ms == 24_000, "by the clock, until the source reports the loss"
    builder.mark_resumed("mic", at(50))
    builder.add_result("mic", segment(JAZZ, 57, lost_s=42), at(57))
    builder.end_stream("mic", at(57))
    assert spells_of(builder) == [("rock", 8000, 0), ("stalled", 0, 42_000), ("jazz", 7000, 0)]
    stalled, jazz = builder.ended[1].fields(), builder.ended[2].fields()
    assert (stalled["start"][11:19], stalled["end"][11:19]) == ("12:00:16", "12:00:50")
    assert (stalled["start_s"], stalled["end_s"], jazz["start_s"], jazz["end_s"]) == (8.0, 50.0, 50.0, 57.0)


def test_sound_too_short_for_a_segment_between_two_outages_is_warming_up():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    builder.add_result("mic", segment(ROCK, 7), at(7))
    builder.mark_stalled("mic", at(15))
    builder.mark_resumed("mic", at(20))
    builder.add_duration("mic", 10.0, 13.0, at(31))
    builder.mark_stalled("mic", at(31))
    builder.end_stream("mic", at(41))
    assert spells_of(builder) == [
        ("rock", 7000, 0),
        ("stalled", 0, 13_000),
        ("warming_up", 3000, 0),
        ("stalled", 0, 10_000),
    ]


def test_a_source_that_is_absent_at_first_is_stalled_by_the_clock():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    builder.mark_stalled("mic", at(2))
    builder.mark_resumed("mic", at(60))
    builder.add_result("mic", segment(ROCK, 7), at(67))
    builder.end_stream("mic", at(67))
    assert spells_of(builder) == [("stalled", 0, 60_000), ("rock", 7000, 0)]


def test_loss_without_an_outage_belongs_to_the_spell_in_which_it_occurred():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    builder.add_result("mic", segment(ROCK, 7), at(7))
    builder.add_result("mic", segment(ROCK, 17, lost_s=1.5), at(17))
    builder.end_stream("mic", at(17))
    assert spells_of(builder) == [("rock", 15_500, 1500)]


def test_a_spell_is_cut_at_the_full_hour_and_continued():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(3590))
    builder.add_result("mic", segment(ROCK, 7), at(3597))
    builder.add_result("mic", segment(ROCK, 15), at(3605))
    builder.mark_stalled("mic", at(3613))
    builder.mark_stalled("mic", at(7201))
    builder.mark_resumed("mic", at(7300))
    builder.add_result("mic", segment(ROCK, 3710, lost_s=3688), at(7307))
    builder.end_stream("mic", at(7307))
    assert spells_of(builder) == [
        ("rock", 7000, 0),
        ("rock", 8000, 0),
        ("stalled", 0, 8000),
        ("stalled", 0, 3_680_000),
        ("rock", 7000, 0),
    ]
    assert [spell.continues for spell in builder.ended] == [False, True, False, True, False]


def test_a_full_hour_between_two_segments_cuts_once():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(3580))
    for number in range(10):
        seconds = 7 + 1.86 * number
        builder.add_result("mic", segment(ROCK, seconds), at(3580 + seconds))
    builder.end_stream("mic", at(3605))
    assert [spell.continues for spell in builder.ended] == [False, True]


def test_a_clock_step_is_recorded_and_changes_no_duration():
    builder = SpellBuilder()
    builder.start_stream(CONTEXT, at(0))
    builder.add_result("mic", segment(ROCK, 7), at(7))
    builder.add_result("mic", segment(ROCK, 9), at(9, utc_ms=NOON + 600_000))
    builder.add_result("mic", segment(JAZZ, 11), at(11, utc_ms=NOON - 600_000))
    builder.end_stream("mic", at(11, utc_ms=NOON - 600_000))
    assert spells_of(builder) == [("rock", 9000, 0), ("jazz", 2000, 0)]
    assert [spell.fields()["clock_step_s"] for spell in builder.ended] == [600.0, -1200.0]
    assert [spell.fields()["mono_end_s"] for spell in builder.ended] == [109.0, 111.0]


def test_calls_for_a_source_without_a_stream_are_ignored():
    builder = SpellBuilder()
    builder.mark_stalled("mic", at(0))
    builder.mark_resumed("mic", at(0))
    builder.add_duration("mic", 5.0, 1.0, at(1))
    builder.add_result("mic", ROCK, at(8))
    builder.end_stream("mic", at(9))
    assert not builder.ended
    assert not builder.open_spells()


steps = st.lists(
    st.tuples(
        st.sampled_from(["sound", "gap", "outage", "short"]),
        st.integers(1, 20_000),
        st.sampled_from([ROCK, JAZZ, SILENCE]),
    ),
    max_size=30,
)


@given(steps)
def test_spells_add_up_to_the_sound_received_and_lost(steps):
    builder, now_s, received_ms, lost_ms = SpellBuilder(), 0.0, 0, 0
    builder.start_stream(CONTEXT, at(0))
    for what, ms, result in steps:
        now_s += ms / 1000
        if what == "gap":
            lost_ms += ms
        elif what == "outage":
            if not received_ms:
                continue  # before the first sound nothing is counted
            builder.add_duration("mic", received_ms / 1000, lost_ms / 1000, at(now_s))
            builder.mark_stalled("mic", at(now_s))
            builder.mark_resumed("mic", at(now_s + 1))
            lost_ms, now_s = lost_ms + ms, now_s + 1
            received_ms += 1
            builder.add_duration("mic", received_ms / 1000, lost_ms / 1000, at(now_s))
        else:
            received_ms += ms
            if what == "sound":
                builder.add_result("mic", segment(result, (received_ms + lost_ms) / 1000, lost_ms / 1000), at(now_s))
    builder.add_duration("mic", received_ms / 1000, lost_ms / 1000, at(now_s))
    builder.end_stream("mic", at(now_s))
    assert sum(spell.received_ms for spell in builder.ended) == received_ms
    assert sum(spell.lost_ms for spell in builder.ended) == lost_ms
    assert all(spell.received_ms >= 0 <= spell.lost_ms for spell in builder.ended)


def test_a_time_is_written_and_read_to_the_millisecond():
    for utc_ms in (0, NOON, NOON + 1, NOON + 999, -1):
        assert rfc3339_to_ms(ms_to_rfc3339(utc_ms)) == utc_ms
    assert rfc3339_to_ms("2026-11-24T13:00:00+01:00") == NOON
