"""What the history keeps of a stream when its verdicts wait for what follows (`[history] lag_s`)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.history.test_writer import records
from tests.sinks.mqtt_rig import ROCK

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.smoother import MAX_WINDOW
from genrewatch.contract.vote import SILENCE, Ballot, Verdict
from genrewatch.daemon.config import SHIPPED_BUNDLE
from genrewatch.history.config import HistoryConfig
from genrewatch.history.database import database_path
from genrewatch.history.delayed_results import DelayedResult, DelayedResults
from genrewatch.host.times import Timestamp, rfc3339_to_ms
from genrewatch.inference.pipeline import Pipeline, SegmentResult, open_pipeline
from genrewatch.sinks.history import HistorySink

RATE, HOP, SEGMENT = 22_050, 40_992, 164_308
HOP_S = HOP / RATE
NOON = rfc3339_to_ms("2026-11-24T12:00:00.000Z")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return open_pipeline(
        SHIPPED_BUNDLE,
        lambda vote: replace(vote, filter="hmm", expected_duration_s=600.0, segment_weight=0.75, segments=3),
        LevelConfig(),
    )


def results_of(pipeline: Pipeline, labels: list[str], *, start: int = 0, lost: int = 0) -> list[SegmentResult]:
    """A segment for each label, a hop apart; the verdict as published is a fixed one."""
    made = []
    for i, label in enumerate(labels):
        posterior = None
        if label != SILENCE:
            posterior = np.full(len(pipeline.manifest.labels), 0.02, np.float32)
            posterior[pipeline.manifest.labels.index(label)] = 0.8
        begin = start + i * HOP
        ballot = Ballot(label=label, posterior=posterior)
        made.append(replace(ROCK, start=begin, end=begin + SEGMENT, ballot=ballot, lost=lost))
    return made


def at(seconds: float) -> Timestamp:
    return Timestamp(utc_ms=NOON + round(1000 * seconds), mono_s=100 + seconds)


def delayed(pipeline: Pipeline, lag_s: float, results: list[SegmentResult]) -> Iterator[DelayedResult]:
    held = DelayedResults(pipeline, lag_s)
    for result in results:
        yield from held.push(result, at(result.end_s))
    yield from held.flush()


@pytest.mark.parametrize(("lag_s", "vote_filter"), [(0.0, "hmm"), (15.0, "none")])
def test_without_a_lag_or_without_a_filter_each_result_is_kept_as_it_is_at_once(
    pipeline: Pipeline, lag_s: float, vote_filter: str
) -> None:
    held = DelayedResults(replace(pipeline, vote=replace(pipeline.vote, filter=vote_filter)), lag_s)
    for result in results_of(pipeline, ["rock", "jazz", SILENCE]):
        (found,) = held.push(result, at(result.end_s))
        assert found.past is found.result is result
        assert found.until is None


def test_a_result_is_due_after_the_lag_and_keeps_its_time(pipeline: Pipeline) -> None:
    held, results = DelayedResults(pipeline, 15.0), results_of(pipeline, ["rock"] * 20)
    for i, result in enumerate(results):
        found = list(held.push(result, at(result.end_s)))
        assert len(found) == (i >= 9)  # 9 hops are 16.7 s
        if found:
            assert found[0].result is results[i - 9]
            assert (found[0].at, found[0].until) == (at(results[i - 9].end_s), result.end)
    rest = list(held.flush())
    assert [each.result for each in rest] == results[-9:]
    assert {each.until for each in rest} == {results[-1].end}
    assert list(held.flush()) == []


def test_a_change_is_dated_to_the_sound_in_which_it_occurred_and_a_slip_is_none(pipeline: Pipeline) -> None:
    played = ["rock"] * 12 + ["jazz"] * 12 + ["pop"] + ["jazz"] * 12
    found = [each.past.verdict.genre for each in delayed(pipeline, 15.0, results_of(pipeline, played))]
    assert (
        found == ["rock"] * 11 + ["jazz"] * 26
    )  # the last rock segment brought sound from the middle of the first jazz one


def test_silence_and_dead_air_are_those_of_the_segment_in_the_middle(pipeline: Pipeline) -> None:
    results = results_of(pipeline, ["rock"] * 6 + [SILENCE] * 6 + ["rock"] * 6)
    results = [replace(result, dead_air=result.ballot.label == SILENCE) for result in results]
    found = [each.past for each in delayed(pipeline, 15.0, results)]
    assert [past.verdict.reason for past in found] == ["majority"] * 5 + ["silence"] * 6 + ["majority"] * 7
    assert [past.dead_air for past in found] == [past.verdict.reason == "silence" for past in found]
    assert [past.ballot.label for past in found[4:6]] == ["rock", SILENCE]


def test_with_a_short_hop_a_bounded_number_waits(pipeline: Pipeline) -> None:
    held, most = DelayedResults(pipeline, 120.0), 0
    results = [
        replace(result, start=i * 1708, end=i * 1708 + SEGMENT)
        for i, result in enumerate(results_of(pipeline, ["rock"] * 200))
    ]
    given_out = 0
    for i, result in enumerate(results, start=1):
        given_out += len(list(held.push(result, at(result.end_s))))
        most = max(most, i - given_out)
    assert most == MAX_WINDOW


@given(
    st.lists(st.tuples(st.sampled_from(["rock", "jazz", "not_music", SILENCE]), st.sampled_from([0, 0, 0, 500, 10**6])))
)
def test_each_result_is_kept_once_in_order_whatever_the_gaps(sound: list[tuple[str, int]]) -> None:
    results, shift = [], 0
    for result, (_, gap) in zip(results_of(PIPELINE, [label for label, _ in sound]), sound, strict=True):
        shift += gap + (SEGMENT - HOP if gap else 0)
        results.append(replace(result, start=result.start + shift, end=result.end + shift))
    found = list(delayed(PIPELINE, 15.0, results))
    assert [each.result for each in found] == results
    for each in found:
        assert each.until is not None
        assert each.until >= each.result.end
        assert (each.past.start, each.past.end, each.past.lost) == (
            each.result.start,
            each.result.end,
            each.result.lost,
        )


PIPELINE = open_pipeline(
    SHIPPED_BUNDLE,
    lambda vote: replace(vote, filter="hmm", expected_duration_s=600.0, segment_weight=0.75),
    LevelConfig(),
)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> Timestamp:
        return at(self.seconds)


class Station:
    """A sink with a lag, and one source whose sound a test plays."""

    def __init__(self, path: Path, pipeline: Pipeline, lag_s: float) -> None:
        self.path, self.pipeline, self.clock = path, pipeline, Clock()
        config = HistoryConfig(save_s=0.1, lag_s=lag_s)
        self.sink = HistorySink(path, "box", config, names={"mic": "Mic"}, clock=self.clock)
        self.sink.start()
        self.sink.on_stream("mic", pipeline)
        self.sink.on_availability("mic", True, "")

    def play(self, labels: list[str], *, start: int = 0, lost: int = 0) -> None:
        """Play a segment for each label; published is another genre all the time."""
        for result in results_of(self.pipeline, labels, start=start, lost=lost):
            self.clock.seconds = result.end_s
            self.sink.on_result("mic", replace(result, verdict=replace(ROCK.verdict, genre="blues")))

    def spells(self) -> list[tuple[str, float, str]]:
        """End the daemon; return verdict, seconds of sound and start of each spell."""
        self.sink.flush()
        return [(r["genre"] or r["reason"], r["heard_s"], r["start"][11:19]) for r in records(self.path)]


def test_spells_have_the_smoothers_verdicts_and_the_right_times(tmp_path: Path, pipeline: Pipeline) -> None:
    station = Station(database_path(tmp_path, "box"), pipeline, 15.0)
    station.play(["rock"] * 12 + ["jazz"] * 12 + ["pop"] + ["jazz"] * 12)
    end = SEGMENT + 36 * HOP
    station.sink.on_duration("mic", (end + 500) / RATE, 0.0, ended=True)
    border_s = (SEGMENT + 10 * HOP) / RATE
    found = station.spells()
    assert [(what, start) for what, _, start in found] == [("rock", "12:00:00"), ("jazz", "12:00:26")]
    assert found[0][1] == pytest.approx(border_s, abs=0.002)
    assert found[0][1] + found[1][1] == pytest.approx((end + 500) / RATE, abs=0.002)
    rock, jazz = records(station.path)
    assert (rock["votes"], rock["segments"], jazz["votes"]) == ({"rock": 11}, 11, {"jazz": 26})
    assert 0.9 < rock["share"] <= 1


def test_without_a_lag_spells_are_what_was_published(tmp_path: Path, pipeline: Pipeline) -> None:
    station = Station(database_path(tmp_path, "box"), pipeline, 0.0)
    station.play(["rock"] * 12 + ["jazz"] * 12)
    assert [what for what, _, _ in station.spells()] == ["blues"]


def test_an_outage_a_restart_and_the_end_wait_for_nothing(tmp_path: Path, pipeline: Pipeline) -> None:
    station = Station(database_path(tmp_path, "box"), pipeline, 15.0)
    station.play(["rock"] * 8)
    heard = SEGMENT + 7 * HOP
    station.clock.seconds = heard / RATE + 8
    station.sink.on_duration("mic", heard / RATE, 0.0, ended=False)
    station.sink.on_stalled("mic")
    station.clock.seconds += 20
    station.sink.on_availability("mic", True, "")
    lost = 28 * RATE
    station.play(["jazz"] * 8, start=heard + lost, lost=lost)
    station.sink.on_stream("mic", pipeline)  # another stream: settings or the bundle were changed
    station.play(["pop"] * 3)
    assert [what for what, _, _ in station.spells()] == ["rock", "stalled", "jazz", "pop"]


def test_the_open_spell_is_behind_by_the_lag(tmp_path: Path, pipeline: Pipeline) -> None:
    station = Station(database_path(tmp_path, "box"), pipeline, 15.0)
    station.play(["rock"] * 20)
    batch = station.sink._collect()
    (opened,) = batch.open_spells
    assert (opened.key.genre, opened.segments) == ("rock", 11)
    assert opened.received_ms == round(1000 * (SEGMENT + 10 * HOP) / RATE)
    assert station.spells()[0][1] == pytest.approx((SEGMENT + 19 * HOP) / RATE, abs=0.002)


def test_a_held_back_result_has_no_verdict_of_its_own_until_it_is_due(pipeline: Pipeline) -> None:
    verdict: Verdict = next(delayed(pipeline, 15.0, results_of(pipeline, ["jazz"] * 12))).past.verdict
    assert (verdict.genre, verdict.reason, verdict.segments) == ("jazz", "majority", 1)
