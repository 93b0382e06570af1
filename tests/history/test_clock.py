"""A clock that is not set at the start, as on a Raspberry Pi that boots in 1970."""

import itertools
import time
from dataclasses import replace

import pytest
from tests.history.rig import NOON, spell
from tests.history.test_writer import facts, pipeline, play, records, started, until  # noqa: F401
from tests.sinks.mqtt_rig import JAZZ, ROCK

from genrewatch.cli import main
from genrewatch.history import spell_times
from genrewatch.history.database import database_path
from genrewatch.history.reader import HistoryReader
from genrewatch.history.store import HistoryStore
from genrewatch.host.times import Timestamp, now, rfc3339_to_ms

DAY_MS = 86_400_000
PLENTY = 10**9


class Clock:
    """The clocks of a machine that boots at the start of 1970; `set` sets the wall clock."""

    def __init__(self):
        self._started, self._offset_ms = time.monotonic(), 0

    def __call__(self):
        at = time.monotonic()
        return Timestamp(utc_ms=self._offset_ms + round(1000 * (at - self._started)), mono_s=at)

    def set(self):
        self._offset_ms = now().utc_ms - round(1000 * (time.monotonic() - self._started))


@pytest.fixture
def path(tmp_path):
    return database_path(tmp_path / "state", "box")


def in_1970(given):
    """The spell as a machine records it whose clock shows 1970."""
    start, end = (replace(stamp, utc_ms=stamp.utc_ms - NOON) for stamp in (given.start, given.end))
    return replace(given, start=start, end=end)


def test_spells_wait_for_the_clock_and_get_their_right_time_from_the_monotonic_clock(path, pipeline):  # noqa: F811
    clock = Clock()
    sink = started(path, pipeline, clock=clock)
    began_ms = now().utc_ms
    play(sink, ROCK, JAZZ, ROCK)
    until(lambda: sink.problems())
    assert "the clock is not set (1970-01-01T00:00:0" in sink.problems()[0]
    time.sleep(0.3)
    assert (facts(sink)["stored"], facts(sink)["unsaved"]) == (0, 2)
    clock.set()
    play(sink, JAZZ, from_s=10)
    until(lambda: facts(sink)["stored"] == 3)
    assert not sink.problems()
    sink.flush()
    stored = records(path)
    assert [r["genre"] for r in stored] == ["rock", "jazz", "rock", "jazz"]
    previous_ms = began_ms - 1000
    for record in stored:
        start_ms, end_ms = rfc3339_to_ms(record["start"]), rfc3339_to_ms(record["end"])
        assert previous_ms - 50 <= start_ms <= end_ms <= now().utc_ms
        assert abs((end_ms - start_ms) / 1000 - (record["mono_end_s"] - record["mono_start_s"])) < 0.05
        assert record["clock_step_s"] == 0
        previous_ms = end_ms
    assert main(["history", "verify", "--state", str(path.parent)]) == 0


def test_spells_are_stored_as_they_are_when_the_clock_is_never_set(path, pipeline, monkeypatch):  # noqa: F811
    monkeypatch.setattr(spell_times, "HOLD_S", 0.3)
    sink = started(path, pipeline, clock=Clock())
    play(sink, ROCK, JAZZ)
    until(lambda: facts(sink)["stored"] == 1)
    assert sink.problems()[0].endswith("spells are stored with this time")
    sink.flush()
    assert records(path)[0]["start"].startswith("1970-01-01")


def test_a_stop_before_the_clock_is_set_loses_nothing(path, pipeline):  # noqa: F811
    sink = started(path, pipeline, clock=Clock())
    play(sink, ROCK, JAZZ)
    sink.flush()
    assert [r["genre"] for r in records(path)] == ["rock", "jazz"]


def test_a_clock_that_shows_an_earlier_time_than_the_last_record_is_not_set_either(path, pipeline):  # noqa: F811
    first = started(path, pipeline)
    play(first, ROCK)
    first.flush()
    behind_ms = [3_600_000]
    sink = started(path, pipeline, clock=lambda: replace(now(), utc_ms=now().utc_ms - behind_ms[0]))
    play(sink, ROCK, JAZZ)
    until(lambda: sink.problems())
    time.sleep(0.2)
    assert facts(sink)["stored"] == 1
    behind_ms[0] = 0
    until(lambda: facts(sink)["stored"] == 2)
    sink.flush()
    ends = [rfc3339_to_ms(record["end"]) for record in records(path)]
    assert all(later >= earlier - 1 for earlier, later in itertools.pairwise(ends)), "but for rounding"


def test_no_record_is_deleted_for_having_been_young_in_1970(tmp_path):
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([in_1970(spell()), in_1970(spell()), spell()], [])
    assert store.prune(now_ms=NOON + 60_000, keep_days=1, max_bytes=PLENTY) == (False, 0)
    assert store.stored == 3
    store.prune(now_ms=NOON + 2 * DAY_MS, keep_days=1, max_bytes=PLENTY)
    assert store.stored == 0
    store.append([in_1970(spell()) for _ in range(1200)], [])
    store.prune(now_ms=NOON + 900 * DAY_MS, keep_days=1, max_bytes=PLENTY)
    assert store.stored == 1200
    store.append([spell(), replace(spell(), end=Timestamp(utc_ms=NOON + 900 * DAY_MS, mono_s=10))], [])
    while store.prune(now_ms=NOON + 900 * DAY_MS, keep_days=1, max_bytes=PLENTY)[0]:
        pass
    assert store.stored == 1
    store.close()


def test_a_report_does_not_count_1970_and_says_so(tmp_path, capsys):
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([in_1970(spell("rock")), spell("jazz")], [])
    store.close()
    for by in ("hour", "day", "source"):
        assert main(["report", "--by", by, "--state", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert "1970" not in out
        assert "rock" not in out
        assert "1 spell (0:00:10) from before the clock was set, not counted" in err
    assert main(["report", "--until", "2025-01-01", "--state", str(tmp_path)]) == 0
    assert "rock" in capsys.readouterr().out


def test_a_spell_in_which_the_clock_was_set_is_counted_before_its_end(tmp_path, capsys):
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    store.append([replace(spell("rock"), start=in_1970(spell()).start)], [])
    store.close()
    assert main(["report", "--json", "--by", "hour", "--state", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.count('"genres_s": {"rock": 10.0}') == 2
    assert "2026-11-24T" in out


def test_a_chart_of_decades_is_refused_at_once(tmp_path, capsys):
    pytest.importorskip("PIL")
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=False)
    early = replace(spell(), start=Timestamp(utc_ms=NOON - 600 * DAY_MS, mono_s=0))
    early = replace(early, end=Timestamp(utc_ms=NOON - 600 * DAY_MS + 10_000, mono_s=10))
    store.append([early, spell()], [])
    store.close()
    began = time.process_time()
    assert main(["report", "--by", "hour", "--png", str(tmp_path / "x.png"), "--state", str(tmp_path)]) == 2
    assert time.process_time() - began < 0.5
    assert "14401 bars, expected at most 400" in capsys.readouterr().err


def test_spells_that_wait_for_the_clock_survive_a_power_cut(path, pipeline):  # noqa: F811
    sink = started(path, pipeline, clock=Clock())
    play(sink, ROCK, JAZZ, ROCK)
    until(lambda: len(records(path, "open")) == 3)
    assert facts(sink)["stored"] == 0
    reader = HistoryReader(path)
    assert reader.sources() == ["mic"]
    reader.close()
    copy = database_path(path.parent.parent / "copy", "box")
    copy.parent.mkdir(mode=0o700)
    for part in path.parent.glob("history-box.*"):
        copy.with_name(part.name).write_bytes(part.read_bytes())
    store = HistoryStore(copy, "box", deliver=False)
    store.close()
    assert [(r["genre"], r["interrupted"]) for r in records(copy)] == [("rock", False), ("jazz", False), ("rock", True)]
    sink.flush()
